/* SPDX-License-Identifier: MIT */
/* What `tmf run` runs: the steps, in this order, and how much of them each profile has. */
#ifndef HARNESS_RUN_PLAN_H
#define HARNESS_RUN_PLAN_H

#include <stdbool.h>

#include "harness/command.h"

#define FILTERS_MAX 8

enum { RUN_STEPS = 11, RUN_PROFILES = 2 };

struct step {
    const char *name;
    const char *words[8];
    double share;    /* of the time of the run; 0: not a campaign, has no --time */
    unsigned weight; /* how many of its cases one of --cases stands for; 0: it goes by time alone */
    enum status expected;
    bool in_memory; /* where there is no --dir: a killed process leaves the page cache as it is, so
                       a storage in memory shows the same as one on a disk, many times faster */
};

struct profile {
    const char *name;
    double time_seconds;    /* of the campaigns together; the benchmarks come on top */
    unsigned limit_seconds; /* of a part that hangs */
    bool in_parts;
    const char *bench[4];
    const char *filters[FILTERS_MAX]; /* of the parts of the benchmarks */
};

extern const struct step run_steps[RUN_STEPS];
extern const struct profile run_profiles[RUN_PROFILES]; /* the first is the default */

#endif
