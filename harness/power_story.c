/* SPDX-License-Identifier: MIT */
/* See power_story.h. */
#include "harness/power_story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_TOLD 12 /* of a list */
#define LINES_TOLD 14 /* of what recovery does */

/* ---- shrinking */

static bool still_fails(struct power_explorer *explorer, const struct power_failures *failures)
{
    struct power_outcome outcome;
    struct difference what;
    return !power_try(explorer, failures, NULL, &outcome, &what);
}

/* The oldest alternative with which it still fails. */
static bool lower(struct power_explorer *explorer, struct power_failures *failures,
                  uint16_t *alternative)
{
    uint16_t was = *alternative;
    for (*alternative = 0; *alternative < was; (*alternative)++) {
        if (still_fails(explorer, failures))
            return true;
    }
    return false;
}

void power_shrink(struct power_explorer *explorer, struct power_failures *failures)
{
    struct power_choice *choice = &failures->at[failures->count - 1].choice;
    bool is_shorter = true;
    while (is_shorter) {
        is_shorter = false;
        for (uint32_t n = 0; n < choice->count; n++)
            is_shorter |=
                choice->alternative[n] && lower(explorer, failures, &choice->alternative[n]);
    }
}

/* ---- telling */

struct story {
    char *at;
    size_t left;
    struct power_explorer *explorer;
    unsigned depth; /* of the failure that is told about */
};

