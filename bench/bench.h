/* SPDX-License-Identifier: MIT */
/*
 * The benchmarks of tmf_bench, a file each. Names and counters are stable: results are compared
 * over years by them. Every benchmark says in its opening comment what it holds fixed, and checks
 * that the work was done; one that was not is reported as an error in place of a time.
 */
#ifndef TMF_BENCH_H
#define TMF_BENCH_H

#include "folder.h"

void register_alloc_benchmarks();
void register_fragmentation_benchmarks();
void register_latency_benchmarks();
void register_txn_alloc_benchmarks(const folder &where);
void register_txn_benchmarks(const folder &where);
void register_floor_benchmarks(const folder &where);
void register_read_benchmarks(const folder &where);
void register_lock_benchmarks(const folder &where);
void register_group_benchmarks(const folder &where);
void register_split_benchmarks(const folder &where);
void register_strategy_benchmarks(const folder &where);
void register_open_benchmarks(const folder &where);
void register_engine_benchmarks(const folder &where);
void register_trace_benchmarks();

#endif
