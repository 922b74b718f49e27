/* SPDX-License-Identifier: MIT */
/*
 * Every single bit of a heap's metadata is flipped in turn: of the header, the index area, the
 * map's pages as far as blocks reach, and the nodes in all free blocks. With each flip the heap is
 * attached, checked, and worked with. It must not crash, hang, or write where no free block was:
 * not outside of the region (guard pages), not into the caller's part, and not into allocated
 * blocks.
 *
 * Attach or check must find each of them. No bit of the metadata is without meaning; what is
 * without are the bytes between the index area and the map, and free blocks behind their nodes.
 */
#include "map.h"
#include "rb.h"
#include "test_region.h"

#include <stdlib.h>

enum { OFFSET = 200, KEPT = 24, TAG = 0xa5 };
#define SPARE (16 * PAGE) /* to grow into, with each flip */

static struct world {
    struct region region;
    size_t size;
    unsigned char *pristine;
    struct block kept[KEPT]; /* allocated blocks; the odd ones are freed before the flips */
} world;

/* Allocated and free blocks in turn, of many sizes, all allocated bytes tagged. */
static void populate(struct region *region)
{
    for (size_t n = 0; n < KEPT; n++) {
        size_t size = (1 + n * 7 % 5) << region->heap.quantum_shift;
        world.kept[n] = block_take(region, 1, size);
        block_fill(world.kept[n], TAG);
    }
    for (size_t n = 1; n < KEPT; n += 2) {
        assert_int_equal(tmf_heap_free(&region->heap, world.kept[n].at, world.kept[n].size), 0);
    }
}

static void build(tmf_heap_config config, size_t size, size_t grown)
{
    region_map(&world.region, grown + SPARE);
    assert_int_equal(region_create(&world.region, OFFSET, size, config), 0);
    memset(world.region.base, TAG, OFFSET);
    populate(&world.region);
    world.size = grown;
    assert_int_equal(tmf_heap_grow(&world.region.heap, grown), 0);
    assert_sound(&world.region.heap);
    world.pristine = malloc(grown);
    assert_non_null(world.pristine);
    memcpy(world.pristine, world.region.base, grown);
}

static void restore(void)
{
    memcpy(world.region.base, world.pristine, world.size);
    memset(world.region.base + world.size, 0, SPARE);
}

static void demolish(void)
{
    free(world.pristine);
    region_unmap(&world.region);
}

static int ignore(void *context, const tmf_heap_block *block)
{
    (void)context;
    (void)block;
    return 0;
}

/* A handful of operations. What they return is not asked; what they hand out is written to. */
static void work(tmf_heap *heap)
{
    static const size_t sizes[] = {1, 100, 3000, 1, 64, 500};
    void *at = NULL;
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        size_t alignment = n == 3 ? 4096 : 1;
        if (tmf_heap_alloc(heap, alignment, sizes[n], &at) == 0) {
            memset(at, 0x11, sizes[n]);
            (void)tmf_heap_resize(heap, at, sizes[n], 900, &at);
        }
    }
    for (size_t n = 1; n < KEPT; n += 2) {
        (void)tmf_heap_free(heap, world.kept[n].at, world.kept[n].size);
    }
    if (tmf_heap_free(heap, world.kept[4].at, world.kept[4].size) == 0) {
        (void)tmf_heap_alloc(heap, 1, world.kept[4].size, &at);
    }
    (void)tmf_heap_walk(heap, ignore, NULL);
    (void)tmf_heap_grow(heap, world.size + SPARE);
    (void)tmf_heap_alloc(heap, 1, 1 << 16, &at);
}

/* Blocks that nobody freed are as they were, and so is what lies before the heap. */
static void assert_kept(size_t byte, unsigned bit)
{
    bool kept = block_holds((struct block){world.region.base, OFFSET}, OFFSET, TAG);
    for (size_t n = 0; n < KEPT; n += 2) {
        kept = kept && (n == 4 || block_holds(world.kept[n], world.kept[n].size, TAG));
    }
    if (!kept) {
        fail_msg("bit %u of byte %zu: an allocated block was written to", bit, byte);
    }
}

static void flip(size_t byte, unsigned bit, bool means_something)
{
    tmf_heap heap;
    restore();
    world.region.base[byte] ^= (unsigned char)(1U << bit);
    bool attached = tmf_heap_attach(&heap, world.region.base, OFFSET, world.size) == 0;
    bool sound = attached && tmf_heap_check(&heap, NULL) == 0;
    if (attached) {
        work(&heap);
        assert_kept(byte, bit);
    }
    if (sound == means_something) {
        fail_msg("bit %u of byte %zu: the heap is said to be %s", bit, byte,
                 sound ? "sound" : "broken");
    }
}

static void flip_all(size_t first, size_t last, bool mean_something)
{
    for (size_t byte = first; byte < last; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(byte, bit, mean_something);
        }
    }
    restore();
}

static size_t offset_of(const void *at)
{
    return (size_t)((const unsigned char *)at - world.region.base);
}

static void flip_header(void)
{
    const struct tmf_heap_media *media = world.region.heap.media;
    size_t begin = offset_of(media);
    size_t end = begin + sizeof *media + world.region.heap.index->area_bytes;
    flip_all(begin, end, true);
    flip_all(end, end + 8, false);
}

