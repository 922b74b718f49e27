/* SPDX-License-Identifier: MIT */
/* `tmf kill --engine A,B` and the replay of its cases (engine_case.h). */
#ifndef HARNESS_ENGINE_KILL_H
#define HARNESS_ENGINE_KILL_H

#include "harness/command.h"

/* The campaign over the engines of that list, "all" for all; returns enum status. */
int engine_kill_run(const struct arguments *arguments, const char *engines, uint64_t transactions,
                    unsigned patience);

bool engine_kill_is_case(const char *name);
int engine_kill_replay(const struct arguments *arguments, const char *name);

#endif
