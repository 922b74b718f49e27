/* SPDX-License-Identifier: MIT */
/* What the child of an error case does. See error_case.h for what it demands. */
#ifndef HARNESS_ERROR_LIFE_H
#define HARNESS_ERROR_LIFE_H

#include "harness/error_case.h"

struct error_job {
    const struct error_case *one;
    struct kill_life *life;
    struct error_record *record;
    const char *disk; /* folder of the disk that is full; NULL: none */
    char path[KILL_PATH_MAX];
};

/* Bodies of children, with a struct error_job: a whole life; the recovery of a dead one's storage
 * and some work. */
int error_live(void *job);
int error_recover(void *job);

#endif
