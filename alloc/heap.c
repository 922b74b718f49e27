/* SPDX-License-Identifier: MIT */
/*
 * Allocating, resizing and freeing. Three things know every block, and change in this order: the
 * index (free runs), the map (borders of allocated blocks), the counters. Between two of them the
 * heap is half changed; each such place is a named point. Whoever calls makes it all or nothing.
 *
 * A request is refused before the first write: a free is proven by the map, a run that the index
 * offers must be clear in the map. What may fail later is TMF_ECORRUPT alone.
 */
#include "index.h"
#include "map.h"
#include "point.h"

#include <errno.h>
#include <string.h>

/* Bytes to quanta, at least one; 0: more than there can be. */
static uint64_t quanta_of(const tmf_heap *heap, size_t size)
{
    size_t quantum = (size_t)1 << heap->quantum_shift;
    if (size > PTRDIFF_MAX) {
        return 0;
    }
    return size == 0 && !TMF_MUTANT("empty-block-refused")
               ? 1
               : tmf_round_up(size, quantum) >> heap->quantum_shift;
}

/* Finds the allocated block that begins at `block` and has `size` bytes, rounded up. */
static int block_of(const tmf_heap *heap, const void *block, size_t size, struct tmf_run *out)
{
    uintptr_t offset = (uintptr_t)block - (uintptr_t)heap->base;
    struct tmf_run run = {.at = offset >> heap->quantum_shift, .quanta = quanta_of(heap, size)};
    bool is_place = run.at << heap->quantum_shift == offset && run.at >= heap->media->first &&
                    run.at < heap->media->end;
    if (!is_place || run.quanta == 0 || run.quanta > heap->media->end - run.at ||
        (!tmf_map_holds(heap, run) && !TMF_MUTANT("free-unproven")) ||
        tmf_map_pages(heap, run.at).quanta != 0) {
        return TMF_EBADBLOCK;
    }
    *out = run;
    return 0;
}

/* Whether it lies where blocks are. The map has no borders before that, and may have room behind.
 */
static bool is_among_blocks(const tmf_heap *heap, struct tmf_run run)
{
    uint64_t end = heap->media->end;
    return run.at >= heap->media->first && run.at <= end && run.quanta <= end - run.at;
}

int tmf_heap_give(tmf_heap *heap, struct tmf_run run)
{
    const struct tmf_index_ops *index = heap->index;
    struct tmf_run below;
    struct tmf_run above;
    int error = index->adjacent(heap, run, &below, &above);
    if (error != 0) {
        return error;
    }
    below.quanta = TMF_MUTANT("below-not-joined") ? 0 : below.quanta;
    above.quanta = TMF_MUTANT("above-not-joined") ? 0 : above.quanta;
    struct tmf_run joined = {.at = below.quanta != 0 ? below.at : run.at,
                             .quanta = below.quanta + run.quanta + above.quanta};
    if (!is_among_blocks(heap, joined)) {
        return TMF_ECORRUPT;
    }
    if (below.quanta != 0 && above.quanta != 0 && !TMF_MUTANT("joined-not-removed")) {
        error = index->remove(heap, above);
        TMF_POINT("alloc/give/between-neighbours");
    }
    if (error == 0 && below.quanta + above.quanta == 0) {
        error = index->insert(heap, joined);
    } else if (error == 0) {
        error = index->change(heap, below.quanta != 0 ? below : above, joined);
    }
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/give/before-counters");
    heap->media->free_blocks += 1 - (uint64_t)(below.quanta != 0) - (uint64_t)(above.quanta != 0);
    heap->media->free_quanta += run.quanta;
    return 0;
}

/*
 * Takes `run` out of the free run `from`; what is left in front of it and behind stays free. The
 * map must agree as far as blocks and nodes will be written: to the first quantum of what is
 * behind. Nobody is given the heap's own header, nor what is behind the region.
 */
static int take(tmf_heap *heap, struct tmf_run from, struct tmf_run run)
{
    const struct tmf_index_ops *index = heap->index;
    struct tmf_run front = {.at = from.at, .quanta = run.at - from.at};
    struct tmf_run back = {.at = tmf_run_end(run), .quanta = tmf_run_end(from) - tmf_run_end(run)};
    struct tmf_run written = {.at = from.at, .quanta = back.at + (back.quanta != 0) - from.at};
    if (!is_among_blocks(heap, from) || !tmf_map_is_free(heap, written)) {
        return TMF_ECORRUPT;
    }
    int error = 0;
    if (front.quanta + back.quanta == 0) {
        error = index->remove(heap, from);
    } else {
        error = index->change(heap, from, front.quanta != 0 ? front : back);
    }
    if (error == 0 && front.quanta != 0 && back.quanta != 0 && !TMF_MUTANT("remainder-lost")) {
        TMF_POINT("alloc/take/between-pieces");
        error = index->insert(heap, back);
    }
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/take/before-counters");
    heap->media->free_blocks += (uint64_t)(front.quanta != 0) + (uint64_t)(back.quanta != 0) - 1;
    heap->media->free_quanta -= TMF_MUTANT("free-miscounted") ? from.quanta : run.quanta;
    return 0;
}

/*
 * The smallest free run, the lowest among equals, in which `quanta` fit at a multiple of `step`
 * quanta (of the address, not of the offset), and the lowest such place in it. Every run of quanta
 * + step - 1 has one, so the search looks at the free runs of [quanta, quanta + step - 1) at most.
 * An index that is not exact has no next run: it is asked for one of that length at once.
 */
