/* SPDX-License-Identifier: MIT */
/* What the index bins promises beyond what all indexes do: see bins.c and rows.h. */
#include "map.h"
#include "rows.h"
#include "test_region.h"

static const tmf_heap_config config = {.quantum = 16, .index = "bins"};

#define LONGEST ((size_t)TMF_ROWS * 16) /* bytes of a short run */

/* Alternating blocks of one quantum, every other one freed, as far as there is room. */
static void fill_and_comb(struct region *region)
{
    void *before = NULL;
    void *at = NULL;
    for (size_t n = 0; tmf_heap_alloc(&region->heap, 1, 1 + n % 90, &at) == 0; n++) {
        if (n % 2 == 1) {
            assert_int_equal(tmf_heap_free(&region->heap, before, 1 + (n - 1) % 90), 0);
        }
        before = at;
        if (n % 4096 == 0) {
            assert_sound(&region->heap);
        }
    }
    assert_sound(&region->heap);
}

/* Rows count only where the map does: whatever is in the others is no run. */
static void test_void_rows(void **state)
{
    (void)state;
    struct region region;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    const struct tmf_map_extent *extent = &region.heap.media->extents[0];
    unsigned char *pages = tmf_heap_place(&region.heap, extent->at);
    assert_true(region.heap.media->first < 1 << TMF_MAP_SHARED_SHIFT);
    for (uint64_t n = 1; n < extent->quanta >> TMF_MAP_SHARED_SHIFT; n++) {
        memset(pages + n * PAGE, 0xff, PAGE);
    }
    assert_sound(&region.heap);
    fill_and_comb(&region);
    region_unmap(&region);
}

/* A row says that a run is there, and the map shows none: that is no run, and no crash. */
static void test_row_that_lies(void **state)
{
    (void)state;
    struct region region;
    void *at = NULL;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    tmf_rows_set(&region.heap, 4, (region.heap.media->first - 1) >> 8);
    assert_int_equal(tmf_heap_check(&region.heap, NULL), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, (size_t)5 * 16, &at), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, (size_t)6 * 16, &at), 0);
    region_unmap(&region);
}

/* The map has room behind the region: a gap between borders that damage put there is no run. */
static void test_gap_behind_the_region(void **state)
{
    (void)state;
    const tmf_heap_config coarse = {.quantum = 256, .index = "bins"};
    enum { SIZE = 6 * PAGE, END = SIZE / 256, LENGTH = 3 };
    struct region region;
    void *at = NULL;
    region_map(&region, SIZE);
    assert_int_equal(region_create(&region, 0, SIZE, coarse), 0);
    tmf_map_mark(&region.heap, (struct tmf_run){.at = END + 8, .quanta = 2}, true);
    tmf_map_mark(&region.heap, (struct tmf_run){.at = END + 10 + LENGTH, .quanta = 2}, true);
    tmf_rows_set(&region.heap, LENGTH - 1, 0);
    assert_int_equal(tmf_heap_alloc(&region.heap, 1, (size_t)LENGTH * 256, &at), TMF_ECORRUPT);
    region_unmap(&region);
}

/* Nor is what the header lies in, where damage took the border that ends it: what the arena grows
 * by is not joined with it, to be one long run with a node in its first bytes. */
static void test_gap_in_front_of_the_blocks(void **state)
{
    (void)state;
    const tmf_heap_config coarse = {.quantum = 64, .index = "bins"};
    enum { SIZE = 6 * PAGE, LARGER = 9 * PAGE, END = SIZE / 64 };
    struct region region;
    region_map(&region, LARGER);
    assert_int_equal(region_create(&region, 0, SIZE, coarse), 0);
    tmf_heap *heap = &region.heap;
    tmf_map_mark(heap, (struct tmf_run){.at = 0, .quanta = heap->media->first}, false);
    tmf_map_mark(heap, (struct tmf_run){.at = 0, .quanta = 1}, true);
    tmf_rows_set(heap, END - 2, 0);
    struct tmf_heap_media before = *heap->media;
    assert_int_equal(tmf_heap_grow(heap, LARGER), TMF_ECORRUPT);
    before.end = heap->media->end;
    assert_memory_equal(heap->media, &before, sizeof before);
    region_unmap(&region);
}

/* Segments of a row come in order, over all levels, and none twice. */
static void test_rows_are_in_order(void **state)
{
    (void)state;
    static const uint64_t segments[] = {0, 1, 31, 32, 8191, 8192, 8193, 524287, 524288, 600000};
    enum { COUNT = sizeof segments / sizeof segments[0], ROW = 511 };
    struct region region;
    uint64_t found = 0;
    if (UINT64_C(1) << 36 > REGION_MOST) {
        return;
    }
    size_t size = (size_t)(UINT64_C(1) << 36);
    region_map(&region, size);
    assert_int_equal(region_create(&region, 0, size, config), 0);
    tmf_heap *heap = &region.heap;
    for (size_t n = COUNT; n-- > 0;) {
        tmf_rows_set(heap, ROW, segments[n]);
        assert_int_equal(tmf_rows_next(heap, ROW, 0, &found), 0);
        assert_int_equal(found, segments[n]);
    }
    assert_int_equal(tmf_rows_last(heap), ROW);
    for (size_t n = 0; n + 1 < COUNT; n++) {
        assert_int_equal(tmf_rows_next(heap, ROW, segments[n] + 1, &found), 0);
        assert_int_equal(found, segments[n + 1]);
    }
    assert_int_equal(tmf_rows_next(heap, ROW, segments[COUNT - 1] + 1, &found), ENOMEM);
    for (size_t n = 0; n < COUNT; n++) {
        assert_int_equal(tmf_rows_next(heap, ROW, 0, &found), 0);
        assert_int_equal(found, segments[n]);
        assert_int_equal(tmf_rows_clear(heap, ROW, found), 0);
        assert_int_equal(tmf_rows_clear(heap, ROW, found), TMF_ECORRUPT);
    }
    assert_int_equal(tmf_rows_next(heap, ROW, 0, &found), ENOMEM);
    assert_int_equal(tmf_rows_last(heap), TMF_ROWS);
    region_unmap(&region);
}

/* A short run has nothing in it: what was in a block is there when it is allocated again. */
static void test_short_runs_are_not_written(void **state)
{
    (void)state;
    struct region region;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    struct block blocks[64];
    for (size_t n = 0; n < 64; n++) {
        blocks[n] = block_take(&region, 1, LONGEST);
        block_fill(blocks[n], (unsigned char)n);
        (void)block_take(&region, 1, 1);
    }
    for (size_t n = 0; n < 64; n++) {
        assert_int_equal(tmf_heap_free(&region.heap, blocks[n].at, blocks[n].size), 0);
        assert_true(block_holds(blocks[n], blocks[n].size, (unsigned char)n));
    }
    for (size_t n = 0; n < 64; n++) {
        struct block again = block_take(&region, 1, LONGEST);
        assert_ptr_equal(again.at, blocks[n].at);
        assert_true(block_holds(again, again.size, (unsigned char)n));
    }
    region_unmap(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_void_rows),
        cmocka_unit_test(test_row_that_lies),
        cmocka_unit_test(test_gap_behind_the_region),
        cmocka_unit_test(test_gap_in_front_of_the_blocks),
        cmocka_unit_test(test_rows_are_in_order),
        cmocka_unit_test(test_short_runs_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
