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

#define PAGE  ((size_t)TMF_HEAP_PAGE)
#define GUARD (17 * PAGE) /* leaves the region aligned to a page and to no more */
#define MIB   ((size_t)1 << 20)

/* Where neither the kernel nor a sanitizer puts anything, and how much of it there is. */
#if UINTPTR_MAX == UINT32_MAX
#define REGION_PLACE UINT32_C(0x20000000)
#define REGION_MOST  ((size_t)1 << 29)
#elif defined(__SANITIZE_THREAD__)
#define REGION_PLACE UINT64_C(0x7e9000000000)
#define REGION_MOST  ((size_t)1 << 38)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define REGION_PLACE UINT64_C(0x7e9000000000)
#define REGION_MOST  ((size_t)1 << 38)
#endif
#endif
#ifndef REGION_PLACE
#define REGION_PLACE UINT64_C(0x200000000000)
#define REGION_MOST  ((size_t)1 << 40)
#endif

struct region {
    unsigned char *base;
    size_t reserved; /* bytes that may be used, from base */
    size_t offset;   /* of the heap */
    tmf_heap heap;
};

/* What a test that failed has left there is replaced. */
static inline void region_map(struct region *region, size_t reserved)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    void *where = (void *)REGION_PLACE;
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

struct block {
    unsigned char *at;
    size_t size;
};

static inline void block_fill(struct block block, unsigned char tag)
{
    memset(block.at, tag, block.size);
}

/* Do the first `size` bytes of the block still hold its tag? */
static inline bool block_holds(struct block block, size_t size, unsigned char tag)
{
    return size == 0 || (block.at[0] == tag && memcmp(block.at, block.at + 1, size - 1) == 0);
}

static inline struct block block_take(struct region *region, size_t alignment, size_t size)
{
    void *at = NULL;
    assert_int_equal(tmf_heap_alloc(&region->heap, alignment, size, &at), 0);
    return (struct block){at, size};
}

static inline size_t largest_free(struct region *region)
{
    tmf_heap_stats stats;
    assert_int_equal(tmf_heap_stats_get(&region->heap, &stats), 0);
    return stats.largest_free_bytes;
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
