/* SPDX-License-Identifier: MIT */
/* See sim_disk.h: what happens to a disk. The images it may leave are in sim_disk_images.c. */
#include "faults/sim_disk.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#define UNITS_MOST (DISK_FILE_BYTES / DISK_SECTOR)

static const unsigned char zeroes[DISK_PAGE];

static void *reserve(struct sim_disk *disk, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    disk->is_full = true;
    return NULL;
}

static void release(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size);
}

int sim_disk_make(struct sim_disk *disk, enum disk_model model, size_t tear,
                  struct disk_events *memory)
{
    *disk = (struct sim_disk){.model = model,
                              .unit_size = tear ? tear : DISK_PAGE,
                              .whole_writes = tear == 0,
                              .memory = memory};
    disk->variables = reserve(disk, DISK_VARIABLES * sizeof(*disk->variables));
    disk->items = reserve(disk, DISK_VARIABLES * sizeof(*disk->items));
    disk->times = reserve(disk, DISK_TIMES * sizeof(*disk->times));
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        disk->files[n].units = reserve(disk, UNITS_MOST * sizeof(struct disk_unit));
        disk->files[n].pending = reserve(disk, UNITS_MOST * sizeof(uint32_t));
    }
    if (!disk->is_full) {
        sim_disk_clear(disk);
        return 0;
    }
    sim_disk_free(disk);
    return ENOMEM;
}

void sim_disk_free(struct sim_disk *disk)
{
    release(disk->variables, DISK_VARIABLES * sizeof(*disk->variables));
    release(disk->items, DISK_VARIABLES * sizeof(*disk->items));
    release(disk->times, DISK_TIMES * sizeof(*disk->times));
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        release(disk->files[n].units, UNITS_MOST * sizeof(struct disk_unit));
        release(disk->files[n].pending, UNITS_MOST * sizeof(uint32_t));
    }
    *disk = (struct sim_disk){.model = DISK_POSIX};
}

/* ---- values */

static void values_start(struct disk_values *values, uint64_t value)
{
    values->at[0] = (struct disk_value){value, 0};
    values->count = 1;
}

static uint64_t values_now(const struct disk_values *values)
{
    return values->at[values->count - 1].value;
}

static void values_add(struct sim_disk *disk, struct disk_values *values, uint64_t value,
                       uint64_t time)
{
    if (values_now(values) == value)
        return;
    if (values->count == DISK_VALUES) {
        disk->is_full = true;
        return;
    }
    values->at[values->count++] = (struct disk_value){value, time};
    disk->generation++;
}

static void values_settle(struct disk_values *values)
{
    values->at[0] = values->at[values->count - 1];
    values->count = 1;
}

/* All before the last one of this time or earlier is past. */
static void values_settle_until(struct disk_values *values, uint64_t time)
{
    uint32_t first = 0;
    while (first + 1 < values->count && values->at[first + 1].time <= time)
        first++;
    memmove(values->at, values->at + first, (values->count - first) * sizeof(values->at[0]));
    values->count -= first;
}

/* Those that would show more than what the last one does. */
static void values_settle_but_larger(struct disk_values *values)
{
    struct disk_value last = values->at[values->count - 1];
    uint32_t kept = 0;
    for (uint32_t n = 0; n + 1 < values->count; n++) {
        bool is_known = false;
        for (uint32_t other = 0; other < kept; other++)
            is_known = is_known || values->at[other].value == values->at[n].value;
        if (values->at[n].value > last.value && !is_known)
            values->at[kept++] = values->at[n];
    }
    values->at[kept++] = last;
    values->count = kept;
}

/* ---- units */

static uint64_t hash_of(const unsigned char *bytes, size_t size)
{
    return memcmp(bytes, zeroes, size) == 0 ? 0 : XXH3_64bits(bytes, size) | 1;
}

static struct disk_version *version_make(struct sim_disk *disk, const unsigned char *bytes)
{
    struct disk_version *version = disk_events_memory(disk->memory, sizeof(*version));
    if (version)
        *version = (struct disk_version){.bytes = bytes, .hash = hash_of(bytes, disk->unit_size)};
    else
        disk->is_full = true;
    return version;
}

/* What is there before the first version: zeroes. */
static bool unit_start(struct sim_disk *disk, struct disk_unit *unit)
{
    if (!unit->newest)
        unit->oldest = unit->newest = version_make(disk, zeroes);
    return unit->newest != NULL;
}

static void unit_add(struct sim_disk *disk, struct disk_file *file, uint32_t number,
                     const unsigned char *bytes, const struct disk_event *event)
{
    struct disk_unit *unit = &file->units[number];
    const unsigned char *now = unit->newest ? unit->newest->bytes : zeroes;
    if (memcmp(now, bytes, disk->unit_size) == 0 || !unit_start(disk, unit))
        return;
    struct disk_version *version = version_make(disk, bytes);
    if (!version)
        return;
    version->time = event->time;
    version->event = event;
    unit->newest->newer = version;
    unit->newest = version;
    if (!unit->is_pending)
        file->pending[file->pending_count++] = number;
    unit->is_pending = true;
    if (file->unit_count <= number)
        file->unit_count = number + 1;
    disk->generation++;
}

/* The unit as it is now, with some of its bytes changed. */
static void unit_change(struct sim_disk *disk, struct disk_file *file, uint32_t number, size_t at,
                        const unsigned char *bytes, size_t size, const struct disk_event *event)
{
    const struct disk_unit *unit = &file->units[number];
    if (size == disk->unit_size) {
        unit_add(disk, file, number, bytes, event);
        return;
    }
    unsigned char *whole = disk_events_memory(disk->memory, disk->unit_size);
    if (!whole) {
        disk->is_full = true;
        return;
    }
    memcpy(whole, unit->newest ? unit->newest->bytes : zeroes, disk->unit_size);
    memcpy(whole + at, bytes, size);
    unit_add(disk, file, number, whole, event);
}

