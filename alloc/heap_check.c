/* SPDX-License-Identifier: MIT */
/*
 * Looking at a heap without changing it: statistics, the walk over all blocks, and the checker that
 * names the first broken invariant. None of them needs memory: an allocated block's size is in the
 * map, a free one's in the index, and the map's own pages are in the header.
 */
#include "index.h"
#include "map.h"

#include <errno.h>

int tmf_heap_stats_get(tmf_heap *heap, tmf_heap_stats *out)
{
    const struct tmf_heap_media *media = heap->media;
    unsigned shift = heap->quantum_shift;
    struct tmf_run largest = {0};
    int error = heap->index->largest(heap, &largest);
    if (error != 0 && error != ENOMEM) {
        return error;
    }
    uint64_t header = (uint64_t)((const unsigned char *)media - heap->base);
    uint64_t metadata = ((media->first + tmf_map_inside(heap)) << shift) - header;
    *out = (tmf_heap_stats){
        .size = media->end << shift,
        .quantum = (size_t)1 << shift,
        .index = heap->index->name,
        .metadata_bytes = metadata,
        .used_bytes = media->used_quanta << shift,
        .free_bytes = media->free_quanta << shift,
        .used_blocks = media->used_blocks,
        .free_blocks = media->free_blocks,
        .largest_free_bytes = largest.quanta << shift,
    };
    return 0;
}

enum span { SPAN_USED, SPAN_FREE, SPAN_MAP, SPAN_NONE };

/* What begins at quantum `at`, where something must. */
static int span_at(tmf_heap *heap, uint64_t at, enum span *kind, struct tmf_run *out)
{
    struct tmf_run below;
    struct tmf_run found = tmf_map_pages(heap, at);
    *kind = SPAN_MAP;
    if (found.quanta == 0) {
        found = (struct tmf_run){.at = at, .quanta = tmf_map_block(heap, at)};
        *kind = SPAN_USED;
    }
    if (found.quanta == 0) {
        struct tmf_run nothing = {.at = at, .quanta = 0};
        int error = heap->index->adjacent(heap, nothing, &below, &found);
        if (error != 0) {
            return error;
        }
        *kind = found.quanta != 0 ? SPAN_FREE : SPAN_NONE;
    }
    *out = found;
    return 0;
}

int tmf_heap_walk(tmf_heap *heap, tmf_heap_visit *visit, void *context)
{
    struct tmf_run run;
    for (uint64_t at = heap->media->first; at < heap->media->end; at = tmf_run_end(run)) {
        enum span kind;
        int error = span_at(heap, at, &kind, &run);
        if (error != 0 || kind == SPAN_NONE) {
            return TMF_ECORRUPT;
        }
        if (kind == SPAN_MAP) {
            continue;
        }
        tmf_heap_block block = {.offset = at << heap->quantum_shift,
                                .size = run.quanta << heap->quantum_shift,
                                .is_free = kind == SPAN_FREE};
        error = visit(context, &block);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int tmf_heap_broken(const tmf_heap *heap, tmf_heap_fault *fault, uint64_t at, const char *invariant)
{
    if (fault != NULL) {
        size_t header = (size_t)((const unsigned char *)heap->media - heap->base);
        fault->offset = at != 0 ? at << heap->quantum_shift : header;
        fault->invariant = invariant;
    }
    return TMF_ECORRUPT;
}

/* What the blocks add up to. */
struct census {
    uint64_t used_blocks;
    uint64_t used_quanta;
    uint64_t free_blocks;
    uint64_t free_quanta;
};

/* The invariant that a free run breaks, or NULL. */
static const char *free_broken(tmf_heap *heap, struct tmf_run run, enum span before)
{
    struct tmf_run found = {0};
    if (before == SPAN_FREE) {
        return "free neighbours are joined";
    }
    if (!tmf_map_is_free(heap, run)) {
        return "the map has no border inside of a free block";
    }
    /* An index that is not exact proves it itself: what it holds begins where free blocks do. */
    if (!heap->index->is_inexact && (heap->index->find(heap, run, &found) != 0 ||
                                     found.at != run.at || found.quanta != run.quanta)) {
        return "every free block is found by its size";
    }
    return NULL;
}

static const char *span_broken(tmf_heap *heap, struct tmf_run run, enum span kind, enum span before)
{
    switch (kind) {
    case SPAN_USED:
        return tmf_map_holds(heap, run) ? NULL : "an allocated block has one start and one end";
    case SPAN_FREE:
        return free_broken(heap, run, before);
    case SPAN_MAP:
        return tmf_map_holds(heap, run) ? NULL : "the map's own pages have one start and one end";
    default:
        return "every quantum is in an allocated or in a free block";
    }
}

/* Blocks tile the heap, each of them is sound. */
static int check_spans(tmf_heap *heap, tmf_heap_fault *fault, struct census *census)
{
    enum span before = SPAN_NONE;
    enum span kind;
    struct tmf_run run;
    for (uint64_t at = heap->media->first; at < heap->media->end; at = tmf_run_end(run)) {
        if (span_at(heap, at, &kind, &run) != 0) {
            return tmf_heap_broken(heap, fault, at, "free blocks overlap nothing");
        }
        const char *broken = span_broken(heap, run, kind, before);
        if (broken != NULL) {
            return tmf_heap_broken(heap, fault, at, broken);
        }
        census->used_blocks += kind == SPAN_USED;
        census->used_quanta += kind == SPAN_USED ? run.quanta : 0;
        census->free_blocks += kind == SPAN_FREE;
        census->free_quanta += kind == SPAN_FREE ? run.quanta : 0;
        before = kind;
    }
    return 0;
}

/* The counters count, and the map has no bit where there can be no block. */
static const char *header_broken(const tmf_heap *heap, const struct census *census,
                                 uint64_t indexed)
{
    const struct tmf_heap_media *media = heap->media;
    struct tmf_run front = {.at = 0, .quanta = media->first};
    struct tmf_run beyond = {.at = media->end, .quanta = tmf_map_covered(heap) - media->end};
    if (census->used_blocks != media->used_blocks || census->used_quanta != media->used_quanta) {
        return "the counters of allocated blocks and quanta are right";
    }
    if (census->free_blocks != media->free_blocks || census->free_quanta != media->free_quanta) {
        return "the counters of free blocks and quanta are right";
    }
    if (census->free_blocks != indexed) {
        return "the index holds the free blocks and nothing else";
    }
    if (!tmf_map_holds(heap, front) || !tmf_map_is_clear(heap, beyond)) {
        return "outside of the blocks the map has two borders, of what is in front of them";
    }
    return NULL;
}

int tmf_heap_check(tmf_heap *heap, tmf_heap_fault *fault)
{
    struct census census = {0};
    uint64_t indexed = 0;
    if (fault != NULL) {
        *fault = (tmf_heap_fault){0};
    }
    if (tmf_heap_media_check(heap) != 0) {
        return tmf_heap_broken(heap, fault, 0, "the header agrees with itself and the region");
    }
    int error = tmf_map_check(heap, fault);
    if (error == 0) {
        error = heap->index->check(heap, fault, &indexed);
    }
    if (error == 0) {
        error = check_spans(heap, fault, &census);
    }
    if (error != 0) {
        return error;
    }
    const char *broken = header_broken(heap, &census, indexed);
    return broken != NULL ? tmf_heap_broken(heap, fault, 0, broken) : 0;
}
