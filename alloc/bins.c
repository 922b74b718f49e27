/* SPDX-License-Identifier: MIT */
/*
 * bins: the block map is the list of free runs; the index only knows where to look.
 *
 *     index area     | lengths that are there, 512 bits | root of long runs |
 *     beside the map | rows: for each length of 1 to 512 quanta, in which segments it is (rows.h)
 *     the map        | ...1000110010000...   a gap between two blocks is a free run (gaps.h)
 *     long runs      | node of a tree by (length, address) | ...free...   (rb.h)
 *
 * A run of up to 512 quanta has nothing written in it or about it but one bit: "segment s has a run
 * of this length", the segments being 256 quanta each, one cache line of the map. The smallest run
 * that fits is in the first row that is not empty, of those the lowest in its first segment, of
 * those in there the first that the map shows: exact best fit. Longer runs are few; they are in one
 * red-black tree in their own first bytes. Neighbours are what the map shows beside a block.
 *
 * Invariants, beside those of rows and trees:
 *  1 a row's bit is set exactly if the map shows a gap of this length in this segment
 *  2 the tree holds the longer gaps
 *
 * When a run goes, its bit goes with it unless the segment has another of the length: the map
 * tells. The index changes before the map does, or after it, so what is being changed must be left
 * out of that look, wherever the map stands; so must a neighbour that is about to be joined.
 *
 * Cost of a free or an allocation among short runs, however many: two cache lines of the map for
 * the block, two or three for the look at the segment, two of rows in the same page, and where a
 * row there becomes empty or ceases to be, one line of a node above. An allocation descends, one
 * line for each level the arena has. Pages written: the header's, one of the map with the rows in
 * it, and now and then one above. No loop but over words of a fixed number. Long runs cost what one
 * red-black tree costs.
 *
 * Measured with 10^6 free blocks of 1 to 2048 bytes, for a free and an allocation: 5.7 pages
 * written with a quantum of 64, 5.9 with 32, 6.1 with 16, and 13 to 15 rows and segments read, in
 * some 2600 instructions.
 *
 * Limits: quantum numbers of 39 bits, 8 TiB of quanta of 16 bytes.
 */
#include "gaps.h"
#include "index.h"
#include "map_scan.h"
#include "point.h"
#include "rb.h"
#include "rows.h"

#include <errno.h>

enum { SHORT_MAX = TMF_GAP_MAX, SMALLEST_QUANTUM = 16, AREA_ROOT = TMF_ROWS_AREA_WORDS };

static_assert((int)SHORT_MAX == (int)TMF_ROWS, "a row for each length");

static unsigned bins_link_bits(size_t quantum)
{
    return quantum >= SMALLEST_QUANTUM ? TMF_ROWS_LINK_BITS : 0;
}

static inline bool is_short(struct tmf_run run)
{
    return run.quanta <= SHORT_MAX;
}

static inline unsigned row_of(struct tmf_run run)
{
    return (unsigned)run.quanta - 1;
}

static struct tmf_rb_tree long_runs(tmf_heap *heap)
{
    return tmf_rb_open_tagged(heap, AREA_ROOT, true);
}

static int insert_long(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree tree = long_runs(heap);
    tmf_rb_node_init(&tree, run);
    TMF_POINT("alloc/bins/before-tree");
    return tmf_rb_insert(&tree, run.at);
}

static int remove_long(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree tree = long_runs(heap);
    return tmf_rb_run(&tree, run.at).quanta == run.quanta ? tmf_rb_remove(&tree, run.at)
                                                          : TMF_ECORRUPT;
}

static int bins_insert(tmf_heap *heap, struct tmf_run run)
{
    if (!is_short(run)) {
        return insert_long(heap, run);
    }
    tmf_rows_set(heap, row_of(run), tmf_gap_segment(run.at));
    return 0;
}

/* Removes `run`; what the map shows inside of `stale`, which contains it, counts no longer. */
static int remove_from(tmf_heap *heap, struct tmf_run run, struct tmf_run stale)
{
    uint64_t segment = tmf_gap_segment(run.at);
    if (!is_short(run)) {
        return remove_long(heap, run);
    }
    heap->nodes_visited++;
    if (tmf_gap_find(heap, segment, run.quanta, 0, stale) == 0 ||
        TMF_MUTANT("shared-bit-cleared")) {
        return tmf_rows_clear(heap, row_of(run), segment);
    }
    return tmf_rows_has(heap, row_of(run), segment) ? 0 : TMF_ECORRUPT;
}

static int bins_remove(tmf_heap *heap, struct tmf_run run)
{
    return remove_from(heap, run, run);
}

static int bins_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    uint64_t at = tmf_min(from.at, to.at);
    uint64_t end = tmf_max(tmf_run_end(from), tmf_run_end(to));
    int error = remove_from(heap, from, (struct tmf_run){.at = at, .quanta = end - at});
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/bins/mid-change");
    return bins_insert(heap, to);
}

