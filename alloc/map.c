/* SPDX-License-Identifier: MIT */
/* The block map; its format is in map.h. Scans go pair by pair, 64 quanta at a time. */
#include "map.h"

#include "point.h"

#include <errno.h>

enum { PAIR_QUANTA = 64, PAGE_QUANTA = 16384 };

struct map_pair {
    uint64_t starts;
    uint64_t ends;
};

static_assert(sizeof(struct map_pair) == 16, "media");
static_assert(PAGE_QUANTA / PAIR_QUANTA * sizeof(struct map_pair) == TMF_HEAP_PAGE, "media");

uint64_t tmf_map_plan(uint64_t covered, uint64_t end, uint64_t limit, uint64_t room)
{
    uint64_t needed = tmf_round_up(end, PAGE_QUANTA) - covered;
    uint64_t wanted = tmf_round_up(tmf_min(end + end / 2, limit), PAGE_QUANTA) - covered;
    return tmf_max(needed, tmf_min(wanted, room * PAGE_QUANTA));
}

uint64_t tmf_map_length(unsigned quantum_shift, uint64_t quanta)
{
    return (quanta / PAGE_QUANTA * TMF_HEAP_PAGE) >> quantum_shift;
}

static struct tmf_run extent_pages(const tmf_heap *heap, uint64_t n)
{
    const struct tmf_map_extent *extent = &heap->media->extents[n];
    uint64_t length = tmf_map_length(heap->quantum_shift, extent->quanta);
    return (struct tmf_run){.at = extent->at, .quanta = length};
}

uint64_t tmf_map_inside(const tmf_heap *heap)
{
    uint64_t quanta = 0;
    for (uint64_t n = 1; n < heap->media->extent_count; n++) {
        quanta += extent_pages(heap, n).quanta;
    }
    return quanta;
}

uint64_t tmf_map_covered(const tmf_heap *heap)
{
    const struct tmf_map_extent *last = &heap->media->extents[heap->media->extent_count - 1];
    return last->first + last->quanta;
}

struct tmf_run tmf_map_pages(const tmf_heap *heap, uint64_t at)
{
    for (uint64_t n = 1; n < heap->media->extent_count; n++) {
        if (heap->media->extents[n].at == at) {
            return extent_pages(heap, n);
        }
    }
    return (struct tmf_run){0};
}

/* Extent n follows on the n - 1 before it, which are believed. */
static bool extent_holds(const tmf_heap *heap, uint64_t n)
{
    const struct tmf_heap_media *media = heap->media;
    const struct tmf_map_extent *extent = &media->extents[n];
    uint64_t covered = n > 0 ? extent[-1].first + extent[-1].quanta : 0;
    uint64_t free_from = n > 1 ? tmf_run_end(extent_pages(heap, n - 1)) : media->first;
    if (extent->first != covered || extent->quanta == 0 || extent->quanta % PAGE_QUANTA != 0 ||
        extent->quanta > UINT64_MAX / TMF_MAP_EXTENTS_MAX || extent->at > media->end ||
        ((extent->at << heap->quantum_shift) & (TMF_HEAP_PAGE - 1)) != 0) {
        return false;
    }
    uint64_t end = tmf_run_end(extent_pages(heap, n));
    return n == 0 ? end == media->first : extent->at >= free_from && end <= media->end;
}

bool tmf_map_extents_hold(const tmf_heap *heap)
{
    const struct tmf_heap_media *media = heap->media;
    if (media->extent_count == 0 || media->extent_count > TMF_MAP_EXTENTS_MAX) {
        return false;
    }
    for (uint64_t n = 0; n < media->extent_count; n++) {
        if (!extent_holds(heap, n)) {
            return false;
        }
    }
    for (uint64_t n = media->extent_count; n < TMF_MAP_EXTENTS_MAX; n++) {
        const struct tmf_map_extent *extent = &media->extents[n];
        if ((extent->first | extent->quanta | extent->at) != 0) {
            return false;
        }
    }
    return tmf_map_covered(heap) >= media->end;
}

