/* SPDX-License-Identifier: MIT */
/* An order that jumps about, for campaigns that may be cut short. */
#ifndef HARNESS_SCATTER_H
#define HARNESS_SCATTER_H

#include <stdint.h>

static inline uint64_t scatter_common_divisor(uint64_t left, uint64_t right)
{
    while (right) {
        uint64_t rest = left % right;
        left = right;
        right = rest;
    }
    return left;
}

/* The round-th of `hits` numbers from 1 to `hits`, in such an order. */
static inline uint64_t scattered_hit(uint64_t round, uint64_t hits, uint64_t seed)
{
    uint64_t stride = hits * 618 / 1000 + 1;
    while (scatter_common_divisor(stride, hits) != 1)
        stride++;
    return (seed % hits + round * stride) % hits + 1;
}

#endif
