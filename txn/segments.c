/* SPDX-License-Identifier: MIT */
/* See segments.h. */
#include "txn/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/io.h"
#include "txn/storage.h"

#define HOT_MANY       8192u /* beyond, all are made cold at once */
#define COLD_MANY      512u  /* likewise, of those to be made cold one by one */
#define NEAR           8u    /* segments that cost no more to scan than another call does */
#define ALONE          12u /* what a scan of a segment by itself costs, in those of one beside others */
#define PATIENCE_FIRST 100u
#define PATIENCE_MOST  600u
#define TRAP           225u /* what becoming hot again costs, in the same unit */
#define CHANGE         16u  /* what making all segments hot costs, in scans of all */
#define LEARN_MORE     12u
#define LEARN_LESS     8u

static size_t bytes_per_segment(void)
{
    const struct tmf_segments *segments = NULL;
    return sizeof(*segments->hot) + sizeof(*segments->cooled_at) + sizeof(*segments->idle) +
           sizeof(*segments->armed);
}

static int make_arrays(struct tmf_segments *segments)
{
    size_t count = (size_t)segments->count;
    segments->memory_size = tmf_page_round(count * bytes_per_segment());
    void *memory = tmf_io->mmap(NULL, segments->memory_size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    segments->memory = segments->hot = memory;
    segments->cooled_at = (uint32_t *)(segments->hot + count);
    segments->idle = (uint16_t *)(segments->cooled_at + count);
    segments->armed = (uint8_t *)(segments->idle + count);
    return 0;
}

int tmf_segments_open(struct tmf_segments *segments, const struct tmf_storage *storage,
                      unsigned shift, bool learns)
{
    uint64_t pages = storage->arena.size / TMF_PAGE_SIZE;
    *segments = (struct tmf_segments){.count = ((pages - 1) >> shift) + 1,
                                      .page_count = pages,
                                      .shift = shift,
                                      .patience = PATIENCE_FIRST,
                                      .learns = learns,
                                      .always_hot = (storage->flags & TMF_SYSCALLS) != 0};
    segments->all_hot = segments->always_hot;
    return make_arrays(segments);
}

int tmf_segments_resize(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    struct tmf_segments larger;
    int error = tmf_segments_open(&larger, storage, segments->shift, segments->learns);
    if (error)
        return error;
    tmf_segments_close(segments);
    *segments = larger;
    return 0;
}

void tmf_segments_close(struct tmf_segments *segments)
{
    if (segments->memory)
        (void)tmf_io->munmap(segments->memory, segments->memory_size);
    segments->memory = NULL;
}

static uint64_t end_of(const struct tmf_segments *segments, uint64_t segment)
{
    uint64_t end = (segment + 1) << segments->shift;
    end -= TMF_MUTANT("segment-ends-early");
    return end < segments->page_count ? end : segments->page_count;
}

/* ---- becoming hot */

/* What a scan of the segment costs: the way to the next hot one, or a call. */
static unsigned cost_of(const struct tmf_segments *segments, uint64_t segment)
{
    for (unsigned distance = 1; distance <= NEAR; distance++) {
        if ((segment >= distance && segments->idle[segment - distance]) ||
            (segment + distance < segments->count && segments->idle[segment + distance]))
            return distance;
    }
    return ALONE;
}

static void learn_from_warm(struct tmf_segments *segments, uint64_t segment)
{
    uint32_t cooled_at = segments->cooled_at[segment];
    uint64_t scans = segments->scans - cooled_at;
    if (cooled_at && scans * cost_of(segments, segment) < TRAP &&
        segments->patience < PATIENCE_MOST)
        segments->patience += LEARN_MORE;
}

static void add_hot(struct tmf_segments *segments, uint64_t segment)
{
    if (segments->idle[segment])
        return;
    learn_from_warm(segments, segment);
    segments->idle[segment] = 1;
    segments->hot[segments->hot_count++] = segment;
}

static int unlock(struct tmf_storage *storage, uint64_t first, uint64_t count,
                  tmf_segments_arm *arm)
{
    int error = arm ? arm(storage, first, count) : 0;
    return error ? error
                 : tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                                     (size_t)count * TMF_PAGE_SIZE, true);
}

int tmf_segments_remapped(struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_arm *arm)
{
    segments->hot_count = 0;
    segments->all_hot = segments->always_hot;
    segments->debt = segments->traps = 0;
    segments->granule = (struct tmf_granule){0};
    if (tmf_io->madvise(segments->memory, segments->memory_size, MADV_DONTNEED) != 0)
        return errno;
    return segments->all_hot ? unlock(storage, 0, segments->page_count, arm) : 0;
}

int tmf_segments_warm(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t first,
                      uint64_t count, tmf_segments_arm *arm)
{
    uint64_t segment = first >> segments->shift;
    uint64_t end = ((first + count - 1) >> segments->shift) + 1;
    while (segment < end && segments->idle[segment])
        segment++;
    if (segments->all_hot || segment == end)
        return 0; /* another thread was faster */
    storage->stats.faults++;
    segments->traps++;
    tmf_granule_widen(&segments->granule, segments->count, &segment, &end);
    uint64_t from = segment << segments->shift;
    int error = unlock(storage, from, end_of(segments, end - 1) - from, arm);
    for (; !error && segment < end; segment++)
        add_hot(segments, segment);
    return error;
}

