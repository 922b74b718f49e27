/* SPDX-License-Identifier: MIT */
/*
 * What the tests of this layer share: a zeroed region between two pages that trap, every kind of
 * heap (index and quantum) there is, and a random source that replays.
 */
#ifndef TMF_TEST_REGION_H
#define TMF_TEST_REGION_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "index.h"

enum { GUARD = 65536 };

struct region {
    unsigned char *base;
    size_t reserved; /* bytes that may be used, from base */
    size_t offset;   /* of the heap */
    tmf_heap heap;
};

/* Where no sanitizer has anything; what a test that failed has left there is replaced. */
static inline void region_map(struct region *region, size_t reserved)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    void *where = (void *)0x7e9000000000; /* NOLINT(performance-no-int-to-ptr) */
    unsigned char *all = mmap(where, reserved + 2 * GUARD, PROT_NONE, flags, -1, 0);
    assert_ptr_equal(all, where);
    assert_int_equal(mprotect(all + GUARD, reserved, PROT_READ | PROT_WRITE), 0);
    *region = (struct region){.base = all + GUARD, .reserved = reserved};
}

static inline void region_unmap(struct region *region)
{
    assert_int_equal(munmap(region->base - GUARD, region->reserved + 2 * GUARD), 0);
}

static inline int region_create(struct region *region, size_t offset, size_t size,
                                tmf_heap_config config)
{
    region->offset = offset;
    return tmf_heap_create(&region->heap, region->base, offset, size, &config);
}

/* The invariant of the heap that does not hold fails the test. */
static inline void assert_sound(tmf_heap *heap)
{
    tmf_heap_fault fault;
    if (tmf_heap_check(heap, &fault) != 0) {
        fail_msg("at offset %zu it does not hold that %s", fault.offset, fault.invariant);
    }
}

/* Calls `test` with each kind of heap that can be made. */
static inline void for_each_kind(void (*test)(tmf_heap_config config))
{
    for (size_t n = 0; tmf_index_name(n) != NULL; n++) {
        for (size_t quantum = 16; quantum <= TMF_HEAP_PAGE; quantum *= 2) {
            if (tmf_index_find(tmf_index_name(n))->link_bits(quantum) != 0) {
                test((tmf_heap_config){.quantum = quantum, .index = tmf_index_name(n)});
            }
        }
    }
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

#endif
