/* SPDX-License-Identifier: MIT */
/*
 * undo-mlock: what the author of TMFAlloc imagined in place of a sync for every page, see undo.h.
 * Its guard locks the page in memory, in the belief that a locked page is not written back before
 * the log is synced; so one sync of the log, at step 5, does for the whole transaction. The pages
 * are unlocked once it is settled.
 *
 * The belief is wrong. mlock keeps a page from being evicted, not from being written back: the
 * kernel writes locked dirty pages when they are due, and for any sync() or fsync() of anybody. So
 * the page may reach the medium before its record does. If power is lost then, the record is
 * missing or torn and its page is changed: what was committed is nowhere, and an open shows a state
 * that never was, or refuses it if the record's head is there to tell. A failed sync of the log
 * after which the cache has lost the records does the same. The death of the process does no harm:
 * the page cache keeps both. The strategy is here to be measured and refuted.
 *
 * What may be locked is bounded (RLIMIT_MEMLOCK). Where no more can be locked, for whatever reason,
 * the log is synced, which makes every page of the transaction as safe as with undo-fsync; none
 * needs its lock any more, so all are unlocked, and the next pages are locked again.
 *
 * Locks end with the mapping: a doomed transaction, a close and the death of the process leave
 * none. An munlock that fails costs room, not safety, and is tried again at the next occasion.
 */
#include "alloc/point.h"
#include "txn/io.h"
#include "txn/undo.h"

/* [signal] All at once: mlock may have locked pages even where it fails. */
static void unlock_pages(struct tmf_storage *storage)
{
    struct tmf_undo *undo = tmf_undo_of(storage);
    if (undo->locked)
        undo->locked = tmf_io->munlock(storage->arena.base, storage->arena.size) != 0;
}

static int lock_pages(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    tmf_undo_of(storage)->locked = true;
    if (TMF_MUTANT("page-not-locked") ||
        tmf_io->mlock(storage->arena.base + first * TMF_PAGE_SIZE, count * TMF_PAGE_SIZE) == 0)
        return 0;
    int error = tmf_undo_sync(storage);
    unlock_pages(storage);
    return error;
}

static int mlock_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_undo_fault(storage, first, count, lock_pages);
}

/* Also after every commit and rollback: they are settled. */
static int mlock_begin(struct tmf_storage *storage)
{
    unlock_pages(storage);
    return tmf_undo_begin(storage);
}

/* Only a transaction that could not be settled has locked pages still. */
static int mlock_end(struct tmf_storage *storage)
{
    int error = tmf_undo_end(storage);
    unlock_pages(storage);
    return error;
}

const struct tmf_strategy tmf_strategy_undo_mlock = {
    .name = "undo-mlock",
    .about = "logs a page and locks it in memory, syncs the log at commit; survives SIGKILL only: "
             "mlock does not stop write-back",
    .survives = TMF_SURVIVES_KILL,
    .open = tmf_undo_open,
    .close = tmf_undo_close,
    .resize = tmf_undo_resize,
    .begin = mlock_begin,
    .fault = mlock_fault,
    .doom = tmf_undo_doom,
    .commit = tmf_undo_commit,
    .rollback = tmf_undo_rollback,
    .end = mlock_end,
};