/* ---- scanning */

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Most of the list is in order since the last time. */
static void sort_hot(struct tmf_segments *segments)
{
    for (uint64_t n = 1; n < segments->hot_count; n++) {
        if (segments->hot[n - 1] > segments->hot[n]) {
            qsort(segments->hot, (size_t)segments->hot_count, sizeof(*segments->hot), compare);
            return;
        }
    }
}

/* Cold segments between hot ones that are near are scanned too: that is cheaper than a call. */
int tmf_segments_each_hot(struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_scan *scan)
{
    int error = 0;
    segments->found = 0;
    segments->last_found = UINT64_MAX;
    if (segments->all_hot)
        return scan(storage, 0, segments->page_count);
    sort_hot(segments);
    for (uint64_t n = 0; !error && n < segments->hot_count; n++) {
        uint64_t first = segments->hot[n] << segments->shift;
        while (n + 1 < segments->hot_count && segments->hot[n + 1] - segments->hot[n] <= NEAR)
            n++;
        error = scan(storage, first, end_of(segments, segments->hot[n]) - first);
    }
    return error;
}

void tmf_segments_found(struct tmf_segments *segments, uint64_t page)
{
    uint64_t segment = page >> segments->shift;
    if (segments->idle[segment])
        segments->idle[segment] = 1;
    segments->found += segment != segments->last_found;
    segments->last_found = segment;
}

bool tmf_segments_is_hot(const struct tmf_segments *segments, uint64_t page)
{
    return segments->all_hot || segments->idle[page >> segments->shift];
}

/* ---- becoming cold */

static int lock(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                             (size_t)count * TMF_PAGE_SIZE, false);
}

static int make_cold(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t segment)
{
    uint64_t first = segment << segments->shift;
    int error = lock(storage, first, end_of(segments, segment) - first);
    if (error)
        return error;
    segments->idle[segment] = 0;
    segments->cooled_at[segment] = segments->scans;
    if (segments->patience > LEARN_LESS)
        segments->patience -= LEARN_LESS;
    return 0;
}

static void empty_list(struct tmf_segments *segments)
{
    for (uint64_t n = 0; n < segments->hot_count; n++)
        segments->idle[segments->hot[n]] = 0;
    segments->hot_count = 0;
}

static int make_all_cold(struct tmf_segments *segments, struct tmf_storage *storage)
{
    int error = lock(storage, 0, segments->page_count);
    if (error)
        return error;
    empty_list(segments);
    segments->all_hot = false;
    return 0;
}

/* Costs are those of the scan that was made, so before any of them leaves the list. */
static void grow_idle(struct tmf_segments *segments)
{
    for (uint64_t n = 0; n < segments->hot_count; n++) {
        uint16_t *idle = &segments->idle[segments->hot[n]];
        if (*idle <= segments->patience)
            *idle = (uint16_t)(*idle + cost_of(segments, segments->hot[n]));
    }
}

static int make_idle_cold(struct tmf_segments *segments, struct tmf_storage *storage)
{
    int error = 0;
    uint64_t kept = 0;
    for (uint64_t n = 0; n < segments->hot_count; n++) {
        uint64_t segment = segments->hot[n];
        bool is_idle = !segments->learns || segments->idle[segment] > segments->patience;
        if (!error && is_idle)
            error = make_cold(segments, storage, segment);
        if (segments->idle[segment])
            segments->hot[kept++] = segment;
    }
    segments->hot_count = kept;
    if (!error)
        grow_idle(segments);
    return error;
}

static int make_all_hot(struct tmf_segments *segments, struct tmf_storage *storage,
                        tmf_segments_arm *arm)
{
    int error = unlock(storage, 0, segments->page_count, arm);
    if (error)
        return error;
    empty_list(segments);
    segments->all_hot = true;
    return 0;
}

/* Whether the other way would have cost less for so long that it pays to change. */
static bool pays_to_change(struct tmf_segments *segments, uint64_t cost, uint64_t other_cost)
{
    segments->debt += cost;
    segments->debt -= segments->debt < other_cost ? segments->debt : other_cost;
    if (segments->debt <= segments->count * CHANGE)
        return false;
    segments->debt = 0;
    return true;
}

int tmf_segments_cool(struct tmf_segments *segments, struct tmf_storage *storage,
                      tmf_segments_arm *arm)
{
    uint64_t traps = segments->traps;
    segments->traps = 0;
    segments->scans++;
    segments->granule = (struct tmf_granule){0};
    if (segments->always_hot)
        return 0;
    if (segments->all_hot)
        return pays_to_change(segments, segments->count, segments->found * TRAP)
                   ? make_all_cold(segments, storage)
                   : 0;
    if (segments->learns && pays_to_change(segments, traps * TRAP, segments->count))
        return make_all_hot(segments, storage, arm);
    int error = segments->hot_count > (segments->learns ? HOT_MANY : COLD_MANY)
                    ? make_all_cold(segments, storage)
                    : make_idle_cold(segments, storage);
    segments->granule.steps = (unsigned)segments->hot_count;
    return error;
}
