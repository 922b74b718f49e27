/* SPDX-License-Identifier: MIT */
/*
 * What the index btree rests upon: the tree of keys against a sorted array, and the reserve of
 * nodes against the heap that needs most of them. That it places as it must is model_test's part,
 * that it survives damage corrupt_test's.
 */
#include "keytree.h"
#include "map.h"
#include "map_scan.h"
#include "test_region.h"

#include <stdlib.h>

enum { HEIGHT = 1, USED = 2, FREE_COUNT = 4 }; /* words of the tree in the index area */
enum { QUANTUM = 16, CELL_SIZES = 62 };

static const tmf_heap_config config = {.quantum = QUANTUM, .index = "btree"};

static uint64_t area_word(const struct region *region, unsigned word)
{
    return region->heap.media->index_area[word];
}

static uint64_t nodes_reserved(const struct region *region)
{
    uint64_t bytes = 0;
    for (uint64_t n = 0; n < region->heap.media->extent_count; n++) {
        bytes += tmf_map_side_bytes(&region->heap, n);
    }
    return bytes / 1024;
}

/* ---- the tree of keys ---- */

enum { KEYS_MAX = 12000 };

static struct set {
    uint64_t keys[KEYS_MAX];
    size_t count;
} set;

/* How many keys of the set are below `key`. */
static size_t set_below(uint64_t key)
{
    size_t n = 0;
    while (n < set.count && set.keys[n] < key) {
        n++;
    }
    return n;
}

static void set_toggle(struct tmf_keytree *tree, uint64_t key)
{
    size_t n = set_below(key);
    if (n < set.count && set.keys[n] == key) {
        assert_int_equal(tmf_keytree_insert(tree, key), 0);
        tmf_keytree_open(tree, tree->heap);
        assert_int_equal(tmf_keytree_remove(tree, key), 0);
        set.count--;
        memmove(&set.keys[n], &set.keys[n + 1], (set.count - n) * sizeof key);
    } else if (set.count < KEYS_MAX) {
        assert_int_equal(tmf_keytree_insert(tree, key), 0);
        memmove(&set.keys[n + 1], &set.keys[n], (set.count - n) * sizeof key);
        set.keys[n] = key;
        set.count++;
    }
}

static void assert_same_keys(tmf_heap *heap)
{
    struct tmf_keytree tree;
    tmf_keytree_open(&tree, heap);
    uint64_t key = tmf_keytree_find(&tree, 0);
    for (size_t n = 0; n < set.count; n++) {
        assert_int_equal(key, set.keys[n]);
        key = tmf_keytree_next(&tree);
    }
    assert_int_equal(key, TMF_KEYTREE_NONE);
    tmf_heap_fault fault = {0};
    tmf_keytree_open(&tree, heap);
    if (tmf_keytree_check(&tree, &fault) != 0) {
        fail_msg("%s", fault.invariant);
    }
    tmf_keytree_open(&tree, heap);
    uint64_t last = set.count > 0 ? set.keys[set.count - 1] : TMF_KEYTREE_NONE;
    assert_int_equal(tmf_keytree_last(&tree), last);
}

/* A heap with nothing free, so that its tree is empty and may be used without it. */
static void make_empty(struct region *region, size_t size)
{
    region_map(region, size);
    assert_int_equal(region_create(region, 0, size, config), 0);
    (void)block_take(region, 1, largest_free(region));
    set.count = 0;
    assert_same_keys(&region->heap);
}

/* Keys come and go; sets of all sizes up to three levels of nodes, and down to none. */
static void test_keys(void **state)
{
    (void)state;
    struct region region;
    struct tmf_keytree tree;
    uint64_t random = 1;
    uint64_t highest = 0;
    make_empty(&region, 8 * MIB);
    for (size_t range = 1; range <= 40000; range = range * 5 + 3) {
        for (size_t n = 0; n < 20000; n++) {
            uint64_t key = random_below(&random, range) * UINT64_C(0x10000000000);
            tmf_keytree_open(&tree, &region.heap);
            set_toggle(&tree, key);
            key = random_below(&random, range) * UINT64_C(0x10000000000) + n % 2;
            size_t at = set_below(key);
            tmf_keytree_open(&tree, &region.heap);
            assert_int_equal(tmf_keytree_find(&tree, key),
                             at < set.count ? set.keys[at] : TMF_KEYTREE_NONE);
            if (n % 500 == 0) {
                assert_same_keys(&region.heap);
            }
        }
        assert_same_keys(&region.heap);
        highest = tmf_max(highest, area_word(&region, HEIGHT));
        while (set.count > 0) {
            tmf_keytree_open(&tree, &region.heap);
            set_toggle(&tree, set.keys[random_below(&random, set.count)]);
        }
        assert_same_keys(&region.heap);
        assert_int_equal(area_word(&region, USED), area_word(&region, FREE_COUNT));
    }
    assert_int_equal(highest, 3);
    tmf_keytree_open(&tree, &region.heap);
    assert_int_equal(tmf_keytree_remove(&tree, 7), TMF_ECORRUPT);
    region_unmap(&region);
}

