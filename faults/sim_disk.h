/* SPDX-License-Identifier: MIT */
/*
 * The simulated disk: which images a power failure may leave.
 *
 * Content. A file is cut into units: pages of 4096 bytes or sectors of 512. A unit has the versions
 * that it went through since the last sync that covered it, the oldest being the one that is
 * durable. Power failure leaves any of them, in each unit for itself: a dirty page may have been
 * written back at any instant, by whoever, in the version that it had, and a write of it may be
 * torn at the unit. That is so for write calls and for stores into a shared mapping alike; a store
 * is known by the versions that the page has at the steps of the recording. With tear none the
 * units are pages, and pages that one call wrote go together: they show one instant of what
 * happened to all of them.
 *
 * What makes something durable, and nothing else does:
 *
 *   posix (the weakest that the standard allows, in all but one thing)
 *     fdatasync  the file's content below its size, and the size as far as it is needed to read
 *                that: a file that was cut may come back longer, with what was there before
 *     fsync      content and size
 *     fsync of the folder: names. Until then each name means whatever it meant since the last such
 *                sync, for itself: a rename may be there by half, a synced file may have no name
 *     The one thing: by the letter, stores through a mapping need msync. Linux has one page cache,
 *     fdatasync covers them, and every program for Linux may rely on it.
 *   ext4 (data=ordered, a journal for names and sizes)
 *     names and sizes change in the order in which they were changed: a failure leaves a prefix of
 *     these changes, a rename is whole
 *     fsync      the content, and that prefix up to the file's last change, its names included: so
 *                it makes the name of a new file durable
 *     fdatasync  the content, and the prefix up to the file's last change of size, a cut included,
 *                or its creation; not a later rename
 *     fsync of the folder: the prefix up to the last name
 *     Left out is that a size which a write made larger is durable only after the data under it
 *     (data=ordered), so the real one promises more: every image that it may leave is among those
 *     here, and what holds here holds there. What would fail for want of that order alone would be
 *     a file that reads as zeroes where its size says that something was written; a strategy that
 *     fell for that would fail here, and none does: a log is zeroed on purpose before it is used,
 *     and an arena grows by ftruncate, which the file system orders after nothing. One thing is
 *     promised too much: with delayed allocation such a size may come after a change of a name
 *     that was made later; posix, the default, has those images.
 *
 * Rewritten with what was there already, a unit has no new version: images are told apart by what
 * they show. An image is a choice: for each variable (a unit, a size, a name, the journal) one of
 * its alternatives, 0 being the oldest.
 */
#ifndef FAULTS_SIM_DISK_H
#define FAULTS_SIM_DISK_H

#include "faults/disk_events.h"

enum disk_model { DISK_POSIX, DISK_EXT4 };

#define DISK_FILE_BYTES ((uint64_t)8 << 20) /* the largest a file may be */
#define DISK_SECTOR     ((size_t)512)
#define DISK_PAGE       ((size_t)4096)

struct disk_version {
    const unsigned char *bytes;     /* of the unit */
    uint64_t hash;                  /* 0: all zero */
    uint64_t time;                  /* 0: was there from the beginning */
    const struct disk_event *event; /* that made it; NULL: none */
    struct disk_version *newer;
};

struct disk_unit {
    struct disk_version *oldest, *newest, *chosen; /* NULL: zeroes for ever */
    bool is_pending;                               /* has more than one */
};

/* A size or a meaning of a name, at a time. */
struct disk_value {
    uint64_t value, time;
};
#define DISK_VALUES 64u
struct disk_values {
    struct disk_value at[DISK_VALUES];
    uint32_t count;
    uint64_t chosen;
};

struct disk_file {
    struct disk_unit *units;
    uint32_t *pending;                  /* numbers of units, in no order */
    uint32_t pending_count, unit_count; /* units from unit_count on were never written */
    struct disk_values size;
    uint64_t settled[DISK_VALUES]; /* hash of what has one version, below each of the sizes */
    uint64_t changed, resized;     /* times, for the journal */
};

enum disk_item_kind { DISK_ITEM_UNIT, DISK_ITEM_SIZE, DISK_ITEM_NAME };
struct disk_item {
    enum disk_item_kind kind;
    uint32_t file; /* or the name */
    uint32_t unit;
};

/* Alternative n: every item as it was at times[time + n]. */
struct disk_variable {
    uint32_t item, item_count;
    uint32_t time, count;
};

struct sim_disk {
    enum disk_model model;
    size_t unit_size;
    bool whole_writes; /* tear none */
    struct disk_events *memory;
    struct disk_file files[DISK_FILES];
    struct disk_values names[DISK_NAMES];
    uint64_t name_changed;
    uint64_t generation; /* counts what was changed */
    bool is_full;        /* something did not fit: what is here is not all */

    struct disk_variable *variables;
    uint32_t variable_count;
    struct disk_item *items;
    uint32_t item_count;
    uint64_t *times;
    uint32_t time_count;
};
#define DISK_VARIABLES 65536u
#define DISK_TIMES     262144u

/* `tear`: 512, 4096, or 0 for none. Memory for versions is taken from `memory`. 0 or an errno. */
int sim_disk_make(struct sim_disk *disk, enum disk_model model, size_t tear,
                  struct disk_events *memory);
void sim_disk_free(struct sim_disk *disk);

/* An empty folder, all durable; or the image that is chosen in `other`, durable. */
void sim_disk_clear(struct sim_disk *disk);
void sim_disk_start(struct sim_disk *disk, const struct sim_disk *other);

void sim_disk_apply(struct sim_disk *disk, const struct disk_event *event);

/* Fills in the variables, each with two alternatives or more that differ. */
void sim_disk_vary(struct sim_disk *disk);

/* Chooses an alternative of a variable; all others, and what has one version, stay as they are. */
void sim_disk_choose(struct sim_disk *disk, uint32_t variable, uint32_t alternative);
/* Of everything: the oldest, or the newest. */
void sim_disk_choose_all(struct sim_disk *disk, bool newest);

/* Of what is chosen: equal for images that show the same. */
uint64_t sim_disk_hash(const struct sim_disk *disk);
/* DISK_NO_FILE where the name means nothing. */
uint32_t sim_disk_file_of(const struct sim_disk *disk, uint32_t name);
uint64_t sim_disk_size(const struct sim_disk *disk, uint32_t file);
/* NULL: zeroes. */
const struct disk_version *sim_disk_unit(const struct sim_disk *disk, uint32_t file, uint32_t unit);

#endif
