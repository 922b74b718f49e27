/* SPDX-License-Identifier: MIT */
/* Gaps of the block map, see gaps.h. All work on words: 64 quanta at a time. */
#include "gaps.h"

#include "map_pairs.h"

enum {
    BITS = MAP_PAIR,
    SEGMENT_WORDS = TMF_SEGMENT_QUANTA / BITS,
    VIEW_WORDS = SEGMENT_WORDS + TMF_GAP_MAX / BITS + 1
};

static_assert(TMF_MAP_CHUNK % TMF_SEGMENT_QUANTA == 0, "a segment lies in one chunk");

bool tmf_gap_is_below(const tmf_heap *heap, uint64_t at)
{
    struct map_chunk chunk = map_chunk(heap, at - 1);
    const struct map_pair *pair = &chunk.pairs[map_pair_in_chunk(at - 1)];
    return chunk.is_void || ((pair->ends >> ((at - 1) % BITS)) & 1) == 0;
}

bool tmf_gap_is_above(const tmf_heap *heap, uint64_t at)
{
    if (at >= heap->media->end) {
        return false;
    }
    struct map_chunk chunk = map_chunk(heap, at);
    const struct map_pair *pair = &chunk.pairs[map_pair_in_chunk(at)];
    return chunk.is_void || ((pair->starts >> (at % BITS)) & 1) == 0;
}

/* What the map shows of a segment, and where blocks start in what a gap of it may reach. */
struct view {
    uint64_t base; /* the segment's first quantum */
    uint64_t starts[VIEW_WORDS];
    uint64_t ends[SEGMENT_WORDS];
};

/* Words n to `words` of the view, which begin a chunk or are beyond the map. */
static void view_load_rest(const tmf_heap *heap, struct view *view, unsigned n, unsigned words)
{
    uint64_t at = view->base + n * BITS;
    bool is_void = true;
    struct map_chunk chunk = {0};
    if (at < tmf_map_covered(heap)) {
        chunk = map_chunk(heap, at);
        is_void = chunk.is_void;
    }
    for (unsigned pair = 0; n < words; n++, pair++) {
        view->starts[n] = is_void ? 0 : chunk.pairs[pair].starts;
    }
}

/* Loads the first words of the segment, which is not void, and what follows. */
static void view_load(const tmf_heap *heap, const struct map_chunk *chunk, unsigned words,
                      struct view *view)
{
    unsigned first = map_pair_in_chunk(view->base);
    unsigned here = MAP_CHUNK_PAIRS - first < words ? MAP_CHUNK_PAIRS - first : words;
    const struct map_pair *pairs = &chunk->pairs[first];
    for (unsigned n = 0; n < SEGMENT_WORDS; n++) {
        view->ends[n] = pairs[n].ends;
    }
    for (unsigned n = 0; n < here; n++) {
        view->starts[n] = pairs[n].starts;
    }
    if (here < words) {
        view_load_rest(heap, view, here, words);
    }
    uint64_t end = heap->media->end - view->base;
    if (end / BITS < words) {
        view->starts[end / BITS] |= UINT64_C(1) << (end % BITS);
    }
}

/* Starts no block in the bits [low, high) of the view? */
static bool view_is_clear(const struct view *view, unsigned low, unsigned high)
{
    for (; low < high; low = (low / BITS + 1) * BITS) {
        uint64_t bits = view->starts[low / BITS] >> (low % BITS);
        if (bits != 0 && (unsigned)__builtin_ctzll(bits) < high - low) {
            return false;
        }
    }
    return true;
}

/* In word n: quanta that end a block, with a start `distance` behind and none next to them. */
static inline uint64_t view_candidates(const struct view *view, unsigned n, unsigned distance)
{
    const uint64_t *far = &view->starts[n + distance / BITS];
    unsigned bit = distance % BITS;
    uint64_t follow = bit == 0 ? far[0] : far[0] >> bit | far[1] << (BITS - bit);
    uint64_t next = view->starts[n] >> 1 | view->starts[n + 1] << (BITS - 1);
    return view->ends[n] & follow & ~next;
}

uint64_t tmf_gap_find(const tmf_heap *heap, uint64_t segment, uint64_t quanta, uint64_t from,
                      struct tmf_run skip)
{
    struct view view = {.base = segment << TMF_SEGMENT_SHIFT};
    struct map_chunk chunk = map_chunk(heap, view.base);
    unsigned distance = (unsigned)quanta + 1;
    if (chunk.is_void) {
        return 0;
    }
    view_load(heap, &chunk, SEGMENT_WORDS + distance / BITS + 1, &view);
    for (unsigned n = 0; n < SEGMENT_WORDS; n++) {
        uint64_t candidates = view_candidates(&view, n, distance);
        for (; candidates != 0; candidates &= candidates - 1) {
            unsigned low = n * BITS + (unsigned)__builtin_ctzll(candidates) + 1;
            uint64_t at = view.base + low;
            bool is_wanted = at >= from && (at < skip.at || at >= tmf_run_end(skip));
            if (is_wanted && view_is_clear(&view, low + 1, low + (unsigned)quanta)) {
                return at;
            }
        }
    }
    return 0;
}
