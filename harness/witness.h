/* SPDX-License-Identifier: MIT */
/*
 * Another process that has a storage open, and says on demand what it gets to see: whether it may
 * read.
 */
#ifndef HARNESS_WITNESS_H
#define HARNESS_WITNESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "harness/workload.h"

struct witness {
    pid_t pid; /* 0: there is none */
    int ask, answer;
};

/* Returns once it has the storage open. 0, an errno, or what its open returned. */
int witness_start(const struct workload_place *place, const char *path, struct witness *out);

/* What its next begin of reading returns goes to `out`. 0 or an errno. */
int witness_ask(const struct witness *witness, int *out);

/* It goes, without closing the storage; there may be none. */
void witness_end(struct witness *witness);

#endif
