/* SPDX-License-Identifier: MIT */
/*
 * The coarse level of the finders that scan. Looking at a page costs little (2.7 ns with
 * PAGEMAP_SCAN, 46 with the pagemap), but a resident arena has many. So the arena is cut into
 * segments; a cold one is read-only, and the first store to it traps and makes it hot: writable,
 * and scanned from then on. A hot one in which scans found
 * nothing for a while is made cold again.
 *
 * For how long? Keeping it costs a part of each scan (16 pages beside others 0.04 us, which is the
 * unit of `idle`; by themselves, with a call of their own, 0.5 us), making it cold costs a trap and
 * two changes of protection if it is stored to again (9 us). Patience of that much pays where
 * transactions come back to the same segments soon, and is wasted where they do not; so it learns:
 * a segment that becomes hot again soon after it was made cold asks for more of it, one that is
 * made cold for less.
 *
 * Measured against the other ways: a scan of all that is resident is 0.11 ms for 160 MiB, more than
 * half of what the sync takes; a scan up to the heap's high-water mark is the same for a full heap.
 *
 * With TMF_SYSCALLS all of the arena is one segment that is always hot: nothing traps, so that
 * system calls may store anywhere.
 */
#ifndef TMF_SEGMENTS_H
#define TMF_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

struct tmf_storage;

struct tmf_segments {
    uint16_t *idle;      /* of each: 0: cold; else 1 + what scans that found nothing have cost */
    uint32_t *cooled_at; /* of each: the scan after which it was last made cold; 0: never */
    uint32_t scans;
    uint64_t count;
    uint64_t page_count;  /* of the arena */
    unsigned shift_least; /* log2 of the pages of a segment, as asked for */
    unsigned shift;       /* as it is: there are at most 4096 */
    unsigned patience;    /* idle segments are made cold beyond it */
    bool learns;          /* else all are made cold after every scan */
    bool always_hot;
};

/* All are cold, as a new mapping is; a resized arena is mapped anew. */
int tmf_segments_open(struct tmf_segments *segments, const struct tmf_storage *storage,
                      unsigned shift, bool learns);
int tmf_segments_resize(struct tmf_segments *segments, const struct tmf_storage *storage);
void tmf_segments_close(struct tmf_segments *segments);

/* All are cold again. */
void tmf_segments_forget(struct tmf_segments *segments);

/* [signal] Called for a stretch of pages that is about to become hot. */
typedef int tmf_segments_arm(struct tmf_storage *storage, uint64_t first, uint64_t count);
/* [signal] Makes the segments of the pages hot. `arm` may be NULL. */
int tmf_segments_warm(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t first,
                      uint64_t count, tmf_segments_arm *arm);

/* Calls `scan` for each stretch of hot pages, and of cold ones between them, which tells the pages
 * it finds to _found(). */
typedef int tmf_segments_scan(struct tmf_storage *storage, uint64_t first, uint64_t count);
int tmf_segments_each_hot(const struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_scan *scan);
void tmf_segments_found(struct tmf_segments *segments, uint64_t page);
bool tmf_segments_is_hot(const struct tmf_segments *segments, uint64_t page);

/* Once per scan, and after it: makes those cold in which nothing was found for long. */
int tmf_segments_cool(struct tmf_segments *segments, struct tmf_storage *storage);

#endif
