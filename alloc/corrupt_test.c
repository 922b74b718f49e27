/* SPDX-License-Identifier: MIT */
/*
 * Every single bit of a heap's metadata is flipped in turn, for every index and quantum: of the
 * header, the index area, the first chunk of the map, its summary, what the index has of its own in
 * the map's pages as far as that is not zero, and both ends of all free blocks, where nodes and
 * tags are. With each flip the heap is attached, checked, and worked with. It must not crash, hang,
 * or write where no free block was: not outside of the region (guard pages), not into the caller's
 * part, and not into allocated blocks.
 *
 * Attach or check must find each flip in the header, the map, its summary and the nodes of
 * red-black trees. Elsewhere a flip that they do not find must be of a bit without information: the
 * work then has the same results, step by step, as without the flip, and leaves a sound heap.
 */
#include "map.h"
#include "map_summary.h"
#include "rb.h"
#include "test_region.h"

#include <stdlib.h>

enum { OFFSET = 200, KEPT_MAX = 400, TAG = 0xa5 };
#define SPARE (16 * PAGE) /* to grow into, with each flip */

static struct world {
    struct region region;
    size_t size;
    unsigned char *pristine;
    size_t kept_count;
    struct block kept[KEPT_MAX]; /* allocated blocks; the odd ones are freed before the flips */
    uint64_t results;            /* of the work on the pristine heap */
    size_t unfound;              /* flips that neither attach nor check have found */
} world;

static uint64_t work(tmf_heap *heap);

/* Allocated and free blocks in turn, of `sizes` different sizes, all allocated bytes tagged. */
static void populate(struct region *region, size_t kept, size_t sizes)
{
    assert_true(kept <= KEPT_MAX);
    world.kept_count = kept;
    for (size_t n = 0; n < kept; n++) {
        size_t size = (1 + n * 7 % sizes) << region->heap.quantum_shift;
        world.kept[n] = block_take(region, 1, size);
        block_fill(world.kept[n], TAG);
    }
    for (size_t n = 1; n < kept; n += 2) {
        assert_int_equal(tmf_heap_free(&region->heap, world.kept[n].at, world.kept[n].size), 0);
    }
}

static void restore(void)
{
    memcpy(world.region.base, world.pristine, world.size);
    memset(world.region.base + world.size, 0, SPARE);
}

static void remember(void)
{
    tmf_heap *heap = &world.region.heap;
    assert_sound(heap);
    world.pristine = malloc(world.size);
    assert_non_null(world.pristine);
    memcpy(world.pristine, world.region.base, world.size);
    world.results = work(heap);
    world.unfound = 0;
    assert_sound(heap);
    restore();
}

static void build(tmf_heap_config config, size_t size, size_t grown, size_t kept)
{
    region_map(&world.region, grown + SPARE);
    assert_int_equal(region_create(&world.region, OFFSET, size, config), 0);
    memset(world.region.base, TAG, OFFSET);
    populate(&world.region, kept, 5);
    world.size = grown;
    assert_int_equal(tmf_heap_grow(&world.region.heap, grown), 0);
    remember();
}

static void demolish(void)
{
    free(world.pristine);
    region_unmap(&world.region);
}

/* What happened, one number for all of it. */
static void note(uint64_t *results, uint64_t result)
{
    uint64_t state = *results ^ result;
    *results = random_next(&state);
}

static int note_block(void *context, const tmf_heap_block *block)
{
    note(context, block->offset);
    note(context, block->size + block->is_free);
    return 0;
}

static bool note_block_made(uint64_t *results, int error, const void *at)
{
    note(results, (uint64_t)error);
    note(results, error == 0 ? (uintptr_t)at : 0);
    return error == 0;
}

/* A handful of operations and what they return. What they hand out is written to. */
static uint64_t work(tmf_heap *heap)
{
    static const size_t sizes[] = {1, 100, 3000, 1, 64, 500};
    uint64_t results = 0;
    void *at = NULL;
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        int error = tmf_heap_alloc(heap, n == 3 ? 4096 : 1, sizes[n], &at);
        if (note_block_made(&results, error, at)) {
            memset(at, 0x11, sizes[n]);
            error = tmf_heap_resize(heap, at, sizes[n], 900, &at);
            (void)note_block_made(&results, error, at);
        }
    }
    for (size_t n = 1; n < world.kept_count; n += 2) {
        note(&results, (uint64_t)tmf_heap_free(heap, world.kept[n].at, world.kept[n].size));
    }
    int error = tmf_heap_free(heap, world.kept[4].at, world.kept[4].size);
    note(&results, (uint64_t)error);
    if (error == 0) {
        error = tmf_heap_alloc(heap, 1, world.kept[4].size, &at);
        (void)note_block_made(&results, error, at);
    }
    note(&results, (uint64_t)tmf_heap_walk(heap, note_block, &results));
    note(&results, (uint64_t)tmf_heap_grow(heap, world.size + SPARE));
    (void)note_block_made(&results, tmf_heap_alloc(heap, 1, 1 << 16, &at), at);
    note(&results, (uint64_t)tmf_heap_walk(heap, note_block, &results));
    return results;
}

