/* SPDX-License-Identifier: MIT */
/* A schedule of threads as text; explore.h has the form. */
#ifndef HARNESS_EXPLORE_CASE_H
#define HARNESS_EXPLORE_CASE_H

#include "faults/schedule.h"
#include "harness/explore.h"

/* `choices` holds SCHEDULE_DECISIONS_MAX of them. False: there are more than `to` holds. */
bool explore_case_format(const struct exploration *what, const struct schedule_plan *plan,
                         char to[EXPLORE_TEXT_MAX]);
bool explore_case_parse(const char *text, struct exploration *what, struct schedule_plan *plan,
                        struct schedule_decision *choices);

#endif
