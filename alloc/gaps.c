/* SPDX-License-Identifier: MIT */
/* Gaps of the block map, see gaps.h. All work on words: 64 quanta at a time. */
#include "gaps.h"

#include "map_pairs.h"
#include "point.h"

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

/* The first pairs of a segment, and those which a gap of it may reach into. */
struct view {
    const struct map_pair *pairs;
    struct map_pair copies[VIEW_WORDS]; /* where they do not lie one behind the other */
};

/*
 * Copies pairs from quantum `at` on. Beyond the map and in a void chunk there is nothing; at the
 * region's end a block seems to start.
 */
static void view_copy(const tmf_heap *heap, uint64_t at, unsigned count, struct view *view)
{
    uint64_t covered = tmf_map_covered(heap);
    uint64_t end = heap->media->end;
    for (unsigned n = 0; n < count; n++, at += BITS) {
        view->copies[n] = (struct map_pair){0};
        if (at < covered) {
            struct map_chunk chunk = map_chunk(heap, at);
            const struct map_pair *pair = &chunk.pairs[map_pair_in_chunk(at)];
            view->copies[n] = chunk.is_void ? view->copies[n] : *pair;
        }
        view->copies[n].starts |= end / BITS == at / BITS ? UINT64_C(1) << (end % BITS) : 0;
    }
    view->pairs = view->copies;
}

/* Starts no block in the bits [low, high) of the view? */
static inline bool view_is_clear(const struct view *view, unsigned low, unsigned high)
{
    for (; low < high; low = (low / BITS + 1) * BITS) {
        uint64_t bits = view->pairs[low / BITS].starts >> (low % BITS);
        if (bits != 0 && (unsigned)__builtin_ctzll(bits) < high - low) {
            return false;
        }
    }
    return true;
}

/* In pair n: quanta that end a block, with a start `distance` behind and none next to them. */
static inline uint64_t view_candidates(const struct view *view, unsigned n, unsigned distance)
{
    const struct map_pair *pair = &view->pairs[n];
    const struct map_pair *far = &pair[distance / BITS];
    unsigned bit = distance % BITS;
    uint64_t follow = far[0].starts >> bit | far[1].starts << 1 << (BITS - 1 - bit);
    uint64_t next = pair[0].starts >> 1 | pair[1].starts << (BITS - 1);
    return pair->ends & follow & ~(TMF_MUTANT("gap-before-block") ? 0 : next);
}

uint64_t tmf_gap_find(const tmf_heap *heap, uint64_t segment, uint64_t quanta, uint64_t from,
                      struct tmf_run skip)
{
    struct view view;
    uint64_t base = segment << TMF_SEGMENT_SHIFT;
    struct map_chunk chunk = map_chunk(heap, base);
    unsigned distance = (unsigned)quanta + 1;
    unsigned count = SEGMENT_WORDS + distance / BITS + 1;
    if (chunk.is_void) {
        return 0;
    }
    view.pairs = &chunk.pairs[map_pair_in_chunk(base)];
    if (map_pair_in_chunk(base) + count > MAP_CHUNK_PAIRS ||
        heap->media->end - base < (uint64_t)count * BITS) {
        view_copy(heap, base, count, &view);
    }
    for (unsigned n = 0; n < SEGMENT_WORDS; n++) {
        uint64_t candidates = view_candidates(&view, n, distance);
        for (; candidates != 0; candidates &= candidates - 1) {
            unsigned low = n * BITS + (unsigned)__builtin_ctzll(candidates) + 1;
            bool is_wanted = base + low >= from && base + low - skip.at >= skip.quanta;
            if (is_wanted && view_is_clear(&view, low + 1, low + (unsigned)quanta)) {
                return base + low;
            }
        }
    }
    return 0;
}
