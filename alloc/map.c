/* SPDX-License-Identifier: MIT */
/* The extents of the block map: planning, adding and checking them. Their format is in map.h. */
#include "map.h"

#include "index.h"
#include "map_summary.h"
#include "point.h"

#include <errno.h>

enum { SIDE_ALIGNMENT = 1024 };

static uint64_t page_quanta(const tmf_heap *heap)
{
    return UINT64_C(1) << heap->map_shift;
}

uint64_t tmf_map_plan(const tmf_heap *heap, uint64_t covered, uint64_t end, uint64_t limit,
                      uint64_t room)
{
    uint64_t needed = tmf_round_up(end, page_quanta(heap)) - covered;
    uint64_t wanted = tmf_round_up(tmf_min(end + end / 2, limit), page_quanta(heap)) - covered;
    return tmf_max(needed, tmf_min(wanted, room * page_quanta(heap)));
}

/* Where the index's bytes begin in an extent that covers `quanta`. */
static uint64_t side_place(const tmf_heap *heap, uint64_t quanta)
{
    return (quanta >> heap->map_shift) * TMF_HEAP_PAGE +
           tmf_round_up(tmf_summary_words(quanta / TMF_MAP_CHUNK) * 8, SIDE_ALIGNMENT);
}

static uint64_t side_bytes(const tmf_heap *heap, uint64_t first, uint64_t quanta)
{
    return heap->index->side_bytes != NULL ? heap->index->side_bytes(first, quanta) : 0;
}

uint64_t tmf_map_length(const tmf_heap *heap, uint64_t first, uint64_t quanta)
{
    uint64_t bytes = side_place(heap, quanta) + side_bytes(heap, first, quanta);
    return tmf_round_up(bytes, TMF_HEAP_PAGE) >> heap->quantum_shift;
}

uint64_t tmf_map_side_bytes(const tmf_heap *heap, uint64_t n)
{
    const struct tmf_map_extent *extent = &heap->media->extents[n];
    return side_bytes(heap, extent->first, extent->quanta);
}

void *tmf_map_side(const tmf_heap *heap, uint64_t n)
{
    const struct tmf_map_extent *extent = &heap->media->extents[n];
    unsigned char *pages = tmf_heap_place(heap, extent->at);
    return pages + side_place(heap, extent->quanta);
}

static struct tmf_run extent_pages(const tmf_heap *heap, uint64_t n)
{
    const struct tmf_map_extent *extent = &heap->media->extents[n];
    uint64_t length = tmf_map_length(heap, extent->first, extent->quanta);
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
    if (extent->first != covered || extent->quanta == 0 ||
        extent->quanta % page_quanta(heap) != 0 ||
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
    uint64_t quanta = tmf_map_plan(heap, covered, end, tmf_heap_limit(media->link_bits), room);
    uint64_t length = tmf_map_length(heap, covered, quanta);
    if (length >= grown->quanta || media->extent_count == TMF_MAP_EXTENTS_MAX) {
        return ENOMEM;
    }
    media->extents[media->extent_count] =
        (struct tmf_map_extent){.first = covered, .quanta = quanta, .at = end - length};
    TMF_POINT("alloc/grow/after-extent");
    media->extent_count++;
    if (!TMF_MUTANT("map-pages-unmarked")) {
        tmf_map_mark(heap, (struct tmf_run){.at = end - length, .quanta = length}, true);
    }
    if (heap->index->extended != NULL) {
        heap->index->extended(heap, covered);
    }
    grown->quanta -= length;
    return 0;
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
