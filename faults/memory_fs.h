/* SPDX-License-Identifier: MIT */
/*
 * A file system in memory, for recovering an image without asking the system for anything: a table
 * of calls over a few files whose content is that of a simulated disk. A call costs what a function
 * costs, a page that differs from the last image a copy, and no page is ever given back, so none
 * faults twice.
 *
 * What it does not do: protect pages. So it is for strategies that are told what is stored
 * (tmf_touch). A file mapped at a fixed address is a copy of it there: kept equal by the calls, and
 * in the other direction by looking at the copy at every call while it may be stored to. A page of
 * a private mapping follows the file as long as it is equal to it. Locks are always to be had,
 * since nobody else is there. Memory that is mapped with MAP_POPULATE is not zeroed again when it
 * was used before.
 *
 * One at a time. What it is asked to do can be recorded, as the beginning of another failure.
 */
#ifndef FAULTS_MEMORY_FS_H
#define FAULTS_MEMORY_FS_H

#include <stdio.h>

#include "faults/sim_disk.h"

/* 0 or an errno. Once in a process. */
int memory_fs_make(void);

/* Shows the image that is chosen. No storage is open. Names are those of its recording. */
void memory_fs_load(const struct sim_disk *disk);

/* The library's calls come here from now on, or go to the system again. */
void memory_fs_use(bool wanted);

/* Records into `events`, whose names must be those of the image; NULL: not any more. */
void memory_fs_record(struct disk_events *events);

/* Writes a line for every call that reads, writes or syncs; NULL: not any more. */
void memory_fs_trace(FILE *to);

/* Versions of units that were loaded are gone, or may be others by now. */
void memory_fs_forget(void);

/* Calls that changed a file, or synced it, since the image was loaded. */
uint64_t memory_fs_changes(void);

/* Descriptors that are open: none after a close. */
unsigned memory_fs_open_descriptors(void);

#endif
