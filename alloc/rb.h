/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees inside free blocks.
 *
 * A free block's first words are its node, of 32 or 64 bits each, in one of two forms:
 *
 *     PLAIN        TREE    MEANING
 *     0            all     the block's quanta
 *     1            all     one bit for each tree: the node is red there
 *     2 + 3t       t       left child     \
 *     3 + 3t       t       right child     > quantum numbers of other nodes, 0 is none
 *     4 + 3t       t       parent         /
 *
 * so two trees take 8 words: 32 or 64 bytes. The root's quantum number is word t of the index area.
 *
 *     TAGGED       MEANING
 *     0, 1         left and right child
 *     2            twice the parent, and 1 if the node is red
 *     3            the block's quanta
 *
 * is the form for one tree: 4 words, 16 or 32 bytes, and one bit less for quantum numbers.
 *
 * Distrust: a link is followed only if it leads to where a block may be, to a node of possible size
 * and colours, *and* the link back says the same; a wild link into a user's bytes fails at the
 * latter. What does not hold reads as "none" and makes the tree's view sour: `error` stays set,
 * every loop ends, and the caller gets TMF_ECORRUPT. Reads come before the first write wherever the
 * algorithm allows. One view serves one operation, which follows a bounded number of links, so
 * cycles end too.
 *
 * A word is written only if it changes: a store of the same value would dirty a page for nothing.
 */
#ifndef TMF_RB_H
#define TMF_RB_H

#include "media.h"

enum { TMF_RB_TREES_MAX = 2, TMF_RB_WORDS = 2 + 3 * TMF_RB_TREES_MAX };

/* Words of a node, as wide as a quantum number. */
union tmf_rb_node {
    uint32_t narrow[TMF_RB_WORDS];
    uint64_t wide[TMF_RB_WORDS];
};

static_assert(sizeof(uint32_t[TMF_RB_WORDS]) == 32, "media");
static_assert(sizeof(union tmf_rb_node) == 64, "media");

/* A view of one tree for one operation, in ordinary memory. */
struct tmf_rb_tree {
    tmf_heap *heap;
    uint64_t *root;
    bool wide;
    bool by_size;          /* ordered by (quanta, address), else by address */
    unsigned quanta;       /* which word of a node has its length */
    unsigned links;        /* first of its three words in a node */
    unsigned colours;      /* which word has its colour */
    unsigned parent_shift; /* bits below the parent in the parent's word */
    uint64_t red;          /* its bit in the word of colours */
    uint64_t never;        /* bits of that word that no node has */
    int error;             /* 0 or TMF_ECORRUPT */
    uint64_t culprit;      /* the node whose link was wrong; 0: the root */
    unsigned followed;     /* links */
    union tmf_rb_node nil; /* what 0 stands for: black, childless, its parent a scratch word */
};

/* View of the tree number `which`, of plain nodes. */
struct tmf_rb_tree tmf_rb_open(tmf_heap *heap, unsigned which, bool by_size);

/* View of the tree of tagged nodes by size whose root is that word of the index area. */
struct tmf_rb_tree tmf_rb_open_tagged(tmf_heap *heap, unsigned root, bool wide);

/* Makes `run` a node which is in no tree yet. */
void tmf_rb_node_init(struct tmf_rb_tree *tree, struct tmf_run run);

/* The run whose node is at `at`; {0, 0} for 0. */
struct tmf_run tmf_rb_run(const struct tmf_rb_tree *tree, uint64_t at);

/* The last node before `key` and the first that is not, in the tree's order; 0 is none. */
int tmf_rb_bounds(struct tmf_rb_tree *tree, struct tmf_run key, uint64_t *below, uint64_t *above);

/* The last node in the tree's order; 0: the tree is empty. */
int tmf_rb_last(struct tmf_rb_tree *tree, uint64_t *out);

int tmf_rb_insert(struct tmf_rb_tree *tree, uint64_t at);
int tmf_rb_remove(struct tmf_rb_tree *tree, uint64_t at);

/* The node at `from`, in no other tree now, becomes that of `to`; the order does not change. */
int tmf_rb_change(struct tmf_rb_tree *tree, uint64_t from, struct tmf_run to);

/* Order, colours, black height and links of the whole tree, and how many nodes it has. */
int tmf_rb_check(struct tmf_rb_tree *tree, tmf_heap_fault *fault, uint64_t *count);

#endif
