/* SPDX-License-Identifier: MIT */
/*
 * What a failed sync leaves on the medium. Linux marks the pages that it could not write as clean:
 * the page cache goes on showing them, the next sync succeeds, and the medium still has what it had
 * before. Only a page that is written to once more goes to the medium after all.
 *
 * The model, for every file that the library syncs, a page of 4096 bytes at a time:
 *
 *   durable   the content as of the last sync that succeeded
 *   lost      a sync failed, and the page was dirty: it differed from `durable`
 *   found     a page that is lost was written to by pwrite, or is another than it was when it was
 *             lost: it is as any other again
 *   medium    afterwards: `durable` for pages that are lost, for all others the page cache
 *
 * So whatever else was not synced is taken to have been written back in time; that it might not
 * have been is the business of the power model. Stores into a shared mapping are not seen when they
 * are made, only by what the page holds at a sync or in the end: a page that is stored to and holds
 * the very bytes that were lost counts as lost, though the kernel would write it. Sizes and names
 * of files are as the page cache has them.
 */
#ifndef FAULTS_MEDIUM_H
#define FAULTS_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* 0 or an errno. Once in a process. */
int medium_init(void);

/* Forgets all files. Only between medium_follow(true) and (false) is there anything to pay. */
void medium_forget(void);
void medium_follow(bool wanted);

/* [signal] What happened to a file. */
void medium_synced(int fd);
void medium_lost(int fd);
void medium_written(int fd, off_t at, size_t size);
void medium_cut(int fd, off_t size);
void medium_unlinked(const char *path);

/* Whether anything is lost; by path: gives the file the content that the medium has. 0, an errno,
 * or EFBIG: it was too large for the model. */
bool medium_has_lost(void);
int medium_show(const char *path, dev_t device, ino_t inode);

#endif
