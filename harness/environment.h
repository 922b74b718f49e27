/* SPDX-License-Identifier: MIT */
/*
 * What a measurement or a verdict depends on besides our code, as the "environment" of an envelope.
 * What cannot be found out is "unknown" and no error: an envelope without a device's name is better
 * than none. Sizes are in bytes; a limit of -1 is none.
 */
#ifndef HARNESS_ENVIRONMENT_H
#define HARNESS_ENVIRONMENT_H

#include <jansson.h>

/* As it is now; `dir` is the folder that is worked in, NULL: $TMPDIR, or /tmp. */
json_t *environment_describe(const char *dir);

/* What is different at the end of a run: the load. */
void environment_end(json_t *environment);

/* The revision that was built, as `environment_describe` has it. */
const char *environment_revision(void);

#endif
