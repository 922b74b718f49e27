# SPDX-License-Identifier: MIT
# The tests of txn/. What several of them use is a library: test_kit, test_calls, test_collections.
add_library(tmf_txn_test STATIC test_kit.c test_calls.c test_collections.c)
target_link_libraries(tmf_txn_test PUBLIC tmf_flags tmf_txn PkgConfig::CMOCKA)

tmf_unit_test(examples_test examples_test.c LINKS tmf_txn_test)
tmf_unit_test(bad_input_test bad_input_test.c LINKS tmf_txn_test)
tmf_unit_test(damaged_log_test damaged_log_test.c LINKS tmf_txn_test PkgConfig::XXHASH)
tmf_unit_test(failing_calls_test failing_calls_test.c LINKS tmf_txn_test TIMEOUT 600)
tmf_unit_test(full_disk_test full_disk_test.c LINKS tmf_txn_test)
tmf_unit_test(write_order_test write_order_test.c LINKS tmf_txn_test)
tmf_unit_test(flaws_test flaws_test.c LINKS tmf_txn_test TIMEOUT 600)
tmf_unit_test(flaws_lock_test flaws_lock_test.c LINKS tmf_txn_test)
tmf_unit_test(flaws_process_test flaws_process_test.c LINKS tmf_txn_test)
tmf_unit_test(flaws_fork_test flaws_fork_test.c LINKS tmf_txn_test)
tmf_unit_test(flaws_signal_test flaws_signal_test.c LINKS tmf_txn_test)

# C11 and C++17, each in its own words.
tmf_unit_test(header_test header_test.c header_test_cxx.cpp LINKS tmf_txn)
set_target_properties(header_test PROPERTIES C_STANDARD 11)
