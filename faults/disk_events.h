/* SPDX-License-Identifier: MIT */
/*
 * What was asked of a disk, in order: the recording of a life or of a recovery, which the simulated
 * disk (sim_disk.h) is shown afterwards, event by event. Kept in one piece of memory that is mapped
 * once, so a recording can be made in a signal handler, and is thrown away at once.
 *
 * That memory is shared with children forked later; where struct disk_events is too, and one of
 * them goes on at a time, all record into it, and their events have one order.
 *
 * Events of one system call have the same time. Files are numbers, given in the order in which
 * files are made; names are numbers too, of the last parts of paths.
 */
#ifndef FAULTS_DISK_EVENTS_H
#define FAULTS_DISK_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_FILES   16u
#define DISK_NAMES   8u
#define DISK_NO_FILE UINT32_MAX

enum disk_event_kind {
    DISK_WRITE,       /* `size` bytes at `at` of `file` */
    DISK_SIZE,        /* the file has `size` bytes from now on; what is new is zero */
    DISK_NAME,        /* `name` means `file`, or none, from now on */
    DISK_SYNC,        /* of `file` has returned */
    DISK_SYNC_FOLDER, /* likewise of the folder */
    DISK_MARK         /* nothing; `mark` is another one */
};

struct disk_event {
    enum disk_event_kind kind;
    uint32_t file, name;
    uint64_t at, size;
    const unsigned char *bytes;
    bool data_only;    /* of a sync: fdatasync */
    bool is_store;     /* of a write: through a mapping, seen at the next step */
    uint64_t time;     /* from 1 */
    uint64_t mark;     /* what the one who records said last, see disk_events_mark() */
    const char *where; /* the call, or for a store the last step before */
    uint32_t process;  /* that made it, from 1; 0: there is but one */
};

struct disk_events {
    unsigned char *memory;
    size_t memory_size, memory_used;
    struct disk_event *at;
    size_t count, capacity;
    char names[DISK_NAMES][32];
    uint32_t name_count;
    uint64_t time, mark;
    bool is_full; /* something did not find room: what is here is not all */
};

/* Room for so many bytes written and so many events; only what is used costs memory. 0 or an errno.
 */
int disk_events_make(struct disk_events *events, size_t bytes, size_t count);
void disk_events_free(struct disk_events *events);
/* Forgets all but the names. */
void disk_events_clear(struct disk_events *events);

/* The number of the last part of a path. DISK_NAMES: there are too many. */
uint32_t disk_events_name(struct disk_events *events, const char *path);

/* Another system call, or store, from here on. */
void disk_events_tick(struct disk_events *events);

/* [signal] Adds one; its bytes are copied, its time and mark filled in. */
void disk_events_add(struct disk_events *events, const struct disk_event *event);

void disk_events_mark(struct disk_events *events, uint64_t mark);

/* Memory that lives as long as the recording; NULL: there is no more. */
void *disk_events_memory(struct disk_events *events, size_t size);

#endif
