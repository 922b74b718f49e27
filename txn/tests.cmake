# SPDX-License-Identifier: MIT
# The tests of txn/. What several of them use is a library: test_kit, test_calls, test_collections,
# test_pages.
add_library(tmf_txn_test STATIC test_kit.c test_calls.c test_collections.c test_pages.c)
target_link_libraries(tmf_txn_test PUBLIC tmf_flags tmf_txn PkgConfig::CMOCKA PkgConfig::XXHASH)

# tmf_strategy_test(PROGRAMS name... STRATEGIES name...): programs that ctest runs once with each of
# the strategies, as NAME.STRATEGY. See test_kit.h.
function(tmf_strategy_test)
  cmake_parse_arguments(PARSE_ARGV 0 each "" "" "PROGRAMS;STRATEGIES")
  foreach(name IN LISTS each_PROGRAMS)
    add_executable(${name} ${name}.c)
    target_link_libraries(${name} PRIVATE tmf_txn_test)
    foreach(strategy IN LISTS each_STRATEGIES)
      add_test(NAME ${name}.${strategy} COMMAND ${name})
      set_tests_properties(${name}.${strategy} PROPERTIES TIMEOUT 600
        ENVIRONMENT TMF_TEST_STRATEGY=${strategy})
    endforeach()
  endforeach()
endfunction()

# What every strategy owes, the control too.
tmf_strategy_test(PROGRAMS contract_test power_test
  STRATEGIES undo-fsync undo-mlock redo-segv redo-scan redo-wp redo-declared none)
# What any strategy owes that undoes, and whose stores need not be declared.
tmf_strategy_test(STRATEGIES undo-fsync undo-mlock redo-segv redo-scan redo-wp
  PROGRAMS examples_test bad_input_test damaged_log_test flaws_test flaws_fork_test exclusive_test)
# Where a store outside a transaction traps; redo-wp may find it later instead.
tmf_strategy_test(STRATEGIES undo-fsync redo-segv redo-scan PROGRAMS flaws_signal_test)
# Of what fails, one of each kind; `tmf error` tries all.
tmf_strategy_test(STRATEGIES undo-fsync redo-segv PROGRAMS failing_calls_test)
# The undo log's order of writes, and a writer that keeps the readers of other processes out.
tmf_strategy_test(STRATEGIES undo-fsync
  PROGRAMS full_disk_test write_order_test flaws_lock_test flaws_process_test)

tmf_strategy_test(STRATEGIES undo-mlock PROGRAMS undo_mlock_test)
# The redo log.
tmf_strategy_test(STRATEGIES redo-segv redo-scan redo-wp redo-declared PROGRAMS durability_test checkpoint_test)

# All strategies together.
tmf_unit_test(mixed_test mixed_test.c LINKS tmf_txn_test TIMEOUT 600)

# C11 and C++17, each in its own words.
tmf_unit_test(header_test header_test.c header_test_cxx.cpp LINKS tmf_txn)
set_target_properties(header_test PROPERTIES C_STANDARD 11)

add_library(tmf_fuzz_pair STATIC fuzz_pair.c)
target_link_libraries(tmf_fuzz_pair PRIVATE tmf_flags tmf_txn)
tmf_fuzz_target(header_fuzz header_fuzz.c LINKS tmf_fuzz_pair tmf_txn PkgConfig::XXHASH)
tmf_fuzz_target(log_fuzz log_fuzz.c LINKS tmf_fuzz_pair tmf_txn PkgConfig::XXHASH)