/* The pairs of all quanta up to the end, those of the header too, and of some beyond. */
static void flip_map(void)
{
    const struct tmf_heap_media *media = world.region.heap.media;
    size_t begin = offset_of(tmf_heap_place(&world.region.heap, media->extents[0].at));
    flip_all(begin, begin + (media->end + 128) / 64 * 16, true);
}

struct nodes {
    size_t at[KEPT];
    size_t count;
};

static int find_node(void *context, const tmf_heap_block *block)
{
    struct nodes *nodes = context;
    if (block->is_free) {
        assert_true(nodes->count < KEPT);
        nodes->at[nodes->count++] = block->offset;
    }
    return 0;
}

static void flip_nodes(void)
{
    struct nodes nodes = {0};
    size_t node_size = (size_t)TMF_RB_WORDS * (world.region.heap.media->link_bits / 8);
    assert_int_equal(tmf_heap_walk(&world.region.heap, find_node, &nodes), 0);
    assert_true(nodes.count > 8);
    for (size_t n = 0; n < nodes.count; n++) {
        flip_all(nodes.at[n], nodes.at[n] + node_size, true);
    }
}

/* A small heap, all of whose metadata is flipped. */
static void flip_small(tmf_heap_config config)
{
    if (config.quantum > 128) {
        return;
    }
    build(config, 9 * PAGE, 10 * PAGE);
    flip_header();
    flip_map();
    flip_nodes();
    demolish();
}

static void test_small_heaps(void **state)
{
    (void)state;
    for_each_kind(flip_small);
}

/* A heap that has grown past its map: the header has two extents, pages of map lie among blocks. */
static void test_grown_heap(void **state)
{
    (void)state;
    build((tmf_heap_config){0}, 10 * PAGE, MIB + 64 * PAGE);
    assert_int_equal(world.region.heap.media->extent_count, 2);
    flip_header();
    demolish();
}

/* The words of the tree by address in a node of rb-twin at 64 bits: see rb.h. */
enum { QUANTA = 0, LEFT = 5, RIGHT = 6, PARENT = 7 };

static uint64_t *words_of(uint64_t at)
{
    union tmf_rb_node *node = tmf_heap_place(&world.region.heap, at);
    return node->wide;
}

static void assert_names(const char *invariant)
{
    tmf_heap_fault fault;
    assert_int_equal(tmf_heap_check(&world.region.heap, &fault), TMF_ECORRUPT);
    assert_string_equal(fault.invariant, invariant);
}

static void test_swapped_subtrees(void **state)
{
    (void)state;
    build((tmf_heap_config){.quantum = 64, .index = "rb-twin"}, 9 * PAGE, 10 * PAGE);
    uint64_t *root = words_of(world.region.heap.media->index_area[1]);
    uint64_t left = root[LEFT];
    root[LEFT] = root[RIGHT];
    root[RIGHT] = left;
    assert_names("the nodes of a tree are in order");
    demolish();
}

/* A free block that claims the map's pages behind it, too. */
static void test_free_block_over_the_map(void **state)
{
    (void)state;
    void *at = NULL;
    build((tmf_heap_config){.quantum = 64, .index = "rb-twin"}, 10 * PAGE, MIB + 64 * PAGE);
    tmf_heap *heap = &world.region.heap;
    struct tmf_run pages = tmf_map_pages(heap, heap->media->extents[1].at);
    struct tmf_run below;
    struct tmf_run above;
    assert_int_equal(heap->index->adjacent(heap, pages, &below, &above), 0);
    assert_true(below.quanta > 0);
    words_of(below.at)[QUANTA] += pages.quanta;
    size_t size = (below.quanta + pages.quanta) << heap->quantum_shift;
    assert_int_equal(tmf_heap_alloc(heap, 1, size, &at), TMF_ECORRUPT);
    assert_null(at);
    assert_names("the map has no border inside of a free block");
    demolish();
}

/* A tree whose every node has only a right child: as deep as no red-black tree can be. */
static void test_degenerate_tree(void **state)
{
    (void)state;
    enum { BLOCKS = 6000 };
    static struct block blocks[BLOCKS];
    struct region *region = &world.region;
    region_map(region, MIB);
    assert_int_equal(region_create(region, 0, MIB, (tmf_heap_config){.quantum = 64}), 0);
    for (size_t n = 0; n < BLOCKS; n++) {
        blocks[n] = block_take(region, 1, 64);
    }
    for (size_t n = 0; n < BLOCKS; n += 2) {
        assert_int_equal(tmf_heap_free(&region->heap, blocks[n].at, 64), 0);
    }
    uint64_t *link = &region->heap.media->index_area[1];
    uint64_t parent = 0;
    for (size_t n = 0; n < BLOCKS; n += 2) {
        *link = offset_of(blocks[n].at) / 64;
        uint64_t *words = words_of(*link);
        words[LEFT] = 0;
        words[RIGHT] = 0;
        words[PARENT] = parent;
        parent = *link;
        link = &words[RIGHT];
    }
    assert_int_equal(tmf_heap_free(&region->heap, blocks[BLOCKS - 1].at, 64), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_check(&region->heap, NULL), TMF_ECORRUPT);
    region_unmap(region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_heaps),      cmocka_unit_test(test_grown_heap),
        cmocka_unit_test(test_swapped_subtrees), cmocka_unit_test(test_free_block_over_the_map),
        cmocka_unit_test(test_degenerate_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