/* Blocks that nobody freed are as they were, and so is what lies before the heap. */
static void assert_kept(size_t byte, unsigned bit)
{
    bool kept = block_holds((struct block){world.region.base, OFFSET}, OFFSET, TAG);
    for (size_t n = 0; n < world.kept_count; n += 2) {
        kept = kept && (n == 4 || block_holds(world.kept[n], world.kept[n].size, TAG));
    }
    if (!kept) {
        fail_msg("bit %u of byte %zu: an allocated block was written to", bit, byte);
    }
}

static const char *now_flipped; /* for messages: index and quantum */

/* A flip that nobody found. */
static void assert_no_information(tmf_heap *heap, uint64_t results, size_t byte, unsigned bit)
{
    world.unfound++;
    if (results != world.results || tmf_heap_check(heap, NULL) != 0) {
        fail_msg("%s: bit %u of byte %zu: not found, and the heap works otherwise", now_flipped,
                 bit, byte);
    }
}

static void flip(size_t byte, unsigned bit)
{
    tmf_heap heap;
    restore();
    world.region.base[byte] ^= (unsigned char)(1U << bit);
    if (tmf_heap_attach(&heap, world.region.base, OFFSET, world.size) != 0) {
        return;
    }
    bool sound = tmf_heap_check(&heap, NULL) == 0;
    uint64_t results = work(&heap);
    assert_kept(byte, bit);
    if (sound) {
        assert_no_information(&heap, results, byte, bit);
    }
}

static void flip_each(size_t first, size_t last)
{
    for (size_t byte = first; byte < last; byte++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(byte, bit);
        }
    }
    restore();
}

