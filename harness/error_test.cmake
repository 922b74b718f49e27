# SPDX-License-Identifier: MIT
# Runs tmf error as people do: sound strategies hold, the control does not, and each bug that can be
# woken is found. cmake -DTMF=... -DDIR=... -DCASES=... -P error_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Wrong words.
tmf(2 "'sleepwalker' is no value" error --mutant sleepwalker)
tmf(2 "'fork' is no value" error --call fork)
foreach(case error: error:undo-fsync error:undo-fsync:rb-twin:64:bank:seed=1:txns=2:call=pwrite:n=0:errno=EIO:once
    error:undo-fsync:rb-twin:64:bank:seed=1:txns=2:call=pwrite:n=1:errno=EPERM:once
    error:undo-fsync:rb-twin:64:bank:seed=1:txns=2:call=pwrite:n=1:errno=EIO:twice
    error:undo-fsync:rb-twin:64:bank:seed=1:txns=2:call=pwrite:n=1:errno=EIO:once:mutant=no)
  tmf(2 "is no case" replay ${case})
endforeach()

# A share of all faults; the JSON says what was tried.
tmf(0 "undo-fsync +sync.*redo-declared +sync" error --strategy all --transactions 2 --cases ${CASES}
  --dir ${DIR} --json ${DIR}/error.json)
file(READ ${DIR}/error.json json)
string(JSON violations GET "${json}" violations)
string(JSON faults GET "${json}" metrics runs 0 faults)
string(JSON cases GET "${json}" metrics runs 0 cases)
if(NOT violations EQUAL 0 OR faults LESS 500 OR cases LESS 7)
  message(SEND_ERROR "the JSON is not what was run: ${violations} violations, ${faults} faults, ${cases} cases")
endif()
must_be_clear("tmf error")

# What keeps no log can undo nothing.
tmf(1 "VIOLATION error:none" error --strategy control --transactions 2 --workload bank
  --call fdatasync --cases 40 --dir ${DIR})

# Every bug is found, and what found it can be replayed.
function(found mutant strategy call)
  tmf(1 "VIOLATION [^\n]*:mutant=${mutant}" error --mutant ${mutant} --strategy ${strategy} --workload bank
    --transactions 2 --call ${call} --cases 300 --dir ${DIR})
  if(said MATCHES "replay: tmf replay '([^']+)'")
    set(case ${CMAKE_MATCH_1})
    tmf(1 "VIOLATION" replay --dir ${DIR} ${case})
    string(REPLACE ":mutant=${mutant}" "" sound ${case})
    tmf(0 "it holds" replay --dir ${DIR} ${sound})
  endif()
endfunction()
found(arena-sync-ignored undo-fsync fdatasync)
found(log-sync-ignored redo-segv fdatasync)
found(not-poisoned redo-segv fdatasync)
found(poison-not-told redo-segv fdatasync)
found(short-write undo-fsync pwrite)
found(interrupted-read undo-fsync pread)
found(unlogged-page undo-fsync pwrite)
found(folder-left-open undo-fsync fsync)
