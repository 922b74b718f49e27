/* SPDX-License-Identifier: MIT */
/* See sim_disk.h: the images that a disk may leave, as variables and their alternatives. */
#include <string.h>

#include "faults/sim_disk.h"

/* The finisher of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_at(uint64_t hash, uint64_t place)
{
    return hash ? mix(hash + place * 0x9e3779b97f4a7c15u) : 0;
}

/* ---- what there is at a time */

static struct disk_version *version_at(const struct disk_unit *unit, uint64_t time)
{
    struct disk_version *version = unit->oldest;
    while (version && version->newer && version->newer->time <= time)
        version = version->newer;
    return version;
}

static uint64_t value_at(const struct disk_values *values, uint64_t time)
{
    uint32_t n = 0;
    while (n + 1 < values->count && values->at[n + 1].time <= time)
        n++;
    return values->at[n].value;
}

static struct disk_values *values_of(struct sim_disk *disk, const struct disk_item *item)
{
    return item->kind == DISK_ITEM_SIZE ? &disk->files[item->file].size : &disk->names[item->file];
}

static uint64_t item_hash(struct sim_disk *disk, const struct disk_item *item, uint64_t time)
{
    if (item->kind != DISK_ITEM_UNIT)
        return value_at(values_of(disk, item), time) + 1;
    const struct disk_version *version =
        version_at(&disk->files[item->file].units[item->unit], time);
    return version ? version->hash : 0;
}

/* ---- building variables */

static struct disk_variable *begin_variable(struct sim_disk *disk)
{
    struct disk_variable *variable = &disk->variables[disk->variable_count];
    *variable = (struct disk_variable){.item = disk->item_count, .time = disk->time_count};
    return variable;
}

static void add_item(struct sim_disk *disk, struct disk_variable *variable, struct disk_item item)
{
    if (disk->item_count == DISK_VARIABLES || disk->variable_count == DISK_VARIABLES - 1) {
        disk->is_full = true;
        return;
    }
    disk->items[disk->item_count++] = item;
    variable->item_count++;
}

static void add_time(struct sim_disk *disk, struct disk_variable *variable, uint64_t time)
{
    if (disk->time_count == DISK_TIMES) {
        disk->is_full = true;
        return;
    }
    disk->times[disk->time_count++] = time;
    variable->count++;
}

static void add_times_of(struct sim_disk *disk, struct disk_variable *variable,
                         const struct disk_item *item)
{
    if (item->kind == DISK_ITEM_UNIT) {
        const struct disk_version *version = disk->files[item->file].units[item->unit].oldest;
        for (version = version->newer; version; version = version->newer)
            add_time(disk, variable, version->time);
        return;
    }
    const struct disk_values *values = values_of(disk, item);
    for (uint32_t n = 1; n < values->count; n++)
        add_time(disk, variable, values->at[n].time);
}

static void sort_times(uint64_t *times, uint32_t count)
{
    for (uint32_t n = 1; n < count; n++) {
        uint64_t time = times[n];
        uint32_t at = n;
        for (; at > 0 && times[at - 1] > time; at--)
            times[at] = times[at - 1];
        times[at] = time;
    }
}

static bool is_same(struct sim_disk *disk, const struct disk_variable *variable, uint64_t time,
                    uint64_t other)
{
    for (uint32_t n = 0; n < variable->item_count; n++) {
        const struct disk_item *item = &disk->items[variable->item + n];
        if (item_hash(disk, item, time) != item_hash(disk, item, other))
            return false;
    }
    return true;
}

/* Alternatives that show the same are one. */
static void drop_equal(struct sim_disk *disk, struct disk_variable *variable)
{
    uint64_t *times = disk->times + variable->time;
    uint32_t kept = 0;
    for (uint32_t n = 0; n < variable->count; n++) {
        bool is_known = false;
        for (uint32_t other = 0; other < kept && !is_known; other++)
            is_known = is_same(disk, variable, times[other], times[n]);
        if (!is_known)
            times[kept++] = times[n];
    }
    variable->count = kept;
}

