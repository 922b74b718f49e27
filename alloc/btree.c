/* SPDX-License-Identifier: MIT */
/*
 * btree: what is free is in the block map; a B+-tree outside of the blocks knows where in the map
 * to look for a run of a size. Nothing is written into free blocks, so a quantum of 16 will do.
 *
 *     key:   quanta, 37 bits | cell, 27 bits           "a free run of so many quanta is in here"
 *
 *     tree   ... 17 | 3    17 | 9    18 | 0 ...
 *                             |
 *     map    cell 8           | cell 9: ...1000110010000000000000000011010...         map_scan.h
 *                             +--------------------^ the lowest gap of 17 between end and start
 *
 * The plan was two trees of free runs, by (size, address) and by address. The second would repeat
 * the map, whose summary finds a run's neighbours in O(levels): it is not there. And the first need
 * not have a key for every run. A cell is 2048 quanta of map, 512 bytes of it, which is scanned for
 * a run of a given size in 40 to 70 ns. So the tree has one key for all runs of one size in one
 * cell: fewer than runs, and most runs come and go without a change in the tree. A larger cell is
 * scanned for longer, a smaller one has more keys, and a larger reserve for them.
 *
 * Exact: keys in order are runs in order of size, then cell, and the scan takes a cell's lowest.
 *
 * The reserve: in a cell are 63 sizes at most, however it is filled. Each run has the end of a
 * block in front of it that is in the cell, and all but the last are inside: d runs of different
 * sizes take d + d(d - 1) / 2 quanta or more, which are more than 2048 for d = 64. In the course of
 * an operation there are no more keys than before it or after it, since what goes goes first. With
 * keytree.h that bounds the nodes, and every extent of the map has its share of them: 1 KiB for
 * each 2048 quanta, 3 % of what the map covers with quanta of 16 bytes, 0.8 % with 64. Nodes are
 * touched only as they are needed, the rest is a hole in the file. No free fails for want of one.
 *
 * Invariants: a key is in the tree exactly if a free run of that size belongs to that cell.
 *
 * Cost: insert is one search of the tree; remove one scan of a cell, which often ends early at
 * another run of that size, else a search too; change both; find a search and half a scan. Pages
 * written: none by most, one leaf where a key comes or goes; besides the map and the header.
 *
 * The map is read as it is before the operation marks it, or after. It may show a run that the tree
 * has lost already, or lacks yet, but only inside of what the operation joins or splits: remove and
 * change leave that out of their scan.
 */
#include "index.h"
#include "keytree.h"
#include "map_scan.h"
#include "point.h"

#include <errno.h>

enum { QUANTUM_BITS = 37, CELL_BITS = 27, CELL_SIZES_MAX = 63 };

static_assert(QUANTUM_BITS + CELL_BITS == 64, "a key");
static_assert(UINT64_C(1) << (QUANTUM_BITS - CELL_BITS) <= TMF_MAP_CELL, "all cells have keys");

static unsigned btree_link_bits(size_t quantum)
{
    return quantum >= 16 ? QUANTUM_BITS : 0;
}

static uint64_t btree_side_bytes(uint64_t first, uint64_t quanta)
{
    (void)first;
    return tmf_keytree_bytes(quanta / TMF_MAP_CELL * CELL_SIZES_MAX);
}

static const struct tmf_run none = {0};

static uint64_t key_of(struct tmf_run run)
{
    return run.quanta << CELL_BITS | tmf_map_cell_of(run.at);
}

/* The first run that a key stands for, at `from` or above and not in `skip`. {0, 0}: none. */
static struct tmf_run run_of(const tmf_heap *heap, uint64_t key, uint64_t from, struct tmf_run skip)
{
    uint64_t quanta = key >> CELL_BITS;
    uint64_t cell = key & ((UINT64_C(1) << CELL_BITS) - 1);
    if (quanta == 0 || cell * TMF_MAP_CELL >= heap->media->end) {
        return (struct tmf_run){0};
    }
    return tmf_map_scan(heap, cell, quanta, from, skip);
}

