# SPDX-License-Identifier: MIT
# Runs tmf threads under schedules, as people do: they hold, nobody waits for longer than is promised,
# bugs of the lock are found, and a case that failed fails again. cmake -DTMF=... -DDIR=... -P
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Nothing here asks for a disk, and a sync of one takes longer than all else.
if(IS_DIRECTORY /dev/shm)
  string(RANDOM LENGTH 8 name)
  set(DIR /dev/shm/tmf_schedule_test-${name})
  file(MAKE_DIRECTORY ${DIR})
endif()

# schedules(WORDS...): must hold. Each of its runs is in `runs`.
function(schedules)
  tmf(0 "interleavings" threads ${ARGN} --dir ${DIR} --json ${DIR}/schedules.json)
  file(READ ${DIR}/schedules.json json)
  string(JSON runs GET "${json}" metrics schedules)
  set(runs "${runs}" PARENT_SCOPE)
  must_be_clear("tmf threads ${ARGN}")
endfunction()

# within(KEY LEAST MOST): in every one of `runs`.
function(within key least most)
  string(JSON count LENGTH "${runs}")
  foreach(n RANGE 1 ${count})
    math(EXPR at "${n} - 1")
    string(JSON value GET "${runs}" ${at} ${key})
    if(value LESS least OR value GREATER most)
      message(SEND_ERROR "${key} is ${value}, must be from ${least} to ${most}:\n${runs}")
    endif()
  endforeach()
endfunction()

tmf(2 "'17' is no value" threads --depth 17)
tmf(2 "'sleepwalker' is no value" threads --mutant sleepwalker)
tmf(2 "64 threads at most" threads --schedule 1 --readers 60 --writers 5)
tmf(2 "no case" replay threads:undo-fsync:rb-twin:64:bank:seed=1:txns=2:readers=1:writers=1:choices=x)
tmf(2 "no case" replay threads:undo-fsync:rb-twin:64:bank:seed=1:txns=2:readers=1:writers=0)
tmf(2 "has no --patience" threads --schedule 1 --transactions 7)
tmf(2 "has no --kills" procs --schedule 1 --kills 7)
tmf(2 "knows no time" procs --schedule 1 --time 7)
tmf(2 "leave it out of --mixed" procs --schedule 1 --mixed --strategy control)
set(case procs:undo-fsync:bins:32:bank:seed=1:txns=1:readers=1:writers=1:schedule=1:depth=3:length=9)
tmf(2 "no case" replay ${case}:mixed=undo-fsync,sleepwalker)
tmf(2 "no case" replay ${case}:threads=33) # twice as many are more than there can be
tmf(2 "no case" replay ${case}:threads=0)
string(REPLACE procs: threads: case ${case})
tmf(2 "no case" replay ${case}:threads=2)
tmf(2 "64 threads at most" procs --schedule 1 --processes 9 --threads 8)

# A writer waits for a generation of readers after each writer before it; a reader for one writer.
schedules(--schedules ${SCHEDULES} --depth 8 --visits 6 --readers 2 --writers 3
  --strategy undo-fsync,redo-segv --workload border)
within(interleavings 10 1000)
within(generations_max 1 3)
within(writers_max 1 1)
schedules(--schedules ${SCHEDULES} --depth 8 --visits 6 --readers 3 --writers 1 --workload churn --durability group)
within(generations_max 0 3)
within(writers_max 1 1)

schedules(--exhaustive --readers 1 --writers 1 --visits 1 --workload border)
within(interleavings 30 1000)
string(JSON complete GET "${runs}" 0 complete)
string(JSON interleavings GET "${runs}" 0 interleavings)
string(JSON made GET "${runs}" 0 schedules)
if(NOT complete OR NOT made EQUAL interleavings)
  message(SEND_ERROR "not all interleavings, or some twice:\n${runs}")
endif()

