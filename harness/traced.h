/* SPDX-License-Identifier: MIT */
/*
 * A child whose every system call is seen (ptrace): counted, or the last thing that it does. Exact,
 * whatever library makes the call, and without a word in its code; slow, so not for times.
 *
 * A step is the entry of a system call, or a traced_step() of the child itself, which stands for an
 * instant between two stores. Only steps between traced_watch(true) and (false) count.
 * One child at a time, without threads of its own.
 */
#ifndef HARNESS_TRACED_H
#define HARNESS_TRACED_H

#include "harness/child.h"

#ifdef __cplusplus
extern "C" {
#endif

struct traced_counts {
    uint64_t steps;
    uint64_t calls;
    uint64_t syncs; /* of these: fsync, fdatasync, msync, sync_file_range, syncfs, sync */
};

/*
 * As child_run(); `die_at`: the child is killed at this step instead of taking it, 0: at none.
 * EPERM and others: children cannot be traced here.
 */
int traced_run(int (*body)(void *context), void *context, unsigned limit_seconds, uint64_t die_at,
               struct traced_counts *counts, struct child_end *out);

/* In the child. Of no effect where it is not traced. */
void traced_watch(bool on);
void traced_step(void);

#ifdef __cplusplus
}
#endif

#endif