static int btree_insert(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    return tmf_keytree_insert(&tree, key_of(run));
}

/* Removes the key of `run` unless another run has it, one that does not begin in `skip`. */
static int remove_last(tmf_heap *heap, struct tmf_run run, struct tmf_run skip)
{
    uint64_t key = key_of(run);
    if (run_of(heap, key, 0, skip).quanta != 0 && !TMF_MUTANT("shared-key-removed")) {
        return 0;
    }
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    return tmf_keytree_remove(&tree, key);
}

static int btree_remove(tmf_heap *heap, struct tmf_run run)
{
    return remove_last(heap, run, run);
}

static int btree_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    struct tmf_run both = {.at = tmf_min(from.at, to.at)};
    both.quanta = tmf_max(tmf_run_end(from), tmf_run_end(to)) - both.at;
    int error = remove_last(heap, from, both);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/btree/mid-change");
    return btree_insert(heap, to);
}

static int btree_find(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
{
    if (least.quanta >= heap->media->end) {
        return ENOMEM;
    }
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    uint64_t sought = key_of(least);
    uint64_t key = tmf_keytree_find(&tree, sought);
    uint64_t from = key == sought ? least.at : 0;
    struct tmf_run run = {0};
    if (key != TMF_KEYTREE_NONE) {
        run = run_of(heap, key, from, none);
    }
    if (run.quanta == 0 && key == sought) {
        key = tmf_keytree_next(&tree);
        run = key != TMF_KEYTREE_NONE ? run_of(heap, key, 0, none) : run;
    }
    if (key == TMF_KEYTREE_NONE && tree.error == 0) {
        return ENOMEM;
    }
    /* Keys out of order must not lead a caller that goes on from here round in circles. */
    if (key < sought || (key == sought && run.at < least.at)) {
        return TMF_ECORRUPT;
    }
    *out = run;
    return run.quanta != 0 ? 0 : TMF_ECORRUPT;
}

static int btree_largest(tmf_heap *heap, struct tmf_run *out)
{
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    uint64_t key = tmf_keytree_last(&tree);
    if (key == TMF_KEYTREE_NONE) {
        return tree.error != 0 ? tree.error : ENOMEM;
    }
    *out = run_of(heap, key, 0, none);
    return out->quanta != 0 ? 0 : TMF_ECORRUPT;
}

static int btree_adjacent(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                          struct tmf_run *above)
{
    return tmf_map_neighbours(heap, run, below, above);
}

/* How many runs a key stands for. */
static uint64_t runs_of(const tmf_heap *heap, uint64_t key)
{
    uint64_t count = 0;
    struct tmf_run run = run_of(heap, key, 0, none);
    for (; run.quanta != 0; run = run_of(heap, key, run.at + 1, none)) {
        count++;
    }
    return count;
}

static int btree_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    int error = tmf_keytree_check(&tree, fault);
    if (error != 0) {
        return error;
    }
    uint64_t runs = 0;
    uint64_t key = tmf_keytree_find(&tree, 0);
    for (; key != TMF_KEYTREE_NONE; key = tmf_keytree_next(&tree)) {
        uint64_t found = runs_of(heap, key);
        if (found == 0) {
            return tmf_heap_broken(heap, fault, 0, "every key has a free run in the map");
        }
        runs += found;
    }
    *count = runs;
    return tree.error;
}

const struct tmf_index_ops tmf_index_btree = {
    .name = "btree",
    .about = "a B+-tree of sizes outside the blocks; the block map is the index by address",
    .id = 4,
    .area_bytes = TMF_KEYTREE_AREA,
    .link_bits = btree_link_bits,
    .side_bytes = btree_side_bytes,
    .insert = btree_insert,
    .remove = btree_remove,
    .change = btree_change,
    .find = btree_find,
    .largest = btree_largest,
    .adjacent = btree_adjacent,
    .check = btree_check,
};
