/* SPDX-License-Identifier: MIT */
/*
 * How long waits took, counted in buckets no wider than a sixteenth of what they hold. Several
 * threads and processes add at once, and one that is killed at it loses at most its own wait.
 */
#ifndef HARNESS_WAIT_H
#define HARNESS_WAIT_H

#include <stdatomic.h>
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
uint64_t waits_count(const struct waits *waits);

/* No more than the share `quantile` of the waits, 0 to 1, were longer. 0: there are none. */
uint64_t waits_quantile_ns(const struct waits *waits, double quantile);
double waits_quantile_us(const struct waits *waits, double quantile);

#endif
