/* SPDX-License-Identifier: MIT */
/*
 * Which images of a disk are looked at: all of them where there are few enough; else the extremes
 * first (everything old, everything newest, each variable alone newest, each alone old), then some
 * drawn by a seed. The n-th image of a state is always the same.
 */
#ifndef HARNESS_POWER_CHOICE_H
#define HARNESS_POWER_CHOICE_H

#include "faults/sim_disk.h"

#define POWER_VARIABLES_MAX 4096u

/* An alternative for every variable of a state. */
struct power_choice {
    uint32_t count;
    uint16_t alternative[POWER_VARIABLES_MAX];
};

/* The logarithm, base 10, of the number of images that are legal. */
double power_legal_log10(const struct sim_disk *disk);

/* How many are looked at, of a state whose variables are known; more than `limit` only where the
 * extremes alone are more and `with_extremes`. 0: it has too many variables. */
uint64_t power_choice_count(const struct sim_disk *disk, uint64_t limit, bool with_extremes);

/* The n-th of so many. */
void power_choose_nth(const struct sim_disk *disk, uint64_t n, uint64_t count, uint64_t seed,
                      struct power_choice *out);

/* Makes the disk show it. */
void power_choice_apply(struct sim_disk *disk, const struct power_choice *choice);

/*
 * As text: "old+3.1+17.2" is everything old but for alternatives 1 of variable 3 and 2 of 17;
 * "new-..." likewise, everything newest. Parsing needs the disk to know what is newest.
 */
void power_choice_format(const struct sim_disk *disk, const struct power_choice *choice, char *to,
                         size_t size);
bool power_choice_parse(const struct sim_disk *disk, const char *text, struct power_choice *out);

#endif
