/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees after Cormen et al., with links that are quantum numbers; see rb.h for nodes and
 * distrust. Names: `at` is a node, `side` one of its two children, !side the other one.
 *
 * rb_child(), rb_parent() and rb_root() are the gates: no link is followed but through them, except
 * where the same operation has been through the gate with that link before.
 */
#include "rb.h"

#include "point.h"

enum { LEFT, RIGHT, PARENT };
enum { PLAIN_QUANTA, PLAIN_COLOURS, PLAIN_LINKS };
enum { TAGGED_LINKS = 0, TAGGED_PARENT = 2, TAGGED_QUANTA = 3 };

/*
 * A tree of 2^58 nodes is at most 116 deep. An operation goes down once and up once, and follows up
 * to ten links on a level of the way up.
 */
enum { FOLLOWED_MAX = 2048 };

static inline union tmf_rb_node *rb_node(struct tmf_rb_tree *tree, uint64_t at)
{
    return at != 0 ? tmf_heap_place(tree->heap, at) : &tree->nil;
}

static inline uint64_t rb_word(const struct tmf_rb_tree *tree, const union tmf_rb_node *node,
                               unsigned word)
{
    return tree->wide ? node->wide[word] : node->narrow[word];
}

static inline uint64_t rb_link(struct tmf_rb_tree *tree, uint64_t at, unsigned link)
{
    uint64_t word = rb_word(tree, rb_node(tree, at), tree->links + link);
    return link == PARENT ? word >> tree->parent_shift : word;
}

static void rb_set_word(struct tmf_rb_tree *tree, uint64_t at, unsigned word, uint64_t value)
{
    union tmf_rb_node *node = rb_node(tree, at);
    if (rb_word(tree, node, word) == value) {
        return;
    }
    if (tree->wide) {
        node->wide[word] = value;
    } else {
        node->narrow[word] = (uint32_t)value;
    }
}

static void rb_set_link(struct tmf_rb_tree *tree, uint64_t at, unsigned link, uint64_t to)
{
    if (link == PARENT && tree->parent_shift != 0) {
        to = to << 1 | (rb_word(tree, rb_node(tree, at), TAGGED_PARENT) & 1);
    }
    rb_set_word(tree, at, tree->links + link, to);
}

static void rb_set_root(struct tmf_rb_tree *tree, uint64_t to)
{
    if (*tree->root != to) {
        *tree->root = to;
    }
}

static inline bool rb_is_red(struct tmf_rb_tree *tree, uint64_t at)
{
    return (rb_word(tree, rb_node(tree, at), tree->colours) & tree->red) != 0;
}

static void rb_set_red(struct tmf_rb_tree *tree, uint64_t at, bool red)
{
    uint64_t colours = rb_word(tree, rb_node(tree, at), tree->colours);
    rb_set_word(tree, at, tree->colours, red ? colours | tree->red : colours & ~tree->red);
}

static uint64_t rb_sour(struct tmf_rb_tree *tree, uint64_t at)
{
    if (tree->error == 0) {
        tree->error = TMF_ECORRUPT;
        tree->culprit = at;
    }
    return 0;
}

/* May a node be at `at`, and can what it says about itself be true? */
static inline bool rb_is_node(struct tmf_rb_tree *tree, uint64_t at)
{
    const struct tmf_heap_media *media = tree->heap->media;
    if (at < media->first || at >= media->end || tree->followed++ >= FOLLOWED_MAX) {
        return false;
    }
    tree->heap->nodes_visited++;
    const union tmf_rb_node *node = rb_node(tree, at);
    uint64_t quanta = rb_word(tree, node, tree->quanta);
    return quanta != 0 && quanta <= media->end - at &&
           (rb_word(tree, node, tree->colours) & tree->never) == 0;
}

static uint64_t rb_root(struct tmf_rb_tree *tree)
{
    uint64_t root = *tree->root;
    if (root != 0 && (!rb_is_node(tree, root) || rb_link(tree, root, PARENT) != 0)) {
        return rb_sour(tree, 0);
    }
    return root;
}

static inline uint64_t rb_child(struct tmf_rb_tree *tree, uint64_t at, unsigned side)
{
    uint64_t child = rb_link(tree, at, side);
    if (child != 0 && (!rb_is_node(tree, child) || rb_link(tree, child, PARENT) != at)) {
        return rb_sour(tree, at);
    }
    return child;
}

static uint64_t rb_parent(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t parent = rb_link(tree, at, PARENT);
    if (at == 0) {
        return parent;
    }
    bool holds = parent == 0 ? *tree->root == at
                             : rb_is_node(tree, parent) && (rb_link(tree, parent, LEFT) == at ||
                                                            rb_link(tree, parent, RIGHT) == at);
    return holds ? parent : rb_sour(tree, at);
}

