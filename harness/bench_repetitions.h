/* SPDX-License-Identifier: MIT */
/*
 * What the repetitions of benchmarks come to, be they of one process or of several. The first of
 * each is a warm-up: caches, page cache and branch predictors are as the work leaves them, not as
 * the load before did; so one more is made than was asked for, and the first thrown away, unless it
 * failed. (Google Benchmark's own warm-up repeats fixed work until so much of its own time has
 * passed, which for manual time takes minutes.) A benchmark that says itself how often it runs has
 * its warm-up within.
 *
 * So the aggregates are made here, of what is left, by the names and definitions that Google
 * Benchmark has: mean, median, stddev and cv of each number, and the fit of a family,
 * c * log2(free blocks).
 */
#ifndef HARNESS_BENCH_REPETITIONS_H
#define HARNESS_BENCH_REPETITIONS_H

#include <jansson.h>

struct repetitions {
    json_t *runs; /* {benchmark's name: [row, ...]} */
    json_t *fits; /* rows to be filled in anew */
};

/* One that was asked for, and the warm-up. */
#define REPETITIONS_WITH_WARM_UP(asked) ((asked) + 1)

struct repetitions repetitions_new(void);

/* Adds the rows of one process that was asked for `asked` repetitions and made one more. */
void repetitions_add(struct repetitions *repetitions, json_t *rows, unsigned asked);

/* All rows; a new reference. Frees the rest. */
json_t *repetitions_finish(struct repetitions *repetitions);

#endif