/* ---- the reserve ---- */

enum { BLOCKS_MAX = 20000 };

struct piece {
    struct block block;
    uint64_t order; /* in which it is freed */
};

static struct piece pieces[BLOCKS_MAX];

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;
    return left->order < right->order ? -1 : left->order > right->order;
}

/*
 * Fills every cell with blocks of 62 sizes and one quantum between two; the last one of a cell is
 * as long as it takes for the next to begin one quantum into its cell. Not every cell can hold
 * more.
 */
static size_t fill_cells(struct region *region)
{
    size_t count = 0;
    const struct tmf_heap_media *media = region->heap.media;
    size_t to_cell = (size_t)(TMF_MAP_CELL - media->first % TMF_MAP_CELL);
    (void)block_take(region, 1, to_cell * QUANTUM);
    while (largest_free(region) > (size_t)2 * TMF_MAP_CELL * QUANTUM) {
        size_t left = TMF_MAP_CELL;
        for (size_t size = 1; size <= CELL_SIZES; size++) {
            size_t quanta = size < CELL_SIZES ? size : left - 1;
            (void)block_take(region, 1, QUANTUM);
            assert_true(count < BLOCKS_MAX && quanta >= size);
            pieces[count++].block = block_take(region, 1, quanta * QUANTUM);
            left -= quanta + 1;
        }
        assert_int_equal(left, 0);
    }
    return count;
}

static void free_pieces(struct region *region, size_t count)
{
    qsort(pieces, count, sizeof pieces[0], compare_pieces);
    for (size_t n = 0; n < count; n++) {
        assert_int_equal(tmf_heap_free(&region->heap, pieces[n].block.at, pieces[n].block.size), 0);
        assert_true(area_word(region, USED) <= nodes_reserved(region));
    }
    assert_sound(&region->heap);
}

/* Taken again, each from where it was, until the tree has forgotten all of them. */
static void take_pieces(struct region *region, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        (void)block_take(region, 1, pieces[n].block.size);
    }
    assert_sound(&region->heap);
}

/*
 * `order` gives each block its turn to be freed. In a region that grows from a mebibyte, nodes of
 * more than one extent are needed.
 */
static void exhaust(uint64_t (*order)(const struct piece *piece), bool grows, uint64_t nodes_least)
{
    struct region region;
    region_map(&region, 8 * MIB);
    assert_int_equal(region_create(&region, 0, grows ? MIB : 4 * MIB, config), 0);
    uint64_t nodes_first = nodes_reserved(&region);
    if (grows) {
        assert_int_equal(tmf_heap_grow(&region.heap, 3 * MIB), 0);
        assert_int_equal(tmf_heap_grow(&region.heap, 8 * MIB), 0);
        assert_int_equal(region.heap.media->extent_count, 3);
    }
    size_t count = fill_cells(&region);
    for (size_t n = 0; n < count; n++) {
        pieces[n].order = order(&pieces[n]);
    }
    free_pieces(&region, count);
    assert_true(area_word(&region, USED) > (grows ? nodes_first : nodes_least));
    take_pieces(&region, count);
    region_unmap(&region);
}

/* As the keys ascend: leaves are split when full, and nothing comes into the lower half again. */
static uint64_t by_size(const struct piece *piece)
{
    return (uint64_t)piece->block.size << 32 | (uintptr_t)piece->block.at % (1U << 31);
}

static uint64_t by_chance(const struct piece *piece)
{
    uint64_t state = (uintptr_t)piece->block.at;
    return random_next(&state);
}

static void test_reserve(void **state)
{
    (void)state;
    exhaust(by_size, false, 95);
    exhaust(by_chance, false, 70);
}

static void test_reserve_of_a_grown_heap(void **state)
{
    (void)state;
    exhaust(by_size, true, 0);
    exhaust(by_chance, true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_reserve_of_a_grown_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
