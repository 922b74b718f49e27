# SPDX-License-Identifier: MIT
# The tests of txn/. What several of them use is a library: test_kit, test_calls, test_collections,
# test_pages.
add_library(tmf_txn_test STATIC test_kit.c test_calls.c test_collections.c test_pages.c)
target_link_libraries(tmf_txn_test PUBLIC tmf_flags tmf_txn PkgConfig::CMOCKA PkgConfig::XXHASH)

# tmf_strategy_test(PROGRAMS name... STRATEGIES name... [LABEL label]): programs that ctest runs once
# with each of the strategies, as NAME.STRATEGY. See test_kit.h.
function(tmf_strategy_test)
  cmake_parse_arguments(PARSE_ARGV 0 each "" "LABEL" "PROGRAMS;STRATEGIES")
  foreach(name IN LISTS each_PROGRAMS)
    add_executable(${name} ${name}.c)
    target_link_libraries(${name} PRIVATE tmf_txn_test)
    foreach(strategy IN LISTS each_STRATEGIES)
      add_test(NAME ${name}.${strategy} COMMAND ${name})
      set_tests_properties(${name}.${strategy} PROPERTIES TIMEOUT 600 LABELS "${each_LABEL}"
        ENVIRONMENT TMF_TEST_STRATEGY=${strategy})
    endforeach()
  endforeach()
endfunction()

# What every strategy owes, the control too.
set(strategies undo-fsync undo-mlock redo-segv redo-scan redo-wp redo-declared none)
tmf_strategy_test(PROGRAMS contract_test STRATEGIES ${strategies})
tmf_strategy_test(PROGRAMS power_test STRATEGIES ${strategies} LABEL serial)
# What any strategy owes that undoes, and whose stores need not be declared.
set(undoing undo-fsync undo-mlock redo-segv redo-scan redo-wp)
tmf_strategy_test(STRATEGIES ${undoing} PROGRAMS examples_test flaws_fork_test exclusive_test)
tmf_strategy_test(STRATEGIES ${undoing} PROGRAMS bad_input_test flaws_test LABEL serial)
# Damage to an undo log, found by a strategy of either kind: each of a kind looks with the same code.
tmf_strategy_test(STRATEGIES undo-fsync redo-wp PROGRAMS damaged_log_test LABEL serial)
tmf_strategy_test(STRATEGIES ${undoing} PROGRAMS flaws_scattered_test LABEL plain) # see there
# Where a store outside a transaction traps; redo-wp may find it later instead.
tmf_strategy_test(STRATEGIES undo-fsync redo-segv redo-scan PROGRAMS flaws_signal_test)
# Of what fails, one of each kind and the one that asks most of the kernel; `tmf error` tries all.
tmf_strategy_test(STRATEGIES undo-fsync redo-segv redo-wp PROGRAMS failing_calls_test LABEL serial)
set(test_each 16)
if(TMF_SANITIZE)
  set(test_each 1)
endif()
target_compile_definitions(failing_calls_test PRIVATE TMF_TEST_EACH=${test_each})
# The undo log's order of writes, and a writer that keeps the readers of other processes out.
tmf_strategy_test(STRATEGIES undo-fsync PROGRAMS full_disk_test write_order_test LABEL serial)
tmf_strategy_test(STRATEGIES undo-fsync PROGRAMS flaws_lock_test flaws_process_test)

tmf_strategy_test(STRATEGIES undo-mlock PROGRAMS undo_mlock_test)
tmf_strategy_test(STRATEGIES redo-wp PROGRAMS segments_test LABEL serial)
# The redo log.
tmf_strategy_test(STRATEGIES redo-segv redo-scan redo-wp redo-declared PROGRAMS durability_test checkpoint_test)

# The lock by itself, whatever the strategy.
tmf_unit_test(lock_test lock_test.c LINKS tmf_txn_test)
tmf_unit_test(process_lock_test process_lock_test.c LINKS tmf_txn_test)

# All strategies together.
tmf_unit_test(mixed_test mixed_test.c LINKS tmf_txn_test TIMEOUT 600 LABEL serial)

# C11 and C++17, each in its own words.
tmf_unit_test(header_test header_test.c header_test_cxx.cpp LINKS tmf_txn LABEL serial)
set_target_properties(header_test PROPERTIES C_STANDARD 11)

add_library(tmf_fuzz_pair STATIC fuzz_pair.c)
target_link_libraries(tmf_fuzz_pair PRIVATE tmf_flags tmf_txn)
tmf_fuzz_target(header_fuzz header_fuzz.c LINKS tmf_fuzz_pair tmf_txn PkgConfig::XXHASH)
tmf_fuzz_target(log_fuzz log_fuzz.c LINKS tmf_fuzz_pair tmf_txn PkgConfig::XXHASH)

# The locks among processes as a model. It is the same whatever the library is built with.
if(NOT TMF_SANITIZE AND NOT TMF_CORE_ONLY)
  find_program(SPIN spin)
  add_test(NAME lock_model COMMAND ${CMAKE_COMMAND} -DSPIN=${SPIN} -DCC=${CMAKE_C_COMPILER}
    -DMODEL=${CMAKE_CURRENT_SOURCE_DIR}/lock.pml -DDIR=${CMAKE_CURRENT_BINARY_DIR}/lock_model.dir
    -P ${CMAKE_CURRENT_SOURCE_DIR}/lock_model.cmake)
  set_tests_properties(lock_model PROPERTIES SKIP_REGULAR_EXPRESSION "lock_model skipped" COST 40 TIMEOUT 900)
endif()
