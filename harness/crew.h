/* SPDX-License-Identifier: MIT */
/*
 * What a process of `tmf procs` does: it opens the storage, reads or writes as contend.h has it,
 * closes. Beside that
 *
 *  - each life has a habit, drawn by the seed: some stay, some open and close all the time, some
 *    leave after a while and another takes their place
 *  - who opens again opens larger now and then, which the others must follow; now and then it
 *    first asks for what is not stored, and must be refused
 *  - a reader has a companion, a second thread that reads over the same open storage: so there are
 *    processes that another reader enters while one is inside, and it must not see less for that
 *  - a writer bears a child in the middle of some transactions, which must be refused all that its
 *    parent has open; who stands in a trap (trouble.h) has borne one that outlives it: what that
 *    has inherited keeps nobody out (flaw D20)
 *  - where calls shall fail, one use of one call of a writer does now and then, of those in
 *    faults/fault_table.c that leave the page cache as it is. It goes on as a program would: by
 *    ending its transaction, and by opening the storage again when told that it is poisoned, as
 *    the others do, who wait meanwhile
 */
#ifndef HARNESS_CREW_H
#define HARNESS_CREW_H

#include "harness/contest.h"

/* What the processes of a contest did. */
struct crew_log {
    _Atomic uint64_t growths, reopenings, leavings, refusals, forks;
    _Atomic uint64_t faults_armed, faults; /* the latter are those that struck */
};
extern struct crew_log *crew_log;

/* 0 or an errno. Once, before there are processes. */
int crew_init(bool with_faults);

/* For the contest's hooks. */
void crew_prepare(void);
int crew_live(void *member);
bool crew_is_excused(struct board *board, int error);

#endif
