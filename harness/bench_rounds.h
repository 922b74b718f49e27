/* SPDX-License-Identifier: MIT */
/*
 * Running tmf_bench. A round is one process of it: all benchmarks that the filter takes, so many
 * repetitions of each and one to warm up, all of them in an order that the seed draws. So a drift
 * of the machine hits all alike.
 *
 * Without a budget there is one round, of as many repetitions as were asked for. With one there are
 * rounds of one repetition each, with a seed of its own each, one more as long as there is time for
 * it; at least one. Processes of their own also even out what luck one has with its memory.
 */
#ifndef HARNESS_BENCH_ROUNDS_H
#define HARNESS_BENCH_ROUNDS_H

#include "harness/result.h"

struct rounds {
    const char *filter, *min_time;
    unsigned repetitions;  /* of a round */
    double budget_seconds; /* 0: none */
    const char *tool[8];   /* what runs it, with its options; {NULL}: nothing */
    const char *about;     /* for the line of progress */
    const char *folder;    /* where it writes its results */
    bool warms_up;
};

/* What was found: {"context", "benchmarks", "rounds"}, the rows in order; the caller's, NULL unless
 * STATUS_HELD is returned. */
int rounds_run(const struct arguments *arguments, struct result *result,
               const struct rounds *rounds, json_t **out);

#endif
