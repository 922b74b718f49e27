/* SPDX-License-Identifier: MIT */
/*
 * Makes a trace of the streams that the processes of a recorded command have left: the streams one
 * after the other, in the order in which they began, blocks by numbers in place of addresses.
 */
#ifndef HARNESS_RECORD_JOIN_H
#define HARNESS_RECORD_JOIN_H

#include <stdint.h>

struct record_facts {
    uint32_t processes;
    uint64_t operations;
    uint64_t left_out;   /* frees of blocks that came from before, as through fork */
    uint64_t mended;     /* allocations of an address that lives: its free was missed, and added */
    uint64_t unfinished; /* records that a process died before it had stored */
    uint32_t stopped;    /* processes that could not be recorded to their end, */
    int error;           /* and why the last of them: an errno */
    int cut;             /* are there more operations than were asked for? */
};

/* Keeps the first `operations_max` operations of all. 0 or an errno. */
int record_join(const char *folder, uint64_t operations_max, const char *path,
                struct record_facts *out);

#endif
