/* SPDX-License-Identifier: MIT */
/*
 * none: the negative control. The arena is mapped shared and is simply writable during a write
 * transaction; nothing is logged. A commit syncs the arena. Nothing can be undone: a rollback is
 * TMF_ENOTSUPPORTED, what is stored and not committed stays, and a process that dies in the middle
 * leaves the middle behind. A harness that does not notice is broken.
 */
#include <errno.h>

#include "alloc/point.h"
#include "txn/storage.h"

static int none_open(struct tmf_storage *storage)
{
    (void)storage;
    return 0;
}

static void none_close(struct tmf_storage *storage)
{
    (void)storage;
}

static int none_begin(struct tmf_storage *storage)
{
    return tmf_arena_protect(&storage->arena, 0, storage->arena.size, true);
}

static int none_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_arena_protect(&storage->arena, first * TMF_PAGE_SIZE, count * TMF_PAGE_SIZE, true);
}

static int none_doom(struct tmf_storage *storage)
{
    return tmf_arena_detach(&storage->arena);
}

/* The new slot tells other processes that the arena is another one. */
static int none_commit(struct tmf_storage *storage)
{
    TMF_POINT("txn/none/commit");
    storage->stats.commits++;
    int error = tmf_sync_arena(storage);
    if (error)
        return error;
    error = tmf_log_start(&storage->log, TMF_LOG_UNDO, storage->log.sequence + 1);
    return error ? tmf_poison(storage, error) : 0;
}

static int none_rollback(struct tmf_storage *storage)
{
    if (!storage->arena.detached)
        return TMF_ENOTSUPPORTED;
    int error = tmf_arena_attach(&storage->arena);
    return error ? error : none_begin(storage);
}

static int none_end(struct tmf_storage *storage)
{
    return storage->arena.detached
               ? tmf_arena_attach(&storage->arena)
               : tmf_arena_protect(&storage->arena, 0, storage->arena.size, false);
}

const struct tmf_strategy tmf_strategy_none = {
    .name = "none",
    .about = "no log: nothing is undone, nothing recovers; the negative control",
    .survives = TMF_SURVIVES_NOTHING,
    .open = none_open,
    .close = none_close,
    .resize = none_open,
    .begin = none_begin,
    .fault = none_fault,
    .doom = none_doom,
    .commit = none_commit,
    .rollback = none_rollback,
    .end = none_end,
};
