/* SPDX-License-Identifier: MIT */
/*
 * rb-tags: every free block is in one red-black tree, by (size, address). What the original's
 * second tree finds, the neighbours of a block, boundary tags give without a search: half the
 * nodes to read and to write, and half the node.
 *
 *     index area   | root |
 *     a free run   | left | right | parent, colour | quanta | ...free... | quanta |
 *
 * Words are of 64 bits, but of 32 where the quantum is 16 bytes: then quantum numbers have 31 bits,
 * which is an arena of 32 GiB. A free run of one quantum of four words ends with its node's last.
 *
 * Invariants: those of rb.h and tags.h.
 *
 * Cost: an operation reads O(log n) nodes, a cache line and a page each, and writes some of them,
 * two to three on average; and a tag at either end of the run. Finding neighbours reads two lines
 * of the map, and two of each free neighbour.
 */
#include "index.h"
#include "point.h"
#include "rb.h"
#include "tags.h"

#include <errno.h>

enum { NARROW_NODE = TMF_TAG_NODE_WORDS * 4, WIDE_NODE = TMF_TAG_NODE_WORDS * 8 };
enum { NARROW_BITS = 31, WIDE_BITS = 63 };

static unsigned tags_link_bits(size_t quantum)
{
    if (quantum >= WIDE_NODE) {
        return WIDE_BITS;
    }
    return quantum >= NARROW_NODE ? NARROW_BITS : 0;
}

static bool is_wide(const tmf_heap *heap)
{
    return heap->media->link_bits == WIDE_BITS;
}

static struct tmf_rb_tree size_tree(tmf_heap *heap)
{
    return tmf_rb_open_tagged(heap, 0, is_wide(heap));
}

static int tags_insert(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree tree = size_tree(heap);
    tmf_rb_node_init(&tree, run);
    tmf_tags_write(heap, is_wide(heap), run);
    TMF_POINT("alloc/rb-tags/before-tree");
    return tmf_rb_insert(&tree, run.at);
}

static int tags_remove(tmf_heap *heap, struct tmf_run run)
{
    struct tmf_rb_tree tree = size_tree(heap);
    if (!tmf_tags_hold(heap, is_wide(heap), run)) {
        return TMF_ECORRUPT;
    }
    return tmf_rb_remove(&tree, run.at);
}

static int tags_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    int error = tags_remove(heap, from);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/rb-tags/mid-change");
    return tags_insert(heap, to);
}

static int tags_find(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
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

static int tags_largest(tmf_heap *heap, struct tmf_run *out)
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

static int tags_adjacent(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                         struct tmf_run *above)
{
    return tmf_tags_adjacent(heap, is_wide(heap), run, below, above);
}

/* Tags are proven by the walk over all blocks, which goes by them. */
static int tags_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    struct tmf_rb_tree tree = size_tree(heap);
    return tmf_rb_check(&tree, fault, count);
}

const struct tmf_index_ops tmf_index_rb_tags = {
    .name = "rb-tags",
    .about = "one red-black tree by size in the free blocks, their lengths at both ends of them",
    .id = 3,
    .area_bytes = sizeof(uint64_t),
    .link_bits = tags_link_bits,
    .insert = tags_insert,
    .remove = tags_remove,
    .change = tags_change,
    .find = tags_find,
    .largest = tags_largest,
    .adjacent = tags_adjacent,
    .check = tags_check,
};
