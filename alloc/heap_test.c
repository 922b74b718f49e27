/* SPDX-License-Identifier: MIT */
/* The behaviours that heap.h promises, for every index and quantum. */
#include "test_region.h"

#include <limits.h>
#include <stdlib.h>

enum { SLOTS = 8, NONE = -1 };

/*
 * A script works on blocks in slots; sizes and expected places are in quanta, the latter from where
 * blocks begin. A place of NONE means ENOMEM; the size 0 is zero bytes.
 */
struct step {
    enum { END, ALLOC, FREE, RESIZE, FILL } op;
    int slot;
    long size;
    long expected;
};

/* FILL takes all that is left, so that the script decides what is free. */
static const struct script {
    const char *name;
    struct step steps[20];
} scripts[] = {
    {"blocks follow each other from the lowest address",
     {{ALLOC, 0, 1, 0}, {ALLOC, 1, 5, 1}, {ALLOC, 2, 2, 6}, {END, 0, 0, 0}}},
    {"zero bytes count as one",
     {{ALLOC, 0, 0, 0}, {ALLOC, 1, 1, 1}, {FREE, 0, 0, 0}, {ALLOC, 0, 1, 0}, {END, 0, 0, 0}}},
    {"the smallest that fits is taken, wherever it is",
     {{ALLOC, 0, 4, 0},
      {ALLOC, 1, 1, 4},
      {ALLOC, 2, 3, 5},
      {ALLOC, 3, 1, 8},
      {ALLOC, 4, 2, 9},
      {FILL, 5, 0, 11},
      {FREE, 0, 4, 0},
      {FREE, 2, 3, 0},
      {FREE, 4, 2, 0},
      {ALLOC, 6, 2, 9},
      {ALLOC, 7, 3, 5},
      {ALLOC, 2, 3, 0},
      {ALLOC, 4, 2, NONE},
      {ALLOC, 4, 1, 3},
      {END, 0, 0, 0}}},
    {"among equals the lowest address is taken",
     {{ALLOC, 0, 2, 0},
      {ALLOC, 1, 1, 2},
      {ALLOC, 2, 2, 3},
      {ALLOC, 3, 1, 5},
      {ALLOC, 4, 2, 6},
      {FILL, 5, 0, 8},
      {FREE, 4, 2, 0},
      {FREE, 0, 2, 0},
      {FREE, 2, 2, 0},
      {ALLOC, 0, 1, 0},
      {ALLOC, 2, 2, 3},
      {ALLOC, 4, 2, 6},
      {END, 0, 0, 0}}},
    {"the rest is given back, and joined when its neighbour comes back",
     {{ALLOC, 0, 8, 0},
      {FILL, 1, 0, 8},
      {FREE, 0, 8, 0},
      {ALLOC, 0, 3, 0},
      {ALLOC, 2, 2, 3},
      {FREE, 2, 2, 0},
      {ALLOC, 2, 5, 3},
      {FREE, 0, 3, 0},
      {FREE, 2, 5, 0},
      {ALLOC, 3, 8, 0},
      {END, 0, 0, 0}}},
    {"a block joins free neighbours on both sides",
     {{ALLOC, 0, 2, 0},
      {ALLOC, 1, 2, 2},
      {ALLOC, 2, 2, 4},
      {FILL, 3, 0, 6},
      {FREE, 0, 2, 0},
      {FREE, 2, 2, 0},
      {ALLOC, 4, 3, NONE},
      {FREE, 1, 2, 0},
      {ALLOC, 4, 6, 0},
      {END, 0, 0, 0}}},
    {"a block shrinks in place and its rest is free",
     {{ALLOC, 0, 6, 0},
      {FILL, 1, 0, 6},
      {RESIZE, 0, 2, 0},
      {ALLOC, 2, 4, 2},
      {RESIZE, 0, 0, 0},
      {ALLOC, 3, 1, 1},
      {END, 0, 0, 0}}},
    {"a shrinking block's rest joins the free neighbour above",
     {{ALLOC, 0, 4, 0},
      {ALLOC, 1, 3, 4},
      {FILL, 2, 0, 7},
      {FREE, 1, 3, 0},
      {RESIZE, 0, 1, 0},
      {ALLOC, 1, 6, 1},
      {END, 0, 0, 0}}},
    {"a block grows in place into part of the free neighbour, or all of it",
     {{ALLOC, 0, 2, 0},
      {ALLOC, 1, 4, 2},
      {FILL, 2, 0, 6},
      {FREE, 1, 4, 0},
      {RESIZE, 0, 4, 0},
      {RESIZE, 0, 6, 0},
      {RESIZE, 0, 7, NONE},
      {FREE, 0, 6, 0},
      {ALLOC, 0, 6, 0},
      {END, 0, 0, 0}}},
    {"a block that cannot grow in place moves to where a new one would be",
     {{ALLOC, 0, 2, 0},
      {ALLOC, 1, 1, 2},
      {ALLOC, 2, 4, 3},
      {ALLOC, 3, 1, 7},
      {FILL, 4, 0, 8},
      {FREE, 2, 4, 0},
      {RESIZE, 0, 3, 3},
      {ALLOC, 5, 2, 0},
      {RESIZE, 3, 2, NONE},
      {FREE, 3, 1, 0},
      {END, 0, 0, 0}}},
};

