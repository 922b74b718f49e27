/* SPDX-License-Identifier: MIT */
/*
 * Sets of segments as bits over bits; their layout and invariant are in rows.h. `n` is a node,
 * counted through its level, and at the same time its bit, counted through the level above.
 */
#include "rows.h"

#include "gaps.h"
#include "map_pairs.h"
#include "point.h"

#include <errno.h>

static_assert(sizeof((tmf_heap){0}.index_places) / 8 == 4, "a place for each level above 0");

enum {
    LEVELS = 5,
    LEAF_SHIFT = TMF_MAP_SHARED_SHIFT - TMF_SEGMENT_SHIFT,
    WIDE_SHIFT = 8,
    UPPER_SHIFT = 6
};

static_assert(TMF_MAP_SHARED_SHIFT + WIDE_SHIFT + (LEVELS - 2) * UPPER_SHIFT == TMF_ROWS_LINK_BITS,
              "the root covers every quantum");
static_assert(TMF_ROWS * sizeof(uint32_t) * 2 == TMF_HEAP_PAGE && 1 << LEAF_SHIFT == 32,
              "a node of level 0 is half a page");

/* log2 of the bits in its rows. */
static inline unsigned row_shift(unsigned level)
{
    return level == 0 ? LEAF_SHIFT : level == 1 ? WIDE_SHIFT : UPPER_SHIFT;
}

/* log2 of the quanta that a node covers. */
static inline unsigned cover_shift(unsigned level)
{
    return level == 0 ? TMF_MAP_SHARED_SHIFT
                      : TMF_MAP_SHARED_SHIFT + WIDE_SHIFT + (level - 1) * UPPER_SHIFT;
}

/* Words of a row above level 0. */
static inline uint64_t row_words(unsigned level)
{
    return level == 1 ? (1 << WIDE_SHIFT) / 64 : (1 << UPPER_SHIFT) / 64;
}

/* Bytes of a node above level 0. */
static inline uint64_t node_bytes(unsigned level)
{
    return row_words(level) * sizeof(uint64_t) * TMF_ROWS;
}

/* The root's: the lowest of which one node covers all that the map covers. */
static inline unsigned top_level(uint64_t covered)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(covered - 1);
    if (bits <= cover_shift(1)) {
        return bits > cover_shift(0);
    }
    return 1 + (bits - cover_shift(1) + UPPER_SHIFT - 1) / UPPER_SHIFT;
}

static inline unsigned top_of(const tmf_heap *heap)
{
    return top_level(tmf_map_covered(heap));
}

/*
 * The quantum whose extent has node n of a level above 0: the first that it covers, but a first
 * node is needed no sooner than the one of the level below does not suffice.
 */
static inline uint64_t home_of(unsigned level, uint64_t n)
{
    return n != 0 ? n << cover_shift(level) : UINT64_C(1) << cover_shift(level - 1);
}

/* Nodes of a level above 0 whose home is below quantum `at`. */
static inline uint64_t nodes_below(unsigned level, uint64_t at)
{
    uint64_t most = (UINT64_C(1) << cover_shift(level)) - 1;
    return at <= home_of(level, 0) ? 0 : (at + most) >> cover_shift(level);
}

/* Bytes of the nodes above level 0, but below `level`, whose home is in [first, end). */
static uint64_t bytes_between(uint64_t first, uint64_t end, unsigned level)
{
    uint64_t bytes = 0;
    for (unsigned below = 1; below < level; below++) {
        uint64_t nodes = nodes_below(below, end) - nodes_below(below, first);
        bytes += nodes * node_bytes(below);
    }
    return bytes;
}

uint64_t tmf_rows_bytes(uint64_t first, uint64_t quanta)
{
    uint64_t bytes = bytes_between(first, first + quanta, LEVELS);
    return bytes != 0 ? bytes + TMF_HEAP_PAGE : 0; /* to begin where a page does */
}

/* The row in node n of level 0, which covers a quantum that there is. */
static inline uint32_t *leaf_row(tmf_heap *heap, uint64_t n, unsigned row)
{
    uint64_t at = n << cover_shift(0);
    uint32_t *page = map_page(heap, map_extent(heap, at), at);
    heap->nodes_visited++;
    return &page[TMF_ROWS + row];
}

/* Where the nodes of a level begin in extent number `n`, in bytes from the region's first. */
static uint64_t level_place(const tmf_heap *heap, unsigned level, uint64_t n)
{
    const struct tmf_map_extent *extent = &heap->media->extents[n];
    const unsigned char *side = tmf_map_side(heap, n);
    uint64_t at = (uint64_t)(side - heap->base);
    return (at / TMF_HEAP_PAGE + 1) * TMF_HEAP_PAGE +
           bytes_between(extent->first, extent->first + extent->quanta, level);
}

