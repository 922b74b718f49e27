/* SPDX-License-Identifier: MIT */
/*
 * rb-twin: every free block is in two red-black trees, one by (size, address) for placement, one by
 * address for joining neighbours. It is the index of TMFAlloc. The nodes are inside of the blocks,
 * so an operation writes to O(log n) of them.
 *
 * rb-twin32 is the same with links of 32 bits at any quantum: half the node, and at most 2^32
 * quanta.
 */
#include "index.h"
#include "point.h"
#include "rb.h"

#include <errno.h>

enum { BY_SIZE, BY_ADDRESS, TREES };

enum { NARROW_NODE = TMF_RB_WORDS * sizeof(uint32_t), WIDE_NODE = TMF_RB_WORDS * sizeof(uint64_t) };

static unsigned narrow_link_bits(size_t quantum)
{
    return quantum >= NARROW_NODE ? 32 : 0;
}

static unsigned widest_link_bits(size_t quantum)
{
    return quantum >= WIDE_NODE ? 64 : narrow_link_bits(quantum);
}

static struct tmf_rb_tree size_tree(tmf_heap *heap)
{
    return tmf_rb_open(heap, BY_SIZE, true);
}

static struct tmf_rb_tree address_tree(tmf_heap *heap)
{
    return tmf_rb_open(heap, BY_ADDRESS, false);
}

static int twin_insert(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree by_size = size_tree(heap);
    struct tmf_rb_tree by_address = address_tree(heap);
    tmf_rb_node_init(&by_size, run);
    int error = tmf_rb_insert(&by_size, run.at);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/twin/between-inserts");
    return tmf_rb_insert(&by_address, run.at);
}

static int twin_remove(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree by_size = size_tree(heap);
    struct tmf_rb_tree by_address = address_tree(heap);
    int error = tmf_rb_remove(&by_size, run.at);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/twin/between-removes");
    if (TMF_MUTANT("left-in-address-tree")) {
        return 0;
    }
    return tmf_rb_remove(&by_address, run.at);
}

/* The place in the tree by address stays, which spares all rebalancing there. */
static int twin_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    struct tmf_rb_tree by_size = size_tree(heap);
    struct tmf_rb_tree by_address = address_tree(heap);
    int error = tmf_rb_remove(&by_size, from.at);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/twin/mid-change");
    error = tmf_rb_change(&by_address, from.at, to);
    if (error != 0) {
        return error;
    }
    by_size = size_tree(heap);
    return tmf_rb_insert(&by_size, to.at);
}

static int twin_find(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
{
    struct tmf_rb_tree tree = size_tree(heap);
    uint64_t below;
    uint64_t above;
    int error = tmf_rb_bounds(&tree, least, &below, &above);
    if (error != 0 || above == 0) {
        return error != 0 ? error : ENOMEM;
    }
    *out = tmf_rb_run(&tree, above);
    return 0;
}

static int twin_largest(tmf_heap *heap, struct tmf_run *out)
{
    struct tmf_rb_tree tree = size_tree(heap);
    uint64_t last;
    int error = tmf_rb_last(&tree, &last);
    if (error != 0 || last == 0) {
        return error != 0 ? error : ENOMEM;
    }
    *out = tmf_rb_run(&tree, last);
    return 0;
}

static int twin_adjacent(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                         struct tmf_run *above)
{
    struct tmf_rb_tree tree = address_tree(heap);
    uint64_t low;
    uint64_t high;
    int error = tmf_rb_bounds(&tree, run, &low, &high);
    if (error != 0) {
        return error;
    }
    struct tmf_run before = tmf_rb_run(&tree, low);
    struct tmf_run after = tmf_rb_run(&tree, high);
    if (tmf_run_end(before) > run.at || (high != 0 && after.at < tmf_run_end(run))) {
        return TMF_ECORRUPT;
    }
    *below = tmf_run_end(before) == run.at ? before : (struct tmf_run){0};
    *above = after.at == tmf_run_end(run) ? after : (struct tmf_run){0};
    return 0;
}

static int twin_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    struct tmf_rb_tree by_size = size_tree(heap);
    struct tmf_rb_tree by_address = address_tree(heap);
    uint64_t in_order;
    int error = tmf_rb_check(&by_address, fault, count);
    if (error == 0) {
        error = tmf_rb_check(&by_size, fault, &in_order);
    }
    if (error == 0 && in_order != *count) {
        return tmf_heap_broken(heap, fault, by_size.root[0], "both trees have as many nodes");
    }
    return error;
}

#define TWIN_OPS                                                                                   \
    .area_bytes = TREES * sizeof(uint64_t), .insert = twin_insert, .remove = twin_remove,          \
    .change = twin_change, .find = twin_find, .largest = twin_largest, .adjacent = twin_adjacent,  \
    .check = twin_check

const struct tmf_index_ops tmf_index_rb_twin = {
    .name = "rb-twin",
    .about = "two red-black trees in the free blocks, by size and by address (the original)",
    .id = 1,
    .link_bits = widest_link_bits,
    TWIN_OPS,
};

const struct tmf_index_ops tmf_index_rb_twin32 = {
    .name = "rb-twin32",
    .about = "the same two trees with 32-bit links, so a quantum of 32 bytes suffices",
    .id = 2,
    .link_bits = narrow_link_bits,
    TWIN_OPS,
};