static int resize_slot(struct region *region, struct block *slot, size_t size, void **at)
{
    struct block old = *slot;
    block_fill(old, 0x5c);
    int error = tmf_heap_resize(&region->heap, old.at, old.size, size, at);
    struct block now = {error == 0 ? *at : old.at, size};
    assert_true(block_holds(now, size < old.size ? size : old.size, 0x5c));
    return error;
}

static void play_step(struct region *region, const struct step *step, struct block *slots)
{
    size_t quantum = (size_t)1 << region->heap.quantum_shift;
    struct block *slot = &slots[step->slot];
    size_t size = step->op == FILL ? largest_free(region) : (size_t)step->size * quantum;
    void *at = slot->at;
    int error;
    if (step->op == FREE) {
        assert_int_equal(tmf_heap_free(&region->heap, slot->at, size), 0);
        return;
    }
    if (step->op == RESIZE) {
        error = resize_slot(region, slot, size, &at);
    } else {
        error = tmf_heap_alloc(&region->heap, 0, size, &at);
    }
    if (step->expected == NONE) {
        assert_int_equal(error, ENOMEM);
        return;
    }
    assert_int_equal(error, 0);
    unsigned char *first = tmf_heap_place(&region->heap, region->heap.media->first);
    assert_int_equal((unsigned char *)at - first, step->expected * (long)quantum);
    *slot = (struct block){at, size};
}

static const struct script *playing;

/* Scripts tell the policy, which an index may not have. */
static void play(tmf_heap_config config)
{
    struct region region;
    static struct block slots[SLOTS];
    if (tmf_index_find(config.index)->is_inexact) {
        return;
    }
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 100, MIB, config), 0);
    for (const struct step *step = playing->steps; step->op != END; step++) {
        play_step(&region, step, slots);
        assert_sound(&region.heap);
    }
    region_unmap(&region);
}

static void test_script(void **state)
{
    playing = *state;
    for_each_kind(play);
}

/* Allocates at every alignment out of one free run; each lies where it must, and no lower place
 * can. */
static void align(tmf_heap_config config)
{
    struct region region;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    struct block first = block_take(&region, 1, 1);
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        struct block block = block_take(&region, alignment, 100);
        size_t step = alignment > config.quantum ? alignment : config.quantum;
        uintptr_t lowest = ((uintptr_t)first.at + config.quantum + step - 1) / step * step;
        assert_int_equal((uintptr_t)block.at, lowest);
        assert_sound(&region.heap);
        assert_int_equal(tmf_heap_free(&region.heap, block.at, block.size), 0);
        assert_sound(&region.heap);
    }
    void *at = NULL;
    assert_int_equal(tmf_heap_alloc(&region.heap, SIZE_MAX / 4 + 1, 1, &at), ENOMEM);
    assert_int_equal(tmf_heap_alloc(&region.heap, SIZE_MAX / 2 + 1, 1, &at), ENOMEM);
    assert_int_equal(tmf_heap_alloc(&region.heap, 3, 1, &at), EINVAL);
    assert_null(at);
    region_unmap(&region);
}

static void test_alignment(void **state)
{
    (void)state;
    for_each_kind(align);
}

/* An aligned block goes to the smallest run that has an aligned place, not to the smallest run. */
static void test_alignment_is_exact(void **state)
{
    (void)state;
    struct region region;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, (tmf_heap_config){.quantum = 64}), 0);
    struct block head = block_take(&region, 4096, 4096);
    struct block odd = block_take(&region, 1, 64);
    struct block three = block_take(&region, 1, (size_t)3 * 64);
    struct block wall = block_take(&region, 1, 64);
    struct block five = block_take(&region, 1, (size_t)5 * 64);
    (void)block_take(&region, 1, largest_free(&region));
    assert_ptr_equal(five.at, head.at + 4096 + (size_t)5 * 64);
    assert_int_equal(tmf_heap_free(&region.heap, three.at, three.size), 0);
    assert_int_equal(tmf_heap_free(&region.heap, five.at, five.size), 0);
    /* 3 quanta from 65 on hold no two from a multiple of 4; the five from 69 on do, from 72. */
    assert_ptr_equal(block_take(&region, 256, (size_t)2 * 64).at, five.at + (size_t)3 * 64);
    assert_ptr_equal(block_take(&region, 128, (size_t)2 * 64).at, three.at + 64);
    assert_ptr_equal(odd.at + odd.size + three.size, wall.at);
    assert_sound(&region.heap);
    region_unmap(&region);
}