static unsigned rb_side(struct tmf_rb_tree *tree, uint64_t parent, uint64_t at)
{
    return rb_link(tree, parent, LEFT) == at ? LEFT : RIGHT;
}

/* The node farthest on one side of the subtree at `at`. */
static uint64_t rb_edge(struct tmf_rb_tree *tree, uint64_t at, unsigned side)
{
    uint64_t edge = at;
    while (at != 0) {
        edge = at;
        at = rb_child(tree, at, side);
    }
    return edge;
}

struct tmf_rb_tree tmf_rb_open(tmf_heap *heap, unsigned which, bool by_size)
{
    return (struct tmf_rb_tree){
        .heap = heap,
        .root = &heap->media->index_area[which],
        .wide = heap->media->link_bits == 64,
        .by_size = by_size,
        .quanta = PLAIN_QUANTA,
        .links = PLAIN_LINKS + which * 3,
        .colours = PLAIN_COLOURS,
        .red = UINT64_C(1) << which,
        .never = UINT64_MAX << TMF_RB_TREES_MAX,
    };
}

struct tmf_rb_tree tmf_rb_open_tagged(tmf_heap *heap, unsigned root, bool wide)
{
    return (struct tmf_rb_tree){
        .heap = heap,
        .root = &heap->media->index_area[root],
        .wide = wide,
        .by_size = true,
        .quanta = TAGGED_QUANTA,
        .links = TAGGED_LINKS,
        .colours = TAGGED_PARENT,
        .parent_shift = 1,
        .red = 1,
    };
}

void tmf_rb_node_init(struct tmf_rb_tree *tree, struct tmf_run run)
{
    rb_set_word(tree, run.at, tree->quanta, run.quanta);
    rb_set_word(tree, run.at, tree->colours, 0);
}

struct tmf_run tmf_rb_run(const struct tmf_rb_tree *tree, uint64_t at)
{
    if (at == 0) {
        return (struct tmf_run){0};
    }
    const union tmf_rb_node *node = tmf_heap_place(tree->heap, at);
    return (struct tmf_run){.at = at, .quanta = rb_word(tree, node, tree->quanta)};
}

static inline bool rb_is_less(const struct tmf_rb_tree *tree, struct tmf_run a, struct tmf_run b)
{
    return tree->by_size && a.quanta != b.quanta ? a.quanta < b.quanta : a.at < b.at;
}

int tmf_rb_bounds(struct tmf_rb_tree *tree, struct tmf_run key, uint64_t *below, uint64_t *above)
{
    uint64_t at = rb_root(tree);
    *below = 0;
    *above = 0;
    while (at != 0) {
        bool is_below = rb_is_less(tree, tmf_rb_run(tree, at), key);
        *(is_below ? below : above) = at;
        at = rb_child(tree, at, is_below ? RIGHT : LEFT);
    }
    return tree->error;
}

int tmf_rb_last(struct tmf_rb_tree *tree, uint64_t *out)
{
    *out = rb_edge(tree, rb_root(tree), RIGHT);
    return tree->error;
}

/* The parent of `old`, or the root, has `new` for a child instead. */
static void rb_replace(struct tmf_rb_tree *tree, uint64_t parent, uint64_t old, uint64_t new)
{
    if (parent == 0) {
        rb_set_root(tree, new);
    } else {
        rb_set_link(tree, parent, rb_side(tree, parent, old), new);
    }
    rb_set_link(tree, new, PARENT, parent);
}

/* `at` goes down on `side`, and its other child comes up in its place. */
static void rb_rotate(struct tmf_rb_tree *tree, uint64_t at, unsigned side)
{
    uint64_t parent = rb_parent(tree, at);
    uint64_t up = rb_child(tree, at, !side);
    uint64_t inner = rb_child(tree, up, side);
    if (up == 0 || tree->error != 0) {
        (void)rb_sour(tree, at);
        return;
    }
    rb_set_link(tree, at, !side, inner);
    if (inner != 0 && !TMF_MUTANT("rotation-forgets-parent")) {
        rb_set_link(tree, inner, PARENT, at);
    }
    TMF_POINT("alloc/rb/mid-rotation");
    rb_replace(tree, parent, at, up);
    rb_set_link(tree, up, side, at);
    rb_set_link(tree, at, PARENT, up);
}

