/* SPDX-License-Identifier: MIT */
/* Searches go up until a word has a bit on the right side, and down again to it. */
#include "map_summary.h"

#include "point.h"

/* One level for each six bits of a number, and numbers have 58 at most: see extents in map.c. */
enum { LEVELS_MAX = 10 };

static uint64_t words_of(uint64_t bits)
{
    return (bits + 63) / 64;
}

uint64_t tmf_summary_words(uint64_t bits)
{
    uint64_t words = 0;
    do {
        bits = words_of(bits);
        words += bits;
    } while (bits > 1);
    return words;
}

void tmf_summary_add(uint64_t *words, uint64_t bits, uint64_t bit)
{
    for (;;) {
        uint64_t old = words[bit / 64];
        words[bit / 64] = old | UINT64_C(1) << (bit % 64);
        if (old != 0 || bits <= 64 || TMF_MUTANT("summary-one-level")) {
            return;
        }
        TMF_POINT("alloc/map/mid-summary");
        bits = words_of(bits);
        words += bits;
        bit /= 64;
    }
}

void tmf_summary_drop(uint64_t *words, uint64_t bits, uint64_t bit)
{
    for (;;) {
        words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
        if (words[bit / 64] != 0 || bits <= 64) {
            return;
        }
        bits = words_of(bits);
        words += bits;
        bit /= 64;
    }
}

/* The levels that a search has seen on its way up. */
struct climb {
    const uint64_t *words[LEVELS_MAX];
    uint64_t bits[LEVELS_MAX];
};

/* Down from `bit`, which is set on `level`, to the first or last below it on the lowest. */
static uint64_t descend(const struct climb *climb, unsigned level, uint64_t bit, bool to_last)
{
    while (bit < climb->bits[level]) {
        if (level == 0) {
            return bit;
        }
        level--;
        uint64_t word = climb->words[level][bit];
        if (word == 0) {
            break;
        }
        int in_word = to_last ? 63 - __builtin_clzll(word) : __builtin_ctzll(word);
        bit = bit * 64 + (unsigned)in_word;
    }
    return TMF_SUMMARY_LIES;
}

uint64_t tmf_summary_next(const uint64_t *words, uint64_t bits, uint64_t from)
{
    struct climb climb;
    for (unsigned level = 0; from < bits && level < LEVELS_MAX; level++) {
        climb.words[level] = words;
        climb.bits[level] = bits;
        uint64_t word = words[from / 64] & UINT64_MAX << (from % 64);
        if (word != 0) {
            uint64_t bit = from / 64 * 64 + (unsigned)__builtin_ctzll(word);
            return descend(&climb, level, bit, false);
        }
        if (bits <= 64) {
            break;
        }
        bits = words_of(bits);
        words += bits;
        from = from / 64 + 1;
    }
    return TMF_SUMMARY_NONE;
}

uint64_t tmf_summary_previous(const uint64_t *words, uint64_t bits, uint64_t to)
{
    struct climb climb;
    for (unsigned level = 0; to > 0 && level < LEVELS_MAX; level++) {
        climb.words[level] = words;
        climb.bits[level] = bits;
        uint64_t last = to - 1;
        uint64_t word = words[last / 64] & UINT64_MAX >> (63 - last % 64);
        if (word != 0) {
            uint64_t bit = last / 64 * 64 + 63 - (unsigned)__builtin_clzll(word);
            return descend(&climb, level, bit, true);
        }
        if (bits <= 64) {
            break;
        }
        bits = words_of(bits);
        words += bits;
        to = last / 64;
    }
    return TMF_SUMMARY_NONE;
}

bool tmf_summary_holds(const uint64_t *words, uint64_t bits)
{
    for (;;) {
        uint64_t count = words_of(bits);
        if (bits % 64 != 0 && words[count - 1] >> (bits % 64) != 0) {
            return false;
        }
        if (count == 1) {
            return true;
        }
        for (uint64_t n = 0; n < count; n++) {
            if (tmf_summary_has(words + count, n) != (words[n] != 0)) {
                return false;
            }
        }
        bits = count;
        words += count;
    }
}
