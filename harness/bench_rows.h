/* SPDX-License-Identifier: MIT */
/*
 * The rows of Google Benchmark's list, as JSON: runs, and aggregates of the runs of a benchmark.
 * Every row has run_name, the benchmark's name; an aggregate has aggregate_name, as "median".
 */
#ifndef HARNESS_BENCH_ROWS_H
#define HARNESS_BENCH_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* "" and 0 where there is none. */
const char *row_text(const json_t *row, const char *key);
double row_number(const json_t *row, const char *key);

/* Puts them in the order of their registration: they are measured, and written, in random order. */
void rows_sort(json_t *rows);

/* The row of `aggregate` of the benchmark `name`, or NULL. */
const json_t *rows_find(const json_t *rows, const char *name, const char *aggregate);

/* A row stands for its benchmark: the median, or the only run where there is no median. */
bool row_stands_for_benchmark(const json_t *row);

/* That row of the benchmark `name`, or NULL. */
const json_t *rows_find_benchmark(const json_t *rows, const char *name);

/* Is it a run, or an aggregate that is one of its kind, not a spread? */
bool row_has_counters(const json_t *row);

/* What runs without a system call is judged by the processor's time, which others take less of;
 * Google Benchmark's RMS error is that of the processor's time too. */
const char *row_time_key(const json_t *row);

/* That time in nanoseconds. */
double row_time_ns(const json_t *row);

/* Prints a line of each benchmark, and each family's fit. */
void rows_print(FILE *to, const json_t *rows);

/* Prints what to recommend: index by quantum, one table for each kind of sizes that was measured at
 * 10^5 free blocks. */
void rows_summarize(FILE *to, const json_t *rows);

/* Prints how the peers compare, where engines were measured. */
void rows_compare_engines(FILE *to, const json_t *rows);

#endif
