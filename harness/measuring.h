/* SPDX-License-Identifier: MIT */
/*
 * What goes around a measurement, whichever command makes it: a folder to work in, the cores to run
 * on, and the check of what will disturb it, of which each is said in a line on standard error and
 * kept in the result. With --strict nothing is measured where there is any.
 */
#ifndef HARNESS_MEASURING_H
#define HARNESS_MEASURING_H

#include "harness/result.h"

struct measuring {
    const char *program;   /* of benchmarks, seen from the folder of ours; it says what it loads;
                              NULL: several, or none */
    json_int_t disk_bytes; /* that it will need at most; 0: nothing is measured, so not checked */
    /* Measures, with its files in `folder`. What it returns other than STATUS_HELD is the status of
     * all; of STATUS_CANNOT and STATUS_USAGE there is no result. */
    int (*measure)(const struct arguments *arguments, struct result *result, const char *folder);
};

/* In --dir, or in the current folder: $TMPDIR may be memory, where syncs cost nothing. */
int measuring_run(const struct arguments *arguments, const struct measuring *how);

#endif
