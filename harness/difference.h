/* SPDX-License-Identifier: MIT */
/* What everything that is held against a model needs: patterns, and the first difference. */
#ifndef HARNESS_DIFFERENCE_H
#define HARNESS_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first thing that was not as it must be, as a sentence. */
struct difference {
    char what[512];
};

bool differs(struct difference *out, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* fills `out`, returns false */
/* Compares bytes; the difference is "WHAT: byte 17 is 0x00, must be 0xff". */
bool bytes_equal(const void *is, const void *must, size_t size, struct difference *out,
                 const char *what);
/* Fills with bytes of (seed, k, which). */
void fill_pattern(void *to, size_t size, uint64_t seed, uint64_t k, uint64_t which);

#ifdef __cplusplus
}
#endif

#endif
