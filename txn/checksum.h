/* SPDX-License-Identifier: MIT */
/* The one checksum of the formats: XXH3, 64 bits, of xxHash (its header alone, nothing linked). */
#ifndef TMF_CHECKSUM_H
#define TMF_CHECKSUM_H

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t tmf_checksum(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

#endif
