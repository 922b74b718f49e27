/* SPDX-License-Identifier: MIT */
/*
 * A set of an arena's pages: a bitmap to ask, and a list in order of arrival to visit and to clear
 * by. Sized for the whole arena, but only what is used takes memory; adding needs none.
 */
#ifndef TMF_PAGESET_H
#define TMF_PAGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tmf_pageset {
    void *memory;
    size_t memory_size;
    uint64_t page_count; /* of the arena */
    uint64_t *bitmap;
    uint64_t *pages; /* the members; the list may be sorted by whoever likes */
    uint64_t count;
};

/* An empty set for `page_count` pages; or a larger one with the same members. 0 or an error. */
int tmf_pageset_open(struct tmf_pageset *set, uint64_t page_count);
int tmf_pageset_resize(struct tmf_pageset *set, uint64_t page_count);
void tmf_pageset_close(struct tmf_pageset *set);

static inline bool tmf_pageset_has(const struct tmf_pageset *set, uint64_t page)
{
    return (set->bitmap[page / 64] >> page % 64 & 1) != 0;
}

/* [signal] Adds a page that may be there already. */
void tmf_pageset_add(struct tmf_pageset *set, uint64_t page);
void tmf_pageset_clear(struct tmf_pageset *set);
void tmf_pageset_sort(struct tmf_pageset *set);

/* Calls `visit` for each stretch of neighbours in a sorted set, until one returns not 0. */
typedef int tmf_pageset_visit(void *context, uint64_t first, uint64_t count);
int tmf_pageset_each(const struct tmf_pageset *set, tmf_pageset_visit *visit, void *context);

/*
 * Pages that are made writable one by one split the mapping, and vm.max_map_count (65530) ends that
 * after some 32,000 scattered ones. So the granule grows: after 16384 steps of one page, pages are
 * opened 16 at a time, after 1024 of these 256 at a time, and so on: at most 47104 pieces for any
 * arena. All zeroes is the start.
 */
struct tmf_granule {
    unsigned shift; /* log2 of pages opened at a time */
    unsigned steps; /* since it grew */
};

/* [signal] Widens [*first, *end) to whole granules inside the arena, and grows the granule. */
void tmf_granule_widen(struct tmf_granule *granule, uint64_t page_count, uint64_t *first,
                       uint64_t *end);

#endif