/* Each flip, or none of them, is found. */
static void flip_all(size_t first, size_t last, bool mean_something)
{
    size_t before = world.unfound;
    flip_each(first, last);
    size_t expected = mean_something ? 0 : (last - first) * 8;
    if (world.unfound - before != expected) {
        fail_msg("%s: of the bits from byte %zu to %zu, %zu are without meaning, not %zu",
                 now_flipped, first, last, world.unfound - before, expected);
    }
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

/* The pairs of the first chunk, those of the header and beyond the end too; then a void one's. */
static void flip_map(void)
{
    const struct tmf_heap *heap = &world.region.heap;
    size_t begin = offset_of(tmf_heap_place(heap, heap->media->extents[0].at));
    size_t chunk = (size_t)TMF_MAP_CHUNK / 64 * 16;
    assert_true(heap->media->end < TMF_MAP_CHUNK);
    flip_all(begin, begin + chunk, true);
    flip_all(begin + chunk, begin + chunk + 32, false);
}

static void flip_summary(void)
{
    const struct tmf_map_extent *extent = &world.region.heap.media->extents[0];
    size_t begin = offset_of(tmf_heap_place(&world.region.heap, extent->at));
    begin += (extent->quanta >> world.region.heap.map_shift) * PAGE;
    size_t bytes = tmf_summary_words(extent->quanta / TMF_MAP_CHUNK) * 8;
    flip_all(begin, begin + bytes, true);
    flip_all(begin + bytes, begin + bytes + 8, false);
}

/* The index's own part of the map's pages, as far as it is in use. */
static void flip_side(void)
{
    const tmf_heap *heap = &world.region.heap;
    if (heap->index->shares_map) {
        size_t page = offset_of(tmf_heap_place(heap, heap->media->extents[0].at));
        flip_each(page + PAGE / 2, page + PAGE);
    }
    const unsigned char *side = tmf_map_side(&world.region.heap, 0);
    size_t size = tmf_map_side_bytes(&world.region.heap, 0);
    while (size > 0 && side[size - 1] == 0) {
        size--;
    }
    if (size > 0) {
        flip_each(offset_of(side), offset_of(side) + size + 8);
    }
}

struct spans {
    struct block at[KEPT_MAX];
    size_t count;
};

static int find_free(void *context, const tmf_heap_block *block)
{
    struct spans *spans = context;
    if (block->is_free) {
        assert_true(spans->count < KEPT_MAX);
        spans->at[spans->count++] = (struct block){world.region.base + block->offset, block->size};
    }
    return 0;
}

/* Bytes of a free block's front of which every bit has a meaning. */
static size_t node_bytes(void)
{
    const tmf_heap *heap = &world.region.heap;
    bool is_twin = strncmp(heap->index->name, "rb-twin", 7) == 0;
    return is_twin ? (size_t)TMF_RB_WORDS * (heap->media->link_bits / 8) : 0;
}

/* Nodes in the front of free blocks, and tags at their ends. */
static void flip_free_blocks(void)
{
    enum { FRONT = 64, BACK = 16 };
    static struct spans spans;
    spans.count = 0;
    assert_int_equal(tmf_heap_walk(&world.region.heap, find_free, &spans), 0);
    assert_true(spans.count >= world.kept_count / 3);
    for (size_t n = 0; n < spans.count; n++) {
        size_t at = offset_of(spans.at[n].at);
        size_t end = at + spans.at[n].size;
        size_t node = at + node_bytes();
        size_t front = node > at + FRONT ? node : at + FRONT;
        front = front < end ? front : end;
        flip_all(at, node, true);
        flip_each(node, front);
        flip_each(front > end - BACK ? front : end - BACK, end);
    }
}

static void name_kind(tmf_heap_config config)
{
    static char name[64];
    (void)snprintf(name, sizeof name, "%s, quantum %zu", config.index, config.quantum);
    now_flipped = name;
}

/* Much metadata takes time, and is the same at most quanta: three of them will do. */
static bool is_flipped(tmf_heap_config config)
{
    const struct tmf_index_ops *index = tmf_index_find(config.index);
    bool is_large = index->area_bytes > 1024 || index->shares_map;
    return !is_large || config.quantum == 16 || config.quantum == 64 || config.quantum == PAGE;
}

/* A small heap, all of whose metadata is flipped. */
static void flip_small(tmf_heap_config config)
{
    if (!is_flipped(config)) {
        return;
    }
    size_t kept = config.quantum <= 128 ? 24 : 8;
    size_t size = 9 * PAGE + tmf_round_up(kept * 3 * config.quantum, PAGE);
    name_kind(config);
    build(config, size, size + PAGE, kept);
    flip_header();
    flip_map();
    flip_summary();
    flip_side();
    flip_free_blocks();
    demolish();
}

static void test_small_heaps(void **state)
{
    (void)state;
    for_each_kind(flip_small);
}

/* Free blocks of so many sizes that what an index has of its own outside of blocks has levels. */
static void flip_many_sizes(tmf_heap_config config)
{
    enum { KEPT = 340, SIZES = 81 };
    bool is_smallest =
        tmf_index_find(config.index)->link_bits(config.quantum / 2) == 0 || config.quantum == 16;
    if (!is_smallest || tmf_index_find(config.index)->side_bytes == NULL) {
        return;
    }
    name_kind(config);
    size_t size = 16 * PAGE + tmf_round_up((size_t)KEPT * 42 * config.quantum, PAGE);
    region_map(&world.region, size + SPARE);
    assert_int_equal(region_create(&world.region, OFFSET, size, config), 0);
    memset(world.region.base, TAG, OFFSET);
    populate(&world.region, KEPT, SIZES);
    if (strcmp(config.index, "btree") == 0) {
        assert_int_equal(world.region.heap.media->index_area[1], 2); /* its height */
    }
    world.size = size;
    remember();
    flip_side();
    demolish();
}

static void test_many_sizes(void **state)
{
    (void)state;
    for_each_kind(flip_many_sizes);
}

/* A heap that has grown past its map: the header has two extents, pages of map lie among blocks. */
static void test_grown_heap(void **state)
{
    (void)state;
    now_flipped = "grown";
    build((tmf_heap_config){0}, 10 * PAGE, MIB + 64 * PAGE, 24);
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
    build((tmf_heap_config){.quantum = 64, .index = "rb-twin"}, 9 * PAGE, 10 * PAGE, 24);
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
    build((tmf_heap_config){.quantum = 64, .index = "rb-twin"}, 10 * PAGE, MIB + 64 * PAGE, 24);
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
    const tmf_heap_config config = {.quantum = 64, .index = "rb-twin"};
    assert_int_equal(region_create(region, 0, MIB, config), 0);
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
        cmocka_unit_test(test_small_heaps),
        cmocka_unit_test(test_many_sizes),
        cmocka_unit_test(test_grown_heap),
        cmocka_unit_test(test_swapped_subtrees),
        cmocka_unit_test(test_free_block_over_the_map),
        cmocka_unit_test(test_degenerate_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
