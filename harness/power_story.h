/* SPDX-License-Identifier: MIT */
/* The shortest form of a violation of the power model, and its telling. */
#ifndef HARNESS_POWER_STORY_H
#define HARNESS_POWER_STORY_H

#include "harness/power_explore.h"

#define POWER_STORY_MAX ((size_t)8192)

/* Drops, from the last failure, whatever need not have reached the medium for the violation; what
 * is kept is kept in the oldest version that does. `failures` violate. */
void power_shrink(struct power_explorer *explorer, struct power_failures *failures);

/* Tells it: what was acknowledged, what had reached the medium and what not, what recovery did and
 * found. `to` holds POWER_STORY_MAX bytes. */
void power_tell(struct power_explorer *explorer, const struct power_failures *failures, char *to);

#endif
