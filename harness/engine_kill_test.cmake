# SPDX-License-Identifier: MIT
# Peers under tmf kill: who promises to survive holds, who does not is caught and can be replayed.
# cmake -DTMF=... -DDIR=... -DCASES=... -P engine_kill_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# pmemobj syncs some thousand times in a life, which is nothing in memory; the page cache outlives a
# process there too.
set(memory ${DIR})
if(IS_DIRECTORY /dev/shm)
  string(RANDOM LENGTH 12 name)
  set(memory /dev/shm/engine_kill_test-${name})
  file(MAKE_DIRECTORY ${memory})
endif()

tmf(2 "names an engine that is none" kill --engine lmdb-sync,nobody --dir ${memory})
tmf(0 "tmf +this library.*lmdb-sync.*lmdb-nosync.*lmdb-writemap.*sqlite-full.*sqlite-off.*pmemobj.*mmap-msync"
  list engines)
tmf(0 "tmf +turnover +[0-9]+ +[0-9]+ +0 .*sqlite-off +turnover +[0-9]+ +[0-9]+ +0 " kill
  --engine tmf,lmdb-sync,lmdb-nosync,lmdb-writemap,sqlite-full,sqlite-off --cases ${CASES} --patience 300 --dir ${memory}
  --json ${DIR}/peers.json)
file(READ ${DIR}/peers.json json)
string(JSON runs LENGTH "${json}" metrics runs)
string(JSON survives GET "${json}" metrics runs 0 survives_kill)
if(NOT runs EQUAL 36 OR NOT survives STREQUAL ON)
  message(SEND_ERROR "the JSON is not what was run: ${runs} runs, the first survives: ${survives}")
endif()
tmf(0 "pmemobj +bank +[0-9]+ +[0-9]+ +0 " kill --engine pmemobj --cases 12 --patience 300 --dir ${memory})
must_be_clear("tmf kill --engine" ${memory})

# The control: what it reports is replayed, fails again, and holds where nothing ends it.
tmf(1 "acknowledged [0-9]+, begun [0-9]+, recovered" kill --engine mmap-msync --cases 60 --dir ${memory})
if(NOT said MATCHES "replay: tmf replay '([^']+)'")
  message(SEND_ERROR "no line to replay in:\n${said}")
endif()
set(case ${CMAKE_MATCH_1})
tmf(1 "VIOLATION ${case}" replay --dir ${memory} ${case})
string(REGEX REPLACE "step=[0-9]+" "step=0" whole ${case})
tmf(0 "it holds" replay --dir ${memory} ${whole})
tmf(0 "the step was not reached" replay --dir ${memory} engine:lmdb-sync:bank:seed=1:txns=2:step=100000)
tmf(2 "is no case of an engine" replay --dir ${memory} engine:nobody:bank:seed=1:txns=2:step=1)
file(REMOVE_RECURSE ${memory})