static int find(tmf_heap *heap, uint64_t quanta, uint64_t step, struct tmf_run *from,
                struct tmf_run *run)
{
    uint64_t base = (uintptr_t)heap->base >> heap->quantum_shift;
    struct tmf_run least = {.at = 0, .quanta = quanta};
    least.quanta += TMF_MUTANT("next-larger-taken");
    least.at = TMF_MUTANT("higher-of-equals-taken") ? heap->media->end / 2 : 0;
    for (;;) {
        int error = heap->index->find(heap, least, from);
        if (error != 0) {
            return error;
        }
        uint64_t at = tmf_round_up(base + from->at, step) - base;
        if (at - from->at <= from->quanta - quanta || TMF_MUTANT("alignment-overruns")) {
            *run = (struct tmf_run){.at = at, .quanta = quanta};
            return 0;
        }
        if (heap->index->is_inexact) {
            least.quanta = quanta + step - 1;
        } else {
            least = (struct tmf_run){.at = from->at + 1, .quanta = from->quanta};
        }
    }
}

int tmf_heap_alloc(tmf_heap *heap, size_t alignment, size_t size, void **out)
{
    uint64_t quanta = quanta_of(heap, size);
    struct tmf_run from;
    struct tmf_run run;
    if ((alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    if (quanta == 0) {
        return ENOMEM;
    }
    int error =
        find(heap, quanta,
             tmf_max(1, TMF_MUTANT("alignment-ignored") ? 1 : alignment >> heap->quantum_shift),
             &from, &run);
    if (error == 0) {
        error = take(heap, from, run);
    }
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/take/before-map");
    tmf_map_mark(heap, run, true);
    TMF_POINT("alloc/take/after-map");
    heap->media->used_blocks++;
    heap->media->used_quanta += quanta;
    *out = tmf_heap_place(heap, run.at);
    return 0;
}

static int free_run(tmf_heap *heap, struct tmf_run run)
{
    int error = tmf_heap_give(heap, run);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/free/before-map");
    if (!TMF_MUTANT("freed-not-unmarked")) {
        tmf_map_mark(heap, run, false);
    }
    TMF_POINT("alloc/free/after-map");
    heap->media->used_blocks -= !TMF_MUTANT("freed-not-counted");
    heap->media->used_quanta -= run.quanta;
    return 0;
}

int tmf_heap_free(tmf_heap *heap, void *block, size_t size)
{
    struct tmf_run run;
    int error = block_of(heap, block, size, &run);
    return error != 0 ? error : free_run(heap, run);
}

static void mark_resized(tmf_heap *heap, struct tmf_run old, struct tmf_run new)
{
    TMF_POINT("alloc/resize/before-map");
    tmf_map_mark(heap, old, false);
    TMF_POINT("alloc/resize/between-borders");
    tmf_map_mark(heap, new, true);
    heap->media->used_quanta += new.quanta - old.quanta;
}

/*
 * Moves the upper border of `old` to make it `quanta` long. ENOMEM: the free run above is too
 * short; nothing was changed. A block that shrinks does so in the map first: the index asks the map
 * what lies in front of the run that it is given, and that must be the end of a block.
 */
static int move_border(tmf_heap *heap, struct tmf_run old, uint64_t quanta)
{
    struct tmf_run new = {.at = old.at, .quanta = quanta};
    if (quanta < old.quanta) {
        mark_resized(heap, old, new);
        if (TMF_MUTANT("shrunk-tail-lost")) {
            return 0;
        }
        return tmf_heap_give(heap, (struct tmf_run){tmf_run_end(new), old.quanta - quanta});
    }
    struct tmf_run below;
    struct tmf_run above;
    uint64_t more = quanta - old.quanta;
    int error = heap->index->adjacent(heap, old, &below, &above);
    if (error == 0 && above.quanta + TMF_MUTANT("grown-by-one-too-many") < more) {
        return ENOMEM;
    }
    if (error == 0) {
        error = take(heap, above, (struct tmf_run){above.at, more});
    }
    if (error == 0) {
        mark_resized(heap, old, new);
    }
    return error;
}

/* Moves `old`, which has `old_size` bytes of content, to a block of `new_size`, which are more. */
static int move_block(tmf_heap *heap, struct tmf_run old, size_t old_size, size_t new_size,
                      void **out)
{
    void *moved;
    int error = tmf_heap_alloc(heap, 1, new_size, &moved);
    if (error != 0) {
        return error;
    }
    memcpy(moved, tmf_heap_place(heap, old.at),
           TMF_MUTANT("new-size-copied") ? new_size : old_size);
    TMF_POINT("alloc/resize/after-copy");
    error = free_run(heap, old);
    if (error == 0) {
        *out = moved;
    }
    return error;
}

int tmf_heap_resize(tmf_heap *heap, void *block, size_t old_size, size_t new_size, void **out)
{
    uint64_t quanta = quanta_of(heap, new_size);
    struct tmf_run old;
    int error = block_of(heap, block, old_size, &old);
    if (error != 0) {
        return error;
    }
    if (quanta == 0) {
        return ENOMEM;
    }
    error = quanta != old.quanta ? move_border(heap, old, quanta) : 0;
    if (error == ENOMEM) {
        return move_block(heap, old, old_size, new_size, out);
    }
    if (error == 0) {
        *out = block;
    }
    return error;
}