int tmf_map_extend(tmf_heap *heap, struct tmf_run *grown)
{
    struct tmf_heap_media *media = heap->media;
    uint64_t covered = tmf_map_covered(heap);
    uint64_t end = tmf_run_end(*grown);
    if (end <= covered) {
        return 0;
    }
    uint64_t room = ((grown->quanta << heap->quantum_shift) / TMF_HEAP_PAGE) / 4;
    uint64_t quanta = tmf_map_plan(covered, end, tmf_heap_limit(media->link_bits), room);
    uint64_t length = tmf_map_length(heap->quantum_shift, quanta);
    if (length >= grown->quanta || media->extent_count == TMF_MAP_EXTENTS_MAX) {
        return ENOMEM;
    }
    media->extents[media->extent_count] =
        (struct tmf_map_extent){.first = covered, .quanta = quanta, .at = end - length};
    TMF_POINT("alloc/grow/after-extent");
    media->extent_count++;
    grown->quanta -= length;
    return 0;
}

/* The pair that holds quantum `at`, which the extents cover. */
static struct map_pair *pair_of(const tmf_heap *heap, uint64_t at)
{
    const struct tmf_map_extent *extent = heap->media->extents;
    while (at >= extent->first + extent->quanta) {
        extent++;
    }
    struct map_pair *pairs = tmf_heap_place(heap, extent->at);
    return &pairs[(at - extent->first) / PAIR_QUANTA];
}

static uint64_t bit_of(uint64_t at)
{
    return UINT64_C(1) << (at % PAIR_QUANTA);
}

/* Do the bits of `run` read as those of one allocated block, or else as those of free space? */
static bool reads_as(const tmf_heap *heap, struct tmf_run run, bool allocated)
{
    uint64_t last = tmf_run_end(run) - 1;
    for (uint64_t low = run.at; low <= last; low = (low | (PAIR_QUANTA - 1)) + 1) {
        const struct map_pair *pair = pair_of(heap, low);
        uint64_t high = tmf_min(last, low | (PAIR_QUANTA - 1));
        uint64_t mask = (bit_of(high) - bit_of(low)) | bit_of(high);
        uint64_t starts = allocated && low == run.at ? bit_of(low) : 0;
        uint64_t ends = allocated && high == last ? bit_of(high) : 0;
        if ((pair->starts & mask) != starts || (pair->ends & mask) != ends) {
            return false;
        }
    }
    return true;
}

bool tmf_map_holds(const tmf_heap *heap, struct tmf_run run)
{
    return reads_as(heap, run, true);
}

bool tmf_map_is_clear(const tmf_heap *heap, struct tmf_run run)
{
    return run.quanta == 0 || reads_as(heap, run, false);
}

bool tmf_map_is_free(const tmf_heap *heap, struct tmf_run run)
{
    for (uint64_t n = 1; n < heap->media->extent_count; n++) {
        struct tmf_run pages = extent_pages(heap, n);
        if (run.at < tmf_run_end(pages) && pages.at < tmf_run_end(run)) {
            return false;
        }
    }
    return tmf_map_is_clear(heap, run);
}

uint64_t tmf_map_block(const tmf_heap *heap, uint64_t at)
{
    if ((pair_of(heap, at)->starts & bit_of(at)) == 0) {
        return 0;
    }
    for (uint64_t low = at; low < heap->media->end; low = (low | (PAIR_QUANTA - 1)) + 1) {
        uint64_t ends = pair_of(heap, low)->ends & ~(bit_of(low) - 1);
        if (ends != 0) {
            uint64_t end = low / PAIR_QUANTA * PAIR_QUANTA + (unsigned)__builtin_ctzll(ends);
            return end < heap->media->end ? end - at + 1 : 0;
        }
    }
    return 0;
}

void tmf_map_mark(tmf_heap *heap, struct tmf_run run, bool allocated)
{
    uint64_t last = tmf_run_end(run) - 1;
    struct map_pair *low = pair_of(heap, run.at);
    struct map_pair *high = pair_of(heap, last);
    low->starts = (low->starts & ~bit_of(run.at)) | (allocated ? bit_of(run.at) : 0);
    TMF_POINT("alloc/map/between-borders");
    high->ends = (high->ends & ~bit_of(last)) | (allocated ? bit_of(last) : 0);
}
