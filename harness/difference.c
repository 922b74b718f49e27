/* SPDX-License-Identifier: MIT */
#include "harness/difference.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/random.h"

bool differs(struct difference *out, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(out->what, sizeof(out->what), format, list);
    va_end(list);
    return false;
}

bool bytes_equal(const void *is, const void *must, size_t size, struct difference *out,
                 const char *what)
{
    if (memcmp(is, must, size) == 0)
        return true;
    const unsigned char *left = is, *right = must;
    size_t first = 0, count = 0;
    for (size_t n = size; n-- > 0;) {
        if (left[n] != right[n]) {
            first = n;
            count++;
        }
    }
    return differs(out, "%s: byte %zu of %zu is 0x%02x, must be 0x%02x (%zu bytes differ)", what,
                   first, size, left[first], right[first], count);
}

void fill_pattern(void *to, size_t size, uint64_t seed, uint64_t k, uint64_t which)
{
    unsigned char *bytes = to;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = random_bits(seed, k, (which << 32) + at);
        size_t left = size - at;
        memcpy(bytes + at, &word, left < sizeof(word) ? left : sizeof(word));
    }
}
