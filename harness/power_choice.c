/* SPDX-License-Identifier: MIT */
/* See power_choice.h. */
#include "harness/power_choice.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/random.h"

#define COUNT_MOST (UINT64_C(1) << 40)

double power_legal_log10(const struct sim_disk *disk)
{
    double sum = 0;
    for (uint32_t n = 0; n < disk->variable_count; n++)
        sum += log10(disk->variables[n].count);
    return sum;
}

/* COUNT_MOST: so many or more. */
static uint64_t legal(const struct sim_disk *disk)
{
    uint64_t product = 1;
    for (uint32_t n = 0; n < disk->variable_count && product < COUNT_MOST; n++)
        product *= disk->variables[n].count;
    return product < COUNT_MOST ? product : COUNT_MOST;
}

uint64_t power_choice_count(const struct sim_disk *disk, uint64_t limit, bool with_extremes)
{
    uint64_t all = legal(disk);
    uint64_t extremes = 2 + 2 * (uint64_t)disk->variable_count;
    if (disk->variable_count > POWER_VARIABLES_MAX)
        return 0;
    if (with_extremes && limit < extremes)
        limit = extremes;
    return all < limit ? all : limit;
}

static uint16_t newest(const struct sim_disk *disk, uint32_t variable)
{
    return (uint16_t)(disk->variables[variable].count - 1);
}

static void choose_all(const struct sim_disk *disk, bool new, struct power_choice *out)
{
    for (uint32_t n = 0; n < out->count; n++)
        out->alternative[n] = new ? newest(disk, n) : 0;
}

/* The digits of a number whose places have as many values as the variables have alternatives. */
static void choose_by_number(const struct sim_disk *disk, uint64_t number, struct power_choice *out)
{
    for (uint32_t n = 0; n < out->count; n++) {
        out->alternative[n] = (uint16_t)(number % disk->variables[n].count);
        number /= disk->variables[n].count;
    }
}

/* Some images are mostly old, some mostly new. */
static void draw(const struct sim_disk *disk, uint64_t number, uint64_t seed,
                 struct power_choice *out)
{
    uint64_t bias = random_below(seed, number, 0, 4);
    for (uint32_t n = 0; n < out->count; n++) {
        uint64_t bits = random_bits(seed, number, n + 1);
        bool is_biased = bias < 2 && (bits >> 56) % 4 != 0;
        uint16_t any = (uint16_t)((bits & UINT32_MAX) % disk->variables[n].count);
        out->alternative[n] = !is_biased ? any : bias ? newest(disk, n) : 0;
    }
}

void power_choose_nth(const struct sim_disk *disk, uint64_t n, uint64_t count, uint64_t seed,
                      struct power_choice *out)
{
    uint64_t variables = disk->variable_count;
    out->count = disk->variable_count;
    if (legal(disk) <= count) {
        choose_by_number(disk, n, out);
    } else if (n < 2 + 2 * variables) {
        bool inverted = n >= 2 + variables; /* one old among new ones */
        choose_all(disk, n == 1 || inverted, out);
        uint32_t single = (uint32_t)(n - 2 - (inverted ? variables : 0));
        if (n >= 2)
            out->alternative[single] = inverted ? 0 : newest(disk, single);
    } else {
        draw(disk, n, seed, out);
    }
}

void power_choice_apply(struct sim_disk *disk, const struct power_choice *choice)
{
    sim_disk_choose_all(disk, false);
    for (uint32_t n = 0; n < choice->count; n++) {
        if (choice->alternative[n])
            sim_disk_choose(disk, n, choice->alternative[n]);
    }
}

/* ---- as text */

static uint32_t count_new(const struct sim_disk *disk, const struct power_choice *choice)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < choice->count; n++)
        count += choice->alternative[n] == newest(disk, n);
    return count;
}

void power_choice_format(const struct sim_disk *disk, const struct power_choice *choice, char *to,
                         size_t size)
{
    bool from_new = count_new(disk, choice) > choice->count / 2;
    size_t at = (size_t)snprintf(to, size, "%s", from_new ? "new" : "old");
    for (uint32_t n = 0; n < choice->count && at < size; n++) {
        uint16_t usual = from_new ? newest(disk, n) : 0;
        if (choice->alternative[n] != usual)
            at +=
                (size_t)snprintf(to + at, size - at, "+%" PRIu32 ".%u", n, choice->alternative[n]);
    }
}

bool power_choice_parse(const struct sim_disk *disk, const char *text, struct power_choice *out)
{
    bool from_new = strncmp(text, "new", 3) == 0;
    if (disk->variable_count > POWER_VARIABLES_MAX || (!from_new && strncmp(text, "old", 3) != 0))
        return false;
    out->count = disk->variable_count;
    choose_all(disk, from_new, out);
    for (text += 3; *text;) {
        uint32_t variable;
        uint16_t alternative;
        int end = 0;
        if (sscanf(text, "+%" SCNu32 ".%" SCNu16 "%n", &variable, &alternative, &end) != 2 ||
            variable >= out->count || alternative > newest(disk, variable))
            return false;
        out->alternative[variable] = alternative;
        text += end;
    }
    return true;
}
