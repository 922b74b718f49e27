/* SPDX-License-Identifier: MIT */
/* The schedules that a command line asks for, as a table and JSON. */
#ifndef HARNESS_EXPLORE_REPORT_H
#define HARNESS_EXPLORE_REPORT_H

#include "faults/schedule.h"
#include "harness/explore.h"

/* For each (strategy, durability, index, quantum, workload). An enum status. */
int schedules_run(const struct arguments *arguments, struct exploration *what);

#endif
