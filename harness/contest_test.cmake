# SPDX-License-Identifier: MIT
# Runs tmf threads and tmf procs as people do: short contests hold, the negative control is caught.
# cmake -DTMF=... -DDIR=... -DCONTEST=threads|procs -P contest_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# contest(WORDS...): must hold, and leave nothing behind. Leaves its first run in `run`.
function(contest)
  tmf(0 "waits for the lock" ${CONTEST} ${ARGN} --dir ${DIR} --json ${DIR}/contest.json)
  file(READ ${DIR}/contest.json json)
  string(JSON run GET "${json}" metrics runs 0)
  set(run "${run}" PARENT_SCOPE)
  set(json "${json}" PARENT_SCOPE)
  must_be_clear("tmf ${CONTEST} ${ARGN}")
endfunction()

# at_least(KEY NUMBER): of `run`.
function(at_least key number)
  string(JSON value GET "${run}" ${key})
  if(value LESS number)
    message(SEND_ERROR "${key} is ${value}, must be ${number} or more:\n${run}")
  endif()
endfunction()

if(CONTEST STREQUAL threads)
  tmf(2 "there is no work" threads --readers 0 --writers 0)
  tmf(2 "'129' is no value" threads --writers 129)
  tmf(2 "'0' is no value" threads --transactions 0)

  contest(--transactions 300)
  at_least(transactions 300)
  at_least(reads 4)
  string(JSON count LENGTH "${json}" metrics waits)
  set(kinds)
  math(EXPR last "${count} - 1")
  foreach(n RANGE ${last})
    string(JSON kind GET "${json}" metrics waits ${n} kind)
    list(APPEND kinds ${kind})
  endforeach()
  foreach(kind IN ITEMS "of readers" "of writers" "held by readers" "held by writers")
    if(NOT kind IN_LIST kinds)
      message(SEND_ERROR "nothing is told of '${kind}', but of ${kinds}")
    endif()
  endforeach()
  contest(--readers 0 --writers 3 --transactions 100 --workload border)
  at_least(transactions 100)
  contest(--readers 3 --writers 0 --transactions 100 --workload bank)
  at_least(reads 100)
  contest(--time 0.2 --workload churn)
else()
  tmf(2 "'1' is no value" procs --processes 1)
  tmf(2 "'1.5' is no value" procs --readers 1.5)
  tmf(2 "'-3' is no value" procs --kills -3)

  # A strategy that undoes leaves its successor work; one that redoes need not.
  contest(--transactions 300 --kills 12 --strategy undo-fsync)
  at_least(transactions 300)
  at_least(kills 12)
  at_least(holder_kills 6) # of the kinds of kills, half are of holders for certain
  at_least(recoveries 1)
  contest(--transactions 300 --kills 12 --stops 10)
  at_least(transactions 300)
  at_least(holder_kills 6)
  at_least(stops 10)
  at_least(holder_stops 4)
  foreach(did IN ITEMS reopenings growths)
    at_least(${did} 1)
  endforeach()

  # Each strategy beside each, and calls that fail in one process while others wait.
  tmf(2 "leave it out of --mixed" procs --mixed --strategy control)
  contest(--mixed --strategy all --processes 12 --transactions 600 --kills 16 --workload border --faults)
  at_least(transactions 600)
  foreach(did IN ITEMS faults errors_told forks refusals)
    at_least(${did} 1)
  endforeach()
  contest(--readers 1 --transactions 50 --workload churn)
  at_least(writers 1)
  contest(--time 0.2 --kills 0 --stops 0 --workload border)

  tmf(1 "VIOLATION procs:none:.*wrong content.*replay: tmf procs --strategy none" procs
    --strategy none --workload bank --transactions 200 --kills 12 --dir ${DIR})
endif()
