/* SPDX-License-Identifier: MIT */
/* The schedules that a command line asks for, as a table and JSON. */
#ifndef HARNESS_EXPLORE_REPORT_H
#define HARNESS_EXPLORE_REPORT_H

#include "faults/schedule.h"
#include "harness/explore.h"

/*
 * The options that say what is explored, for a table of options, and what takes them (false: a
 * wrong value); `is_asked` then says that schedules are wanted at all.
 */
enum {
    KEY_SCHEDULE = 0x280,
    KEY_SCHEDULES,
    KEY_EXHAUSTIVE,
    KEY_VISITS,
    KEY_DEPTH,
    KEY_PREEMPTIONS,
    KEY_MUTANT,
};
/* clang-format off */
#define SCHEDULE_OPTIONS                                                                           \
    {"schedule", KEY_SCHEDULE, "SEED", 0, "run them under the schedule of this seed", 1},          \
    {"schedules", KEY_SCHEDULES, "NUMBER", 0, "so many seeds from there on (1)", 1},               \
    {"exhaustive", KEY_EXHAUSTIVE, NULL, 0,                                                        \
     "every interleaving of lock operations, or as many as --schedules says", 1},                  \
    {"visits", KEY_VISITS, "NUMBER", 0, "that each makes under a schedule (3)", 1},                \
    {"depth", KEY_DEPTH, "NUMBER", 0, "of bugs that a schedule aims at, from 1 to 16 (3)", 1},     \
    {"preemptions", KEY_PREEMPTIONS, "NUMBER", 0, "of one interleaving, with --exhaustive (2)", 1}, \
    {"mutant", KEY_MUTANT, "NAME", 0, "wakes a bug of `tmf list mutants`, which is to be found", 1}
/* clang-format on */
bool schedules_take(int key, const char *value, struct exploration *what, bool *is_asked);

/* For each (strategy, durability, index, quantum, workload). An enum status. */
int schedules_run(const struct arguments *arguments, struct exploration *what);

#endif
