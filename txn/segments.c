/* SPDX-License-Identifier: MIT */
/* See segments.h. */
#include "txn/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "txn/storage.h"

#define SEGMENTS_MOST  4096u /* each splits the mapping at most once, see vm.max_map_count */
#define NEAR           8u    /* segments that cost no more to scan than another call does */
#define ALONE          12u /* what a scan of a segment by itself costs, in those of one beside others */
#define PATIENCE_FIRST 100u
#define PATIENCE_MOST  600u
#define SOON           200u /* scans */
#define LEARN_MORE     12u
#define LEARN_LESS     8u

static int size_segments(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    segments->page_count = storage->arena.size / TMF_PAGE_SIZE;
    segments->always_hot = (storage->flags & TMF_SYSCALLS) != 0;
    segments->shift = segments->shift_least;
    uint64_t most = segments->always_hot ? 1 : SEGMENTS_MOST;
    while ((segments->page_count - 1) >> segments->shift >= most)
        segments->shift++;
    segments->count = ((segments->page_count - 1) >> segments->shift) + 1;
    segments->patience = PATIENCE_FIRST;
    segments->idle = calloc((size_t)segments->count, sizeof(*segments->idle));
    segments->cooled_at = calloc((size_t)segments->count, sizeof(*segments->cooled_at));
    if (segments->idle && segments->cooled_at)
        return 0;
    tmf_segments_close(segments);
    return ENOMEM;
}

int tmf_segments_open(struct tmf_segments *segments, const struct tmf_storage *storage,
                      unsigned shift, bool learns)
{
    *segments = (struct tmf_segments){.shift_least = shift, .learns = learns};
    return size_segments(segments, storage);
}

int tmf_segments_resize(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    struct tmf_segments larger = {.shift_least = segments->shift_least, .learns = segments->learns};
    int error = size_segments(&larger, storage);
    if (error)
        return error;
    tmf_segments_close(segments);
    *segments = larger;
    return 0;
}

void tmf_segments_close(struct tmf_segments *segments)
{
    free(segments->idle);
    free(segments->cooled_at);
    segments->idle = NULL;
    segments->cooled_at = NULL;
}

void tmf_segments_forget(struct tmf_segments *segments)
{
    memset(segments->idle, 0, (size_t)segments->count * sizeof(*segments->idle));
}

static uint64_t end_of(const struct tmf_segments *segments, uint64_t segment)
{
    uint64_t end = (segment + 1) << segments->shift;
    return end < segments->page_count ? end : segments->page_count;
}

static void learn_from_warm(struct tmf_segments *segments, uint64_t segment)
{
    uint32_t cooled_at = segments->cooled_at[segment];
    if (cooled_at && segments->scans - cooled_at < SOON && segments->patience < PATIENCE_MOST)
        segments->patience += LEARN_MORE;
}

int tmf_segments_warm(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t first,
                      uint64_t count, tmf_segments_arm *arm)
{
    uint64_t segment = first >> segments->shift;
    uint64_t last = (first + count - 1) >> segments->shift;
    uint64_t from = segment << segments->shift;
    uint64_t pages = end_of(segments, last) - from;
    while (segment <= last && segments->idle[segment])
        segment++;
    if (segment > last)
        return 0; /* another thread was faster */
    segment = first >> segments->shift;
    int error = arm ? arm(storage, from, pages) : 0;
    if (!error)
        error = tmf_arena_protect(&storage->arena, (size_t)from * TMF_PAGE_SIZE,
                                  (size_t)pages * TMF_PAGE_SIZE, true);
    for (; !error && segment <= last; segment++) {
        learn_from_warm(segments, segment);
        segments->idle[segment] = 1;
    }
    return error;
}

/* The first hot one from `segment` on, or the count. Few are hot: four at a time are looked at. */
static uint64_t next_hot(const struct tmf_segments *segments, uint64_t segment)
{
    uint64_t four;
    while (segment < segments->count && !segments->idle[segment]) {
        segment++;
        while (segment + 4 <= segments->count) {
            memcpy(&four, segments->idle + segment, sizeof(four));
            if (four)
                break;
            segment += 4;
        }
    }
    return segment;
}

/* Cold segments between hot ones that are near are scanned too: that is cheaper than a call. */
int tmf_segments_each_hot(const struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_scan *scan)
{
    int error = 0;
    uint64_t next;
    for (uint64_t at = next_hot(segments, 0); !error && at < segments->count; at = next) {
        uint64_t last = at;
        while ((next = next_hot(segments, last + 1)) < segments->count && next - last <= NEAR)
            last = next;
        uint64_t first = at << segments->shift;
        error = scan(storage, first, end_of(segments, last) - first);
    }
    return error;
}

void tmf_segments_found(struct tmf_segments *segments, uint64_t page)
{
    uint16_t *idle = &segments->idle[page >> segments->shift];
    if (*idle)
        *idle = 1;
}

bool tmf_segments_is_hot(const struct tmf_segments *segments, uint64_t page)
{
    return segments->idle[page >> segments->shift] != 0;
}

/* What the last scan of a hot segment has cost: the way to the next one, or a call. */
static unsigned cost_of(const struct tmf_segments *segments, uint64_t segment)
{
    for (unsigned distance = 1; distance <= NEAR; distance++) {
        if ((segment >= distance && segments->idle[segment - distance]) ||
            (segment + distance < segments->count && segments->idle[segment + distance]))
            return distance;
    }
    return ALONE;
}

static bool is_too_idle(struct tmf_segments *segments, uint64_t segment)
{
    uint16_t *idle = &segments->idle[segment];
    if (!segments->learns || *idle > segments->patience)
        return true;
    *idle = (uint16_t)(*idle + cost_of(segments, segment));
    return false;
}

static int make_cold(struct tmf_segments *segments, struct tmf_storage *storage, uint64_t segment)
{
    uint64_t first = segment << segments->shift;
    uint64_t count = end_of(segments, segment) - first;
    int error = tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                                  (size_t)count * TMF_PAGE_SIZE, false);
    if (error)
        return error;
    segments->idle[segment] = 0;
    segments->cooled_at[segment] = segments->scans;
    if (segments->patience > LEARN_LESS)
        segments->patience -= LEARN_LESS;
    return 0;
}

int tmf_segments_cool(struct tmf_segments *segments, struct tmf_storage *storage)
{
    int error = 0;
    segments->scans++;
    if (segments->always_hot)
        return 0;
    for (uint64_t segment = next_hot(segments, 0); !error && segment < segments->count;
         segment = next_hot(segments, segment + 1)) {
        if (is_too_idle(segments, segment))
            error = make_cold(segments, storage, segment);
    }
    return error;
}
