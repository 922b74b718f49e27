/* SPDX-License-Identifier: MIT */
/* The table that `tmf bench` shows of replayed traces, which have more counters than a line holds.
 */
#ifndef HARNESS_BENCH_TRACE_H
#define HARNESS_BENCH_TRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Is this a row of bench/trace_bench.cc? */
bool bench_is_trace(const json_t *row);

/* Those of `rows` for which stands(row) is true, beside malloc's time of the same trace. */
void bench_print_traces(FILE *to, const json_t *rows, bool stands(const json_t *row));

#endif
