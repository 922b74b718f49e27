/* SPDX-License-Identifier: MIT */
/*
 * A strategy is a way of changing the mapped file all or nothing. A storage uses one, chosen at
 * open; recovery does not depend on it (recovery.c), so any opens what any other left.
 *
 * All functions but `fault` and `doom` are called by the thread that holds the exclusive lock.
 * Return 0 or an error. What each owes:
 *   probe        0, or TMF_ENOTSUPPORTED and a sentence that names what is missing; NULL: always
 *   open, close  its private state in storage->strategy_state, the arena mapped as it needs it
 *   resize       the arena was mapped larger
 *   begin        the arena is unchanged and about to be stored to
 *   fault        [signal] the pages [first, first + count) are about to be stored to: they may be
 *                once it returns 0. May be called by any thread; calls exclude each other.
 *   doom         [signal] stores go on but reach nothing any more; sets arena.detached
 *   commit       make the changes durable as the storage's durability says, and start over; a redo
 *                strategy leaves the sync to whoever waits (sync.c)
 *   rollback     undo them, and start over
 *   end          after begin, commit or rollback, with nothing changed since: stores trap again, or
 *                will be found
 */
#ifndef TMF_STRATEGY_H
#define TMF_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/tmf.h"

struct tmf_storage;
struct tmf_finder;

struct tmf_strategy {
    const char *name;
    const char *about;
    tmf_survival survives;
    bool is_redo;       /* private mapping, redo log; else shared mapping, undo log or none */
    bool declared_only; /* only tmf_touch() and the heap may open pages; a bare store traps */
    const struct tmf_finder *finder; /* of a redo strategy, see redo.h */
    int (*probe)(void);
    int (*open)(struct tmf_storage *storage);
    void (*close)(struct tmf_storage *storage);
    int (*resize)(struct tmf_storage *storage);
    int (*begin)(struct tmf_storage *storage);
    int (*fault)(struct tmf_storage *storage, uint64_t first, uint64_t count);
    int (*doom)(struct tmf_storage *storage);
    int (*commit)(struct tmf_storage *storage);
    int (*rollback)(struct tmf_storage *storage);
    int (*end)(struct tmf_storage *storage);
};

extern const struct tmf_strategy tmf_strategy_undo_fsync;
extern const struct tmf_strategy tmf_strategy_undo_mlock;
extern const struct tmf_strategy tmf_strategy_redo_segv;
extern const struct tmf_strategy tmf_strategy_redo_scan;
extern const struct tmf_strategy tmf_strategy_redo_wp;
extern const struct tmf_strategy tmf_strategy_redo_declared;
extern const struct tmf_strategy tmf_strategy_none;

/* NULL where there is none of that name. */
const struct tmf_strategy *tmf_strategy_find(const char *name);

/* The fastest that survives power loss and is to be had here. */
const struct tmf_strategy *tmf_strategy_default(void);

#endif
