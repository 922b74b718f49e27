# SPDX-License-Identifier: MIT
# Runs tmf power as people do: what survives power loss holds, what does not is caught and its story
# told, bugs that can be woken are found, parts of a campaign add up.
# cmake -DTMF=... -DDIR=... -DCASES=... -P power_test.cmake
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/tmf_run.cmake)

# Wrong words.
tmf(2 "'1024' is no value" power --tear 1024)
tmf(2 "'ntfs' is no value" power --fs-model ntfs)
tmf(2 "'5' is no value" power --depth 5)
tmf(2 "promises nothing" power --durability process)
foreach(case power: power:undo-fsync:bins:32:bank:seed=1:txns=1 power:undo-fsync:bins:32:bank:seed=1:txns=1:tear=512
    power:undo-fsync:bins:32:bank:seed=1:txns=1:tear=100:fs=posix:event=5:image=old
    power:undo-fsync:bins:32:bank:seed=1:txns=1:tear=512:fs=posix:image=old)
  tmf(2 "is no case" replay ${case})
endforeach()

# Every strategy, each held to what it says of itself.
function(all_as_expected)
  tmf(0 "undo-mlock does not survive power loss.*none does not survive" power --cases ${CASES}
    --transactions 3 --dir ${DIR} --json ${DIR}/power.json ${ARGN})
  file(READ ${DIR}/power.json json)
  string(JSON runs LENGTH "${json}" metrics runs)
  math(EXPR last "${runs} - 1")
  foreach(n RANGE ${last})
    string(JSON strategy GET "${json}" metrics runs ${n} strategy)
    string(JSON cases GET "${json}" metrics runs ${n} cases)
    string(JSON expected GET "${json}" metrics runs ${n} expected)
    string(JSON violations GET "${json}" metrics runs ${n} violations)
    if(cases LESS 20 OR (expected STREQUAL held AND violations GREATER 0))
      message(SEND_ERROR "${strategy}: ${cases} cases, ${violations} violations, expected: ${expected}")
    endif()
  endforeach()
  must_be_clear("tmf power")
endfunction()
all_as_expected()
all_as_expected(--tear 4096 --fs-model ext4)
all_as_expected(--tear none --durability group --depth 3)

# The counterexample is told, and is there again.
tmf(0 "storage.odb, page .*and this had not:.*sectors? of storage.log.*replay: tmf replay" power --strategy undo-mlock
  --workload bank --cases 2000 --until-first --dir ${DIR})
string(REGEX MATCH "tmf replay '([^']+)'" line "${said}")
set(case ${CMAKE_MATCH_1})
tmf(1 "VIOLATION power:undo-mlock.*it shows transaction" replay --dir ${DIR} ${case})
string(REGEX REPLACE ":image=.*" ":image=new" sound ${case})
tmf(0 "it holds" replay --dir ${DIR} ${sound})
string(REGEX REPLACE ":event=[0-9]+" ":event=9999999" nowhere ${case})
tmf(0 "not to be had" replay --dir ${DIR} ${nowhere})

string(REGEX REPLACE ":event=.*" "" life ${case})
tmf(0 "it holds" replay --dir ${DIR} ${life})

# A story has no operation that it can do without.
tmf(0 "txns=1:without=1[.][0-9.+]+:tear=512[^\n]*image" power --strategy undo-mlock --workload bank --cases 2000 --dir ${DIR})

# A harness that finds nothing wrong with what must fail says so: here it only gets to creation.
tmf(1 "nothing was found wrong" power --strategy undo-mlock --workload bank --cases 50 --depth 1 --dir ${DIR})

# Parts of a campaign add up.
parts_add_up(100 power --strategy undo-fsync,redo-segv --workload border --transactions 2 --images 8 --dir ${DIR})
