/* SPDX-License-Identifier: MIT */
/*
 * Randomness as a pure function: the same (seed, number, draw) gives the same bits on every
 * machine, so a case can be named and run again.
 */
#ifndef HARNESS_RANDOM_H
#define HARNESS_RANDOM_H

#include <stdint.h>

/* The finisher of splitmix64. */
static inline uint64_t random_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* 64 random bits for the draw-th decision of transaction (or case) `number`. */
static inline uint64_t random_bits(uint64_t seed, uint64_t number, uint64_t draw)
{
    uint64_t mixed = random_mix(seed + 0x9e3779b97f4a7c15u);
    mixed = random_mix(mixed + number * 0x9e3779b97f4a7c15u + 1);
    return random_mix(mixed + draw * 0xd1b54a32d192ed03u + 2);
}

/* A number in [0, limit), limit > 0. The bias is below limit / 2^64. */
static inline uint64_t random_below(uint64_t seed, uint64_t number, uint64_t draw, uint64_t limit)
{
    return random_bits(seed, number, draw) % limit;
}

#endif