static void tell(struct story *story, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(struct story *story, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = vsnprintf(story->at, story->left, format, list);
    va_end(list);
    size_t told = length < 0 ? 0 : (size_t)length;
    if (told >= story->left)
        told = story->left ? story->left - 1 : 0;
    story->at += told;
    story->left -= told;
}

/* What the file was called last. */
static const char *name_of(const struct sim_disk *disk, uint32_t file)
{
    for (uint32_t back = 0; back < DISK_VALUES; back++) {
        for (uint32_t n = 0; n < disk->memory->name_count; n++) {
            const struct disk_values *name = &disk->names[n];
            if (back < name->count && name->at[name->count - 1 - back].value == file)
                return disk->memory->names[n];
        }
    }
    return "a file that has no name";
}

/* When an event happened, as the one who works with the storage knows it. */
static void tell_when(struct story *story, const struct claim *claim)
{
    if (!claim->created)
        tell(story, "at creation");
    else if (claim->acknowledged < claim->begun)
        tell(story, "in transaction %" PRIu64, claim->begun);
    else
        tell(story, "after transaction %" PRIu64, claim->acknowledged);
}

static void tell_event(struct story *story, const struct disk_event *event)
{
    if (event->kind == DISK_SIZE)
        tell(story, "made zero by a new size, ");
    else if (event->is_store)
        tell(story, "stored to through the mapping, by the step after %s, ", event->where);
    else
        tell(story, "written by %s of %" PRIu64 " bytes at %" PRIu64 ", ", event->where,
             event->size, event->at);
    if (event->process)
        tell(story, "by process %u, ", event->process);
    tell_when(story, power_claim_at(story->explorer, story->depth, event->mark));
}

static void tell_unit(struct story *story, const struct sim_disk *disk,
                      const struct disk_item *item, const struct disk_version *version)
{
    uint64_t at = item->unit * (uint64_t)disk->unit_size;
    tell(story, "%s, page %" PRIu64, name_of(disk, item->file), at / DISK_PAGE);
    if (disk->unit_size < DISK_PAGE)
        tell(story, ", sector %" PRIu64, at % DISK_PAGE / DISK_SECTOR);
    if (version && version->event) {
        tell(story, ": as ");
        tell_event(story, version->event);
    }
}

static void tell_value(struct story *story, const struct sim_disk *disk,
                       const struct disk_item *item, uint64_t value)
{
    if (item->kind == DISK_ITEM_SIZE)
        tell(story, "the size of %s: %" PRIu64, name_of(disk, item->file), value);
    else if (value == DISK_NO_FILE)
        tell(story, "the name %s: gone", disk->memory->names[item->file]);
    else
        tell(story, "the name %s: there", disk->memory->names[item->file]);
}

static void tell_item(struct story *story, const struct sim_disk *disk,
                      const struct disk_item *item)
{
    if (item->kind == DISK_ITEM_UNIT)
        tell_unit(story, disk, item, sim_disk_unit(disk, item->file, item->unit));
    else
        tell_value(story, disk, item,
                   item->kind == DISK_ITEM_SIZE ? sim_disk_size(disk, item->file)
                                                : sim_disk_file_of(disk, item->file));
}

static const struct disk_item *item_of(const struct sim_disk *disk, uint32_t variable)
{
    return &disk->items[disk->variables[variable].item];
}

static void tell_arrived(struct story *story, const struct sim_disk *disk,
                         const struct power_choice *choice)
{
    unsigned told = 0;
    tell(story, "of what was not synced, this had reached the medium:\n");
    for (uint32_t n = 0; n < choice->count; n++) {
        if (!choice->alternative[n] || told++ >= ITEMS_TOLD)
            continue;
        tell(story, "  ");
        tell_item(story, disk, item_of(disk, n));
        if (disk->variables[n].count > 2)
            tell(story, " (version %u of %u)", choice->alternative[n],
                 disk->variables[n].count - 1);
        tell(story, "\n");
    }
    if (told > ITEMS_TOLD)
        tell(story, "  and %u more\n", told - ITEMS_TOLD);
    if (told == 0)
        tell(story, "  nothing\n");
}

/* Units of a file that stayed as they were. */
static void tell_lost_of(struct story *story, const struct sim_disk *disk, uint32_t file,
                         const struct power_choice *choice)
{
    unsigned units = 0;
    const struct disk_event *first = NULL;
    for (uint32_t n = 0; n < choice->count; n++) {
        const struct disk_item *item = item_of(disk, n);
        if (item->kind != DISK_ITEM_UNIT || item->file != file || choice->alternative[n])
            continue;
        if (units++ == 0)
            first = disk->files[file].units[item->unit].newest->event;
    }
    if (!first)
        return;
    tell(story, "  %u %s%s of %s, the first of them ", units,
         disk->unit_size < DISK_PAGE ? "sector" : "page", units > 1 ? "s" : "",
         name_of(disk, file));
    tell_event(story, first);
    tell(story, "\n");
}

static void tell_lost(struct story *story, const struct sim_disk *disk,
                      const struct power_choice *choice)
{
    tell(story, "and this had not:\n");
    const char *before = story->at;
    for (uint32_t n = 0; n < choice->count; n++) {
        const struct disk_item *item = item_of(disk, n);
        if (item->kind == DISK_ITEM_UNIT || choice->alternative[n])
            continue;
        tell(story, "  still ");
        tell_item(story, disk, item);
        tell(story, "\n");
    }
    for (uint32_t file = 0; file < DISK_FILES; file++)
        tell_lost_of(story, disk, file, choice);
    if (story->at == before)
        tell(story, "  nothing\n");
}

static void tell_last(struct story *story, const struct disk_event *last, uint64_t event,
                      size_t count)
{
    tell(story, "after %s%s", last->is_store ? "a store, by the step after " : "", last->where);
    if (last->process)
        tell(story, " of process %u", last->process);
    tell(story, " (event %" PRIu64 " of %zu)\n", event, count);
}

static void tell_failure(struct story *story, struct power_explorer *explorer,
                         const struct power_failures *failures, unsigned depth)
{
    const struct disk_events *events = power_events_at(explorer, depth);
    const struct sim_disk *disk = power_disk_at(explorer, depth);
    uint64_t event = failures->at[depth].event;
    const struct disk_event *last = event ? &events->at[event - 1] : NULL;
    story->depth = depth;
    tell(story, "%s", depth ? "in the recovery from that, power fails again " : "power fails ");
    if (last && last->kind == DISK_MARK)
        tell(story, "when event %" PRIu64 " of %zu has happened\n", event, events->count);
    else if (last)
        tell_last(story, last, event, events->count);
    else
        tell(story, "before anything has happened\n");
    tell_arrived(story, disk, &failures->at[depth].choice);
    tell_lost(story, disk, &failures->at[depth].choice);
}

/* One line of the trace is "CALL FILE AT SIZE"; those of a call and file in a row are one. */
static void tell_trace(struct story *story, char *trace)
{
    char call[32], file[64], last_call[32] = "", last_file[64] = "";
    unsigned long long at, size, bytes = 0;
    unsigned count = 0, lines = 0;
    char *rest = NULL;
    char *line = strtok_r(trace, "\n", &rest);
    for (; lines < LINES_TOLD; line = strtok_r(NULL, "\n", &rest)) {
        bool read = line && sscanf(line, "%31s %63s %llu %llu", call, file, &at, &size) == 4;
        if (read && strcmp(call, last_call) == 0 && strcmp(file, last_file) == 0) {
            count++;
            bytes += size;
            continue;
        }
        if (count && bytes)
            tell(story, "  %s %s, %u times, %llu bytes\n", last_call, last_file, count, bytes);
        else if (count)
            tell(story, "  %s %s\n", last_call, last_file);
        lines += count > 0;
        if (!read)
            break;
        snprintf(last_call, sizeof(last_call), "%s", call);
        snprintf(last_file, sizeof(last_file), "%s", file);
        count = 1;
        bytes = size;
    }
}

static void tell_end(struct story *story, const struct claim *claim,
                     const struct power_outcome *outcome, const struct difference *what)
{
    if (outcome->is_absent)
        tell(story, "it finds no storage, and makes one\n");
    else if (outcome->recovered != VERDICT_UNKNOWN)
        tell(story, "it shows transaction %" PRIu64 "\n", outcome->recovered);
    tell(story, "%s\n", what->what);
    if (!claim->created)
        tell(story, "it should have found transaction 0, or no storage at all");
    else if (claim->acknowledged == claim->begun)
        tell(story, "it should have found transaction %" PRIu64, claim->begun);
    else
        tell(story, "it should have found transaction %" PRIu64 " to %" PRIu64 ", whole",
             claim->acknowledged, claim->begun);
}

void power_tell(struct power_explorer *explorer, const struct power_failures *failures, char *to)
{
    struct story story = {.at = to, .left = POWER_STORY_MAX, .explorer = explorer};
    struct power_outcome outcome;
    struct difference what = {""};
    char *trace = NULL;
    size_t trace_size = 0;
    to[0] = 0;
    FILE *stream = open_memstream(&trace, &trace_size);
    power_try(explorer, failures, stream, &outcome, &what);
    if (stream)
        fclose(stream);
    const struct claim *claim = power_claim_of(explorer, failures);
    tell(&story, "%sacknowledged %" PRIu64 ", begun %" PRIu64 "\n",
         claim->created ? "" : "creation was not acknowledged; ", claim->acknowledged,
         claim->begun);
    for (unsigned depth = 0; depth < failures->count; depth++)
        tell_failure(&story, explorer, failures, depth);
    tell(&story, "recovery:\n");
    if (trace)
        tell_trace(&story, trace);
    free(trace);
    tell_end(&story, claim, &outcome, &what);
}
