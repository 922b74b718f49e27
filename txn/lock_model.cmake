# SPDX-License-Identifier: MIT
# Checks lock.pml with spin, every state: as it is, which must hold, and broken on purpose, where the
# invariant that it breaks must be found not to. cmake -DSPIN=... -DCC=... -DMODEL=... -DDIR=... -P
cmake_minimum_required(VERSION 3.25)

if(NOT SPIN)
  message("lock_model skipped: spin is not installed (Debian package spin)")
  return()
endif()
find_program(TIMEOUT timeout REQUIRED)

# check(OUT OPTIMISATION DEFINES...): what the verifier says; it has 2 GiB and five minutes.
function(check out optimisation)
  list(TRANSFORM ARGN PREPEND -D OUTPUT_VARIABLE defines)
  file(REMOVE_RECURSE ${DIR})
  file(MAKE_DIRECTORY ${DIR})
  foreach(command IN ITEMS
      "${SPIN};${defines};-a;${MODEL}"
      "${CC};${optimisation};-w;-DSAFETY;-DCOLLAPSE;-DMEMLIM=2048;-o;pan;pan.c"
      "${TIMEOUT};300;./pan;-m100000")
    execute_process(COMMAND ${command} WORKING_DIRECTORY ${DIR}
      RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE text)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "'${command}' ended with ${result}:\n${text}")
    endif()
  endforeach()
  string(REGEX REPLACE "\nunreached in.*" "" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# A search that was cut short proves nothing.
function(holds)
  check(text -O2 ${ARGN})
  if(NOT text MATCHES "errors: 0" OR text MATCHES "not completed|too small")
    message(SEND_ERROR "with ${ARGN} the model does not hold:\n${text}")
  endif()
  string(REGEX MATCH "([0-9]+) states, stored" states "${text}")
  message("${ARGN}: ${states}, all hold")
endfunction()

# breaks(INVARIANT DEFINES...)
function(breaks invariant)
  if(invariant STREQUAL "everybody gets to its end")
    set(pattern "invalid (end) state")
    set(invariant end)
  else()
    set(pattern "assertion violated ([a-z_]+) ")
  endif()
  check(text -O0 PROCESSES=2 ROUNDS=2 DEATHS=1 ${ARGN})
  if(NOT text MATCHES "${pattern}")
    message(SEND_ERROR "broken by ${ARGN} the model holds:\n${text}")
  elseif(NOT CMAKE_MATCH_1 STREQUAL invariant)
    message(SEND_ERROR "broken by ${ARGN}, ${CMAKE_MATCH_1} is found, must be ${invariant}")
  else()
    message("${ARGN}: ${invariant} does not hold, as it must not")
  endif()
endfunction()

holds(PROCESSES=3 ROUNDS=1 DEATHS=1)
holds(PROCESSES=2 ROUNDS=2 DEATHS=1)
holds(PROCESSES=3 ROUNDS=2 DEATHS=0 ONLY_UNDO) # as many writers as a reader must not wait for

# With threads that wait to read while another one of their process reads or writes.
holds(PROCESSES=3 ROUNDS=1 DEATHS=0 ONLY_UNDO THREADS)
holds(PROCESSES=2 ROUNDS=2 DEATHS=0 THREADS)
holds(PROCESSES=2 ROUNDS=1 DEATHS=1 THREADS)
breaks("everybody gets to its end" ROUNDS=2 DEATHS=0 THREADS OWN_WRITER_FIRST)

breaks(committed_only LATE_LOCK)
breaks(alone_with_the_odb EARLY_UNLOCK)
breaks(settled NO_RECOVERY)
breaks(gate_keeps_out NO_GATE)
breaks(two_go_before PROCESSES=3 ROUNDS=2 DEATHS=0 ONLY_UNDO NO_ROOM)
breaks(one_writer NO_WRITER_LOCK)
breaks(acknowledged_seen STALE_COPY)
breaks(settled LATE_RECORD)
breaks(settled EARLY_START)
breaks(lock_order CROSSED_LOCKS)

# Either of the two is enough.
holds(PROCESSES=2 ROUNDS=2 DEATHS=1 NO_SECOND_LOOK)
holds(PROCESSES=2 ROUNDS=2 DEATHS=1 EARLY_UNWRITE)
breaks(settled NO_SECOND_LOOK EARLY_UNWRITE)
