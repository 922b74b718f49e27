/* SPDX-License-Identifier: MIT */
/*
 * The tree of keytree.h. keytree_node_at() is the gate: no node is read but through it. Splitting a
 * node and evening two out are the same: all keys are gathered in a hand and dealt to two nodes.
 */
#include "keytree.h"

#include "map.h"
#include "point.h"

#include <string.h>

enum { ROOT, HEIGHT, USED, FREE_HEAD, FREE_COUNT };
enum { NODE_BYTES = 1024, FREE_LEVEL = UINT16_MAX };
enum { LEAF_MAX = 127, LEAF_MIN = 63, INNER_MAX = 84, INNER_MIN = 42 }; /* keys */

struct keytree_node {
    uint16_t level;
    uint16_t count; /* of keys */
    uint32_t link;  /* of a free node: the next one */
    union {
        uint64_t keys[LEAF_MAX];
        struct {
            uint64_t bounds[INNER_MAX]; /* as keys, of inner nodes */
            uint32_t children[INNER_MAX + 1];
        };
    };
};

static_assert(sizeof(struct keytree_node) == NODE_BYTES, "media");
static_assert(offsetof(struct keytree_node, keys) == 8, "media");
static_assert(offsetof(struct keytree_node, children) == 680, "media");

/* Keys of one node or two, and one more. */
struct hand {
    uint64_t keys[2 * LEAF_MAX + 1];
    uint32_t children[2 * INNER_MAX + 2];
    unsigned count; /* of keys */
};

static unsigned keys_max(unsigned level)
{
    return level == 0 ? LEAF_MAX : INNER_MAX;
}

static unsigned keys_min(unsigned level)
{
    return level == 0 ? LEAF_MIN : INNER_MIN;
}

uint64_t tmf_keytree_bytes(uint64_t keys)
{
    uint64_t leaves = keys / LEAF_MIN + 1;
    return (leaves + leaves / INNER_MIN + 1) * NODE_BYTES;
}

static void sour(struct tmf_keytree *tree)
{
    tree->error = TMF_ECORRUPT;
}

/* The place of node `number`, from 1 on; NULL: no extent has it. */
static struct keytree_node *node_place(const struct tmf_keytree *tree, uint64_t number)
{
    uint64_t n = number - 1;
    if (n < tree->node_count) {
        return tree->nodes + n;
    }
    n -= tree->node_count;
    for (uint64_t extent = 1; extent < tree->heap->media->extent_count; extent++) {
        uint64_t count = tmf_map_side_bytes(tree->heap, extent) / NODE_BYTES;
        if (n < count) {
            return (struct keytree_node *)tmf_map_side(tree->heap, extent) + n;
        }
        n -= count;
    }
    return NULL;
}

static bool node_holds_count(const struct tmf_keytree *tree, const struct keytree_node *node,
                             uint64_t number, unsigned level)
{
    unsigned min = number == tree->area[ROOT] ? 1 : keys_min(level);
    return level == FREE_LEVEL ? node->count == 0
                               : node->count >= min && node->count <= keys_max(level);
}

/* Node `number` if it is one, of that level, and can be true; else NULL, and the view is sour. */
static struct keytree_node *node_at(struct tmf_keytree *tree, uint64_t number, unsigned level)
{
    struct keytree_node *node = NULL;
    if (number - 1 < tree->area[USED]) {
        node = node_place(tree, number);
    }
    if (node == NULL || node->level != level || !node_holds_count(tree, node, number, level)) {
        sour(tree);
        return NULL;
    }
    tree->heap->nodes_visited++;
    return node;
}

void tmf_keytree_open(struct tmf_keytree *tree, tmf_heap *heap)
{
    tree->heap = heap;
    tree->area = heap->media->index_area;
    tree->nodes = tmf_map_side(heap, 0);
    tree->node_count = tmf_map_side_bytes(heap, 0) / NODE_BYTES;
    tree->error = tree->area[HEIGHT] <= TMF_KEYTREE_HEIGHT ? 0 : TMF_ECORRUPT;
}