/* `at` is red and so may be its parent: moves the fault up, or rotates it away. */
static void rb_insert_fix(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t parent = rb_parent(tree, at);
    while (rb_is_red(tree, parent) && tree->error == 0) {
        uint64_t grand = rb_parent(tree, parent);
        unsigned side = rb_side(tree, grand, parent);
        uint64_t uncle = rb_child(tree, grand, !side);
        if (grand == 0 || tree->error != 0) {
            (void)rb_sour(tree, parent);
            return;
        }
        if (!rb_is_red(tree, uncle)) {
            if (rb_side(tree, parent, at) != side) {
                rb_rotate(tree, parent, side);
                parent = at;
            }
            rb_set_red(tree, parent, false);
            rb_set_red(tree, grand, true);
            rb_rotate(tree, grand, !side);
            return;
        }
        rb_set_red(tree, parent, false);
        rb_set_red(tree, uncle, false);
        at = grand;
        parent = rb_parent(tree, at);
        rb_set_red(tree, at, parent != 0);
    }
}

int tmf_rb_insert(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t below;
    uint64_t above;
    struct tmf_run run = tmf_rb_run(tree, at);
    if (tmf_rb_bounds(tree, run, &below, &above) != 0) {
        return tree->error;
    }
    /* Of two nodes that are neighbours in order, one has no child on the other's side. */
    bool goes_right = below != 0 && rb_link(tree, below, RIGHT) == 0;
    uint64_t parent = goes_right ? below : above;
    bool taken = parent != 0 && rb_link(tree, parent, goes_right ? RIGHT : LEFT) != 0;
    if (taken || (above != 0 && !rb_is_less(tree, run, tmf_rb_run(tree, above)))) {
        (void)rb_sour(tree, at);
        return tree->error;
    }
    rb_set_link(tree, at, LEFT, 0);
    rb_set_link(tree, at, RIGHT, 0);
    rb_set_link(tree, at, PARENT, parent);
    rb_set_red(tree, at, parent != 0);
    if (parent == 0) {
        rb_set_root(tree, at);
    } else {
        rb_set_link(tree, parent, goes_right ? RIGHT : LEFT, at);
    }
    TMF_POINT("alloc/rb/after-link");
    if (!TMF_MUTANT("insert-not-balanced")) {
        rb_insert_fix(tree, at);
    }
    return tree->error;
}

/* The other child of `parent`, made black by a rotation if it is red. */
static uint64_t rb_black_sibling(struct tmf_rb_tree *tree, uint64_t parent, unsigned side)
{
    uint64_t sibling = rb_child(tree, parent, !side);
    if (rb_is_red(tree, sibling)) {
        rb_set_red(tree, sibling, false);
        rb_set_red(tree, parent, true);
        rb_rotate(tree, parent, side);
        sibling = rb_child(tree, parent, !side);
    }
    return sibling != 0 ? sibling : rb_sour(tree, parent);
}

/* The sibling has a red child: rotations give the side of `at` the black node that it lacks. */
static void rb_lift_sibling(struct tmf_rb_tree *tree, uint64_t parent, uint64_t sibling,
                            unsigned side)
{
    if (!rb_is_red(tree, rb_child(tree, sibling, !side))) {
        uint64_t inner = rb_child(tree, sibling, side);
        rb_set_red(tree, inner, false);
        rb_set_red(tree, sibling, true);
        rb_rotate(tree, sibling, !side);
        sibling = inner;
    }
    rb_set_red(tree, sibling, rb_is_red(tree, parent));
    rb_set_red(tree, parent, false);
    rb_set_red(tree, rb_child(tree, sibling, !side), false);
    rb_rotate(tree, parent, side);
}

/* The paths through `at` lack one black node. */
static void rb_remove_fix(struct tmf_rb_tree *tree, uint64_t at)
{
    while (at != *tree->root && !rb_is_red(tree, at)) {
        uint64_t parent = rb_parent(tree, at);
        unsigned side = rb_side(tree, parent, at);
        uint64_t sibling = rb_black_sibling(tree, parent, side);
        bool has_red = rb_is_red(tree, rb_child(tree, sibling, LEFT)) ||
                       rb_is_red(tree, rb_child(tree, sibling, RIGHT));
        if (tree->error != 0) {
            return;
        }
        if (has_red) {
            rb_lift_sibling(tree, parent, sibling, side);
            return;
        }
        rb_set_red(tree, sibling, true);
        at = parent;
    }
    rb_set_red(tree, at, false);
}

/* `next`, the successor of `at` in its right subtree, takes its place; `hole` takes that of `next`.
 */
static void rb_succeed(struct tmf_rb_tree *tree, uint64_t at, uint64_t next, uint64_t hole)
{
    uint64_t parent = rb_link(tree, next, PARENT);
    if (parent == at) {
        rb_set_link(tree, hole, PARENT, next);
    } else {
        uint64_t right = rb_link(tree, at, RIGHT);
        rb_replace(tree, parent, next, hole);
        rb_set_link(tree, next, RIGHT, right);
        rb_set_link(tree, right, PARENT, next);
    }
    uint64_t left = rb_link(tree, at, LEFT);
    rb_replace(tree, rb_link(tree, at, PARENT), at, next);
    rb_set_link(tree, next, LEFT, left);
    rb_set_link(tree, left, PARENT, next);
    rb_set_red(tree, next, rb_is_red(tree, at));
}

