/* SPDX-License-Identifier: MIT */
/*
 * undo-fsync: the original's protocol.
 *
 * The arena is mapped shared and read-only. Write order of a transaction:
 *
 *   first store to a page   1. its committed content is appended to the log
 *                           2. the log is synced     - the kernel may write the page back at any
 *                                                      instant once it is writable, so what it
 *                                                      overwrites must be on the medium before
 *                           3. the page becomes writable, and the store is made again
 *   commit                  4. all pages become read-only
 *                           5. the arena is synced   - before 6 the log can undo, after it nothing
 *                                                      can: all of the change must be there
 *                           6. the next sequence is written into the log's other slot
 *                           7. the log is synced     - the commit is acknowledged after this only;
 *                                                      an unsynced commit could come undone
 *   rollback                the logged pages are written back, then 5 to 7: before the log forgets
 *                           them they must be on the medium
 *
 * A transaction that stored nothing syncs nothing.
 *
 * Pages are logged and opened a granule at a time (pageset.h), at the price of a longer log.
 */
#include <errno.h>
#include <stdlib.h>

#include "alloc/point.h"
#include "txn/pageset.h"
#include "txn/storage.h"
#include "txn/undo_log.h"

/* Which pages are in the log, and how many are opened at a time. */
struct undo_state {
    struct tmf_pageset logged;
    struct tmf_granule granule;
};

static int undo_open(struct tmf_storage *storage)
{
    struct undo_state *state = calloc(1, sizeof(*state));
    if (!state)
        return ENOMEM;
    int error = tmf_pageset_open(&state->logged, storage->arena.size / TMF_PAGE_SIZE);
    if (error)
        free(state);
    else
        storage->strategy_state = state;
    return error;
}

static void undo_close(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (state)
        tmf_pageset_close(&state->logged);
    free(state);
    storage->strategy_state = NULL;
}

/* The arena is larger now. Pages logged so far (growth itself is a transaction) stay logged. */
static int undo_resize(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    return tmf_pageset_resize(&state->logged, storage->arena.size / TMF_PAGE_SIZE);
}

static void forget_logged(struct undo_state *state)
{
    tmf_pageset_clear(&state->logged);
    state->granule = (struct tmf_granule){0};
}

static int undo_begin(struct tmf_storage *storage)
{
    forget_logged(storage->strategy_state);
    storage->log.records = storage->log.synced = 0;
    return 0;
}

static int log_page(struct tmf_storage *storage, uint64_t page)
{
    struct undo_state *state = storage->strategy_state;
    int error = tmf_undo_log_append(&storage->log, page, storage->odb_fd);
    if (error)
        return error;
    tmf_pageset_add(&state->logged, page);
    storage->stats.pages_dirtied++;
    return 0;
}

/* [signal] Steps 1 to 3. */
static int undo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct undo_state *state = storage->strategy_state;
    uint64_t end = first + count;
    while (first < end && tmf_pageset_has(&state->logged, first))
        first++;
    if (first == end)
        return 0; /* another thread was faster */
    storage->stats.faults++;
    tmf_granule_widen(&state->granule, state->logged.page_count, &first, &end);
    for (uint64_t page = first; page < end; page++) {
        int error = tmf_pageset_has(&state->logged, page) ? 0 : log_page(storage, page);
        if (error && !TMF_MUTANT("unlogged-page"))
            return error;
    }
    TMF_POINT("txn/fault/logged");
    int error = tmf_log_sync(&storage->log);
    if (error)
        return tmf_poison(storage, error);
    TMF_POINT("txn/fault/synced");
    return tmf_arena_protect(&storage->arena, first * TMF_PAGE_SIZE, (end - first) * TMF_PAGE_SIZE,
                             true);
}

static int undo_doom(struct tmf_storage *storage)
{
    return tmf_arena_detach(&storage->arena);
}

/* Steps 5 to 7. */
static int settle(struct tmf_storage *storage)
{
    TMF_POINT("txn/commit/before-arena-sync");
    int error = tmf_sync_arena(storage);
    if (error)
        return error;
    TMF_POINT("txn/commit/before-mark");
    error = tmf_log_start(&storage->log, TMF_LOG_UNDO, storage->log.sequence + 1);
    if (error)
        return tmf_poison(storage, error);
    TMF_POINT("txn/commit/after-mark");
    forget_logged(storage->strategy_state);
    return 0;
}

static int undo_end(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (storage->arena.detached)
        return tmf_arena_attach(&storage->arena);
    return state->logged.count ? tmf_arena_protect(&storage->arena, 0, storage->arena.size, false)
                               : 0;
}

static int undo_commit(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (!state->logged.count)
        return 0;
    storage->stats.commits++;
    int error = undo_end(storage);
    return error ? error : settle(storage);
}

static int undo_rollback(struct tmf_storage *storage)
{
    int error = undo_end(storage);
    const struct undo_state *state = storage->strategy_state;
    if (error || !state->logged.count)
        return error;
    storage->stats.rollbacks++;
    TMF_POINT("txn/rollback/begin");
    error = tmf_undo_log_apply(&storage->log, storage->odb_fd, false);
    return error ? error : settle(storage);
}

const struct tmf_strategy tmf_strategy_undo_fsync = {
    .name = "undo-fsync",
    .about = "logs and syncs a page before its first store; survives power loss (the original's)",
    .survives = TMF_SURVIVES_POWER,
    .open = undo_open,
    .close = undo_close,
    .resize = undo_resize,
    .begin = undo_begin,
    .fault = undo_fault,
    .doom = undo_doom,
    .commit = undo_commit,
    .rollback = undo_rollback,
    .end = undo_end,
};
