/* SPDX-License-Identifier: MIT */
/*
 * Records what the library asks of a disk: a table of calls that makes them on real files and tells
 * the recording (disk_events.h). Stores into a shared mapping are found by comparing the file's
 * pages with what they were, at every step: before and after each system call (so at each first
 * store to a page that is protected), and at each named point. What a page was between two steps
 * is not known.
 *
 * Processes that are led by a schedule (schedule.h) are recorded together. What they record lies in
 * memory that they share, and one goes on at a time; so a process has to see its own stores alone,
 * in the files that it has opened, and disk_watch_step() as the plan's on_step sees them before
 * another goes on. The calls are made through points and the schedule's locks, and a call and its
 * record are one: no other process comes between.
 *
 * Only the files of one folder are watched. Random numbers are the same in every recording.
 */
#ifndef FAULTS_DISK_WATCH_H
#define FAULTS_DISK_WATCH_H

#include "faults/disk_events.h"

/* Starts: the library makes its calls through the recording from here on; no storage is open, and
 * `folder`, whose path ends in no slash, is empty. 0 or an errno. One at a time. */
int disk_watch_start(struct disk_events *events, const char *folder, uint64_t seed);

/* Ends it, and puts the system's table back. Returns how many steps there were. */
uint64_t disk_watch_end(void);

/* In a child, once it is started: its calls go through the schedule, and what it does is the doing
 * of this process, from 1. */
void disk_watch_as(uint32_t process);

/* [signal] A step: what was stored up to here is seen. */
void disk_watch_step(const char *where);

#endif
