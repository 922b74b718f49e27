# SPDX-License-Identifier: MIT
# Runs tmf threads under helgrind and drd: no race, no lock taken wrongly. Of the strategies redo-wp is
# left out: valgrind does not know userfaultfd(2). Those that trap need all registers to be in memory
# when a store traps, or the store is not made again as it was: hence the option.
# cmake -DTMF=... -DVALGRIND=... -DDIR=... -P
cmake_minimum_required(VERSION 3.25)

if(NOT VALGRIND)
  message("threads_valgrind_test skipped: valgrind is not installed")
  return()
endif()
if(IS_DIRECTORY /dev/shm)
  string(RANDOM LENGTH 8 name)
  set(DIR /dev/shm/tmf_valgrind_test-${name})
endif()
file(MAKE_DIRECTORY ${DIR})

foreach(tool IN ITEMS helgrind drd)
  execute_process(COMMAND ${VALGRIND} --tool=${tool} -q --trace-children=yes --error-exitcode=9
      --vex-iropt-register-updates=allregs-at-mem-access
      --suppressions=${CMAKE_CURRENT_LIST_DIR}/valgrind.supp
      ${TMF} threads --strategy undo-fsync,undo-mlock,redo-segv,redo-scan,redo-declared --workload bank
      --transactions 30 --readers 2 --writers 2 --dir ${DIR}
    RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT result EQUAL 0 OR said MATCHES "\n==")
    message(SEND_ERROR "${tool}: exit status ${result}:\n${said}")
  endif()
  string(REGEX MATCHALL "bank +2 +2 " runs "${said}")
  list(LENGTH runs count)
  if(NOT count EQUAL 5)
    message(SEND_ERROR "${tool}: ${count} strategies were run, must be 5:\n${said}")
  endif()
endforeach()
file(REMOVE_RECURSE ${DIR})