/* The first run of exactly these quanta that begins at `from` or behind. ENOMEM: there is none. */
static int find_short(tmf_heap *heap, uint64_t quanta, uint64_t from, struct tmf_run *out)
{
    unsigned row = (unsigned)quanta - 1;
    uint64_t begun = from > 0 ? tmf_gap_segment(from) : UINT64_MAX;
    uint64_t segment = from > 0 ? begun : 0;
    for (;;) {
        int error = tmf_rows_next(heap, row, segment, &segment);
        if (error != 0) {
            return error;
        }
        heap->nodes_visited++;
        uint64_t at = tmf_gap_find(heap, segment, quanta, from, (struct tmf_run){0});
        if (at != 0) {
            *out = (struct tmf_run){.at = at, .quanta = quanta};
            return 0;
        }
        if (segment != begun) {
            return TMF_ECORRUPT;
        }
        segment++;
    }
}

/* The run of a node, if the map shows it too. */
static int long_run(struct tmf_rb_tree *tree, uint64_t at, struct tmf_run *out)
{
    struct tmf_run nothing = {.at = at, .quanta = 0};
    struct tmf_run below;
    struct tmf_run shown;
    int error = tmf_map_neighbours(tree->heap, nothing, &below, &shown);
    *out = tmf_rb_run(tree, at);
    bool holds = error == 0 && below.quanta == 0 && shown.quanta == out->quanta && !is_short(*out);
    return holds ? 0 : TMF_ECORRUPT;
}

static int find_long(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
{
    struct tmf_rb_tree tree = long_runs(heap);
    uint64_t below;
    uint64_t above;
    int error = tmf_rb_bounds(&tree, least, &below, &above);
    if (error != 0 || above == 0) {
        return error != 0 ? error : ENOMEM;
    }
    return long_run(&tree, above, out);
}

static int bins_find(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
{
    if (!is_short(least)) {
        return find_long(heap, least, out);
    }
    if (least.at > 0) {
        int error = find_short(heap, least.quanta, least.at, out);
        if (error != ENOMEM) {
            return error;
        }
        least = (struct tmf_run){.at = 0, .quanta = least.quanta + 1};
    }
    unsigned row = tmf_rows_first(heap, row_of(least));
    if (row == TMF_ROWS) {
        return find_long(heap, (struct tmf_run){.at = 0, .quanta = SHORT_MAX + 1}, out);
    }
    int error = find_short(heap, row + UINT64_C(1), 0, out);
    return error == ENOMEM ? TMF_ECORRUPT : error;
}

static int bins_largest(tmf_heap *heap, struct tmf_run *out)
{
    struct tmf_rb_tree tree = long_runs(heap);
    uint64_t last;
    int error = tmf_rb_last(&tree, &last);
    if (error != 0) {
        return error;
    }
    if (last != 0) {
        return long_run(&tree, last, out);
    }
    unsigned row = tmf_rows_last(heap);
    if (row == TMF_ROWS) {
        return ENOMEM;
    }
    error = find_short(heap, row + UINT64_C(1), 0, out);
    return error == ENOMEM ? TMF_ECORRUPT : error;
}

static int bins_adjacent(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                         struct tmf_run *above)
{
    heap->nodes_visited++;
    return tmf_map_neighbours(heap, run, below, above);
}

/* The runs that a row's bits stand for: each bit for at least one, and there is a bit. */
static int count_short(tmf_heap *heap, unsigned row, uint64_t *count)
{
    uint64_t quanta = row + UINT64_C(1);
    uint64_t segment;
    int error = tmf_rows_next(heap, row, 0, &segment);
    if (error == ENOMEM) {
        return TMF_ECORRUPT;
    }
    for (; error == 0; error = tmf_rows_next(heap, row, segment + 1, &segment)) {
        uint64_t before = *count;
        uint64_t at = 0;
        while ((at = tmf_gap_find(heap, segment, quanta, at + 1, (struct tmf_run){0})) != 0) {
            ++*count;
        }
        if (*count == before) {
            return TMF_ECORRUPT;
        }
    }
    return error == ENOMEM ? 0 : error;
}

static int bins_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    struct tmf_rb_tree tree = long_runs(heap);
    int error = tmf_rb_check(&tree, fault, count);
    unsigned row = tmf_rows_first(heap, 0);
    for (; error == 0 && row < TMF_ROWS; row = tmf_rows_first(heap, row + 1)) {
        if (count_short(heap, row, count) != 0) {
            error = tmf_heap_broken(heap, fault, 0, "a row's bits stand for runs in the map");
        }
    }
    return error;
}

const struct tmf_index_ops tmf_index_bins = {
    .name = "bins",
    .about = "a bit for each length in each 256 quanta; the block map shows the blocks themselves",
    .id = 5,
    .area_bytes = (AREA_ROOT + 1) * sizeof(uint64_t),
    .link_bits = bins_link_bits,
    .shares_map = true,
    .side_bytes = tmf_rows_bytes,
    .extended = tmf_rows_extended,
    .insert = bins_insert,
    .remove = bins_remove,
    .change = bins_change,
    .find = bins_find,
    .largest = bins_largest,
    .adjacent = bins_adjacent,
    .check = bins_check,
};
