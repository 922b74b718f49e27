# SPDX-License-Identifier: MIT
# Runs tmf power over processes that share a storage: what survives power loss holds, what does not
# loses, a case replays, bugs that no life of one process shows are found and told, parts add up.
# cmake -DTMF=... -DDIR=... -DCASES=... -P power_procs_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Wrong words.
tmf(2 "'0' is no value" power --processes 0)
tmf(2 "'17' is no value" power --processes 17)
tmf(2 "'nowhere' is no value" power --dies-before nowhere)
tmf(2 "--mixed takes two processes or more" power --mixed --processes 1)
tmf(2 "--mixed takes two processes or more" power --mixed --strategy undo-mlock)
set(life power:undo-fsync:bins:32:bank:seed=1:txns=1:tear=512:fs=posix)
foreach(case ${life}:procs=1:schedule=1 ${life}:procs=17:schedule=1 ${life}:procs=x ${life}:schedule=1
    ${life}:procs=2:dies=1:before=nowhere ${life}:mixed=2:procs)
  tmf(2 "is no case" replay ${case})
endforeach()

# Every strategy, each held to what it says of itself; one of them may die.
function(rows_as_expected)
  tmf(0 "" power --cases ${CASES} --transactions 4 --dir ${DIR} --json ${DIR}/power.json ${ARGN})
  file(READ ${DIR}/power.json json)
  string(JSON rows LENGTH "${json}" metrics runs)
  math(EXPR last "${rows} - 1")
  set(deaths 0)
  foreach(n RANGE ${last})
    foreach(key strategy processes lives deaths cases expected violations)
      string(JSON row_${key} GET "${json}" metrics runs ${n} ${key})
    endforeach()
    math(EXPR deaths "${deaths} + ${row_deaths}")
    if(row_cases LESS 20 OR row_lives LESS 2 OR row_processes LESS 2 OR
       (row_expected STREQUAL held AND row_violations GREATER 0) OR
       (row_expected STREQUAL caught AND row_violations EQUAL 0))
      message(SEND_ERROR "${row_strategy}: ${row_cases} cases, ${row_violations} violations, expected: ${row_expected}")
    endif()
  endforeach()
  if(deaths EQUAL 0)
    message(SEND_ERROR "nobody has died: ${said}")
  endif()
  must_be_clear("tmf power")
endfunction()
rows_as_expected(--processes 3 --workload border --schedules 2)
rows_as_expected(--mixed --processes 4 --workload bank --schedules 2)
rows_as_expected(--processes 2 --workload bank --schedules 2 --durability group --strategy redo-segv,redo-scan --depth 3)

# The same numbers every time.
foreach(run first second)
  tmf(0 "" power --processes 3 --strategy redo-segv --workload bank --schedules 3 --cases 3000 --dir ${DIR} --json
    ${DIR}/${run}.json)
  file(READ ${DIR}/${run}.json json)
  set(${run} "")
  foreach(key steps states distinct cases nested went_on deaths)
    string(JSON value GET "${json}" metrics runs 0 ${key})
    list(APPEND ${run} ${key} ${value})
  endforeach()
endforeach()
if(NOT first STREQUAL second)
  message(SEND_ERROR "the same words, other numbers: ${first}; ${second}")
endif()

# Bugs that take two processes: a life of one holds; their story names the processes, and replays.
function(takes_two mutant point story)
  set(words power --strategy redo-segv --workload bank --transactions 3 --mutant ${mutant} --until-first --images 4
    --dir ${DIR} --cases 100000)
  tmf(0 "" ${words} --processes 1)
  tmf(1 "VIOLATION [^\n]*:procs=2:schedule=[^\n]*:before=${point}:.*${story}" ${words} --processes 2 --schedules 20
    --dies-before ${point})
  string(REGEX MATCH "tmf replay '([^']+)'" line "${said}")
  set(case ${CMAKE_MATCH_1})
  tmf(1 "VIOLATION.*${story}" replay --dir ${DIR} ${case})
  string(REGEX REPLACE ":mutant=.*" "" sound ${case})
  tmf(0 "it holds|not to be had" replay --dir ${DIR} ${sound})
endfunction()
takes_two(name-taken-for-durable txn/create/after-rename "still the name storage.odb: gone")
takes_two(room-taken-for-durable txn/grow/file-extended "by process [12].*still the size of storage.odb")
takes_two(slot-taken-for-durable txn/log/start-written "by process [12].*the log is damaged")
takes_two(taken-over-taken-for-durable txn/sync/before "storage.odb, page [^\n]*by process [12].*storage.log[^\n]* by process [12]")

# Parts of a campaign add up.
parts_add_up(100 power --processes 3 --strategy undo-fsync,redo-segv --workload border --transactions 2 --images 8
  --schedules 2 --dir ${DIR})
