/* SPDX-License-Identifier: MIT */
/* What became of a step of `tmf run`, or of a part of one. */
#ifndef HARNESS_RUN_OUTCOME_H
#define HARNESS_RUN_OUTCOME_H

#include <jansson.h>
#include <stdio.h>

struct outcome {
    int code; /* it exited with; -1: it did not exit by itself */
    json_int_t cases, violations;
    double seconds;
};

/* "held", "caught", "not run" or "failed". */
const char *outcome_word(int code);

/* What the JSON of a part says; nothing where there is none. */
void outcome_read(const json_t *envelope, struct outcome *outcome);

/* Its line in the table of steps. */
void outcome_print(FILE *to, const char *step, int expected, const struct outcome *outcome);

/* Numbers add up; of two codes the one that says more stays. */
void outcome_add(struct outcome *whole, const struct outcome *part);

#endif
