/* SPDX-License-Identifier: MIT */
/*
 * A set of small numbers as bits in levels: a word of level n + 1 has a bit for each of 64 words of
 * level n that is not zero. The levels lie one behind the other, the lowest first, the highest has
 * one word. All functions are O(levels).
 */
#ifndef TMF_MAP_SUMMARY_H
#define TMF_MAP_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#define TMF_SUMMARY_NONE UINT64_MAX       /* no such bit */
#define TMF_SUMMARY_LIES (UINT64_MAX - 1) /* a word is zero whose bit above says that it is not */

/* Words that the levels of `bits` bits take. */
uint64_t tmf_summary_words(uint64_t bits);

static inline bool tmf_summary_has(const uint64_t *words, uint64_t bit)
{
    return (words[bit / 64] >> (bit % 64) & 1) != 0;
}

void tmf_summary_add(uint64_t *words, uint64_t bits, uint64_t bit);
void tmf_summary_drop(uint64_t *words, uint64_t bits, uint64_t bit);

/* The first bit that is set at `from` or above, where from <= bits. */
uint64_t tmf_summary_next(const uint64_t *words, uint64_t bits, uint64_t from);

/* The last bit that is set below `to`, where to <= bits. */
uint64_t tmf_summary_previous(const uint64_t *words, uint64_t bits, uint64_t to);

/* Do the levels agree with each other, and is no bit set at `bits` or above? O(words). */
bool tmf_summary_holds(const uint64_t *words, uint64_t bits);

#endif
