/* SPDX-License-Identifier: MIT */
/*
 * What the undo strategies share. The arena is mapped shared and read-only. Write order of a
 * transaction:
 *
 *   first store to a page   1. its committed content is appended to the log
 *                           2. the strategy's guard makes it safe to change the page
 *                           3. the page becomes writable, and the store is made again
 *   commit                  4. all pages become read-only
 *                           5. records that are not synced yet are synced - 6 overwrites on the
 *                                                      medium what only they can bring back
 *                           6. the arena is synced   - before 7 the log can undo, after it nothing
 *                                                      can: all of the change must be there
 *                           7. the next sequence is written into the log's other slot
 *                           8. the log is synced     - the commit is acknowledged after this only;
 *                                                      an unsynced commit could come undone
 *   rollback                4 and 5, the logged pages are written back, then 6 to 8: before the log
 *                           forgets them they must be on the medium
 *
 * A transaction that stored nothing syncs nothing.
 *
 * The rule about torn records. A process that is killed leaves the page cache, and with it every
 * record of a page that became writable: what is torn or missing is a record whose page was not
 * changed, and it need not be undone. After power loss the same holds only of a guard that has the
 * record synced before it returns, for the kernel may write a writable page back at any instant.
 *
 * Pages are logged and opened a granule at a time (pageset.h), at the price of a longer log.
 */
#ifndef TMF_UNDO_H
#define TMF_UNDO_H

#include "txn/pageset.h"
#include "txn/storage.h"

/* In storage->strategy_state. */
struct tmf_undo {
    struct tmf_pageset logged; /* in this transaction */
    struct tmf_granule granule;
    bool locked; /* undo-mlock: pages may be locked */
};

static inline struct tmf_undo *tmf_undo_of(const struct tmf_storage *storage)
{
    return storage->strategy_state;
}

/* [signal] Step 2, for pages whose records are appended. On an error they stay read-only. */
typedef int tmf_undo_guard(struct tmf_storage *storage, uint64_t first, uint64_t count);

/* [signal] Steps 1 to 3. */
int tmf_undo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count,
                   tmf_undo_guard *guard);

/* [signal] Syncs the records that are not synced yet; without such it does nothing. */
int tmf_undo_sync(struct tmf_storage *storage);

/* The rest of struct tmf_strategy, as it asks for them. */
int tmf_undo_open(struct tmf_storage *storage);
void tmf_undo_close(struct tmf_storage *storage);
int tmf_undo_resize(struct tmf_storage *storage);
int tmf_undo_begin(struct tmf_storage *storage);
int tmf_undo_doom(struct tmf_storage *storage);
int tmf_undo_commit(struct tmf_storage *storage);
int tmf_undo_rollback(struct tmf_storage *storage);
int tmf_undo_end(struct tmf_storage *storage);

#endif
