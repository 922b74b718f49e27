# SPDX-License-Identifier: MIT
# Runs tmf run, bench and report as people do.
# cmake -DTMF=... -DDIR=... -DBENCH=ON|OFF -P campaign_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/../harness/tmf_run.cmake)

function(page_must_say path sentence)
  file(READ ${path} page)
  if(NOT page MATCHES "${sentence}")
    message(SEND_ERROR "${path} does not say '${sentence}'")
  endif()
endfunction()

# Without benchmarks a run is short; that they are missing is said, and is its exit status.
if(NOT BENCH)
  tmf(3 "not built.*control +[0-9]+ +[1-9][0-9]* +caught +caught.*bench +0 +0 +held +not run"
    run --time 30 --out ${DIR}/run)
  page_must_say(${DIR}/run/report.html "✓ caught")
  page_must_say(${DIR}/run/report.html "Not run.")
  return()
endif()

tmf(0 "procs +[0-9]+ +0 +held +held" run --time 8 --steps control,threads,procs --out ${DIR}/run)
page_must_say(${DIR}/run/report.html "✓ caught")
page_must_say(${DIR}/run/report.html "Waits of tmf procs")

set(shortest --dir ${DIR} --repetitions 2 --min-time 0.01)
set(some "alloc_free/[^:]*quantum:64/free_blocks:(100|1000)$|alloc_free/boost-rbtree/.*:100$|read/")
tmf(0 "quantum:64/free_blocks:100 .*read/begin_end/alone .*RMS error"
  bench ${shortest} --filter ${some} --json ${DIR}/bench.json)
tmf(0 "commit/undo-fsync/pages:4 .* x +pages_dirtied=4 " bench ${shortest} --filter "pages:4$")
tmf(0 "strategy/undo-fsync/sync/scattered/arena_mib:16/pages:1 .* x .*sync_us=.*publish_us=.*strategy/limit/sync/pages:1 "
  bench ${shortest} --filter "strategy/(limit|undo-fsync)/sync(/scattered/arena_mib:16)?/pages:1$")
set(kind rb-twin/quantum:64)
tmf(0 "latency/${kind}/free_blocks:10000 .*p99_99_ns=.*which index.*rb-twin +64 +uniform"
  bench ${shortest} --filter "(alloc_free/${kind}/free_blocks:100000|latency/${kind}/.*:10000)$")
find_program(VALGRIND valgrind)
if(VALGRIND)
  tmf(0 "instructions=[1-9]" bench ${shortest} --instructions --filter "alloc_free/${kind}/free_blocks:100$")
endif()
tmf(0 "" report ${DIR}/bench.json --out ${DIR}/page.html)
page_must_say(${DIR}/page.html "times the blocks")
page_must_say(${DIR}/page.html "Two threads read")
tmf(0 "trace .*lost.*malloc/jq +[0-9.]+ +-\n.*rb-twin/quantum:64/jq +[0-9.]+ +[0-9.]+ +[0-9.]+ "
  bench ${shortest} --filter "^trace/(malloc|rb-twin/quantum:64)/jq$")
tmf(2 "Failed to match" bench ${shortest} --filter nothing)
tmf(2 "no value for this option" bench --repetitions 0)
tmf(2 "is no JSON" report ${DIR}/page.html --out ${DIR}/other.html)
tmf(2 "FILES... is missing" report)
tmf(2 "no value for this option" run --profile slow)
must_be_clear("tmf bench")
