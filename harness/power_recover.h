/* SPDX-License-Identifier: MIT */
/*
 * What is done with an image: the library opens it, in this process, from memory
 * (faults/memory_fs.h), and what is there is judged by the rule of oracle.h. What does not depend
 * on what was known when power failed is judged here: that it opens, the lock is free, content,
 * blocks and heap are those of the number R it shows, that nothing is left open, and that work goes
 * on.
 *
 * Content that was judged once is known by its hash, address and R; an arena that is the same to
 * the last byte is not judged again.
 *
 * A strategy that has to be told of stores needs no page to fault, and nor does one that maps the
 * arena shared as long as nothing is stored; so two recover: redo-declared, which takes over a redo
 * log, and undo-fsync, which publishes it. To go on, all of the arena is declared.
 */
#ifndef HARNESS_POWER_RECOVER_H
#define HARNESS_POWER_RECOVER_H

#include "harness/oracle.h"
#include "harness/power_life.h"

/* The n-th strategy that survives power loss and needs no page fault; NULL past the last. */
const char *power_recoverer(size_t n);

struct power_outcome {
    bool holds;
    bool is_absent;     /* there was no storage; one was made */
    bool went_on;       /* work was seen to go on */
    uint64_t recovered; /* R; VERDICT_UNKNOWN: it did not get so far */
    size_t size;        /* of the arena, bytes */
    uint64_t changes;   /* of files, and syncs, until it was open */
};

struct power_judge;
/* NULL: no memory. */
struct power_judge *power_judge_new(const struct workload_place *place, uint64_t transactions);
void power_judge_free(struct power_judge *judge);

/* Called when the storage is open, with R. For recordings of the recovery. */
typedef void power_recovered(void *context, const struct power_outcome *outcome);

struct power_recovery {
    const char *by;             /* a power_recoverer() */
    bool goes_on;               /* one more transaction, and another open */
    power_recovered *recovered; /* NULL: nobody wants to know */
    void *context;
};

/* The image is loaded and in use. `what`: why it does not hold. */
void power_recover(struct power_judge *judge, const struct power_recovery *how,
                   struct power_outcome *out, struct difference *what);

/* By what was known when power failed. */
bool power_within(const struct claim *claim, const struct power_outcome *outcome,
                  struct difference *what);

#endif
