/* SPDX-License-Identifier: MIT */
/* See power_case.h. */
#include "harness/power_case.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/points.h"
#include "harness/kill_case.h"
#include "harness/power_procs.h"

static const struct {
    const char *name;
    size_t tear;
} tears[] = {{"512", DISK_SECTOR}, {"4096", DISK_PAGE}, {"none", 0}};
#define TEAR_COUNT (sizeof(tears) / sizeof(tears[0]))

static const char *const models[] = {[DISK_POSIX] = "posix", [DISK_EXT4] = "ext4"};
#define MODEL_COUNT (sizeof(models) / sizeof(models[0]))

const char *power_tear_name(size_t tear)
{
    size_t n = 0;
    while (tears[n].tear != tear)
        n++;
    return tears[n].name;
}

bool power_tear_parse(const char *word, size_t *out)
{
    for (size_t n = 0; n < TEAR_COUNT; n++) {
        if (strcmp(tears[n].name, word) != 0)
            continue;
        *out = tears[n].tear;
        return true;
    }
    return false;
}

const char *power_model_name(enum disk_model model)
{
    return models[model];
}

bool power_model_parse(const char *word, enum disk_model *out)
{
    for (size_t n = 0; n < MODEL_COUNT; n++) {
        if (strcmp(models[n], word) != 0)
            continue;
        *out = (enum disk_model)n;
        return true;
    }
    return false;
}

void power_case_format(const struct power_settings *settings, char *to)
{
    char life[KILL_TEXT_MAX];
    struct kill_case whole = {.place = settings->place, .transactions = settings->transactions};
    kill_case_format(&whole, life);
    snprintf(to, POWER_TEXT_MAX, "power%s:tear=%s:fs=%s", life + strlen("kill"),
             power_tear_name(settings->tear), power_model_name(settings->model));
    size_t at = strlen(to);
    const struct power_procs *procs = &settings->procs;
    if (procs->count)
        at += (size_t)snprintf(
            to + at, POWER_TEXT_MAX - at, ":%s=%u:schedule=%" PRIu64 ":length=%" PRIu64,
            procs->is_mixed ? "mixed" : "procs", procs->count, procs->schedule, procs->length);
    if (procs->dies_at)
        at += (size_t)snprintf(to + at, POWER_TEXT_MAX - at, ":dies=%" PRIu64, procs->dies_at);
    if (procs->dies_before)
        snprintf(to + at, POWER_TEXT_MAX - at, ":before=%s", procs->dies_before);
}

void power_case_format_failures(struct power_explorer *explorer,
                                const struct power_settings *settings,
                                const struct power_failures *failures,
                                const struct faults_mutant *mutant, char *to)
{
    power_case_format(settings, to);
    for (unsigned n = 0; n < failures->count; n++) {
        size_t at = strlen(to);
        at += (size_t)snprintf(to + at, POWER_TEXT_MAX - at,
                               ":event=%" PRIu64 ":image=", failures->at[n].event);
        if (at < POWER_TEXT_MAX)
            power_choice_format(power_disk_at(explorer, n), &failures->at[n].choice, to + at,
                                POWER_TEXT_MAX - at);
    }
    size_t at = strlen(to);
    if (mutant)
        snprintf(to + at, POWER_TEXT_MAX - at, ":mutant=%s", mutant->name);
}

/* ---- parsing */

static bool parse_number(const char *value, uint64_t *out)
{
    char *end;
    *out = strtoull(value, &end, 10);
    return end != value && *end == 0;
}

static bool parse_event(const char *value, struct power_case *out)
{
    if (out->count == POWER_DEPTH_MAX)
        return false;
    out->images[out->count] = NULL;
    return parse_number(value, &out->events[out->count++]);
}

static bool parse_point(const char *name, const char **out)
{
    size_t n;
    if (faults_point_find(name, &n) != 0)
        return false;
    *out = faults_point_at(n)->name;
    return true;
}

/* Those who live it; *known: the pair is about them. */
static bool parse_procs(const char *key, const char *value, struct power_procs *out, bool *known)
{
    const struct {
        const char *key;
        uint64_t *to;
    } numbers[] = {{"schedule", &out->schedule}, {"length", &out->length}, {"dies", &out->dies_at}};
    uint64_t count;
    bool is_mixed = strcmp(key, "mixed") == 0;
    *known = true;
    if (strcmp(key, "before") == 0)
        return parse_point(value, &out->dies_before);
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        if (strcmp(key, numbers[n].key) == 0)
            return parse_number(value, numbers[n].to);
    }
    *known = is_mixed || strcmp(key, "procs") == 0;
    if (!*known || !parse_number(value, &count) || count < 2 || count > POWER_PROCS_MAX)
        return false;
    out->count = (unsigned)count;
    out->is_mixed = is_mixed;
    return true;
}

/* One KEY=VALUE of a failure. */
static bool parse_pair(char *pair, struct power_case *out)
{
    char *value = strchr(pair, '=');
    if (!value)
        return false;
    *value++ = 0;
    if (strcmp(pair, "tear") == 0)
        return power_tear_parse(value, &out->settings.tear);
    if (strcmp(pair, "fs") == 0)
        return power_model_parse(value, &out->settings.model);
    if (strcmp(pair, "event") == 0)
        return parse_event(value, out);
    if (strcmp(pair, "image") == 0 && out->count > 0) {
        out->images[out->count - 1] = value;
        return true;
    }
    bool known;
    bool parsed = parse_procs(pair, value, &out->settings.procs, &known);
    if (known || strcmp(pair, "mutant") != 0)
        return parsed;
    out->mutant = faults_mutant_find(value);
    return out->mutant != NULL;
}

static bool parse_life(const char *text, struct power_settings *out)
{
    char life[POWER_TEXT_MAX];
    struct kill_case whole;
    snprintf(life, sizeof(life), "kill%s", text + strlen("power"));
    if (!kill_case_parse(life, &whole) || whole.death.hit || whole.after_us ||
        whole.transactions > POWER_TRANSACTIONS_MAX)
        return false;
    out->place = whole.place;
    out->transactions = whole.transactions;
    power_size(&out->place);
    return true;
}

bool power_case_parse(const char *text, struct power_case *out)
{
    *out = (struct power_case){.settings = {.images = 1, .shard = 1, .shards = 1}};
    if (strncmp(text, "power:", strlen("power:")) != 0 ||
        (size_t)snprintf(out->copy, sizeof(out->copy), "%s", text) >= sizeof(out->copy))
        return false;
    char *rest = strstr(out->copy, ":tear=");
    if (!rest)
        return false;
    *rest++ = 0;
    if (!parse_life(out->copy, &out->settings))
        return false;
    char *next = NULL;
    for (char *pair = strtok_r(rest, ":", &next); pair; pair = strtok_r(NULL, ":", &next)) {
        if (!parse_pair(pair, out))
            return false;
    }
    out->settings.depth = out->count ? out->count : 1;
    for (unsigned n = 0; n < out->count; n++) {
        if (!out->images[n])
            return false;
    }
    const struct power_procs *procs = &out->settings.procs;
    bool are_led = procs->schedule || procs->length || procs->dies_at || procs->dies_before;
    return strstr(text, ":fs=") != NULL && (procs->count > 0 || !are_led);
}