/* Where node n of a level above 0 is, if the first extent has it, which is as it was made. */
static inline uint64_t place_in_first(tmf_heap *heap, unsigned level, uint64_t n)
{
    if (heap->index_places[level - 1] == 0) {
        heap->index_places[level - 1] = level_place(heap, level, 0);
    }
    return heap->index_places[level - 1] + n * node_bytes(level);
}

static uint64_t place_beyond(const tmf_heap *heap, unsigned level, uint64_t n)
{
    const struct tmf_map_extent *extent = map_extent(heap, home_of(level, n));
    uint64_t before = n - nodes_below(level, extent->first);
    return level_place(heap, level, (uint64_t)(extent - heap->media->extents)) +
           before * node_bytes(level);
}

/* The row in node n of a level above, up to the root's; likewise. */
static inline uint64_t *upper_row(tmf_heap *heap, unsigned level, uint64_t n, unsigned row)
{
    bool in_first =
        heap->media->extent_count == 1 || home_of(level, n) < heap->media->extents[0].quanta;
    uint64_t place = in_first ? place_in_first(heap, level, n) : place_beyond(heap, level, n);
    heap->nodes_visited++;
    return (uint64_t *)(void *)(heap->base + place) + row * row_words(level);
}

/* The word of a row above level 0 that has bit n. */
static inline uint64_t *word_of(uint64_t *bits, unsigned level, uint64_t n)
{
    return &bits[n / 64 % row_words(level)];
}

static inline uint64_t word_bit(uint64_t n)
{
    return UINT64_C(1) << (n % 64);
}

static inline uint32_t leaf_bit(uint64_t segment)
{
    return UINT32_C(1) << (segment % 32);
}

static inline bool is_empty(const uint64_t *bits, unsigned level)
{
    return level == 1 ? (bits[0] | bits[1] | bits[2] | bits[3]) == 0 : bits[0] == 0;
}

static inline bool is_known(const tmf_heap *heap, unsigned row)
{
    return (heap->media->index_area[row / 64] & word_bit(row)) != 0;
}

/* What bit of a level stands for a segment. */
static inline uint64_t bit_at(unsigned level, uint64_t segment)
{
    unsigned below = level == 0 ? TMF_SEGMENT_SHIFT : cover_shift(level - 1);
    return segment << TMF_SEGMENT_SHIFT >> below;
}

/*
 * Of the rows on the way from the root to a segment, the lowest that counts: all bits above it are
 * set. The row is in the header.
 */
static unsigned lowest_level(tmf_heap *heap, unsigned row, uint64_t segment)
{
    unsigned level = top_of(heap);
    for (; level > 0; level--) {
        uint64_t n = bit_at(level, segment);
        uint64_t *bits = upper_row(heap, level, n >> row_shift(level), row);
        if ((*word_of(bits, level, n) & word_bit(n)) == 0) {
            break;
        }
    }
    return level;
}

bool tmf_rows_has(tmf_heap *heap, unsigned row, uint64_t segment)
{
    return is_known(heap, row) && lowest_level(heap, row, segment) == 0 &&
           (*leaf_row(heap, segment >> LEAF_SHIFT, row) & leaf_bit(segment)) != 0;
}

/* The row that leads to a segment gets the bit for that; a row that did not count has no other. */
static void set_bit(tmf_heap *heap, unsigned level, unsigned row, uint64_t segment, bool counted)
{
    uint64_t n = bit_at(level, segment);
    if (level == 0) {
        uint32_t *leaf = leaf_row(heap, n >> LEAF_SHIFT, row);
        *leaf = (counted ? *leaf : 0) | leaf_bit(n);
        return;
    }
    uint64_t *bits = upper_row(heap, level, n >> row_shift(level), row);
    for (unsigned word = 0; !counted && word < row_words(level); word++) {
        bits[word] = 0;
    }
    *word_of(bits, level, n) |= word_bit(n);
}

void tmf_rows_set(tmf_heap *heap, unsigned row, uint64_t segment)
{
    bool was_known = is_known(heap, row);
    unsigned counted = was_known ? lowest_level(heap, row, segment) : top_of(heap) + 1;
    for (unsigned level = 0; level < counted; level++) {
        set_bit(heap, level, row, segment, TMF_MUTANT("stale-row-believed"));
        TMF_POINT("alloc/rows/mid-set");
    }
    if (was_known) {
        set_bit(heap, counted, row, segment, true);
    } else {
        heap->media->index_area[row / 64] |= word_bit(row);
    }
}

