/* SPDX-License-Identifier: MIT */
/*
 * How long waits took, counted in buckets no wider than a sixteenth of what they hold. Several
 * threads and processes add at once, and one that is killed at it loses at most its own wait.
 */
#ifndef HARNESS_WAIT_H
#define HARNESS_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A number of 5 bits or less is its own bucket. A larger one keeps its 5 highest bits: 16 buckets
 * for each power of two.
 */
#define WAIT_BUCKETS ((size_t)976)

/* Zeroed, it is empty. */
struct waits {
    _Atomic uint64_t counts[WAIT_BUCKETS];
    _Atomic uint64_t max_ns;
};

/* Nanoseconds of CLOCK_MONOTONIC, the same for all processes. */
uint64_t clock_ns(void);

void waits_add(struct waits *waits, uint64_t wait_ns);
/* As if each of `from` had been added: nothing is lost on the way. */
void waits_merge(struct waits *to, const struct waits *from);
uint64_t waits_count(const struct waits *waits);

/* No more than the share `quantile` of the waits, 0 to 1, were longer. 0: there are none. */
uint64_t waits_quantile_ns(const struct waits *waits, double quantile);
double waits_quantile_us(const struct waits *waits, double quantile);

/* The next bucket from *bucket on that is not empty: how many are in it, and the longest that it
 * may hold. False: there is none. Begin with 0. */
bool waits_next(const struct waits *waits, size_t *bucket, uint64_t *count, uint64_t *most_ns);

/*
 * Jain's index of fairness of what equals got: 1 where all got the same, 1 / count where one got
 * all. 1 for none.
 */
double fairness_of(const uint64_t *got, size_t count);

#endif
