/* SPDX-License-Identifier: MIT */
/*
 * The coarse level of the finders that scan. Looking at a page costs little (2.7 ns with
 * PAGEMAP_SCAN, 46 with the pagemap), but a resident arena has many. So the arena is cut into
 * segments; a cold one is read-only, and the first store to it traps and makes it hot: writable,
 * and scanned from then on. A hot one in which scans found nothing for a while is made cold again.
 * The hot ones are in a list, so no transaction pays for the size of the arena.
 *
 * For how long? Keeping it costs a part of each scan (16 pages beside others 0.04 us, which is the
 * unit of `idle`; by themselves, with a call of their own, 0.5 us), making it cold costs a trap and
 * two changes of protection if it is stored to again (9 us). Patience of that much pays where
 * transactions come back to the same segments soon, and is wasted where they do not; so it learns:
 * a segment that becomes hot again before keeping it would have cost as much as the trap asks for
 * more of it; any other that is made cold, for less.
 *
 * A scan of all that is resident is 0.1 ms for 160 MiB: half of what a sync takes, but less than a
 * dozen traps. So where transactions store to so many cold segments that looking at all of the
 * arena would have cost less, for long enough to pay for the change, all of it is made hot, and
 * nothing traps, until scans find so little that trapping would have cost less. Small transactions
 * pay for no such scan, large ones for no trap.
 *
 * Each hot segment may split the mapping in two places, which vm.max_map_count bounds: in a
 * transaction that makes many hot they are made hot several at a time (the granule of pageset.h),
 * and after it all are made cold at once.
 *
 * With TMF_SYSCALLS all of the arena is hot at all times: nothing traps, so that system calls may
 * store anywhere.
 */
#ifndef TMF_SEGMENTS_H
#define TMF_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/pageset.h"

struct tmf_storage;

struct tmf_segments {
    void *memory; /* of the four arrays; what is never used of it takes no room */
    size_t memory_size;
    uint64_t *hot;       /* the hot ones, in order of arrival or sorted */
    uint16_t *idle;      /* of each: 0: cold; else 1 + what scans that found nothing have cost */
    uint32_t *cooled_at; /* of each: the scan after which it was last made cold; 0: never */
    uint8_t *armed;      /* of each: for the finder's use; forgotten with the mapping */
    uint64_t hot_count;
    uint64_t count;
    uint64_t page_count; /* of the arena */
    uint32_t scans;
    unsigned shift;             /* log2 of the pages of a segment */
    unsigned patience;          /* idle segments are made cold beyond it */
    bool learns;                /* else all are made cold after every scan */
    bool all_hot;               /* all of them, and in no list: for as long as it pays, or */
    bool always_hot;            /* for good */
    uint64_t debt;              /* what the other of the two ways would have saved until now */
    uint64_t traps;             /* since the last scan */
    uint64_t found, last_found; /* while all are hot: segments that the scan found stored to */
    struct tmf_granule granule; /* in segments */
};

/* All are cold, as a new mapping is; a resized arena is mapped anew. */
int tmf_segments_open(struct tmf_segments *segments, const struct tmf_storage *storage,
                      unsigned shift, bool learns);
int tmf_segments_resize(struct tmf_segments *segments, const struct tmf_storage *storage);
void tmf_segments_close(struct tmf_segments *segments);

/* [signal] Called for a stretch of pages that is about to become hot. */
typedef int tmf_segments_arm(struct tmf_storage *storage, uint64_t first, uint64_t count);

/* The arena was mapped anew: all are cold again, but for those that are always hot. */
int tmf_segments_remapped(struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_arm *arm);

/* [signal] Makes the segments of the pages hot. `arm` may be NULL. */
int tmf_segments_warm(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t first,
                      uint64_t count, tmf_segments_arm *arm);

/* Calls `scan` for each stretch of hot pages, and of cold ones between them, which tells the pages
 * it finds to _found(). */
typedef int tmf_segments_scan(struct tmf_storage *storage, uint64_t first, uint64_t count);
int tmf_segments_each_hot(struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_scan *scan);
void tmf_segments_found(struct tmf_segments *segments, uint64_t page);
bool tmf_segments_is_hot(const struct tmf_segments *segments, uint64_t page);

/* Once per scan, and after it: makes those cold in which nothing was found for long, or all hot.
 * `arm` may be NULL. */
int tmf_segments_cool(struct tmf_segments *segments, struct tmf_storage *storage,
                      tmf_segments_arm *arm);

#endif