/* How many of the keys are below `key`. Without a branch that depends on a key. */
static unsigned keys_below(const uint64_t *keys, unsigned count, uint64_t key)
{
    const uint64_t *low = keys;
    while (count > 1) {
        unsigned half = count / 2;
        low = low[half - 1] < key ? low + half : low;
        count -= half;
    }
    return (unsigned)(low - keys) + (count == 1 && *low < key);
}

/* From node `number` on `level` down to the leaf where `key` is or would be, along the path. */
static void descend(struct tmf_keytree *tree, uint64_t number, unsigned level, uint64_t key)
{
    struct keytree_node *node = node_at(tree, number, level);
    while (node != NULL && level > 0) {
        unsigned slot = keys_below(node->bounds, node->count, key + 1);
        tree->path[level].node = node;
        tree->path[level].slot = slot;
        level--;
        node = node_at(tree, node->children[slot], level);
    }
    if (node != NULL) {
        tree->path[0].node = node;
        tree->path[0].slot = keys_below(node->keys, node->count, key);
    }
}

/* false: the tree is empty, or the view is sour. */
static bool seek(struct tmf_keytree *tree, uint64_t key)
{
    uint64_t height = tree->area[HEIGHT];
    if (tree->error == 0 && height > 0) {
        descend(tree, tree->area[ROOT], (unsigned)height - 1, key);
    }
    return tree->error == 0 && height > 0;
}

/* The key at the end of the path; where it is behind the leaf's last, the first of the next leaf.
 */
static uint64_t key_on_path(struct tmf_keytree *tree)
{
    if (tree->path[0].slot < tree->path[0].node->count) {
        return tree->path[0].node->keys[tree->path[0].slot];
    }
    for (unsigned level = 1; level < tree->area[HEIGHT]; level++) {
        struct keytree_node *node = tree->path[level].node;
        if (tree->path[level].slot < node->count) {
            unsigned slot = ++tree->path[level].slot;
            descend(tree, node->children[slot], level - 1, 0);
            return tree->error == 0 ? tree->path[0].node->keys[0] : TMF_KEYTREE_NONE;
        }
    }
    return TMF_KEYTREE_NONE;
}

uint64_t tmf_keytree_find(struct tmf_keytree *tree, uint64_t key)
{
    return seek(tree, key) ? key_on_path(tree) : TMF_KEYTREE_NONE;
}

uint64_t tmf_keytree_next(struct tmf_keytree *tree)
{
    tree->path[0].slot++;
    return key_on_path(tree);
}

uint64_t tmf_keytree_last(struct tmf_keytree *tree)
{
    if (!seek(tree, TMF_KEYTREE_NONE - 1)) {
        return TMF_KEYTREE_NONE;
    }
    const struct keytree_node *leaf = tree->path[0].node;
    return leaf->keys[leaf->count - 1];
}

/* A node nobody uses, of `level` now, and its number. NULL: what says where is wrong. */
static struct keytree_node *node_take(struct tmf_keytree *tree, unsigned level, uint32_t *out)
{
    uint64_t number = tree->area[FREE_HEAD];
    struct keytree_node *node = NULL;
    if (number != 0) {
        node = node_at(tree, number, FREE_LEVEL);
        if (node != NULL) {
            tree->area[FREE_HEAD] = TMF_MUTANT("node-taken-twice") ? number : node->link;
            tree->area[FREE_COUNT]--;
        }
    } else {
        number = tree->area[USED] + 1;
        node = node_place(tree, number);
        tree->area[USED] += node != NULL;
    }
    if (node == NULL) {
        sour(tree);
        return NULL;
    }
    node->level = (uint16_t)level;
    node->link = 0;
    *out = (uint32_t)number;
    return node;
}

static void node_give(struct tmf_keytree *tree, struct keytree_node *node, uint64_t number)
{
    node->level = FREE_LEVEL;
    node->count = 0;
    node->link = (uint32_t)tree->area[FREE_HEAD];
    tree->area[FREE_HEAD] = number;
    tree->area[FREE_COUNT]++;
}

