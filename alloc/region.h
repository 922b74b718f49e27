/* SPDX-License-Identifier: MIT */
/*
 * A zeroed region between two pages that trap, blocks that know what they were filled with, and a
 * random source that replays: for tests of this layer, and for what else drives the model.
 */
#ifndef TMF_REGION_H
#define TMF_REGION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

/* Without address space there is nothing to find out. */
static inline void region_require(bool holds)
{
    if (!holds) {
        perror("a region for a heap");
        abort();
    }
}

/* Bytes from `size` on trap. */
static inline void region_close(const struct region *region, size_t size)
{
    region_require(mprotect(region->base + size, region->reserved - size, PROT_NONE) == 0);
}

/* Bytes below `size` do not. */
static inline void region_open(const struct region *region, size_t size)
{
    region_require(mprotect(region->base, size, PROT_READ | PROT_WRITE) == 0);
}

/* What a test that failed has left there is replaced. */
static inline void region_map(struct region *region, size_t reserved)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    void *where = (void *)REGION_PLACE;
    region_require(reserved <= REGION_MOST);
    unsigned char *all = mmap(where, reserved + 2 * GUARD, PROT_NONE, flags, -1, 0);
    region_require(all == where);
    *region = (struct region){.base = all + GUARD, .reserved = reserved};
    region_open(region, reserved);
}

static inline void region_unmap(struct region *region)
{
    region_require(munmap(region->base - GUARD, region->reserved + 2 * GUARD) == 0);
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
