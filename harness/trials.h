/* SPDX-License-Identifier: MIT */
/*
 * What `tmf threads` tries before the contest, in a process with one thread, and `tmf procs` in
 * the midst of it: rules that a contest meets too seldom. Violations are noted on the board.
 */
#ifndef HARNESS_TRIALS_H
#define HARNESS_TRIALS_H

#include "harness/contend.h"

/*
 * A child of fork() has nothing of what its parent has open: it is told TMF_EFORKED, in the middle
 * of its parent's transaction too, and disturbs nobody.
 */
void try_fork(struct board *board, tmf_storage *storage);
/* The same inside a transaction of the caller; NULL: there is none. */
void try_fork_inside(struct board *board, tmf_storage *storage, tmf_writer *writer);

/*
 * Two threads make the first stores to a page at the same time, a byte each, and the transaction is
 * rolled back: neither byte stays. The second thread stores sooner or later after the first, so
 * that some of its stores come while that of the first is being made safe (flaw D5).
 */
void try_two_stores(struct board *board, const struct workload_place *place, tmf_storage *storage);

#endif