/* Makes room for one at `slot` of `count` items. */
#define OPEN_SLOT(items, slot, count)                                                              \
    memmove(&(items)[(slot) + 1], &(items)[slot], ((count) - (slot)) * sizeof(items)[0])
#define CLOSE_SLOT(items, slot, count)                                                             \
    memmove(&(items)[slot], &(items)[(slot) + 1], ((count) - (slot)-1) * sizeof(items)[0])

/* Adds a key at `slot`, and in an inner node `child` to its right. There is room. */
static void node_put(struct keytree_node *node, unsigned slot, uint64_t key, uint32_t child)
{
    OPEN_SLOT(node->keys, slot, node->count);
    node->keys[slot] = key;
    if (node->level > 0) {
        OPEN_SLOT(node->children, slot + 1, node->count + 1U);
        node->children[slot + 1] = child;
    }
    node->count++;
}

/* Removes the key at `slot`, and in an inner node the child to its right. */
static void node_drop(struct keytree_node *node, unsigned slot)
{
    CLOSE_SLOT(node->keys, slot, node->count);
    if (node->level > 0) {
        CLOSE_SLOT(node->children, slot + 1, node->count + 1U);
    }
    node->count--;
}

/* Adds what is in a node to the hand; an inner node's keys only with `between` in front. */
static void hand_gather(struct hand *hand, const struct keytree_node *node, uint64_t between)
{
    if (node->level > 0) {
        unsigned children = hand->count > 0 ? hand->count + 1 : 0;
        if (hand->count > 0) {
            hand->keys[hand->count++] = between;
        }
        memcpy(&hand->children[children], node->children,
               (node->count + 1U) * sizeof node->children[0]);
    }
    memcpy(&hand->keys[hand->count], node->keys, node->count * sizeof node->keys[0]);
    hand->count += node->count;
}

static void hand_put(struct hand *hand, unsigned slot, uint64_t key, uint32_t child, bool is_inner)
{
    OPEN_SLOT(hand->keys, slot, hand->count);
    hand->keys[slot] = key;
    if (is_inner) {
        OPEN_SLOT(hand->children, slot + 1, hand->count + 1);
        hand->children[slot + 1] = child;
    }
    hand->count++;
}

/* `count` keys of the hand, from `first` on, and what is below them become the node's content. */
static void node_fill(struct keytree_node *node, const struct hand *hand, unsigned first,
                      unsigned count)
{
    memcpy(node->keys, &hand->keys[first], count * sizeof node->keys[0]);
    if (node->level > 0) {
        memcpy(node->children, &hand->children[first], (count + 1) * sizeof node->children[0]);
    }
    node->count = (uint16_t)count;
}

/* Deals the hand to two nodes of one level and returns the key between them. */
static uint64_t hand_deal(const struct hand *hand, struct keytree_node *left,
                          struct keytree_node *right)
{
    unsigned half = hand->count / 2;
    unsigned rest = half + (left->level > 0) + TMF_MUTANT("split-loses-key");
    node_fill(right, hand, rest, hand->count - rest);
    TMF_POINT("alloc/keytree/mid-deal");
    node_fill(left, hand, 0, half);
    return hand->keys[half];
}

/* The root was split; both halves get a parent. */
static void grow_root(struct tmf_keytree *tree, uint64_t between, uint32_t right)
{
    uint64_t height = tree->area[HEIGHT];
    uint32_t number;
    struct keytree_node *root =
        height < TMF_KEYTREE_HEIGHT ? node_take(tree, (unsigned)height, &number) : NULL;
    if (root == NULL) {
        sour(tree);
        return;
    }
    root->keys[0] = between;
    root->children[0] = (uint32_t)tree->area[ROOT];
    root->children[1] = right;
    root->count = 1;
    tree->area[ROOT] = number;
    tree->area[HEIGHT] = height + 1;
}