static void end_variable(struct sim_disk *disk, struct disk_variable *variable)
{
    add_time(disk, variable, 0);
    for (uint32_t n = 0; n < variable->item_count; n++)
        add_times_of(disk, variable, &disk->items[variable->item + n]);
    sort_times(disk->times + variable->time, variable->count);
    drop_equal(disk, variable);
    if (variable->count < 2) {
        disk->item_count = variable->item;
        disk->time_count = variable->time;
        return;
    }
    disk->time_count = variable->time + variable->count;
    disk->variable_count++;
}

/* Whether one call wrote them both. */
static bool share_a_call(const struct disk_unit *unit, const struct disk_unit *other)
{
    for (const struct disk_version *a = unit->oldest->newer; a; a = a->newer) {
        for (const struct disk_version *b = other->oldest->newer; b; b = b->newer) {
            if (a->time == b->time)
                return true;
        }
    }
    return false;
}

/* The units of a file that go with the item's, and with those that go with them, and so on. */
static void add_linked(struct sim_disk *disk, struct disk_variable *variable, uint32_t number,
                       bool *taken)
{
    const struct disk_file *file = &disk->files[number];
    for (uint32_t at = 0; at < variable->item_count; at++) {
        uint32_t unit = disk->items[variable->item + at].unit;
        for (uint32_t n = 0; n < file->pending_count; n++) {
            uint32_t other = file->pending[n];
            if (taken[other] || !share_a_call(&file->units[unit], &file->units[other]))
                continue;
            taken[other] = true;
            add_item(disk, variable, (struct disk_item){DISK_ITEM_UNIT, number, other});
        }
    }
}

static void vary_file_whole(struct sim_disk *disk, uint32_t number)
{
    const struct disk_file *file = &disk->files[number];
    bool taken[DISK_FILE_BYTES / DISK_PAGE] = {false};
    for (uint32_t n = 0; n < file->pending_count; n++) {
        uint32_t unit = file->pending[n];
        if (taken[unit])
            continue;
        taken[unit] = true;
        struct disk_variable *variable = begin_variable(disk);
        add_item(disk, variable, (struct disk_item){DISK_ITEM_UNIT, number, unit});
        add_linked(disk, variable, number, taken);
        end_variable(disk, variable);
    }
}

static void vary_file(struct sim_disk *disk, uint32_t number)
{
    const struct disk_file *file = &disk->files[number];
    for (uint32_t n = 0; n < file->pending_count; n++) {
        struct disk_variable *variable = begin_variable(disk);
        add_item(disk, variable, (struct disk_item){DISK_ITEM_UNIT, number, file->pending[n]});
        end_variable(disk, variable);
    }
}

static void vary_names(struct sim_disk *disk)
{
    for (uint32_t n = 0; n < DISK_NAMES; n++) {
        struct disk_variable *variable = begin_variable(disk);
        add_item(disk, variable, (struct disk_item){DISK_ITEM_NAME, n, 0});
        end_variable(disk, variable);
    }
}

static void vary_journal(struct sim_disk *disk)
{
    struct disk_variable *variable = begin_variable(disk);
    for (uint32_t n = 0; n < DISK_FILES; n++)
        add_item(disk, variable, (struct disk_item){DISK_ITEM_SIZE, n, 0});
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        add_item(disk, variable, (struct disk_item){DISK_ITEM_NAME, n, 0});
    end_variable(disk, variable);
}

/* What all images have in common. */
static void sum_settled(const struct sim_disk *disk, struct disk_file *file)
{
    for (uint32_t n = 0; n < file->size.count; n++) {
        uint64_t end = file->size.at[n].value / disk->unit_size;
        file->settled[n] = 0;
        for (uint32_t unit = 0; unit < file->unit_count && unit < end; unit++) {
            const struct disk_unit *one = &file->units[unit];
            if (!one->is_pending && one->newest)
                file->settled[n] += hash_at(one->newest->hash, unit);
        }
    }
}

