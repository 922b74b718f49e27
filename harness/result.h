/* SPDX-License-Identifier: MIT */
/*
 * What a command found, in the one envelope that all share:
 *
 *   {"schema": "tmf/1", "command", "arguments": [...], "skipped": [{"strategy", "missing"}],
 *    "seed", "environment": {...}, "cases", "violations",
 *    "failures": [{"case", "what", "replay"}], "metrics": {...}, "seconds"}
 *
 * What measured has "again" too, the line that does so again with every value that was used, and
 * "disturbances": [{"name", "what"}]. The environment is that of the beginning.
 *
 * Text for people goes to standard output, or to standard error where the JSON took that place.
 * Not for use by several threads at once.
 */
#ifndef HARNESS_RESULT_H
#define HARNESS_RESULT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/child.h"
#include "harness/command.h"
#include "harness/workload.h"

struct result;

/* Starts the clock. Ends the program where there is no memory. */
struct result *result_new(const struct arguments *arguments);

void result_add_cases(struct result *result, uint64_t count);

/* One violation, reported in full: printed at once, and one of "failures". `what` may have lines.
 */
void result_fail(struct result *result, const char *name, const char *what, const char *replay);

/* One more violation of a kind that was reported already: counted only. */
void result_count_violation(struct result *result);

/*
 * Before a violation is believed: ends the program with STATUS_CANNOT where the folder that the
 * cases work in is gone, or its disk is full. That is nobody's violation.
 */
void result_demand_scratch(struct result *result, const struct scratch *scratch);

uint64_t result_cases(const struct result *result);
uint64_t result_violations(const struct result *result);
double result_seconds(const struct result *result);

/* The "metrics" object, for the command to fill; borrowed. */
json_t *result_metrics(struct result *result);

/* The "environment" object, to be added to; borrowed. */
json_t *result_environment(struct result *result);

/* What disturbed it; takes the list over. */
void result_disturb(struct result *result, json_t *disturbances);

/* The words behind `tmf COMMAND` that measure the same again, whatever the defaults are by then;
 * the list ends in NULL. */
void result_again(struct result *result, const char *const words[]);

/* Where tables go; NULL-free: with --quiet it is a stream that swallows. */
FILE *result_text(struct result *result);

/* Writes the JSON, frees, and returns STATUS_HELD, STATUS_VIOLATION, or STATUS_CANNOT if the JSON
 * could not be written. */
int result_finish(struct result *result);

/* Frees it and writes nothing: nothing was found. */
void result_drop(struct result *result);

/* How an entry of "runs" begins: strategy, what that survives, durability, index and so on. */
json_t *place_describe(const struct workload_place *place);

#endif
