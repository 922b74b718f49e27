# SPDX-License-Identifier: MIT
# Runs the built command as people do, and looks at its exit status, its words and its JSON.
# cmake -DTMF=... -DDIR=... -DCASES=... -P tmf_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Wrong words: status 2 and a sentence that says what to do.
tmf(2 "Usage: tmf COMMAND")
tmf(2 "no command is called 'kil'.*--help" kil)
tmf(2 "no strategy is called 'magic'.*tmf list" kill --strategy magic)
tmf(2 "no workload is called 'ycsb'.*tmf list" kill --workload bank,ycsb)
tmf(2 "one --durability at a time" bench --durability sync,group)
tmf(2 "no index is called 'tree'.*tmf list" kill --index tree)
tmf(2 "powers of two" kill --quantum 48)
tmf(2 "whole number" kill --cases many)
tmf(2 "I/N" kill --shard 3/2)
tmf(2 "seconds" kill --time -1)
tmf(2 "sync, group or process" kill --durability paper)
tmf(2 "unrecognized option" kill --unheard-of)
tmf(2 "unrecognized option" list --cases 3)
tmf(2 "one word too many" kill bank)
tmf(2 "PATH is missing" check)
tmf(2 "is no case" replay nonsense)
tmf(2 "is no case" replay kill:undo-fsync:rb-twin:64:bank:seed=1:txns=2:point=no/such:hit=1)
tmf(2 "there is no list of 'things'" list things)
tmf(2 "COMMAND.*is missing" record)
tmf(2 "'0' is no value" record --operations 0 true)
tmf(3 "making a folder to work in failed" kill --dir ${DIR}/nowhere)
tmf(3 "give the path without" check ${DIR}/nothing)

# A recorded command says and ends what it does by itself.
set(trace ${DIR}/some.trace)
tmf(7 "heard.*some.trace: [0-9]+ operations .* of [2-9] processes, [2-9] threads; peak "
  record --output ${trace} --dir ${DIR} --json ${DIR}/record.json
  -- sh -c "ls /nowhere || (echo heard && exit 7)")
file(READ ${DIR}/record.json json)
string(JSON name GET "${json}" metrics processes 0 name)
if(NOT name STREQUAL sh)
  message(SEND_ERROR "the first process is ${name}, must be sh")
endif()
tmf(0 ": 30 operations .*cut" record --output ${trace} --dir ${DIR} --operations 30 -- ls)
tmf(143 "1 processes" record --output ${trace} --dir ${DIR} -- sh -c "kill -TERM $$")
tmf(127 "nothing: No such file" record --output ${trace} --dir ${DIR} ${DIR}/nothing)
tmf(3 "nowhere/trace: No such file" record --output ${DIR}/nowhere/trace --dir ${DIR} ls)
tmf(3 "nothing was recorded" record --output ${trace} --dir ${DIR} true)

# What was recorded is a workload; what was not is refused.
tmf(0 ": [1-9][0-9]+ operations " record --output ${trace} --dir ${DIR} -- ls -R ${CMAKE_CURRENT_LIST_DIR})
tmf(2 "the trace '${DIR}/nothing': No such file" kill --workload trace:${DIR}/nothing)
tmf(2 "it is no trace" kill --workload trace:${CMAKE_CURRENT_LIST_FILE})
tmf(2 "part of the name of a case" kill --workload trace:a:b)
tmf(2 "one trace at a time" kill --workload trace:${trace},trace:other)
tmf(2 "the trace 'nothing': No such.*is no case" replay
  kill:undo-fsync:rb-twin:64:trace:nothing:seed=3:txns=4:point=txn/commit/begin:hit=3)
tmf(0 "redo-wp[^\n]*trace:" kill --strategy all --cases 10 --dir ${DIR}
  --workload trace:${CMAKE_CURRENT_LIST_DIR}/../bench/traces/perl.trace)
tmf(0 "it holds" replay --dir ${DIR}
  kill:undo-fsync:rb-twin:64:trace:${trace}:seed=3:txns=4:point=txn/commit/before-mark:hit=2)

# Help, and lists of everything.
tmf(0 "Usage: tmf COMMAND.*kill " --help)
tmf(0 "^tmf [0-9]+[.][0-9]+" --version)
tmf(0 "--cases.*--strategy" kill --help)
foreach(kind points strategies indexes workloads engines mutants)
  tmf(0 "." list ${kind})
endforeach()
tmf(0 "points.*strategies.*indexes.*workloads" list)

# Strategies: what they outlive; one that the kernel does not allow, here for want of descriptors, is
# told with what it lacks, left out of `all`, and refused by name. Which strategies there are is
# asked of the list, not written here.
tmf(0 "survives.*undo-fsync +power.*default.*none +nothing" list strategies)
execute_process(COMMAND sh -c "ulimit -n 4 && exec ${TMF} list strategies" OUTPUT_VARIABLE said)
string(REGEX MATCH "\n(redo-[a-z]+) +power +no " lacking "${said}")
if(lacking)
  set(lacking ${CMAKE_MATCH_1})
  execute_process(COMMAND sh -c "ulimit -n 4 && exec ${TMF} kill --strategy ${lacking}"
    RESULT_VARIABLE got ERROR_VARIABLE said)
  if(NOT got EQUAL 3 OR NOT said MATCHES "tmf kill: strategy ${lacking} needs")
    message(SEND_ERROR "a strategy that is not to be had: exit status ${got}, must be 3:\n${said}")
  endif()