static int insert_first(struct tmf_keytree *tree, uint64_t key)
{
    uint32_t number;
    struct keytree_node *leaf = node_take(tree, 0, &number);
    if (leaf != NULL) {
        leaf->keys[0] = key;
        leaf->count = 1;
        tree->area[ROOT] = number;
        tree->area[HEIGHT] = 1;
    }
    return tree->error;
}

/*
 * Adds `key` to the leaf on the path. A full node is split, and the key between its halves goes to
 * its parent, which may be full in turn.
 */
static void insert_on_path(struct tmf_keytree *tree, uint64_t key)
{
    uint32_t child = 0;
    for (unsigned level = 0; level < tree->area[HEIGHT]; level++) {
        struct keytree_node *node = tree->path[level].node;
        unsigned slot = tree->path[level].slot;
        if (node->count < keys_max(level)) {
            node_put(node, slot, key, child);
            return;
        }
        uint32_t number;
        struct keytree_node *right = node_take(tree, level, &number);
        if (right == NULL) {
            return;
        }
        struct hand hand = {.count = 0};
        hand_gather(&hand, node, 0);
        hand_put(&hand, slot, key, child, level > 0);
        key = hand_deal(&hand, node, right);
        child = number;
        TMF_POINT("alloc/keytree/mid-split");
    }
    grow_root(tree, key, child);
}

int tmf_keytree_insert(struct tmf_keytree *tree, uint64_t key)
{
    if (!seek(tree, key)) {
        return tree->error != 0 ? tree->error : insert_first(tree, key);
    }
    const struct keytree_node *leaf = tree->path[0].node;
    unsigned slot = tree->path[0].slot;
    if (slot == leaf->count || leaf->keys[slot] != key) {
        insert_on_path(tree, key);
    }
    return tree->error;
}

/* The root has lost a key: without one it goes, and what is below it is the root. */
static void shrink_root(struct tmf_keytree *tree, struct keytree_node *root)
{
    uint64_t number = tree->area[ROOT];
    if (root->count == 0) {
        tree->area[ROOT] = root->level > 0 ? root->children[0] : 0;
        tree->area[HEIGHT]--;
        node_give(tree, root, number);
    }
}

/*
 * The node below `slot` of the parent on `level` has too few keys: it shares those of a neighbour,
 * or the two become one. true: they did, the left one, and the parent's key between them is at
 * *out; it and the child to its right must go.
 */
static bool even_out(struct tmf_keytree *tree, unsigned level, unsigned *out)
{
    struct keytree_node *parent = tree->path[level].node;
    unsigned slot = tree->path[level].slot - (tree->path[level].slot > 0);
    uint32_t right_number = parent->children[slot + 1];
    /* One of them may have a key too few for the gate, and has been through it. */
    struct keytree_node *known = tree->path[level - 1].node;
    bool known_is_left = slot == tree->path[level].slot;
    struct keytree_node *other =
        node_at(tree, known_is_left ? right_number : parent->children[slot], level - 1);
    if (other == NULL || other == known) {
        sour(tree);
        return false;
    }
    struct keytree_node *left = known_is_left ? known : other;
    struct keytree_node *right = known_is_left ? other : known;
    struct hand hand = {.count = 0};
    hand_gather(&hand, left, 0);
    hand_gather(&hand, right, parent->keys[slot]);
    if (hand.count > keys_max(level - 1)) {
        parent->keys[slot] = hand_deal(&hand, left, right);
        return false;
    }
    node_fill(left, &hand, 0, hand.count);
    TMF_POINT("alloc/keytree/mid-join");
    node_give(tree, right, right_number);
    *out = slot;
    return true;
}

int tmf_keytree_remove(struct tmf_keytree *tree, uint64_t key)
{
    unsigned slot = seek(tree, key) ? tree->path[0].slot : 0;
    if (tree->error != 0 || tree->area[HEIGHT] == 0 || slot == tree->path[0].node->count ||
        tree->path[0].node->keys[slot] != key) {
        return TMF_ECORRUPT;
    }
    for (unsigned level = 0;; level++) {
        struct keytree_node *node = tree->path[level].node;
        node_drop(node, slot);
        if (level + 1 == tree->area[HEIGHT]) {
            shrink_root(tree, node);
            return tree->error;
        }
        if (node->count >= keys_min(level) || !even_out(tree, level + 1, &slot)) {
            return tree->error;
        }
    }
}

