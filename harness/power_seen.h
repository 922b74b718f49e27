/* SPDX-License-Identifier: MIT */
/* The images that were recovered, by their hash, and what was found in each. */
#ifndef HARNESS_POWER_SEEN_H
#define HARNESS_POWER_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/power_recover.h"

struct power_seen {
    uint64_t hash; /* 0: nothing */
    uint32_t recovered, pages;
    bool holds, is_absent, is_reported;
};

struct power_table {
    struct power_seen *at;
    uint64_t places, count;
};

/* 0 or an errno. */
int power_table_make(struct power_table *table);
void power_table_free(struct power_table *table);

/* The entry of an image, or a new one with `*is_new`, until the next is looked for. NULL: there is
 * no memory for it. */
struct power_seen *power_table_find(struct power_table *table, uint64_t hash, bool *is_new);

void power_seen_set(struct power_seen *seen, const struct power_outcome *outcome);
struct power_outcome power_seen_get(const struct power_seen *seen);

#endif
