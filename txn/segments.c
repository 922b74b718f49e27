/* SPDX-License-Identifier: MIT */
/* See segments.h. */
#include "txn/segments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "txn/storage.h"

#define SHIFT_LEAST   6u    /* 64 pages: 256 KiB */
#define SEGMENTS_MOST 4096u /* each splits the mapping at most once, see vm.max_map_count */
#define IDLE_MOST     64u

static int size_segments(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    segments->page_count = storage->arena.size / TMF_PAGE_SIZE;
    segments->always_hot = (storage->flags & TMF_SYSCALLS) != 0;
    segments->shift = SHIFT_LEAST;
    uint64_t most = segments->always_hot ? 1 : SEGMENTS_MOST;
    while ((segments->page_count - 1) >> segments->shift >= most)
        segments->shift++;
    segments->count = ((segments->page_count - 1) >> segments->shift) + 1;
    segments->idle = calloc((size_t)segments->count, 1);
    return segments->idle ? 0 : ENOMEM;
}

int tmf_segments_open(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    *segments = (struct tmf_segments){0};
    return size_segments(segments, storage);
}

int tmf_segments_resize(struct tmf_segments *segments, const struct tmf_storage *storage)
{
    struct tmf_segments larger = {0};
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
    segments->idle = NULL;
}

void tmf_segments_forget(struct tmf_segments *segments)
{
    memset(segments->idle, 0, (size_t)segments->count);
}

static uint64_t end_of(const struct tmf_segments *segments, uint64_t segment)
{
    uint64_t end = (segment + 1) << segments->shift;
    return end < segments->page_count ? end : segments->page_count;
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
    for (; !error && segment <= last; segment++)
        segments->idle[segment] = 1;
    return error;
}

int tmf_segments_each_hot(const struct tmf_segments *segments, struct tmf_storage *storage,
                          tmf_segments_scan *scan)
{
    int error = 0;
    for (uint64_t at = 0, end; !error && at < segments->count; at = end) {
        for (end = at; end < segments->count && segments->idle[end]; end++)
            ;
        uint64_t first = at << segments->shift;
        if (end > at)
            error = scan(storage, first, end_of(segments, end - 1) - first);
        else
            end = at + 1;
    }
    return error;
}

void tmf_segments_found(struct tmf_segments *segments, uint64_t page)
{
    segments->idle[page >> segments->shift] = 1;
}

int tmf_segments_cool(struct tmf_segments *segments, struct tmf_storage *storage)
{
    int error = 0;
    if (segments->always_hot)
        return 0;
    for (uint64_t segment = 0; !error && segment < segments->count; segment++) {
        if (!segments->idle[segment] || segments->idle[segment]++ < IDLE_MOST)
            continue;
        uint64_t first = segment << segments->shift;
        uint64_t count = end_of(segments, segment) - first;
        error = tmf_arena_protect(&storage->arena, (size_t)first * TMF_PAGE_SIZE,
                                  (size_t)count * TMF_PAGE_SIZE, false);
        if (!error)
            segments->idle[segment] = 0;
    }
    return error;
}