static void units_settle(struct sim_disk *disk, struct disk_file *file)
{
    uint64_t size = values_now(&file->size);
    uint32_t kept = 0;
    for (uint32_t n = 0; n < file->pending_count; n++) {
        uint32_t number = file->pending[n];
        struct disk_unit *unit = &file->units[number];
        if (number * (uint64_t)disk->unit_size >= size) {
            file->pending[kept++] = number;
            continue;
        }
        unit->oldest = unit->newest;
        unit->is_pending = false;
    }
    file->pending_count = kept;
}

/* ---- events */

static void apply_write(struct sim_disk *disk, struct disk_file *file,
                        const struct disk_event *event)
{
    if (event->at + event->size > DISK_FILE_BYTES) {
        disk->is_full = true;
        return;
    }
    for (uint64_t done = 0; done < event->size;) {
        uint64_t at = event->at + done;
        size_t within = at % disk->unit_size;
        size_t part = disk->unit_size - within;
        if (part > event->size - done)
            part = event->size - done;
        unit_change(disk, file, (uint32_t)(at / disk->unit_size), within, event->bytes + done, part,
                    event);
        done += part;
    }
}

/* What a file grows by is zero, whatever stood there before it was cut. */
static void apply_size(struct sim_disk *disk, struct disk_file *file,
                       const struct disk_event *event)
{
    uint64_t before = values_now(&file->size);
    if (event->size > DISK_FILE_BYTES) {
        disk->is_full = true;
        return;
    }
    uint64_t first = (before + disk->unit_size - 1) / disk->unit_size;
    for (uint64_t n = first; n < file->unit_count && n * disk->unit_size < event->size; n++)
        unit_add(disk, file, (uint32_t)n, zeroes, event);
    values_add(disk, &file->size, event->size, event->time);
    file->changed = file->resized = event->time;
}

static void apply_name(struct sim_disk *disk, const struct disk_event *event)
{
    struct disk_values *name = &disk->names[event->name];
    uint64_t before = values_now(name);
    values_add(disk, name, event->file, event->time);
    disk->name_changed = event->time;
    if (before != DISK_NO_FILE)
        disk->files[before].changed = event->time;
    if (event->file != DISK_NO_FILE)
        disk->files[event->file].changed = event->time;
}

static void settle_journal(struct sim_disk *disk, uint64_t time)
{
    for (uint32_t n = 0; n < DISK_FILES; n++)
        values_settle_until(&disk->files[n].size, time);
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        values_settle_until(&disk->names[n], time);
}

static void apply_sync(struct sim_disk *disk, const struct disk_event *event)
{
    struct disk_file *file = &disk->files[event->file];
    units_settle(disk, file);
    if (disk->model == DISK_EXT4)
        settle_journal(disk, event->data_only ? file->resized : file->changed);
    else if (event->data_only)
        values_settle_but_larger(&file->size);
    else
        values_settle(&file->size);
    disk->generation++;
}

static void apply_sync_folder(struct sim_disk *disk)
{
    if (disk->model == DISK_EXT4)
        settle_journal(disk, disk->name_changed);
    for (uint32_t n = 0; disk->model == DISK_POSIX && n < DISK_NAMES; n++)
        values_settle(&disk->names[n]);
    disk->generation++;
}

void sim_disk_apply(struct sim_disk *disk, const struct disk_event *event)
{
    switch (event->kind) {
    case DISK_WRITE:
        apply_write(disk, &disk->files[event->file], event);
        break;
    case DISK_SIZE:
        apply_size(disk, &disk->files[event->file], event);
        break;
    case DISK_NAME:
        apply_name(disk, event);
        break;
    case DISK_SYNC:
        apply_sync(disk, event);
        break;
    case DISK_SYNC_FOLDER:
        apply_sync_folder(disk);
        break;
    case DISK_MARK:
        break;
    }
}

/* ---- beginnings */

void sim_disk_clear(struct sim_disk *disk)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        struct disk_file *file = &disk->files[n];
        memset(file->units, 0, file->unit_count * sizeof(file->units[0]));
        file->pending_count = file->unit_count = 0;
        file->changed = file->resized = 0;
        values_start(&file->size, 0);
    }
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        values_start(&disk->names[n], DISK_NO_FILE);
    disk->name_changed = disk->generation = 0;
    disk->variable_count = disk->item_count = disk->time_count = 0;
    disk->is_full = false;
}

static void start_file(struct sim_disk *disk, const struct sim_disk *other, uint32_t number)
{
    const struct disk_file *from = &other->files[number];
    struct disk_file *file = &disk->files[number];
    values_start(&file->size, sim_disk_size(other, number));
    uint64_t end = sim_disk_size(other, number) / disk->unit_size;
    for (uint32_t n = 0; n < from->unit_count && n < end; n++) {
        const struct disk_version *version = sim_disk_unit(other, number, n);
        if (version)
            file->units[n].oldest = file->units[n].newest = version_make(disk, version->bytes);
        file->unit_count = n + 1;
    }
}

void sim_disk_start(struct sim_disk *disk, const struct sim_disk *other)
{
    sim_disk_clear(disk);
    for (uint32_t n = 0; n < DISK_FILES; n++)
        start_file(disk, other, n);
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        values_start(&disk->names[n], sim_disk_file_of(other, n));
}