/* Whether any name may lead to the file. */
static bool is_reachable(const struct sim_disk *disk, uint32_t file)
{
    for (uint32_t n = 0; n < DISK_NAMES; n++) {
        for (uint32_t at = 0; at < disk->names[n].count; at++) {
            if (disk->names[n].at[at].value == file)
                return true;
        }
    }
    return false;
}

static void vary_sizes(struct sim_disk *disk)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        struct disk_variable *variable = begin_variable(disk);
        if (!is_reachable(disk, n))
            continue;
        add_item(disk, variable, (struct disk_item){DISK_ITEM_SIZE, n, 0});
        end_variable(disk, variable);
    }
}

void sim_disk_vary(struct sim_disk *disk)
{
    disk->variable_count = disk->item_count = disk->time_count = 0;
    if (disk->model == DISK_EXT4) {
        vary_journal(disk);
    } else {
        vary_names(disk);
        vary_sizes(disk);
    }
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        sum_settled(disk, &disk->files[n]);
        if (!is_reachable(disk, n))
            continue;
        if (disk->whole_writes)
            vary_file_whole(disk, n);
        else
            vary_file(disk, n);
    }
}

/* ---- choosing */

static void choose_item(struct sim_disk *disk, const struct disk_item *item, uint64_t time)
{
    if (item->kind == DISK_ITEM_UNIT) {
        struct disk_unit *unit = &disk->files[item->file].units[item->unit];
        unit->chosen = version_at(unit, time);
    } else {
        struct disk_values *values = values_of(disk, item);
        values->chosen = value_at(values, time);
    }
}

void sim_disk_choose(struct sim_disk *disk, uint32_t variable, uint32_t alternative)
{
    const struct disk_variable *chosen = &disk->variables[variable];
    uint64_t time = disk->times[chosen->time + alternative];
    for (uint32_t n = 0; n < chosen->item_count; n++)
        choose_item(disk, &disk->items[chosen->item + n], time);
}

static void choose_values(struct disk_values *values, bool newest)
{
    values->chosen = values->at[newest ? values->count - 1 : 0].value;
}

void sim_disk_choose_all(struct sim_disk *disk, bool newest)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        struct disk_file *file = &disk->files[n];
        choose_values(&file->size, newest);
        for (uint32_t at = 0; at < file->pending_count; at++) {
            struct disk_unit *unit = &file->units[file->pending[at]];
            unit->chosen = newest ? unit->newest : unit->oldest;
        }
    }
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        choose_values(&disk->names[n], newest);
}

/* ---- what is chosen */

uint32_t sim_disk_file_of(const struct sim_disk *disk, uint32_t name)
{
    return (uint32_t)disk->names[name].chosen;
}

uint64_t sim_disk_size(const struct sim_disk *disk, uint32_t file)
{
    return disk->files[file].size.chosen;
}

const struct disk_version *sim_disk_unit(const struct sim_disk *disk, uint32_t file, uint32_t unit)
{
    const struct disk_unit *one = &disk->files[file].units[unit];
    return one->is_pending ? one->chosen : one->newest;
}

static uint64_t settled_below(const struct disk_file *file)
{
    uint32_t n = 0;
    while (n + 1 < file->size.count && file->size.at[n].value != file->size.chosen)
        n++;
    return file->settled[n];
}

static uint64_t file_hash(const struct sim_disk *disk, const struct disk_file *file)
{
    uint64_t hash = settled_below(file);
    uint64_t end = file->size.chosen / disk->unit_size;
    for (uint32_t n = 0; n < file->pending_count; n++) {
        uint32_t unit = file->pending[n];
        if (unit < end)
            hash += hash_at(file->units[unit].chosen->hash, unit);
    }
    return mix(hash + mix(file->size.chosen + 1));
}

uint64_t sim_disk_hash(const struct sim_disk *disk)
{
    uint64_t hash = 0;
    for (uint32_t n = 0; n < DISK_NAMES; n++) {
        uint32_t file = sim_disk_file_of(disk, n);
        if (file != DISK_NO_FILE)
            hash += hash_at(file_hash(disk, &disk->files[file]), n + 1);
    }
    return hash;
}
