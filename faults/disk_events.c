/* SPDX-License-Identifier: MIT */
/* See disk_events.h. */
#include "faults/disk_events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT ((size_t)16)

static void *reserve(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int disk_events_make(struct disk_events *events, size_t bytes, size_t count)
{
    *events = (struct disk_events){.memory_size = bytes, .capacity = count};
    events->memory = reserve(bytes);
    events->at = reserve(count * sizeof(*events->at));
    if (events->memory && events->at)
        return 0;
    disk_events_free(events);
    return ENOMEM;
}

void disk_events_free(struct disk_events *events)
{
    if (events->memory)
        (void)munmap(events->memory, events->memory_size);
    if (events->at)
        (void)munmap(events->at, events->capacity * sizeof(*events->at));
    events->memory = NULL;
    events->at = NULL;
}

void disk_events_clear(struct disk_events *events)
{
    events->memory_used = events->count = 0;
    events->time = events->mark = 0;
    events->is_full = false;
}

uint32_t disk_events_name(struct disk_events *events, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    for (uint32_t n = 0; n < events->name_count; n++) {
        if (strcmp(events->names[n], last) == 0)
            return n;
    }
    if (events->name_count == DISK_NAMES || strlen(last) >= sizeof(events->names[0])) {
        events->is_full = true;
        return DISK_NAMES;
    }
    (void)snprintf(events->names[events->name_count], sizeof(events->names[0]), "%s", last);
    return events->name_count++;
}

void disk_events_tick(struct disk_events *events)
{
    events->time++;
}

void *disk_events_memory(struct disk_events *events, size_t size)
{
    size_t used = (events->memory_used + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (size > events->memory_size || used > events->memory_size - size) {
        events->is_full = true;
        return NULL;
    }
    events->memory_used = used + size;
    return events->memory + used;
}

void disk_events_add(struct disk_events *events, const struct disk_event *event)
{
    unsigned char *bytes = NULL;
    if (events->count == events->capacity) {
        events->is_full = true;
        return;
    }
    if (event->bytes) {
        bytes = disk_events_memory(events, event->size);
        if (!bytes)
            return;
        memcpy(bytes, event->bytes, event->size);
    }
    struct disk_event *added = &events->at[events->count++];
    *added = *event;
    added->bytes = bytes;
    added->time = events->time;
    added->mark = events->mark;
}

void disk_events_mark(struct disk_events *events, uint64_t mark)
{
    events->mark = mark;
    disk_events_tick(events);
    disk_events_add(events, &(struct disk_event){.kind = DISK_MARK, .where = "a mark"});
}
