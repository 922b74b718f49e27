/* SPDX-License-Identifier: MIT */
/*
 * What the redo strategies have in common; they differ only in how they find the pages that a
 * transaction has stored to, which is the business of a finder.
 *
 * The arena is mapped private: the kernel cannot write a page of it back, so there is no question
 * of what must be on the medium before a page may change. Write order:
 *
 *   store     goes to a private copy of the page, which the kernel makes
 *   commit    1. the pages stored to are found, and compared with what was committed
 *             2. what differs is appended to the redo log, one record, one write
 *             3. the log is synced       - only then the commit is acknowledged (sync.c); other
 *                                          commits that were appended meanwhile share the sync
 *   rollback  the pages stored to get back what was committed; no file is written
 *
 * The .odb changes at a checkpoint only, made when the log is full, or on the way out where nobody
 * waits for it:
 *
 *             4. the log is synced       - before any of it reaches the .odb, all of it must be
 * safe, or a crash could leave part of a lost commit there
 *             5. the records are written into the .odb, which is synced, and a new slot makes them
 *                stale                   - see recovery.c, which does the same after a crash
 *
 * What was committed is in the .odb for pages that the log does not name, else in a shadow
 * (shadow.h). Pages that were never copied follow the .odb; those that were show what we stored.
 *
 * Other processes. A record in the log is a commit. Whoever begins takes over the records that are
 * new to it into its own private mapping (catching up), so readers wait for nobody but a
 * checkpoint, which changes the pages under them that they have not copied. A checkpoint of another
 * process that we missed part of is followed by dropping all copies.
 */
#ifndef TMF_REDO_H
#define TMF_REDO_H

#include "txn/pageset.h"
#include "txn/redo_log.h"
#include "txn/shadow.h"
#include "txn/storage.h"

/*
 * How pages that were stored to are found. `dirty` is redo_state's; all functions return 0 or an
 * error. What each owes:
 *   open, close  its private state in finder_state
 *   resize       the arena was mapped larger; remapped() follows
 *   remapped     the whole arena was mapped anew, private and read-only
 *   unlock       [signal] makes the pages writable, as far as they are not
 *   find         adds the pages to `dirty` that were stored to since the last find
 *   rearm        the pages in `dirty` were found, and what had to be stored to them was: the next
 *                store to each is to be noticed again
 *   settled      what this thread did since the last find was our own work, and no store to the
 * arena
 */
struct tmf_finder {
    int (*open)(struct tmf_storage *storage);
    void (*close)(struct tmf_storage *storage);
    int (*resize)(struct tmf_storage *storage);
    int (*remapped)(struct tmf_storage *storage);
    int (*unlock)(struct tmf_storage *storage, uint64_t first, uint64_t count);
    int (*find)(struct tmf_storage *storage);
    int (*rearm)(struct tmf_storage *storage);
    void (*settled)(struct tmf_storage *storage);
};

struct tmf_redo_state {
    struct tmf_pageset dirty;  /* stored to in this transaction, perhaps */
    struct tmf_pageset copied; /* copied by the kernel, perhaps; those in `dirty` come at its end */
    struct tmf_shadows shadows;
    struct tmf_redo_buffer record;  /* being built */
    struct tmf_redo_buffer reading; /* being read */
    struct tmf_granule granule;     /* of finders that open pages by protection */
    uint64_t strays;                /* found and undone, not reported yet */
    void *finder_state;
};

static inline struct tmf_redo_state *tmf_redo_state(const struct tmf_storage *storage)
{
    return storage->strategy_state;
}

/* The operations of struct tmf_strategy that all redo strategies share. */
#define TMF_REDO_OPERATIONS                                                                        \
    .is_redo = true, .survives = TMF_SURVIVES_POWER, .open = tmf_redo_open,                        \
    .close = tmf_redo_close, .resize = tmf_redo_resize, .begin = tmf_redo_begin,                   \
    .fault = tmf_redo_fault, .doom = tmf_redo_doom, .commit = tmf_redo_commit,                     \
    .rollback = tmf_redo_rollback, .end = tmf_redo_end

int tmf_redo_open(struct tmf_storage *storage);
void tmf_redo_close(struct tmf_storage *storage);
int tmf_redo_resize(struct tmf_storage *storage);
int tmf_redo_begin(struct tmf_storage *storage);
int tmf_redo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count);
int tmf_redo_doom(struct tmf_storage *storage);
int tmf_redo_commit(struct tmf_storage *storage);
int tmf_redo_rollback(struct tmf_storage *storage);
int tmf_redo_end(struct tmf_storage *storage);

/*
 * Takes over what other processes committed since we looked (`state`), with a lock that keeps
 * checkpoints away, and no other thread of ours inside. `sweep`: looks for stray stores first.
 * TMF_ESTRAY: there were some; they are undone.
 */
int tmf_redo_catch_up(struct tmf_storage *storage, const struct tmf_log_state *state, bool sweep);

/*
 * With the writer's lock: waits until `deadline` for all readers to leave, and makes a checkpoint.
 * EBUSY, ETIMEDOUT.
 */
int tmf_redo_checkpoint(struct tmf_storage *storage, uint64_t deadline);

/* At close: makes a checkpoint if nobody has to wait for it, so that the .odb is whole. */
void tmf_redo_tidy(struct tmf_storage *storage);

/* Takes over what is committed into an arena that was mapped anew. */
int tmf_redo_remap(struct tmf_storage *storage);

/* Whether more private copies are kept than the options allow. */
bool tmf_redo_is_over_limit(const struct tmf_storage *storage);

/* The page as it was committed goes back into the arena. */
int tmf_redo_restore(struct tmf_storage *storage, uint64_t page);

/* What was stored up to now is as it should be: later stores are found. Empties `dirty`. */
int tmf_redo_watch(struct tmf_storage *storage);

/* The committed content of a page: its shadow, a new one if it had none. */
int tmf_redo_committed(struct tmf_storage *storage, uint64_t page, unsigned char **out,
                       bool *is_new);

/* The finders, one to a strategy. */
extern const struct tmf_finder tmf_finder_protect;

#endif
