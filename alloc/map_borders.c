/* SPDX-License-Identifier: MIT */
/*
 * Borders in the block map: setting, clearing and finding them. A search looks at the 64 pairs of
 * one chunk at most, asks the summary for the next chunk that has a border, and looks at its pairs.
 *
 * What the summary says is not believed: a chunk that has no border although its bit is set, or a
 * word that is zero although the one above says otherwise, ends a search in a border that is
 * neither start nor end, right where the search began. Nobody takes that for free space.
 */
#include "map.h"

#include "map_pairs.h"
#include "map_summary.h"
#include "point.h"

static struct tmf_border border_at(const struct map_pair *pair, uint64_t at)
{
    return (struct tmf_border){
        .at = at,
        .is_start = (pair->starts >> (at % MAP_PAIR) & 1) != 0,
        .is_end = (pair->ends >> (at % MAP_PAIR) & 1) != 0,
    };
}

static struct tmf_border promised(uint64_t at)
{
    return (struct tmf_border){.at = at};
}

/* The first border of a chunk in pair `from` or above, of which the bits in `mask`. */
static struct tmf_border next_in_chunk(const struct map_chunk *chunk, unsigned from, uint64_t mask)
{
    for (unsigned n = from; n < MAP_CHUNK_PAIRS; n++) {
        uint64_t bits = (chunk->pairs[n].starts | chunk->pairs[n].ends) & mask;
        if (bits != 0) {
            uint64_t at = chunk->first + (uint64_t)n * MAP_PAIR + (unsigned)__builtin_ctzll(bits);
            return border_at(&chunk->pairs[n], at);
        }
        mask = UINT64_MAX;
    }
    return promised(TMF_MAP_NOWHERE);
}

static struct tmf_border previous_in_chunk(const struct map_chunk *chunk, unsigned from,
                                           uint64_t mask)
{
    for (unsigned n = from + 1; n-- > 0;) {
        uint64_t bits = (chunk->pairs[n].starts | chunk->pairs[n].ends) & mask;
        if (bits != 0) {
            uint64_t at =
                chunk->first + (uint64_t)n * MAP_PAIR + 63 - (unsigned)__builtin_clzll(bits);
            return border_at(&chunk->pairs[n], at);
        }
        mask = UINT64_MAX;
    }
    return promised(TMF_MAP_NOWHERE);
}

/* Goes on from extent to extent. There are 32 at most. */
static struct tmf_border next_beyond(const tmf_heap *heap, uint64_t at)
{
    uint64_t from = at / TMF_MAP_CHUNK + 1;
    const struct tmf_map_extent *last = heap->media->extents + heap->media->extent_count;
    for (const struct tmf_map_extent *extent = map_extent(heap, at); extent < last; extent++) {
        uint64_t first = extent->first / TMF_MAP_CHUNK;
        uint64_t bits = extent->quanta / TMF_MAP_CHUNK;
        uint64_t found = tmf_summary_next(map_summary(heap, extent), bits, from - first);
        if (found < bits) {
            struct map_chunk chunk = map_chunk(heap, (first + found) * TMF_MAP_CHUNK);
            struct tmf_border border = next_in_chunk(&chunk, 0, UINT64_MAX);
            return border.at != TMF_MAP_NOWHERE ? border : promised(at);
        }
        if (found == TMF_SUMMARY_LIES) {
            return promised(at);
        }
        from = first + bits;
    }
    return promised(TMF_MAP_NOWHERE);
}

static struct tmf_border previous_beyond(const tmf_heap *heap, uint64_t at)
{
    uint64_t to = at / TMF_MAP_CHUNK;
    const struct tmf_map_extent *extent = map_extent(heap, at);
    for (;; extent--) {
        uint64_t first = extent->first / TMF_MAP_CHUNK;
        uint64_t bits = extent->quanta / TMF_MAP_CHUNK;
        uint64_t found = tmf_summary_previous(map_summary(heap, extent), bits, to - first);
        if (found < bits) {
            struct map_chunk chunk = map_chunk(heap, (first + found) * TMF_MAP_CHUNK);
            struct tmf_border border = previous_in_chunk(&chunk, MAP_CHUNK_PAIRS - 1, UINT64_MAX);
            return border.at != TMF_MAP_NOWHERE ? border : promised(at);
        }
        if (found == TMF_SUMMARY_LIES) {
            return promised(at);
        }
        if (extent == heap->media->extents) {
            return promised(TMF_MAP_NOWHERE);
        }
        to = first;
    }
}

/* As tmf_map_next() where `at` is in that chunk. */
static inline struct tmf_border next_from(const tmf_heap *heap, const struct map_chunk *chunk,
                                          uint64_t at)
{
    if (!chunk->is_void) {
        struct tmf_border border =
            next_in_chunk(chunk, map_pair_in_chunk(at), UINT64_MAX << (at % MAP_PAIR));
        if (border.at != TMF_MAP_NOWHERE) {
            return border;
        }
    }
    return next_beyond(heap, at);
}

struct tmf_border tmf_map_next(const tmf_heap *heap, uint64_t at)
{
    struct map_chunk chunk = map_chunk(heap, at);
    return next_from(heap, &chunk, at);
}