endif()

# A sound strategy holds, and the JSON says it.
tmf(0 "undo-fsync" kill --strategy undo-fsync --cases ${CASES} --seed 5 --dir ${DIR} --json ${DIR}/kill.json)
file(READ ${DIR}/kill.json json)
foreach(key schema command arguments seed environment cases violations failures metrics seconds)
  string(JSON value ERROR_VARIABLE missing GET "${json}" ${key})
  if(missing)
    message(SEND_ERROR "the JSON lacks ${key}: ${missing}")
  endif()
  set(json_${key} "${value}")
endforeach()
if(NOT json_schema STREQUAL "tmf/1" OR NOT json_seed EQUAL 5 OR NOT json_violations EQUAL 0 OR
   json_cases LESS CASES)
  message(SEND_ERROR "the JSON is not what was run:\n${json}")
endif()
string(JSON workload GET "${json}" metrics runs 0 workload)
string(JSON survives GET "${json}" metrics runs 0 survives)
string(JSON skipped LENGTH "${json}" skipped)
if(NOT survives STREQUAL power OR NOT skipped EQUAL 0)
  message(SEND_ERROR "survives ${survives}, must be power; ${skipped} skipped, must be 0")
endif()

# Every strategy that survives something holds with every durability.
tmf(0 "undo-fsync +sync.*undo-fsync +group.*redo-declared +process" kill --strategy all
  --durability all --cases ${CASES} --dir ${DIR} --json ${DIR}/all.json)
set(heap "alloc/(create|take|give|free|resize|grow)/|alloc/map/between-borders")
if(said MATCHES "points never hit:[^\n]*(${heap}|redo/|undo/|sync/|checkpoint/|publish/|log/)")
  message(SEND_ERROR "a point of the library is in no life:\n${said}")
endif()
if(said MATCHES "\nnone ")
  message(SEND_ERROR "the control is among all:\n${said}")
endif()
must_be_clear("tmf")

# Every index holds, at points of its own too; but those of the map's summary and of a tree's nodes
# that are split are in larger heaps than these.
execute_process(COMMAND ${TMF} list indexes OUTPUT_VARIABLE list)
string(REGEX MATCHALL "\n[a-z][a-z0-9-]+" indexes "\n${list}")
foreach(index ${indexes})
  string(STRIP "${index}" index)
  string(REGEX REPLACE "^rb-twin.*" "(rb|twin)" own "${index}")
  tmf(0 "${index} +64" kill --index ${index} --quantum 64 --workload churn --cases 20 --dir ${DIR})
  if(said MATCHES "points never hit:[^\n]*alloc/${own}/")
    message(SEND_ERROR "a point of the index ${index} is in no life:\n${said}")
  endif()
endforeach()

# With --json - standard output is JSON and nothing else.
execute_process(COMMAND ${TMF} kill --cases 3 --workload border --dir ${DIR} --json -
  OUTPUT_VARIABLE json ERROR_QUIET)
string(JSON schema GET "${json}" schema)

# The negative control is caught; what it reports can be replayed, and fails again.
tmf(1 "acknowledged [0-9]+, begun [0-9]+, recovered" kill --strategy control --cases 60 --dir ${DIR})
if(NOT said MATCHES "replay: tmf replay '([^']+)'")
  message(SEND_ERROR "no line to replay in:\n${said}")
endif()
tmf(1 "VIOLATION" replay --dir ${DIR} ${CMAKE_MATCH_1})
tmf(0 "it holds" replay --dir ${DIR}
  kill:undo-fsync:rb-twin:64:churn:seed=3:txns=4:point=txn/commit/before-mark:hit=2)
tmf(0 "it holds" replay --dir ${DIR}
  kill:undo-fsync:rb-twin:64:bank:seed=3:txns=4:point=txn/commit/begin:hit=3:then=txn/recover/begin:then-hit=1)

# What it left can be looked at: here no block is damaged, there the heap is.
tmf(1 "VIOLATION" replay --dir ${DIR}
  kill:none:rb-twin:64:bank:seed=1:txns=2:point=workload/bank/between-accounts:hit=1)
string(REGEX MATCH "after recovery: ([^\n]+)" where "${said}")
set(path ${CMAKE_MATCH_1})
tmf(0 "holds: 3 used blocks" check ${path})
tmf(0 "strategy +[a-z-]+ .the default.*kind +undo, turn.*quantum +64 B.*blocks.*32.0 KiB" dump
  ${path} --json ${DIR}/dump.json)
file(READ ${DIR}/dump.json json)
string(JSON kind GET "${json}" metrics log_kind)
if(NOT kind STREQUAL undo)
  message(SEND_ERROR "the kind of the log is ${kind}, must be undo")
endif()
tmf(0 "every block.*used.*free" dump --blocks ${path})
tmf(1 "VIOLATION" replay --dir ${DIR}
  kill:none:rb-twin:64:churn:seed=1:txns=2:point=alloc/take/after-map:hit=1)
string(REGEX MATCH "after recovery: ([^\n]+)" where "${said}")
tmf(1 "damaged" check ${CMAKE_MATCH_1})