/* The free nodes are as many as it is said. */
static bool free_nodes_hold(struct tmf_keytree *tree)
{
    uint64_t count = 0;
    uint64_t number = tree->area[FREE_HEAD];
    for (; number != 0 && count < tree->area[FREE_COUNT] && tree->error == 0; count++) {
        const struct keytree_node *node = node_at(tree, number, FREE_LEVEL);
        number = node != NULL ? node->link : 0;
    }
    return tree->error == 0 && number == 0 && count == tree->area[FREE_COUNT];
}

/* The keys of a node ascend within [low, high), and nothing is where nothing belongs. */
static bool node_holds(const struct keytree_node *node, uint64_t low, uint64_t high)
{
    bool holds = node->link == 0 && node->keys[0] >= low && node->keys[node->count - 1] < high;
    for (unsigned n = 1; n < node->count; n++) {
        holds = holds && node->keys[n - 1] < node->keys[n];
    }
    return holds;
}

/* A walk over all nodes, each before what is below it. */
struct nodes_walk {
    struct tmf_keytree *tree;
    uint64_t low[TMF_KEYTREE_HEIGHT + 1]; /* bounds of what is below the path, by level */
    uint64_t high[TMF_KEYTREE_HEIGHT + 1];
    uint64_t nodes;
};

/* Goes from child `slot` of the path's node on `level` + 1, or the root, down to its first leaf. */
static bool walk_down(struct nodes_walk *walk, uint64_t number, unsigned level)
{
    for (;;) {
        struct keytree_node *node = node_at(walk->tree, number, level);
        if (node == NULL || !node_holds(node, walk->low[level], walk->high[level])) {
            return false;
        }
        walk->nodes++;
        walk->tree->path[level].node = node;
        walk->tree->path[level].slot = 0;
        if (level == 0) {
            return true;
        }
        level--;
        walk->low[level] = walk->low[level + 1];
        walk->high[level] = node->bounds[0];
        number = node->children[0];
    }
}

/* Every node of the tree holds, and how many there are. */
static bool all_nodes_hold(struct nodes_walk *walk)
{
    uint64_t height = walk->tree->area[HEIGHT];
    if (height == 0) {
        return walk->tree->area[ROOT] == 0;
    }
    walk->low[height - 1] = 0;
    walk->high[height - 1] = TMF_KEYTREE_NONE;
    bool holds = walk_down(walk, walk->tree->area[ROOT], (unsigned)height - 1);
    for (unsigned level = 1; holds && level < height;) {
        struct keytree_node *node = walk->tree->path[level].node;
        if (walk->tree->path[level].slot == node->count) {
            level++;
            continue;
        }
        unsigned slot = ++walk->tree->path[level].slot;
        walk->low[level - 1] = node->bounds[slot - 1];
        walk->high[level - 1] = slot < node->count ? node->bounds[slot] : walk->high[level];
        holds = walk_down(walk, node->children[slot], level - 1);
        level = 1;
    }
    return holds;
}

int tmf_keytree_check(struct tmf_keytree *tree, tmf_heap_fault *fault)
{
    struct nodes_walk walk = {.tree = tree};
    if (tree->error != 0 || !all_nodes_hold(&walk)) {
        return tmf_heap_broken(tree->heap, fault, 0,
                               "the nodes of the tree of keys are in order and where they belong");
    }
    if (!free_nodes_hold(tree)) {
        return tmf_heap_broken(tree->heap, fault, 0, "the free nodes are linked and counted");
    }
    if (walk.nodes + tree->area[FREE_COUNT] != tree->area[USED]) {
        return tmf_heap_broken(tree->heap, fault, 0, "every node is in the tree or free");
    }
    return 0;
}
