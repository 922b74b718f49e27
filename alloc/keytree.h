/* SPDX-License-Identifier: MIT */
/*
 * A B+-tree of 64-bit keys, outside of the blocks: its nodes are in the pages that the extents of
 * the block map have for the index.
 *
 *     node, 1 KiB:   level | count | link | keys ...                          a leaf, level 0
 *                    level | count | link | 84 keys | 85 children             an inner node
 *                    65535 | 0     | link                                     a free node
 *                    2 byte  2 byte  4 byte  8 byte    4 byte
 *
 *     index area:    root | height | used | free_head | free_count            words of 64 bits
 *
 * Nodes are numbered from 1 on, through all extents; 0 is none. `used` were ever handed out, those
 * of them that came back are linked from free_head on, so pages that were never needed are never
 * written. An empty tree has height 0. keys[i] of an inner node is a lower bound of what is below
 * child i + 1, and above all that is below child i.
 *
 * Invariants: keys ascend; a leaf has 63 to 127 keys and an inner node 43 to 85 children, but the
 * root may have one key; all leaves are on level 0; each of the `used` nodes is in the tree or
 * free.
 *
 * The reserve: K keys are in K / 63 leaves at most, and those below at most 1 / 42 times as many
 * inner nodes, and a root. A node is taken only where one splits, and what is split has too many
 * keys for fewer nodes, so at no time are there more. tmf_keytree_bytes() of all extents is as much
 * as the keys need that there can be: an operation cannot fail for want of a node.
 *
 * Cost: a search reads one node on each level, some five cache lines of each. A key that comes or
 * goes changes one leaf, half of it on average; now and then it splits the leaf or evens it out
 * with a neighbour, which changes that and their parent, and on the next level the same. Levels: 3
 * at 2 * 10^5 keys, 4 at 10^7.
 *
 * Distrust: a child is followed only to a node number that was handed out and that says it is of
 * the level below, with a possible count. What does not hold makes the view sour, as in rb.h. Keys
 * that are out of order mislead a search and end it; they are the checker's to find.
 */
#ifndef TMF_KEYTREE_H
#define TMF_KEYTREE_H

#include "media.h"

enum { TMF_KEYTREE_AREA = 5 * sizeof(uint64_t), TMF_KEYTREE_HEIGHT = 8 };

#define TMF_KEYTREE_NONE UINT64_MAX /* no key */

struct keytree_node;

/* A view of the tree for one operation, in ordinary memory. */
struct tmf_keytree {
    tmf_heap *heap;
    uint64_t *area;
    struct keytree_node *nodes; /* those in the first extent, and how many */
    uint64_t node_count;
    int error; /* 0 or TMF_ECORRUPT */
    struct {
        struct keytree_node *node;
        unsigned slot; /* the child that was followed, or the first key not below what was sought */
    } path[TMF_KEYTREE_HEIGHT]; /* by level, from the leaf up */
};

/* Bytes of nodes that an extent has which adds `keys` keys to those that there can be. */
uint64_t tmf_keytree_bytes(uint64_t keys);

void tmf_keytree_open(struct tmf_keytree *tree, tmf_heap *heap);

/* The first key that is not below `key`; TMF_KEYTREE_NONE: there is none, or the view is sour. */
uint64_t tmf_keytree_find(struct tmf_keytree *tree, uint64_t key);

/* The key after the last one that was found. */
uint64_t tmf_keytree_next(struct tmf_keytree *tree);

uint64_t tmf_keytree_last(struct tmf_keytree *tree);

/* Nothing to do if the key is there. */
int tmf_keytree_insert(struct tmf_keytree *tree, uint64_t key);

/* TMF_ECORRUPT also if the key is not there. */
int tmf_keytree_remove(struct tmf_keytree *tree, uint64_t key);

/* All invariants above. */
int tmf_keytree_check(struct tmf_keytree *tree, tmf_heap_fault *fault);

#endif
