/* SPDX-License-Identifier: MIT */
/*
 * What will disturb a measurement, judged by the environment that is recorded with it, before it
 * begins: a pure function of that, so that a result can be judged anew, and every judgement be
 * tested on a machine that has no such trouble.
 */
#ifndef HARNESS_DISTURBANCE_H
#define HARNESS_DISTURBANCE_H

#include <jansson.h>

/* A list of {"name", "what": a sentence of one line}; empty: nothing. What could not be found out
 * disturbs nobody. `disk_bytes` is what the measurement will need at most. */
json_t *disturbance_list(const json_t *environment, json_int_t disk_bytes);

#endif
