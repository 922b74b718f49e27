/* SPDX-License-Identifier: MIT */
/*
 * Processes that a schedule (faults/schedule.h) leads: started together, one goes on at a time. One
 * may die at a step of the plan, with all its threads: its parent sees it dead before anybody goes
 * on, so what it had locked is free, and that too is the same every time.
 */
#ifndef HARNESS_LED_H
#define HARNESS_LED_H

#include "faults/schedule.h"
#include "harness/difference.h"

struct led {
    const struct schedule_plan *plan; /* schedule_share() was called */
    unsigned count;
    unsigned later; /* threads that they will have beside their first, numbers from `count` on */
    /* What process `number`, from 0, does from its first turn to its last. */
    void (*live)(void *context, unsigned number);
    /* In the parent: it died by the plan. Or NULL. */
    void (*died)(void *context, unsigned number);
    void *context;
};

/* Returns when all have ended. False: one did not start or ended as it must not, and all were
 * killed; `what` says which. */
bool led_run(const struct led *led, struct difference *what);

#endif