/* A free or resize that must be refused: what it names, from where `middle` is, and its size. */
static const struct bad_block {
    const char *name;
    long at;   /* quanta from the middle block */
    long byte; /* bytes on top */
    long size; /* quanta */
} bad_blocks[] = {
    {"a size too small", 0, 0, 2},
    {"no size", 0, 0, 0},
    {"a size too large", 0, 0, 4},
    {"two adjacent blocks as one", 0, 0, 5},
    {"the block below and this one as one", -1, 0, 4},
    {"three adjacent blocks as one", -1, 0, 6},
    {"the inside of a block, to its end", 1, 0, 2},
    {"the last quantum of a block", 2, 0, 1},
    {"an unaligned pointer", 0, 1, 3},
    {"an unaligned pointer below", 0, -1, 3},
    {"a free block", 5, 0, 3},
    {"the inside of a free block", 6, 0, 1},
    {"an allocated and a free block as one", 3, 0, 5},
    {"a size beyond the region", 0, 0, 1 << 18},
    {"a size beyond the address space", 0, 0, LONG_MIN},
    {"a pointer far above", 1 << 18, 0, 3},
    {"a pointer far below", -(1 << 18), 0, 3},
};

static void refuse(struct region *region, unsigned char *before, const char *what, void *at,
                   size_t size)
{
    void *out = NULL;
    memcpy(before, region->base, region->reserved);
    if (tmf_heap_free(&region->heap, at, size) != TMF_EBADBLOCK ||
        tmf_heap_resize(&region->heap, at, size, 1, &out) != TMF_EBADBLOCK ||
        tmf_heap_resize(&region->heap, at, size, 9000, &out) != TMF_EBADBLOCK || out != NULL) {
        fail_msg("%s was taken for a block", what);
    }
    assert_memory_equal(before, region->base, region->reserved);
    assert_sound(&region->heap);
}

static void refuse_all(tmf_heap_config config)
{
    struct region region;
    size_t quantum = config.quantum;
    unsigned char *before = malloc(MIB);
    assert_non_null(before);
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    struct block below = block_take(&region, 1, quantum);
    struct block middle = block_take(&region, 1, 3 * quantum);
    struct block above = block_take(&region, 1, 2 * quantum);
    struct block gone = block_take(&region, 1, 3 * quantum);
    (void)block_take(&region, 1, quantum);
    assert_int_equal(tmf_heap_free(&region.heap, gone.at, gone.size), 0);
    for (size_t n = 0; n < sizeof bad_blocks / sizeof bad_blocks[0]; n++) {
        const struct bad_block *bad = &bad_blocks[n];
        uintptr_t at = (uintptr_t)middle.at + (uintptr_t)(bad->at * (long)quantum + bad->byte);
        size_t size = bad->size == LONG_MIN ? SIZE_MAX : (size_t)bad->size * quantum;
        refuse(&region, before, bad->name, (void *)at, size);
    }
    void *pages = tmf_heap_place(&region.heap, region.heap.media->extents[0].at);
    refuse(&region, before, "the map", pages, PAGE);
    refuse(&region, before, "the header", region.heap.media, sizeof(struct tmf_heap_media));
    refuse(&region, before, "the caller's part", region.base, quantum);
    refuse(&region, before, "NULL", NULL, quantum);
    assert_int_equal(tmf_heap_free(&region.heap, middle.at, middle.size - quantum + 1), 0);
    refuse(&region, before, "a block freed twice", middle.at, middle.size);
    assert_int_equal(tmf_heap_free(&region.heap, below.at, 1), 0);
    assert_int_equal(tmf_heap_free(&region.heap, above.at, above.size), 0);
    refuse(&region, before, "a block freed and joined", above.at, above.size);
    free(before);
    region_unmap(&region);
}

static void test_bad_blocks_change_nothing(void **state)
{
    (void)state;
    for_each_kind(refuse_all);
}

