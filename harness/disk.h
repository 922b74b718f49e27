/* SPDX-License-Identifier: MIT */
/*
 * A disk of our own that can be full: a small tmpfs. Where it is full, writes fail with ENOSPC and
 * stores into holes of a file with SIGBUS. It is mounted in a mount namespace of this process and
 * its children, so nobody else sees it, and it goes when they do. To mount needs root, or a kernel
 * that gives users namespaces.
 */
#ifndef HARNESS_DISK_H
#define HARNESS_DISK_H

#include <stdint.h>

#define DISK_AMPLE ((uint64_t)16384) /* pages */

/* Mounts an ample one over the folder. 0 or an errno. No threads, once in a process. */
int disk_mount(const char *folder);
/* Changes its size, in pages; never below what is used. [signal] */
int disk_resize(const char *folder, uint64_t pages);
/* Pages that are used. */
uint64_t disk_used(const char *folder);
void disk_unmount(const char *folder);

#endif
