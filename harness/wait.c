/* SPDX-License-Identifier: MIT */
#include "harness/wait.h"

#include <time.h>

#define PER_POWER 16 /* buckets for each power of two */

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static size_t bucket_of(uint64_t ns)
{
    if (ns < PER_POWER)
        return ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 4;
    return (size_t)shift * PER_POWER + (ns >> shift);
}

/* The largest number in a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < PER_POWER)
        return bucket;
    size_t shift = bucket / PER_POWER - 1;
    uint64_t next = bucket % PER_POWER + PER_POWER + 1;
    return (next << shift) - 1; /* for the last one: 0 - 1 */
}

static void raise_max(struct waits *waits, uint64_t wait_ns)
{
    uint64_t max_ns = atomic_load(&waits->max_ns);
    while (wait_ns > max_ns && !atomic_compare_exchange_weak(&waits->max_ns, &max_ns, wait_ns))
        ;
}

void waits_add(struct waits *waits, uint64_t wait_ns)
{
    atomic_fetch_add(&waits->counts[bucket_of(wait_ns)], 1);
    raise_max(waits, wait_ns);
}

void waits_merge(struct waits *to, const struct waits *from)
{
    for (size_t n = 0; n < WAIT_BUCKETS; n++)
        atomic_fetch_add(&to->counts[n], atomic_load(&from->counts[n]));
    raise_max(to, atomic_load(&from->max_ns));
}

uint64_t waits_count(const struct waits *waits)
{
    uint64_t count = 0;
    for (size_t n = 0; n < WAIT_BUCKETS; n++)
        count += atomic_load(&waits->counts[n]);
    return count;
}

uint64_t waits_quantile_ns(const struct waits *waits, double quantile)
{
    double wanted = quantile * (double)waits_count(waits);
    uint64_t max_ns = atomic_load(&waits->max_ns);
    uint64_t seen = 0;
    for (size_t n = 0; n < WAIT_BUCKETS; n++) {
        seen += atomic_load(&waits->counts[n]);
        if (seen > 0 && (double)seen >= wanted)
            return bucket_end(n) < max_ns ? bucket_end(n) : max_ns;
    }
    return max_ns;
}

double waits_quantile_us(const struct waits *waits, double quantile)
{
    return (double)waits_quantile_ns(waits, quantile) / 1e3;
}

bool waits_next(const struct waits *waits, size_t *bucket, uint64_t *count, uint64_t *most_ns)
{
    while (*bucket < WAIT_BUCKETS) {
        size_t n = (*bucket)++;
        *count = atomic_load(&waits->counts[n]);
        *most_ns = bucket_end(n);
        if (*count > 0)
            return true;
    }
    return false;
}

double fairness_of(const uint64_t *got, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t n = 0; n < count; n++) {
        sum += (double)got[n];
        squares += (double)got[n] * (double)got[n];
    }
    return squares > 0 ? sum * sum / ((double)count * squares) : 1;
}
