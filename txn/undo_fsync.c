/* SPDX-License-Identifier: MIT */
/*
 * undo-fsync: the original's protocol, see undo.h. Its guard is a sync of the log at every first
 * store to a page: the kernel may write the page back at any instant once it is writable, so what
 * it overwrites must be on the medium before. Nothing is left to sync at step 5.
 */
#include "txn/undo.h"

static int sync_records(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    (void)first, (void)count;
    return tmf_undo_sync(storage);
}

static int fsync_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_undo_fault(storage, first, count, sync_records);
}

const struct tmf_strategy tmf_strategy_undo_fsync = {
    .name = "undo-fsync",
    .about = "logs and syncs a page before its first store; survives power loss (the original's)",
    .survives = TMF_SURVIVES_POWER,
    .open = tmf_undo_open,
    .close = tmf_undo_close,
    .resize = tmf_undo_resize,
    .begin = tmf_undo_begin,
    .fault = fsync_fault,
    .doom = tmf_undo_doom,
    .commit = tmf_undo_commit,
    .rollback = tmf_undo_rollback,
    .end = tmf_undo_end,
};
