/* SPDX-License-Identifier: MIT */
/* The block map's summary against an array of flags, and what a chunk is that it calls void. */
#include "map_pairs.h"
#include "map_summary.h"
#include "test_region.h"

#include <stdlib.h>

#define CHUNK ((size_t)TMF_MAP_CHUNK)

static uint64_t *words;
static bool *flags;

static uint64_t flag_next(uint64_t bits, uint64_t from)
{
    while (from < bits && !flags[from]) {
        from++;
    }
    return from < bits ? from : TMF_SUMMARY_NONE;
}

static uint64_t flag_previous(uint64_t to)
{
    while (to > 0 && !flags[to - 1]) {
        to--;
    }
    return to > 0 ? to - 1 : TMF_SUMMARY_NONE;
}

static void assert_same_at(uint64_t bits, uint64_t at)
{
    assert_int_equal(tmf_summary_next(words, bits, at), flag_next(bits, at));
    assert_int_equal(tmf_summary_previous(words, bits, at), flag_previous(at));
    assert_true(tmf_summary_holds(words, bits));
}

/* Bits come and go, few or many of them at a time. */
static void compare_summary(uint64_t bits)
{
    uint64_t random = bits;
    uint64_t count = tmf_summary_words(bits);
    words = calloc(count + 1, sizeof *words);
    flags = calloc(bits, sizeof *flags);
    assert_non_null(words);
    assert_non_null(flags);
    words[count] = UINT64_C(0x5a5a5a5a5a5a5a5a);
    for (size_t n = 0; n < 3000; n++) {
        uint64_t bit = random_below(&random, bits);
        bool fills = random_below(&random, 8) < (n / 300 % 2 == 0 ? 5U : 2U);
        (fills ? tmf_summary_add : tmf_summary_drop)(words, bits, bit);
        flags[bit] = fills;
        assert_int_equal(tmf_summary_has(words, bit), fills);
        assert_same_at(bits, random_below(&random, bits + 1));
        assert_same_at(bits, bit);
    }
    for (uint64_t bit = 0; bit < bits; bit++) {
        tmf_summary_drop(words, bits, bit);
        flags[bit] = false;
    }
    assert_same_at(bits, 0);
    assert_same_at(bits, bits);
    assert_int_equal(words[count], UINT64_C(0x5a5a5a5a5a5a5a5a));
    free(words);
    free(flags);
}

static void test_summary(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 4, 63, 64, 65, 4096, 4097, 8000};
    for (size_t n = 0; n < sizeof sizes / sizeof sizes[0]; n++) {
        compare_summary(sizes[n]);
    }
    assert_int_equal(tmf_summary_words(64), 1);
    assert_int_equal(tmf_summary_words(65), 3);
    assert_int_equal(tmf_summary_words(4097), 65 + 2 + 1);
}

/* A bit above where there is none below, and one beyond the end, as only damage makes them. */
static void test_lies(void **state)
{
    (void)state;
    enum { BITS = 200 };
    uint64_t lying[4 + 1] = {0, 0, 0, 0, 1 << 2};
    assert_int_equal(tmf_summary_words(BITS), 5);
    assert_int_equal(tmf_summary_next(lying, BITS, 0), TMF_SUMMARY_LIES);
    assert_int_equal(tmf_summary_previous(lying, BITS, BITS), TMF_SUMMARY_LIES);
    assert_false(tmf_summary_holds(lying, BITS));
    lying[4] = 1 << 3;
    lying[3] = 1 << 8; /* number 200 */
    assert_int_equal(tmf_summary_next(lying, BITS, 0), TMF_SUMMARY_LIES);
    assert_int_equal(tmf_summary_previous(lying, BITS, BITS - 10), TMF_SUMMARY_NONE);
    assert_false(tmf_summary_holds(lying, BITS));
    lying[4] = 1 << 5; /* there is no such word */
    assert_int_equal(tmf_summary_next(lying, BITS, 0), TMF_SUMMARY_LIES);
}

static void fill_pairs(const struct region *region, uint64_t chunk, int byte)
{
    struct map_chunk found = map_chunk(&region->heap, chunk * CHUNK);
    assert_true(found.is_void);
    memset(found.pairs, byte, MAP_CHUNK_PAIRS * sizeof found.pairs[0]);
}

/* What is in a void chunk is not read, and gone when the first border comes. */
static void fill_void(tmf_heap_config config)
{
    struct region region;
    size_t chunk = CHUNK * config.quantum;
    if (config.quantum > 128) {
        return;
    }
    region_map(&region, 8 * chunk);
    assert_int_equal(region_create(&region, 0, 8 * chunk, config), 0);
    fill_pairs(&region, 3, 0xa5);
    assert_sound(&region.heap);
    struct block low = block_take(&region, 1, 3 * chunk);
    struct block next = block_take(&region, 1, config.quantum);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_free(&region.heap, low.at, low.size), 0);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_free(&region.heap, next.at, next.size), 0);
    assert_sound(&region.heap);
    /* The chunk is void again and may hold anything. */
    fill_pairs(&region, 3, 0x5a);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_free(&region.heap, next.at, next.size), TMF_EBADBLOCK);
    low = block_take(&region, 1, largest_free(&region));
    assert_int_equal(tmf_heap_free(&region.heap, low.at, low.size), 0);
    assert_sound(&region.heap);
    region_unmap(&region);
}

static void test_void_chunks(void **state)
{
    (void)state;
    for_each_kind(fill_void);
}

/* Blocks around the borders of chunks, where a search goes from one to another. */
static void cross_chunks(tmf_heap_config config)
{
    struct region region;
    size_t quantum = config.quantum;
    if (quantum > 128) {
        return;
    }
    region_map(&region, 8 * CHUNK * quantum);
    assert_int_equal(region_create(&region, 0, 8 * CHUNK * quantum, config), 0);
    for (size_t length = 1; length <= 3; length++) {
        for (size_t shift = 0; shift <= length; shift++) {
            size_t first = region.heap.media->first;
            size_t target = (first / CHUNK + 2) * CHUNK - shift;
            struct block front = block_take(&region, 1, (target - first) * quantum);
            struct block block = block_take(&region, 1, length * quantum);
            assert_ptr_equal(block.at, region.base + target * quantum);
            assert_sound(&region.heap);
            assert_int_equal(tmf_heap_free(&region.heap, front.at, front.size), 0);
            assert_sound(&region.heap);
            assert_int_equal(tmf_heap_free(&region.heap, block.at, block.size + quantum),
                             TMF_EBADBLOCK);
            assert_int_equal(tmf_heap_free(&region.heap, block.at, block.size), 0);
            assert_sound(&region.heap);
        }
    }
    region_unmap(&region);
}

static void test_blocks_across_chunks(void **state)
{
    (void)state;
    for_each_kind(cross_chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_void_chunks),
        cmocka_unit_test(test_blocks_across_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
