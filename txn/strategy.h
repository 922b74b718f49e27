/* SPDX-License-Identifier: MIT */
/*
 * A strategy is a way of changing the mapped file all or nothing. A storage uses one, chosen at
 * open; recovery does not depend on it (recovery.c), so any opens what any other left.
 *
 * All functions but `fault` are called by the thread that holds the exclusive lock. Return 0 or an
 * error. What each owes:
 *   open, close  its private state in storage->strategy_state
 *   resize       the arena was mapped larger
 *   begin        the arena is unchanged and about to be stored to
 *   fault        [signal] the pages [first, first + count) are about to be stored to: they may be
 *                once it returns 0. May be called by any thread; calls exclude each other.
 *   commit       make the changes durable as the storage's durability says, and start over
 *   rollback     undo them, and start over
 *   end          after begin, commit or rollback, with nothing changed since: stores trap again
 */
#ifndef TMF_STRATEGY_H
#define TMF_STRATEGY_H

#include <stddef.h>
#include <stdint.h>

struct tmf_storage;

struct tmf_strategy {
    const char *name;
    const char *about;
    int (*open)(struct tmf_storage *storage);
    void (*close)(struct tmf_storage *storage);
    int (*resize)(struct tmf_storage *storage);
    int (*begin)(struct tmf_storage *storage);
    int (*fault)(struct tmf_storage *storage, uint64_t first, uint64_t count);
    int (*commit)(struct tmf_storage *storage);
    int (*rollback)(struct tmf_storage *storage);
    int (*end)(struct tmf_storage *storage);
};

extern const struct tmf_strategy tmf_strategy_undo_fsync;
extern const struct tmf_strategy tmf_strategy_none;

/* NULL or "" is the default; NULL where there is none of that name. */
const struct tmf_strategy *tmf_strategy_find(const char *name);

#endif