int tmf_rb_remove(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t parent = rb_parent(tree, at);
    uint64_t left = rb_child(tree, at, LEFT);
    uint64_t right = rb_child(tree, at, RIGHT);
    uint64_t next = left != 0 && right != 0 ? rb_edge(tree, right, LEFT) : at;
    uint64_t hole = next == at && left != 0 ? left : rb_child(tree, next, RIGHT);
    bool red = rb_is_red(tree, next);
    if (tree->error != 0) {
        return tree->error;
    }
    if (next == at) {
        rb_replace(tree, parent, at, hole);
    } else {
        rb_succeed(tree, at, next, hole);
    }
    TMF_POINT("alloc/rb/after-unlink");
    if (!red && !TMF_MUTANT("remove-not-balanced")) {
        rb_remove_fix(tree, hole);
    }
    return tree->error;
}

int tmf_rb_change(struct tmf_rb_tree *tree, uint64_t from, struct tmf_run to)
{
    uint64_t parent = rb_parent(tree, from);
    uint64_t children[2] = {rb_child(tree, from, LEFT), rb_child(tree, from, RIGHT)};
    bool red = rb_is_red(tree, from);
    if (tree->error != 0) {
        return tree->error;
    }
    tmf_rb_node_init(tree, to);
    rb_set_red(tree, to.at, red);
    rb_replace(tree, parent, from, to.at);
    TMF_POINT("alloc/rb/mid-change");
    for (unsigned side = LEFT; side <= RIGHT; side++) {
        rb_set_link(tree, to.at, side, children[side]);
        if (children[side] != 0) {
            rb_set_link(tree, children[side], PARENT, to.at);
        }
    }
    return 0;
}

static uint64_t rb_next(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t right = rb_child(tree, at, RIGHT);
    if (right != 0) {
        return rb_edge(tree, right, LEFT);
    }
    uint64_t parent = rb_parent(tree, at);
    while (parent != 0 && rb_side(tree, parent, at) == RIGHT) {
        at = parent;
        parent = rb_parent(tree, at);
    }
    return parent;
}

/* Black nodes from `at` up to the root. */
static uint64_t rb_black_depth(struct tmf_rb_tree *tree, uint64_t at)
{
    uint64_t depth = 0;
    for (; at != 0; at = rb_parent(tree, at)) {
        depth += !rb_is_red(tree, at);
    }
    return depth;
}

/* The invariant that `at` breaks, or NULL. `height` is the black height, 0 before the first leaf.
 */
static const char *rb_broken(struct tmf_rb_tree *tree, uint64_t previous, uint64_t at,
                             uint64_t *height)
{
    uint64_t left = rb_child(tree, at, LEFT);
    uint64_t right = rb_child(tree, at, RIGHT);
    uint64_t depth = rb_black_depth(tree, at);
    if (previous != 0 && !rb_is_less(tree, tmf_rb_run(tree, previous), tmf_rb_run(tree, at))) {
        return "the nodes of a tree are in order";
    }
    if (rb_is_red(tree, at) && (rb_is_red(tree, left) || rb_is_red(tree, right))) {
        return "a red node of a tree has black children";
    }
    if (left == 0 || right == 0) {
        if (*height != 0 && depth != *height) {
            return "all paths of a tree have as many black nodes";
        }
        *height = depth;
    }
    return NULL;
}

int tmf_rb_check(struct tmf_rb_tree *tree, tmf_heap_fault *fault, uint64_t *count)
{
    uint64_t nodes = 0;
    uint64_t height = 0;
    uint64_t previous = 0;
    uint64_t root = rb_root(tree);
    if (rb_is_red(tree, root)) {
        return tmf_heap_broken(tree->heap, fault, root, "the root of a tree is black");
    }
    for (uint64_t at = rb_edge(tree, root, LEFT); at != 0; at = rb_next(tree, at)) {
        const char *broken = rb_broken(tree, previous, at, &height);
        if (broken != NULL && tree->error == 0) {
            return tmf_heap_broken(tree->heap, fault, at, broken);
        }
        if (tree->error != 0) {
            break;
        }
        previous = at;
        nodes++;
        tree->followed = 0;
    }
    if (tree->error != 0) {
        return tmf_heap_broken(tree->heap, fault, tree->culprit,
                               "a link of a tree leads to a node that links back");
    }
    *count = nodes;
    return 0;
}