int tmf_rows_clear(tmf_heap *heap, unsigned row, uint64_t segment)
{
    uint64_t n = segment >> LEAF_SHIFT;
    unsigned top = top_of(heap);
    uint32_t *leaf = leaf_row(heap, n, row);
    if ((*leaf & leaf_bit(segment)) == 0) {
        return TMF_ECORRUPT;
    }
    *leaf &= ~leaf_bit(segment);
    bool emptied = *leaf == 0;
    for (unsigned level = 1; emptied && level <= top; level++) {
        TMF_POINT("alloc/rows/mid-clear");
        uint64_t *bits = upper_row(heap, level, n >> row_shift(level), row);
        uint64_t *word = word_of(bits, level, n);
        if ((*word & word_bit(n)) == 0) {
            return TMF_ECORRUPT;
        }
        *word &= ~word_bit(n);
        emptied = is_empty(bits, level);
        n >>= row_shift(level);
    }
    if (emptied) {
        TMF_POINT("alloc/rows/clear-but-header");
        heap->media->index_area[row / 64] &= ~word_bit(row);
    }
    return 0;
}

void tmf_rows_extended(tmf_heap *heap, uint64_t covered)
{
    unsigned top = top_of(heap);
    for (unsigned level = top_level(covered) + 1; level <= top; level++) {
        unsigned row = tmf_rows_first(heap, 0);
        for (; row < TMF_ROWS; row = tmf_rows_first(heap, row + 1)) {
            TMF_POINT("alloc/rows/new-level");
            if (!TMF_MUTANT("new-level-empty")) {
                set_bit(heap, level, row, 0, false);
            }
        }
    }
}

/* The first bit from `from` on in the row, or 256: there is none. */
static unsigned next_bit(tmf_heap *heap, unsigned level, uint64_t n, unsigned row, unsigned from)
{
    if (level == 0) {
        uint64_t word = *leaf_row(heap, n, row) & (UINT64_MAX << from);
        return word != 0 ? (unsigned)__builtin_ctzll(word) : 256;
    }
    const uint64_t *bits = upper_row(heap, level, n, row);
    uint64_t mask = UINT64_MAX << (from % 64);
    for (unsigned word = from / 64; word < row_words(level); word++, mask = UINT64_MAX) {
        if ((bits[word] & mask) != 0) {
            return word * 64 + (unsigned)__builtin_ctzll(bits[word] & mask);
        }
    }
    return 256;
}

/*
 * The first bit that is not below `from` in the node that has it, both counted through the level.
 * False: there is none, or no such node.
 */
static bool next_in_node(tmf_heap *heap, unsigned level, unsigned row, uint64_t from, uint64_t *out)
{
    uint64_t n = from >> row_shift(level);
    uint64_t first = n << row_shift(level);
    if (n > (heap->media->end - 1) >> cover_shift(level)) {
        return false;
    }
    unsigned bit = next_bit(heap, level, n, row, (unsigned)(from - first));
    *out = first + bit;
    return bit < 256;
}

int tmf_rows_next(tmf_heap *heap, unsigned row, uint64_t from, uint64_t *segment)
{
    unsigned top = top_of(heap);
    if (!is_known(heap, row) || from > (tmf_map_covered(heap) - 1) >> TMF_SEGMENT_SHIFT) {
        return ENOMEM;
    }
    unsigned level = from == 0 ? top : lowest_level(heap, row, from);
    uint64_t at;
    from = bit_at(level, from);
    while (!next_in_node(heap, level, row, from, &at)) {
        if (level == top) {
            return ENOMEM;
        }
        from = (from >> row_shift(level)) + 1;
        level++;
    }
    for (; level > 0; level--) {
        if (!next_in_node(heap, level - 1, row, at << row_shift(level - 1), &at)) {
            return TMF_ECORRUPT;
        }
    }
    *segment = at;
    return at <= (heap->media->end - 1) >> TMF_SEGMENT_SHIFT ? 0 : TMF_ECORRUPT;
}

unsigned tmf_rows_first(const tmf_heap *heap, unsigned row)
{
    const uint64_t *words = heap->media->index_area;
    uint64_t mask = UINT64_MAX << (row % 64);
    for (unsigned n = row / 64; n < TMF_ROWS_AREA_WORDS; n++, mask = UINT64_MAX) {
        if ((words[n] & mask) != 0) {
            return n * 64 + (unsigned)__builtin_ctzll(words[n] & mask);
        }
    }
    return TMF_ROWS;
}

unsigned tmf_rows_last(const tmf_heap *heap)
{
    for (unsigned n = TMF_ROWS_AREA_WORDS; n > 0; n--) {
        uint64_t word = heap->media->index_area[n - 1];
        if (word != 0) {
            return n * 64 - 1 - (unsigned)__builtin_clzll(word);
        }
    }
    return TMF_ROWS;
}
