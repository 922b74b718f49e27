/* SPDX-License-Identifier: MIT */
/*
 * The oracle: what a storage must hold, and the rule for what a failure may leave.
 *
 * The rule. Say `acknowledged` is the last transaction whose commit returned, `begun` the last one
 * that was started, and R the number that is found afterwards. Then
 *
 *   1. the storage opens, and its lock is free
 *   2. acknowledged <= R <= begun
 *   3. the content is the model's at R: every byte, every block, no block too many
 *   4. every invariant of the heap holds
 *   5. work goes on: more transactions commit and 3 and 4 hold after each, and after reopening
 */
#ifndef HARNESS_ORACLE_H
#define HARNESS_ORACLE_H

#include "harness/workload.h"

/* A model that can be moved to any transaction; moving forward costs only the steps between. */
struct oracle;
struct oracle *oracle_new(const struct workload *workload, uint64_t seed); /* NULL: no memory */
void oracle_free(struct oracle *oracle);

/* The model moved to transaction k; and another one that stands where this one does. */
void oracle_move(struct oracle *oracle, uint64_t k);
struct oracle *oracle_copy(const struct oracle *oracle); /* NULL: no memory */

/* Is the content the model's at transaction k? Looks at the content only (rule 3, without blocks).
 */
bool oracle_equal(struct oracle *oracle, const struct view *view, uint64_t k,
                  struct difference *out);

/*
 * Rules 3 and 4 for the R that `root` names. The caller holds a reader or writer of `storage`,
 * whose root this is. Costs a walk over the heap.
 */
bool oracle_verify(struct oracle *oracle, tmf_storage *storage, const void *root,
                   struct difference *out);

/* What is known about the life that ended. */
struct claim {
    bool created;          /* the first open had returned */
    uint64_t acknowledged; /* number of the last transaction whose commit returned */
    uint64_t begun;        /* number of the last that was started */
    size_t size_min;       /* the least the arena may have, bytes; 0: anything */
};

#define VERDICT_UNKNOWN UINT64_MAX
struct verdict {
    bool holds;
    uint64_t recovered; /* R, or VERDICT_UNKNOWN where that was not reached */
    struct difference difference;
};

/*
 * The whole rule. No other process has the storage open. Runs code under test on damaged files:
 * call it in a child with a time limit (child.h), and take its death for a violation.
 */
void oracle_judge(const struct workload_place *place, const char *path, const struct claim *claim,
                  struct verdict *out);

#endif