struct tmf_border tmf_map_previous(const tmf_heap *heap, uint64_t at)
{
    struct map_chunk chunk = map_chunk(heap, at);
    if (!chunk.is_void) {
        struct tmf_border border =
            previous_in_chunk(&chunk, map_pair_in_chunk(at), UINT64_MAX >> (63 - at % MAP_PAIR));
        if (border.at != TMF_MAP_NOWHERE) {
            return border;
        }
    }
    return previous_beyond(heap, at);
}

uint64_t tmf_map_block(const tmf_heap *heap, uint64_t at)
{
    struct map_chunk chunk = map_chunk(heap, at);
    if (chunk.is_void) {
        return 0;
    }
    struct tmf_border border = border_at(&chunk.pairs[map_pair_in_chunk(at)], at);
    if (!border.is_start) {
        return 0;
    }
    if (!border.is_end && at + 1 < heap->media->end) {
        border = tmf_map_next(heap, at + 1);
    }
    return border.is_end && border.at < heap->media->end ? border.at - at + 1 : 0;
}

bool tmf_map_holds(const tmf_heap *heap, struct tmf_run run)
{
    struct map_chunk chunk = map_chunk(heap, run.at);
    if (chunk.is_void) {
        return false;
    }
    uint64_t second = run.at + 1;
    struct tmf_border border = border_at(&chunk.pairs[map_pair_in_chunk(run.at)], run.at);
    if (!border.is_start || border.is_end || run.quanta == 1) {
        return border.is_start && border.is_end && run.quanta == 1;
    }
    border =
        second % TMF_MAP_CHUNK != 0 ? next_from(heap, &chunk, second) : tmf_map_next(heap, second);
    return border.at == tmf_run_end(run) - 1 && border.is_end && !border.is_start;
}

bool tmf_map_is_clear(const tmf_heap *heap, struct tmf_run run)
{
    return run.quanta == 0 || tmf_map_next(heap, run.at).at >= tmf_run_end(run);
}

static bool chunk_is_clear(const struct map_chunk *chunk)
{
    return next_in_chunk(chunk, 0, UINT64_MAX).at == TMF_MAP_NOWHERE;
}

/* A chunk that was void becomes one that counts. Words that are zero are not written. */
static void chunk_fill(const struct map_chunk *chunk)
{
    for (unsigned n = 0; n < MAP_CHUNK_PAIRS; n++) {
        struct map_pair *pair = &chunk->pairs[n];
        if ((pair->starts | pair->ends) != 0) {
            *pair = (struct map_pair){0};
        }
    }
}

static void chunk_set_void(const tmf_heap *heap, struct map_chunk *chunk, bool is_void)
{
    const struct tmf_map_extent *extent = map_extent(heap, chunk->first);
    uint64_t bit = (chunk->first - extent->first) / TMF_MAP_CHUNK;
    uint64_t bits = extent->quanta / TMF_MAP_CHUNK;
    if (is_void) {
        if (!TMF_MUTANT("summary-not-cleared")) {
            tmf_summary_drop(map_summary(heap, extent), bits, bit);
        }
    } else {
        if (!TMF_MUTANT("void-chunk-not-filled")) {
            chunk_fill(chunk);
        }
        tmf_summary_add(map_summary(heap, extent), bits, bit);
    }
    chunk->is_void = is_void;
}

/* Sets or clears the start or the end at `at`, which is in that chunk. */
static inline void mark(tmf_heap *heap, struct map_chunk *chunk, uint64_t at, bool is_start,
                        bool allocated)
{
    if (chunk->is_void) {
        if (!allocated) {
            return;
        }
        chunk_set_void(heap, chunk, false);
    }
    struct map_pair *pair = &chunk->pairs[map_pair_in_chunk(at)];
    uint64_t *word = is_start ? &pair->starts : &pair->ends;
    uint64_t bit = UINT64_C(1) << (at % MAP_PAIR);
    *word = (*word & ~bit) | (allocated ? bit : 0);
    if ((pair->starts | pair->ends) == 0 && chunk_is_clear(chunk)) {
        TMF_POINT("alloc/map/before-void");
        chunk_set_void(heap, chunk, true);
    }
}

void tmf_map_mark(tmf_heap *heap, struct tmf_run run, bool allocated)
{
    uint64_t last = tmf_run_end(run) - 1;
    last -= run.quanta > 1 && TMF_MUTANT("border-off-by-one");
    struct map_chunk chunk = map_chunk(heap, run.at);
    mark(heap, &chunk, run.at, true, allocated);
    TMF_POINT("alloc/map/between-borders");
    if (last / TMF_MAP_CHUNK != run.at / TMF_MAP_CHUNK && !TMF_MUTANT("end-in-first-chunk")) {
        chunk = map_chunk(heap, last);
    }
    mark(heap, &chunk, last, false, allocated);
}

int tmf_map_check(const tmf_heap *heap, tmf_heap_fault *fault)
{
    for (uint64_t n = 0; n < heap->media->extent_count; n++) {
        const struct tmf_map_extent *extent = &heap->media->extents[n];
        uint64_t bits = extent->quanta / TMF_MAP_CHUNK;
        if (!tmf_summary_holds(map_summary(heap, extent), bits)) {
            return tmf_heap_broken(heap, fault, extent->at,
                                   "the levels of the map's summary agree");
        }
    }
    return 0;
}
