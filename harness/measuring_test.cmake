# SPDX-License-Identifier: MIT
# Provokes what disturbs a measurement, and looks at what is said, kept and refused.
# cmake -DTMF=... -DDIR=... -DBENCH=ON|OFF -DOPTIMISED=ON|OFF -P measuring_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Words that --strict is given, so that nothing is measured whatever else is found here.
set(bench bench --filter read/begin_end/alone --repetitions 1 --min-time 0.01 --dir ${DIR})

# runs(STATUS PATTERN RUNNER...): as tmf(), with the command run by another one.
function(runs status pattern)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT got STREQUAL status OR NOT out MATCHES "${pattern}")
    message(SEND_ERROR "${ARGN}: exit status ${got}, must be ${status}; must match '${pattern}':\n${out}")
  endif()
endfunction()

tmf(2 "cores as 2,3-5.*not '1,1'" bench --pin 1,1)
tmf(2 "exclude each other" bench --pin 0 --no-pin)
tmf(2 "unrecognized option" kill --pin 0)
tmf(2 "how many repetitions" bench --time 1 --repetitions 2)
tmf(2 "--time is for --revisions" compare --time 3 a b)
tmf(3 "--pin 1023: only cores .* may be used here" ${bench} --pin 1023)

# An address space of 64 GiB; the other disturbances of this machine, if any, are said beside it.
find_program(PRLIMIT prlimit REQUIRED)
if(OPTIMISED) # a sanitizer does not start with that
  runs(3 "addresses are limited to 65536 MiB.*nothing was measured, as --strict demands"
    ${PRLIMIT} --as=68719476736 ${TMF} ${bench} --strict --json ${DIR}/strict.json)
  if(EXISTS ${DIR}/strict.json)
    message(SEND_ERROR "--strict has left a result of nothing")
  endif()
else()
  runs(3 "will disturb it: the build .*--strict demands" ${TMF} ${bench} --strict)
endif()

# 64 KiB to lock, for one who may not pass over that.
find_program(SETPRIV setpriv)
if(SETPRIV AND OPTIMISED)
  execute_process(COMMAND ${SETPRIV} --inh-caps=-ipc_lock --bounding-set=-ipc_lock true
    RESULT_VARIABLE cannot ERROR_QUIET)
  if(cannot) # no root, who has no such right either
    set(SETPRIV env)
  else()
    list(APPEND SETPRIV --inh-caps=-ipc_lock --bounding-set=-ipc_lock)
  endif()
  runs(3 "0.1 MiB may be locked in memory" ${PRLIMIT} --memlock=65536 ${SETPRIV} ${TMF} ${bench} --strict)
endif()

# A disk of 16 MiB, in memory.
find_program(UNSHARE unshare)
execute_process(COMMAND ${UNSHARE} -m true RESULT_VARIABLE cannot ERROR_QUIET)
if(UNSHARE AND NOT cannot)
  file(MAKE_DIRECTORY ${DIR}/small)
  runs(3 "is on tmpfs, in memory.*has 16 MiB free, and up to 3072 are needed" ${UNSHARE} -m sh -c
    "mount -t tmpfs -o size=16m none ${DIR}/small && exec ${TMF} bench --dir ${DIR}/small --strict")
endif()

if(NOT BENCH)
  return()
endif()

# must_have(JSON VALUE PATH...): what stands there in the JSON that was measured.
function(must_have json value)
  file(READ ${DIR}/${json} text)
  string(JSON found ERROR_VARIABLE error GET "${text}" ${ARGN})
  if(NOT found MATCHES "${value}")
    message(SEND_ERROR "${json}: ${ARGN} is '${found}' (${error}), must match '${value}'")
  endif()
endfunction()

# What is said is kept: here that it is in memory. The filter matches what makes no thread.
if(EXISTS /dev/shm)
  tmf(0 "will disturb it: .*/dev/shm.* in memory" bench --filter "alloc_free/bins/quantum:32/free_blocks:100$"
    --repetitions 2 --dir /dev/shm --json ${DIR}/memory.json --seed 7)
  must_have(memory.json "in memory" disturbances)
  must_have(memory.json "^tmpfs$" environment file_system type)
  must_have(memory.json "^tmf bench --filter 'alloc_free/bins/quantum:32/free_blocks:100\\$' --repetitions 2 --min-time 0.2 --seed 7 --durability sync$" again)
  must_have(memory.json "[0-9]" environment load at_end 0)
  must_have(memory.json "[0-9]" environment libraries benchmark)
  must_have(memory.json "^2$" metrics benchmarks 0 repetitions) # the warm-up is none
endif()

# Where one core is allowed, that one is used, by all threads.
find_program(TASKSET taskset)
set(threads --filter "read/threads:2/pages:10$|commits/group/threads:8$" --repetitions 1 --dir ${DIR})
if(TASKSET)
  runs(0 "threads:8" ${TASKSET} -c 0 ${TMF} bench ${threads} --json ${DIR}/one.json)
  must_have(one.json "^0$" environment allowed_cores)
  must_have(one.json "^0$" environment pinned_cores)
endif()
tmf(0 "threads:8" bench ${threads} --no-pin --json ${DIR}/none.json)
must_have(none.json "^none$" environment pinned_cores)
must_have(none.json "--no-pin$" again)
file(READ ${DIR}/none.json text)
string(JSON allowed GET "${text}" environment allowed_cores)
must_have(none.json "^${allowed}$" metrics context main_thread_cores)
string(REGEX MATCH "[0-9]+" first "${allowed}")
tmf(0 "threads:8" bench ${threads} --pin ${first} --json ${DIR}/first.json)
must_have(first.json "^${first}$" metrics context main_thread_cores)
must_have(first.json " --pin ${first}$" again)

# A budget: of so little there is one repetition; of more there are as many as had room, and it says
# how many. Another one would not have had room: none takes longer than all of them together.
set(quick --filter "alloc_free/bins/quantum:32/free_blocks:100$" --dir ${DIR})
tmf(0 "1 repetitions in 0.001 s" bench ${quick} --time 0.001 --json ${DIR}/short.json)
must_have(short.json "^1$" metrics rounds)
tmf(0 "repetitions in 3 s" bench ${quick} --time 3 --json ${DIR}/long.json)
file(READ ${DIR}/long.json text)
string(JSON seconds GET "${text}" seconds)
string(JSON rounds GET "${text}" metrics rounds)
if(seconds LESS 1.5)
  message(SEND_ERROR "--time 3 ended after ${seconds} s, with room for as much again")
endif()
must_have(long.json "^${rounds}$" metrics benchmarks 0 repetitions)
must_have(long.json " --time 3 " again)
must_be_clear("tmf bench")
