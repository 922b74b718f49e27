/* SPDX-License-Identifier: MIT */
/*
 * What the tests of this layer share: regions (region.h), and every kind of heap (index and
 * quantum) there is.
 */
#ifndef TMF_TEST_REGION_H
#define TMF_TEST_REGION_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "region.h"

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

#endif
