/* SPDX-License-Identifier: MIT */
/* See undo.h. */
#include "txn/undo.h"

#include <errno.h>
#include <stdlib.h>

#include "alloc/point.h"
#include "txn/undo_log.h"

int tmf_undo_open(struct tmf_storage *storage)
{
    struct tmf_undo *undo = calloc(1, sizeof(*undo));
    if (!undo)
        return ENOMEM;
    int error = tmf_pageset_open(&undo->logged, storage->arena.size / TMF_PAGE_SIZE);
    if (error)
        free(undo);
    else
        storage->strategy_state = undo;
    return error;
}

void tmf_undo_close(struct tmf_storage *storage)
{
    struct tmf_undo *undo = tmf_undo_of(storage);
    if (undo)
        tmf_pageset_close(&undo->logged);
    free(undo);
    storage->strategy_state = NULL;
}

/* The arena is larger now. Pages logged so far (growth itself is a transaction) stay logged. */
int tmf_undo_resize(struct tmf_storage *storage)
{
    return tmf_pageset_resize(&tmf_undo_of(storage)->logged, storage->arena.size / TMF_PAGE_SIZE);
}

static void forget_logged(struct tmf_undo *undo)
{
    tmf_pageset_clear(&undo->logged);
    undo->granule = (struct tmf_granule){0};
}

int tmf_undo_begin(struct tmf_storage *storage)
{
    forget_logged(tmf_undo_of(storage));
    storage->log.records = storage->log.synced = 0;
    return 0;
}

/* ---- stores */

int tmf_undo_sync(struct tmf_storage *storage)
{
    if (storage->log.synced == storage->log.records || TMF_MUTANT("undo-log-unsynced"))
        return 0;
    int error = tmf_log_sync(&storage->log);
    return error ? tmf_poison(storage, error) : 0;
}

static int log_page(struct tmf_storage *storage, uint64_t page)
{
    int error = tmf_undo_log_append(&storage->log, page, storage->odb_fd);
    if (error)
        return error;
    tmf_pageset_add(&tmf_undo_of(storage)->logged, page);
    storage->stats.pages_dirtied++;
    return 0;
}

int tmf_undo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count,
                   tmf_undo_guard *guard)
{
    struct tmf_undo *undo = tmf_undo_of(storage);
    uint64_t end = first + count;
    while (first < end && tmf_pageset_has(&undo->logged, first))
        first++;
    if (first == end)
        return 0; /* another thread was faster */
    storage->stats.faults++;
    tmf_granule_widen(&undo->granule, undo->logged.page_count, &first, &end);
    if (TMF_MUTANT("opened-before-logged"))
        (void)tmf_arena_protect(&storage->arena, first * TMF_PAGE_SIZE,
                                (end - first) * TMF_PAGE_SIZE, true);
    for (uint64_t page = first; page < end; page++) {
        bool is_known = tmf_pageset_has(&undo->logged, page);
        is_known = is_known || (page % 2 == 1 && TMF_MUTANT("odd-page-unlogged"));
        int error = is_known ? 0 : log_page(storage, page);
        if (error && !TMF_MUTANT("unlogged-page"))
            return error;
    }
    TMF_POINT("txn/fault/logged");
    int error = guard(storage, first, end - first);
    if (error)
        return error;
    TMF_POINT("txn/fault/guarded");
    return tmf_arena_protect(&storage->arena, first * TMF_PAGE_SIZE, (end - first) * TMF_PAGE_SIZE,
                             true);
}

int tmf_undo_doom(struct tmf_storage *storage)
{
    return tmf_arena_detach(&storage->arena);
}

/* ---- commit and rollback */

int tmf_undo_end(struct tmf_storage *storage)
{
    if (storage->arena.detached)
        return tmf_arena_attach(&storage->arena);
    return tmf_undo_of(storage)->logged.count && !TMF_MUTANT("left-writable")
               ? tmf_arena_protect(&storage->arena, 0, storage->arena.size, false)
               : 0;
}

/* Steps 4 and 5. */
static int stop_changes(struct tmf_storage *storage)
{
    int error = tmf_undo_end(storage);
    return error ? error : tmf_undo_sync(storage);
}

/* Steps 6 to 8. */
static int settle(struct tmf_storage *storage)
{
    TMF_POINT("txn/commit/before-arena-sync");
    if (TMF_MUTANT("marked-before-synced"))
        (void)tmf_log_start(&storage->log, TMF_LOG_UNDO, storage->log.sequence + 1);
    int error = tmf_sync_arena(storage);
    if (error)
        return error;
    TMF_POINT("txn/commit/before-mark");
    if (TMF_MUTANT("commit-unmarked"))
        return 0;
    error = tmf_log_start(&storage->log, TMF_LOG_UNDO, storage->log.sequence + 1);
    if (error)
        return tmf_poison(storage, error);
    TMF_POINT("txn/commit/after-mark");
    forget_logged(tmf_undo_of(storage));
    return 0;
}

int tmf_undo_commit(struct tmf_storage *storage)
{
    if (!tmf_undo_of(storage)->logged.count)
        return 0;
    storage->stats.commits++;
    int error = stop_changes(storage);
    return error ? error : settle(storage);
}

int tmf_undo_rollback(struct tmf_storage *storage)
{
    int error = stop_changes(storage);
    if (error || !tmf_undo_of(storage)->logged.count)
        return error;
    storage->stats.rollbacks++;
    TMF_POINT("txn/rollback/begin");
    error = tmf_undo_log_apply(&storage->log, storage->odb_fd, false);
    return error ? error : settle(storage);
}