/* The last block of the region moves down: one byte more than its own, and the guard page traps. */
static void move_last(tmf_heap_config config)
{
    struct region region;
    void *at = NULL;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    struct block room = block_take(&region, 1, largest_free(&region) - config.quantum);
    struct block last = block_take(&region, 1, config.quantum);
    assert_ptr_equal(last.at + last.size, region.base + MIB);
    block_fill(last, 0x3c);
    assert_int_equal(tmf_heap_free(&region.heap, room.at, room.size), 0);
    assert_int_equal(tmf_heap_resize(&region.heap, last.at, last.size, room.size, &at), 0);
    assert_ptr_equal(at, room.at);
    assert_true(block_holds((struct block){at, room.size}, last.size, 0x3c));
    assert_sound(&region.heap);
    region_unmap(&region);
}

static void test_move_reads_the_old_block_only(void **state)
{
    (void)state;
    for_each_kind(move_last);
}

static void fill_up(tmf_heap_config config)
{
    struct region region;
    void *at = NULL;
    tmf_heap_stats empty;
    tmf_heap_stats full;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 64, MIB, config), 0);
    assert_int_equal(tmf_heap_stats_get(&region.heap, &empty), 0);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, SIZE_MAX, &at), ENOMEM);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, SIZE_MAX - config.quantum, &at), ENOMEM);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, empty.free_bytes + 1, &at), ENOMEM);
    struct block all = block_take(&region, 1, empty.free_bytes);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, 0, &at), ENOMEM);
    assert_int_equal(tmf_heap_resize(&region.heap, all.at, all.size, SIZE_MAX, &at), ENOMEM);
    assert_int_equal(tmf_heap_resize(&region.heap, all.at, all.size, all.size + 1, &at), ENOMEM);
    assert_null(at);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_stats_get(&region.heap, &full), 0);
    assert_int_equal(full.free_bytes + full.free_blocks + full.largest_free_bytes, 0);
    assert_int_equal(full.used_bytes, empty.free_bytes);
    assert_int_equal(full.used_blocks, 1);
    assert_int_equal(full.size, MIB);
    assert_int_equal(full.quantum, config.quantum);
    assert_string_equal(full.index, config.index);
    assert_int_equal(full.metadata_bytes + full.used_bytes + 64, MIB);
    assert_int_equal(tmf_heap_free(&region.heap, all.at, all.size), 0);
    assert_int_equal(tmf_heap_stats_get(&region.heap, &full), 0);
    assert_memory_equal(&full, &empty, sizeof full);
    region_unmap(&region);
}

static void test_limits(void **state)
{
    (void)state;
    for_each_kind(fill_up);
}

static int count_blocks(void *context, const tmf_heap_block *block)
{
    size_t *count = context;
    assert_true(block->size > 0);
    return ++*count == 3 ? 42 : 0;
}

static void test_walk_stops_when_told(void **state)
{
    (void)state;
    struct region region;
    size_t count = 0;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, (tmf_heap_config){0}), 0);
    (void)block_take(&region, 1, 1);
    assert_int_equal(tmf_heap_walk(&region.heap, count_blocks, &count), 0);
    assert_int_equal(count, 2);
    (void)block_take(&region, 1, 1);
    count = 0;
    assert_int_equal(tmf_heap_walk(&region.heap, count_blocks, &count), 42);
    region_unmap(&region);
}

static void test_index_table(void **state)
{
    (void)state;
    size_t n = 0;
    for (; tmf_index_name(n) != NULL; n++) {
        const struct tmf_index_ops *index = tmf_index_find(tmf_index_name(n));
        assert_non_null(index);
        assert_string_equal(index->name, tmf_index_name(n));
        assert_string_equal(index->about, tmf_index_about(n));
        assert_ptr_equal(tmf_index_find_id(index->id), index);
    }
    assert_true(n >= 1);
    assert_null(tmf_index_about(n));
    assert_null(tmf_index_find("no such index"));
    assert_null(tmf_index_find_id(0));
}

static int run_scripts(void)
{
    struct CMUnitTest tests[sizeof scripts / sizeof scripts[0]];
    for (size_t n = 0; n < sizeof scripts / sizeof scripts[0]; n++) {
        tests[n] = (struct CMUnitTest){.name = scripts[n].name, .test_func = test_script};
        memcpy(&tests[n].initial_state, &(const struct script *){&scripts[n]}, sizeof(void *));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_alignment_is_exact),
        cmocka_unit_test(test_bad_blocks_change_nothing),
        cmocka_unit_test(test_move_reads_the_old_block_only),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_walk_stops_when_told),
        cmocka_unit_test(test_index_table),
    };
    return run_scripts() + cmocka_run_group_tests(tests, NULL, NULL);
}