# found(MUTANT WHAT COMMAND WORDS...): and its case fails again, the same way, and holds without the
# mutant.
function(found mutant what)
  tmf(1 "VIOLATION [^\n]*:mutant=${mutant}" ${ARGN} --mutant ${mutant} --dir ${DIR})
  string(REGEX MATCH "VIOLATION ((threads|procs):[^\n]*)\n(.*)\n  replay" ignored "${said}")
  set(case ${CMAKE_MATCH_1})
  set(case ${case} PARENT_SCOPE)
  set(story "${CMAKE_MATCH_3}")
  if(NOT story MATCHES "${what}")
    message(SEND_ERROR "${mutant} must be found by '${what}':\n${story}")
  endif()
  tmf(1 "VIOLATION" replay ${case} --dir ${DIR})
  string(REGEX MATCH "VIOLATION ([^\n]*)\n(.*)\n  replay" ignored "${said}")
  set(again "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "/tmf-[A-Za-z0-9]*/" "/" first "${story}") # the folder's name is random
  string(REGEX REPLACE "/tmf-[A-Za-z0-9]*/" "/" again "${again}")
  if(NOT first STREQUAL again)
    message(SEND_ERROR "${case} fails in another way:\n${story}\nagain:\n${again}")
  endif()
  string(REPLACE ":mutant=${mutant}" "" sound ${case})
  if(case MATCHES ":schedule=")
    tmf(0 "it holds" replay ${sound} --dir ${DIR})
  endif()
endfunction()

set(threads threads --readers 2 --writers 2 --workload bank)
found(reader-count "is inside too" ${threads} --schedules 20)
found(time-out-ignored "waits for more than" ${threads} --schedules 20)
found(entering-unseen "." ${threads} --schedules 200)
found(leaving-untold "all threads wait for each other" ${threads} --schedules 50)
found(leaving-untold "all threads wait for each other" ${threads} --exhaustive --schedules 200 --visits 1)

# Processes, of which one dies in every other run.
tmf(2 "64 threads at most" procs --schedule 1 --processes 65)
function(procs)
  tmf(0 "interleavings" procs ${ARGN} --dir ${DIR} --json ${DIR}/schedules.json)
  file(READ ${DIR}/schedules.json json)
  string(JSON runs GET "${json}" metrics schedules)
  set(runs "${runs}" PARENT_SCOPE)
endfunction()
math(EXPR half "${SCHEDULES} / 2")
procs(--schedules ${half} --processes 4 --visits 6 --depth 6 --strategy undo-fsync,redo-segv --workload border)
within(interleavings 9 1000)
within(generations_max 0 3)
within(writers_max 0 2)
procs(--schedules ${half} --processes 12 --strategy undo-fsync --workload border)
within(writers_max 0 2)
procs(--mixed --strategy redo-segv,redo-scan --schedules ${half} --processes 6 --workload border)
within(writers_max 0 2)
# With more than one thread each, also beside a writer: as many writers go before a reader as ever.
foreach(threads IN ITEMS 2 4)
  procs(--schedules ${half} --processes 5 --readers 0.4 --threads ${threads} --depth 6
    --strategy undo-fsync,redo-segv --workload border)
  within(threads ${threads} ${threads})
  within(generations_max 0 3)
  within(writers_max 0 2)
endforeach()

set(procs procs --processes 4 --visits 6 --workload border --schedules 60)
found(missed-checkpoint-ignored "wrong content|another transaction"
  ${procs} --mixed --strategy redo-segv,undo-fsync)
if(NOT case MATCHES ":mixed=redo-segv,undo-fsync")
  message(SEND_ERROR "the case does not say what is mixed: ${case}")
endif()
found(gate-not-passed "generations of readers" ${procs} --strategy undo-fsync)
found(readers-never-drain "generations of readers" ${procs} --threads 2 --strategy undo-fsync)
found(newcomer-sees-old "another transaction" ${procs} --threads 2 --strategy redo-segv)
found(waiting-threads-forgotten "a reader waited for [0-9]+ writers" procs --processes 5 --readers 0.4 --threads 4
  --visits 5 --depth 6 --workload border --schedules 100 --strategy undo-fsync)
found(lock-inherited "all threads wait for each other" ${procs} --strategy undo-fsync)
if(NOT case MATCHES ":dies=")
  message(SEND_ERROR "a child must outlive its parent: ${case}")
endif()
found(dead-holder-missed "." ${procs} --strategy undo-fsync)
found(recovery-waits-in-turn "a reader waited for [0-9]+ writers"
  procs --processes 12 --workload border --schedules 150 --strategy undo-fsync)
found(missed-checkpoint-ignored "wrong content|another transaction" ${procs} --strategy redo-segv)

file(REMOVE_RECURSE ${DIR})
