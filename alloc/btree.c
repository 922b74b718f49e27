/* SPDX-License-Identifier: MIT */
/*
 * btree: what is free is in the block map; a B+-tree outside of the blocks knows where in the map
 * to look for a run of a size. Nothing is written into free blocks, so a quantum of 16 will do.
 *
 *     key:   quanta, 38 bits | chunk, 26 bits         "a free run of so many quanta is in here"
 *
 * The plan was two trees of free runs, by (size, address) and by address. The second would repeat
 * the map, whose summary finds a run's neighbours in O(levels): it is not there. And the first need
 * not have a key for every run. A chunk is 4096 quanta of map, 1 KiB of it, which is scanned for a
 * run of a given size in some 40 ns (map_scan.h). So the tree has one key for all runs of one size
 * in one chunk: far fewer than runs, and most runs come and go without a change in the tree.
 *
 * Exact: keys in order are runs in order of size, then chunk, and the scan takes a chunk's lowest.
 *
 * The reserve: in a chunk are 90 sizes at most, however it is filled. Each run has the end of a
 * block in front of it that is in the chunk, and all but the last are inside: d runs of different
 * sizes take d + d(d - 1) / 2 quanta or more, which are more than 4096 for d = 91. In the course of
 * an operation there are no more keys than before it or after it, since what goes goes first. With
 * keytree.h that bounds the nodes, and every extent of the map has its share of them: 8 KiB for
 * each 16384 quanta, 3 % of an arena with quanta of 16 bytes, 0.8 % with 64. Nodes are touched only
 * as they are needed, the rest is a hole in the file. No free fails for want of a node.
 *
 * Invariants: a key is in the tree exactly if a free run of that size belongs to that chunk.
 *
 * Cost: insert is one search of the tree, remove one scan of a chunk, which often ends at the next
 * run of that size, else a search; change both; find a search and half a scan. Pages written: none
 * by most, one leaf where a key comes or goes; besides the map and the header, the heap's own.
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

enum { QUANTUM_BITS = 38, CHUNK_BITS = 26, CHUNK_SIZES_MAX = 90 };

static_assert(QUANTUM_BITS + CHUNK_BITS == 64, "a key");
static_assert(UINT64_C(1) << (QUANTUM_BITS - CHUNK_BITS) == TMF_MAP_CHUNK, "all chunks have keys");

static unsigned btree_link_bits(size_t quantum)
{
    return quantum >= 16 ? QUANTUM_BITS : 0;
}

static uint64_t btree_side_bytes(uint64_t first, uint64_t quanta)
{
    (void)first;
    return tmf_keytree_bytes(quanta / TMF_MAP_CHUNK * CHUNK_SIZES_MAX);
}

static uint64_t key_of(struct tmf_run run)
{
    return run.quanta << CHUNK_BITS | tmf_map_chunk_of(run.at);
}

/* The runs that a key stands for, in [from, to). {0, 0}: the key is impossible or untrue. */
static struct tmf_run run_of(const tmf_heap *heap, uint64_t key, uint64_t from, uint64_t to)
{
    uint64_t quanta = key >> CHUNK_BITS;
    uint64_t chunk = key & ((UINT64_C(1) << CHUNK_BITS) - 1);
    if (quanta == 0 || chunk * TMF_MAP_CHUNK >= heap->media->end) {
        return (struct tmf_run){0};
    }
    return tmf_map_scan(heap, chunk, quanta, from, to);
}

static int btree_insert(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_keytree tree = tmf_keytree_open(heap);
    return tmf_keytree_insert(&tree, key_of(run));
}

/* Removes the key of `run` unless another run has it, one that does not begin in [low, high). */
static int remove_last(tmf_heap *heap, struct tmf_run run, uint64_t low, uint64_t high)
{
    uint64_t key = key_of(run);
    if (run_of(heap, key, high, UINT64_MAX).quanta != 0 || run_of(heap, key, 0, low).quanta != 0) {
        return 0;
    }
    struct tmf_keytree tree = tmf_keytree_open(heap);
    return tmf_keytree_remove(&tree, key);
}

static int btree_remove(tmf_heap *heap, struct tmf_run run)
{
    return remove_last(heap, run, run.at, run.at + 1);
}

static int btree_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    uint64_t low = tmf_min(from.at, to.at);
    uint64_t high = tmf_max(tmf_run_end(from), tmf_run_end(to));
    int error = remove_last(heap, from, low, high);
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
    struct tmf_keytree tree = tmf_keytree_open(heap);
    uint64_t sought = key_of(least);
    uint64_t key = tmf_keytree_find(&tree, sought);
    uint64_t from = key == sought ? least.at : 0;
    struct tmf_run run = {0};
    if (key != TMF_KEYTREE_NONE) {
        run = run_of(heap, key, from, UINT64_MAX);
    }
    if (run.quanta == 0 && key == sought) {
        key = tmf_keytree_next(&tree);
        run = key != TMF_KEYTREE_NONE ? run_of(heap, key, 0, UINT64_MAX) : run;
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
    struct tmf_keytree tree = tmf_keytree_open(heap);
    uint64_t key = tmf_keytree_last(&tree);
    if (key == TMF_KEYTREE_NONE) {
        return tree.error != 0 ? tree.error : ENOMEM;
    }
    *out = run_of(heap, key, 0, UINT64_MAX);
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
    struct tmf_run run = run_of(heap, key, 0, UINT64_MAX);
    for (; run.quanta != 0; run = run_of(heap, key, run.at + 1, UINT64_MAX)) {
        count++;
    }
    return count;
}

static int btree_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    struct tmf_keytree tree = tmf_keytree_open(heap);
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
