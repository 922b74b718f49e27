# SPDX-License-Identifier: MIT
# Runs tmf mutants and tmf model as people do: bugs of every kind are found, equivalent ones are not,
# and without a bug all holds. cmake -DTMF=... -DDIR=... -P mutants_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

tmf(2 "'sleepwalker' is no value" mutants --mutant sleepwalker)
tmf(2 "'fork' is no value" mutants --model fork)
tmf(2 "'bank' is no value" model --workload bank)

# Every bug of the heap, which costs little.
tmf(0 "summary-one-level +.[0-9]+, .*survived +not run\nmodel +[0-9]+ +[0-9]+ +0 +0 +0\n" mutants
  --model model --dir ${DIR} --json ${DIR}/model.json)
file(READ ${DIR}/model.json json)
string(JSON mutants LENGTH "${json}" metrics mutants)
string(JSON verdict GET "${json}" metrics mutants 0 cells 0 verdict)
string(JSON cases GET "${json}" metrics mutants 0 cells 0 cases)
if(mutants LESS 30 OR NOT verdict STREQUAL caught OR cases LESS 1)
  message(SEND_ERROR "the JSON is not what was run: ${mutants} mutants, the first ${verdict} after ${cases}")
endif()

# Some of every other model; one that hangs; one that is equivalent.
tmf(0 "undoes-one-too-few +.[0-9]+, .*model +must see" mutants --dir ${DIR}
  --mutant undoes-one-too-few,rollback-forgets-page,segment-ends-early,position-unchecked)
tmf(0 "short-write" mutants --mutant short-write,folder-left-open --dir ${DIR})
tmf(0 "fork-not-noticed" mutants --mutant fork-not-noticed,owner-unchecked --dir ${DIR})
tmf(0 "writer-lock-not-taken" mutants --mutant writer-lock-not-taken,commits-of-others-unseen --dir ${DIR})
tmf(0 "taken-over-taken-for-durable +.[0-9]+, " mutants --mutant taken-over-taken-for-durable --dir ${DIR})
tmf(0 "commit-log-unsynced" mutants --mutant commit-log-unsynced,odb-name-unsynced --dir ${DIR})

# A model that need not see it may.
tmf(0 "free-miscounted +[0-9]+, " mutants --mutant free-miscounted --model kill --dir ${DIR})
must_be_clear("tmf mutants")

# TMF_MUTANT is for every command.
execute_process(COMMAND ${CMAKE_COMMAND} -E env TMF_MUTANT=commit-unmarked ${TMF} kill
  --strategy undo-fsync --workload bank --until-first --dir ${DIR} RESULT_VARIABLE got OUTPUT_QUIET)
if(NOT got EQUAL 1)
  message(SEND_ERROR "TMF_MUTANT is not heard: exit status ${got}, must be 1")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -E env TMF_MUTANT=nobody ${TMF} list points
  RESULT_VARIABLE got OUTPUT_QUIET ERROR_QUIET)
if(NOT got EQUAL 2)
  message(SEND_ERROR "TMF_MUTANT=nobody: exit status ${got}, must be 2")
endif()

# Without a bug the same campaigns hold: here that of one mutant of a kind.
tmf(0 "survived .*tmf model" mutants --sound --mutant split-loses-key,writer-lock-not-taken --dir ${DIR})
