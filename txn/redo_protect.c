/* SPDX-License-Identifier: MIT */
/*
 * redo-segv and redo-declared: pages are read-only until they are opened one by one, and every page
 * that was opened in a transaction counts as stored to.
 *
 * redo-segv opens a page when a store to it traps, which costs a signal and a change of protection,
 * some 18 us, and works on any kernel. redo-declared opens pages when tmf_touch() declares a write,
 * and for the heap's own stores; any other store traps as one outside a transaction would.
 */
#include "alloc/point.h"
#include "txn/io.h"
#include "txn/redo.h"

#include <errno.h>

#define PROTECT_SINGLY                                                                             \
    512 /* more stretches than this, and all of the arena is protected in one                      \
         */

static int nothing(struct tmf_storage *storage)
{
    (void)storage;
    return 0;
}

static void do_nothing(struct tmf_storage *storage)
{
    (void)storage;
}

static int unlock(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    uint64_t end = first + count;
    while (first < end && tmf_pageset_has(&state->dirty, first))
        first++;
    if (first == end)
        return 0; /* another thread was faster */
    storage->stats.faults++;
    tmf_granule_widen(&state->granule, state->dirty.page_count, &first, &end);
    for (uint64_t page = first; page < end; page++) {
        tmf_pageset_add(&state->dirty, page);
        tmf_pageset_add(&state->copied, page);
    }
    return tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                             (size_t)(end - first) * TMF_PAGE_SIZE, true);
}

static int protect(void *context, uint64_t first, uint64_t count)
{
    struct tmf_storage *storage = context;
    return tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                             (size_t)count * TMF_PAGE_SIZE, false);
}

static int rearm(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    state->granule = (struct tmf_granule){0};
    if (TMF_MUTANT("left-open-after-commit"))
        return 0;
    if (state->dirty.count > PROTECT_SINGLY)
        return tmf_arena_protect(&storage->arena, 0, storage->arena.size, false);
    tmf_pageset_sort(&state->dirty);
    return tmf_pageset_each(&state->dirty, protect, storage);
}

const struct tmf_finder tmf_finder_protect = {
    .open = nothing,
    .close = do_nothing,
    .resize = nothing,
    .remapped = nothing,
    .unlock = unlock,
    .find = nothing,
    .rearm = rearm,
    .settled = do_nothing,
};

const struct tmf_strategy tmf_strategy_redo_segv = {
    .name = "redo-segv",
    .about = "write-ahead log; finds pages by protection and SIGSEGV; survives power loss",
    .finder = &tmf_finder_protect,
    TMF_REDO_OPERATIONS,
};

const struct tmf_strategy tmf_strategy_redo_declared = {
    .name = "redo-declared",
    .about = "write-ahead log; pages that tmf_touch() declares, others trap; survives power loss",
    .declared_only = true,
    .finder = &tmf_finder_protect,
    TMF_REDO_OPERATIONS,
};
