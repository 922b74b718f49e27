/* SPDX-License-Identifier: MIT */
/* Results of the parts of one campaign, as one. */
#ifndef HARNESS_MERGE_H
#define HARNESS_MERGE_H

#include <jansson.h>

/* A copy of the first part to which others are added: its command line is that of the whole. */
json_t *merge_start(const json_t *part);

/*
 * Adds an envelope to one of the same command: cases, violations, seconds, failures; benchmarks are
 * appended; runs of the same place are added up, where the numbers are counts, and others appended.
 */
void merge_envelope(json_t *whole, const json_t *part);

#endif
