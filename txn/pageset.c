/* SPDX-License-Identifier: MIT */
/* See pageset.h. */
#include "txn/pageset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "txn/arena.h"
#include "txn/io.h"

#define STEPS_SINGLE  16384u
#define STEPS_MORE    1024u
#define GRANULE_SHIFT 4u

int tmf_pageset_open(struct tmf_pageset *set, uint64_t page_count)
{
    uint64_t words = (page_count + 63) / 64;
    size_t size = tmf_page_round((size_t)(words + page_count) * sizeof(uint64_t));
    void *memory = tmf_io->mmap(NULL, size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    *set = (struct tmf_pageset){.memory = memory,
                                .memory_size = size,
                                .page_count = page_count,
                                .bitmap = memory,
                                .pages = (uint64_t *)memory + words};
    return 0;
}

int tmf_pageset_resize(struct tmf_pageset *set, uint64_t page_count)
{
    struct tmf_pageset larger = {0};
    int error = tmf_pageset_open(&larger, page_count);
    if (!larger.memory)
        return error;
    for (uint64_t n = 0; n < set->count; n++)
        tmf_pageset_add(&larger, set->pages[n]);
    tmf_pageset_close(set);
    *set = larger;
    return 0;
}

void tmf_pageset_close(struct tmf_pageset *set)
{
    if (set->memory)
        (void)tmf_io->munmap(set->memory, set->memory_size);
    *set = (struct tmf_pageset){0};
}

void tmf_pageset_add(struct tmf_pageset *set, uint64_t page)
{
    if (tmf_pageset_has(set, page))
        return;
    set->bitmap[page / 64] |= UINT64_C(1) << page % 64;
    set->pages[set->count++] = page;
}

void tmf_pageset_clear(struct tmf_pageset *set)
{
    for (uint64_t n = 0; n < set->count; n++)
        set->bitmap[set->pages[n] / 64] = 0;
    set->count = 0;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

void tmf_pageset_sort(struct tmf_pageset *set)
{
    for (uint64_t n = 1; n < set->count; n++) {
        if (set->pages[n - 1] > set->pages[n]) {
            qsort(set->pages, (size_t)set->count, sizeof(*set->pages), compare);
            return;
        }
    }
}

int tmf_pageset_each(const struct tmf_pageset *set, tmf_pageset_visit *visit, void *context)
{
    int result = 0;
    for (uint64_t n = 0, length; !result && n < set->count; n += length) {
        length = 1;
        while (n + length < set->count && set->pages[n + length] == set->pages[n] + length)
            length++;
        result = visit(context, set->pages[n], length);
    }
    return result;
}

void tmf_granule_widen(struct tmf_granule *granule, uint64_t page_count, uint64_t *first,
                       uint64_t *end)
{
    if (++granule->steps > (granule->shift ? STEPS_MORE : STEPS_SINGLE)) {
        granule->shift += GRANULE_SHIFT;
        granule->steps = 1;
    }
    uint64_t mask = (UINT64_C(1) << granule->shift) - 1;
    *first &= ~mask;
    *end = (*end + mask) & ~mask;
    if (*end > page_count)
        *end = page_count;
}
