/* SPDX-License-Identifier: MIT */
/*
 * The life of several processes over one storage, of which a schedule (faults/schedule.h) lets one
 * go on at a time: what they do to the disk has one order, so power may fail at each step of it as
 * in the life of one.
 *
 * All begin by opening what is not there yet. Half of them read: each holds its reader for a while,
 * and must see one committed state throughout. The others write, each its share of the
 * transactions, a few in a visit. Everybody gives way now and then: a reader that holds, a writer
 * within a transaction, whoever is outside; so writers wait, a reader keeps a checkpoint off, and
 * one takes over what another has left. In the middle of its work each closes and opens larger, and
 * the first that does makes the arena grow under the others. One may die, at any step of it, but
 * mostly at a named point of the library: there is more to leave half done.
 *
 * The seed of the schedule decides all of this, so a life is the same every time.
 */
#ifndef HARNESS_POWER_PROCS_H
#define HARNESS_POWER_PROCS_H

#include "harness/power_life.h"

#define POWER_PROCS_MAX 16u

/* False: as power_live(); life->what says which process. schedule_share() was called. */
bool power_live_together(struct power_life *life, const struct power_procs *procs);

/* Fills in length and dies_at, and dies_before where that is not said: lives once, in `folder`,
 * which is empty. False: that failed. */
bool power_plan(const struct workload_place *place, uint64_t transactions, const char *folder,
                struct power_procs *procs, struct difference *what);

#endif
