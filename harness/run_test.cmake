# SPDX-License-Identifier: MIT
# A run that is cut off leaves nothing behind but its results, and goes on from them; what cannot be
# run for want of a folder or a disk is no violation. cmake -DTMF=... -DDIR=... -P run_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# sh(STATUS COMMAND): must exit so.
function(sh status command)
  execute_process(COMMAND sh -c "${command}" TIMEOUT 60 RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT got STREQUAL status)
    message(SEND_ERROR "${command}: exit status ${got}, must be ${status}:\n${out}")
  endif()
endfunction()

file(MAKE_DIRECTORY ${DIR}/scratch)
tmf(2 "no value for this option" run --steps nonesuch)
tmf(2 "no value for this option" run --part 0)
set(words run --profile full --time 8 --part 1 --dir ${DIR}/scratch --steps kill)

list(JOIN words " " line)

# Ctrl-C in the second part, kill -9 in the third: both are told by the JSON of the part before.
foreach(part 1 2)
  math(EXPR signal "2 + 7 * (${part} - 1)")
  sh(0 "env --default-signal=INT ${TMF} ${line} --out ${DIR}/cut & run=$!
        until [ -s ${DIR}/cut/kill-${part}.json ]; do sleep 0.1; done; sleep 0.5
        kill -${signal} $run; wait $run; [ $? -ne 0 ]")
  must_be_clear("tmf run" ${DIR}/scratch)
endforeach()
if(EXISTS ${DIR}/cut/run.json)
  message(SEND_ERROR "a run that was cut off has a result")
endif()

# What is there is not run again; the last of it is the same as of a run that nobody cut off.
file(SHA256 ${DIR}/cut/kill-1.json before)
tmf(0 "kill-1.json: is there already.*kill-2.json: is there already.*held +held" ${words} --out ${DIR}/cut)
file(SHA256 ${DIR}/cut/kill-1.json after)
if(NOT before STREQUAL after)
  message(SEND_ERROR "a part that was there was run again")
endif()
tmf(0 "held +held" ${words} --out ${DIR}/whole)
if(said MATCHES "is there already")
  message(SEND_ERROR "a part of another run was taken:\n${said}")
endif()
must_be_clear("tmf run" ${DIR}/scratch)
set(cases_of_parts 0)
file(GLOB parts ${DIR}/cut/kill-*.json)
foreach(part ${parts})
  file(READ ${part} json)
  string(JSON cases GET "${json}" cases)
  math(EXPR cases_of_parts "${cases_of_parts} + ${cases}")
endforeach()
foreach(run cut whole)
  file(READ ${DIR}/${run}/kill.json json_${run})
  string(JSON rows_${run} LENGTH "${json_${run}}" metrics runs)
  string(JSON violations_${run} GET "${json_${run}}" violations)
endforeach()
string(JSON cases GET "${json_cut}" cases)
list(LENGTH parts count)
if(NOT cases EQUAL cases_of_parts OR NOT rows_cut EQUAL rows_whole OR count LESS 3 OR
   NOT violations_cut EQUAL 0 OR NOT violations_whole EQUAL 0)
  message(SEND_ERROR "${cases} cases of ${cases_of_parts} in ${count} parts, ${rows_cut} rows of ${rows_whole}")
endif()

# The parts of a power campaign are one as well, for the report, too.
tmf(0 "report: .*/report.html" run --profile full --time 30 --part 2 --steps power
  --dir ${DIR}/scratch --out ${DIR}/power)
file(GLOB parts ${DIR}/power/power-*.json)
list(LENGTH parts count)
if(count LESS 2)
  message(SEND_ERROR "${count} parts of a power campaign")
endif()

# A run that came to its end says so.
file(READ ${DIR}/cut/run.json json)
string(JSON steps LENGTH "${json}" metrics steps)
if(NOT steps EQUAL 1)
  message(SEND_ERROR "${steps} steps in run.json, must be 1")
endif()

# More than it may need of the disk; a folder that somebody removes, and all at once, since a case
# whose files alone are gone is one that lost them; a disk that is full.
tmf(3 "needs more than 1 MiB.*not run" run --time 600 --max-disk 1 --steps threads --dir ${DIR}/scratch
  --out ${DIR}/large)
tmf(3 "needs more than 1 MiB of the memory.*not run" run --time 600 --max-memory 1 --steps power
  --dir ${DIR}/scratch --out ${DIR}/larger)
must_be_clear("tmf run" ${DIR}/scratch)
foreach(command "kill" "error" "threads")
  file(MAKE_DIRECTORY ${DIR}/gone)
  sh(3 "(until ls -d ${DIR}/scratch/*/* && mv ${DIR}/scratch/* ${DIR}/gone; do sleep 0.1; done
          rm -rf ${DIR}/gone) >/dev/null 2>&1 &
        exec ${TMF} ${command} --time 60 --dir ${DIR}/scratch")
  must_be_clear("tmf run" ${DIR}/scratch)
  sh(3 "unshare --user --map-root-user --mount sh -c true || exit 3
        exec unshare --user --map-root-user --mount sh -c '
          mount -t tmpfs -o size=700k tmpfs ${DIR}/scratch && exec ${TMF} ${command} --time 60 --dir ${DIR}/scratch'")
endforeach()
