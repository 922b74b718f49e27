/* SPDX-License-Identifier: MIT */
/*
 * Which faults of the error model are tried, and in which order: in rounds, each fault once in
 * every round. First it strikes where the program comes to the call on a new way
 * (faults_io_place()), then at the other uses in a scattered order; so a campaign that is cut short
 * has been everywhere. What is done wrongly (error_misuse.h) is part of the first round.
 */
#ifndef HARNESS_ERROR_PLAN_H
#define HARNESS_ERROR_PLAN_H

#include "faults/io_faults.h"
#include "harness/error_misuse.h"

/* Of the calls in a life, or a recovery. */
struct error_uses {
    uint64_t made[FAULTS_CALLS];
    uint64_t *order[FAULTS_CALLS]; /* in which they are to fail; NULL: as it comes */
};

/* What has been counted since the last faults_io_arm(), which armed nothing. */
void error_uses_count(struct error_uses *uses, uint64_t seed);
void error_uses_free(struct error_uses *uses);

struct error_item {
    size_t origin; /* the life, or the recovery */
    struct faults_fault fault;
    const struct error_misuse *misuse; /* instead; NULL: none */
};

struct error_plan {
    struct error_item *items;
    size_t count, size;
};

struct error_wish {
    size_t origin_count;
    const char *only_call; /* as faults_call_name() has it; NULL: all, */
    bool misuses;          /* and then these too */
    bool one_errno;        /* of each kind of answer that a call may give */
    uint64_t seed;
};

/* The caller frees the items. False: no memory. */
bool error_plan_make(const struct error_wish *wish, const struct error_uses *const *uses,
                     struct error_plan *out);

#endif
