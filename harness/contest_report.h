/* SPDX-License-Identifier: MIT */
/*
 * What contests found, as tables and as metrics of the envelope:
 *   runs   for each contest: who contended, what was done and found, and the waits for the lock
 *   waits  for each contest, the waits by kind: all, of readers, of writers, those during which a
 *          lock holder was killed, and the time from such a kill to the next one inside
 * Every read and every transaction was verified, and is a case.
 */
#ifndef HARNESS_CONTEST_REPORT_H
#define HARNESS_CONTEST_REPORT_H

#include "harness/contest.h"
#include "harness/result.h"

void report_head(struct result *result);
void report_contest(struct result *result, const struct contest *contest, double seconds);
void report_waits(struct result *result);

#endif
