/* SPDX-License-Identifier: MIT */
/* Making, attaching and growing heaps: what succeeds, what is refused, and where the map goes. */
#include "map.h"
#include "test_region.h"

/* New space joins the last block where that is free, and the map goes on to know it all. */
static void grow(tmf_heap_config config)
{
    struct region region;
    size_t reserved = 64 * MIB;
    size_t size = MIB;
    region_map(&region, reserved);
    assert_int_equal(region_create(&region, 0, size, config), 0);
    struct block kept = block_take(&region, 1, 3000);
    block_fill(kept, 0x77);
    for (size_t next = size + PAGE; next <= reserved; next += next / 3 / PAGE * PAGE) {
        struct tmf_heap_media *media = region.heap.media;
        size_t before = largest_free(&region);
        uint64_t extents = media->extent_count;
        assert_int_equal(tmf_heap_grow(&region.heap, next), 0);
        assert_sound(&region.heap);
        if (extents == 1 && media->extent_count == 1) {
            assert_int_equal(largest_free(&region), before + next - size);
        }
        assert_true(largest_free(&region) > (next - size) / 2);
        size = next;
        tmf_heap again;
        assert_int_equal(tmf_heap_attach(&again, region.base, 0, size), 0);
    }
    uint64_t extents = region.heap.media->extent_count;
    assert_in_range(extents, 2, 10);
    struct tmf_run pages = tmf_map_pages(&region.heap, region.heap.media->extents[1].at);
    assert_true(pages.quanta > 0);
    void *at = tmf_heap_place(&region.heap, pages.at);
    size_t bytes = pages.quanta << region.heap.quantum_shift;
    assert_int_equal(tmf_heap_free(&region.heap, at, bytes), TMF_EBADBLOCK);
    struct block most = block_take(&region, 1, largest_free(&region));
    block_fill(most, 0x11);
    assert_true(block_holds(kept, kept.size, 0x77));
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_free(&region.heap, kept.at, kept.size), 0);
    assert_int_equal(tmf_heap_free(&region.heap, most.at, most.size), 0);
    assert_sound(&region.heap);
    region_unmap(&region);
}

static void test_growth(void **state)
{
    (void)state;
    grow((tmf_heap_config){.quantum = 32});
    grow((tmf_heap_config){.quantum = 64});
    grow((tmf_heap_config){.quantum = 64, .index = "rb-twin32"});
    grow((tmf_heap_config){.quantum = 16, .index = "rb-tags"});
    grow((tmf_heap_config){.quantum = 16, .index = "bins"});
    grow((tmf_heap_config){.quantum = 128, .index = "bins"});
    grow((tmf_heap_config){.quantum = 16, .index = "tlsf"});
}

static void test_growth_errors(void **state)
{
    (void)state;
    struct region region;
    region_map(&region, 4 * MIB);
    const tmf_heap_config config = {.quantum = 32, .index = "rb-twin"};
    assert_int_equal(region_create(&region, 0, MIB, config), 0);
    assert_int_equal(tmf_heap_grow(&region.heap, MIB), 0);
    assert_int_equal(tmf_heap_grow(&region.heap, MIB - PAGE), EINVAL);
    assert_int_equal(tmf_heap_grow(&region.heap, MIB + 64), EINVAL);
    assert_int_equal(tmf_heap_grow(&region.heap, (size_t)PTRDIFF_MAX + 1), EINVAL);
#if SIZE_MAX > UINT32_MAX
    assert_int_equal(tmf_heap_grow(&region.heap, (size_t)1 << 38), TMF_ENOTSUPPORTED);
#endif
    /* The map covers 1.5 MiB; two pages more are just what it needs for pairs and a summary. */
    assert_int_equal(tmf_heap_grow(&region.heap, MIB + MIB / 2), 0);
    assert_int_equal(tmf_heap_grow(&region.heap, MIB + MIB / 2 + 2 * PAGE), ENOMEM);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_grow(&region.heap, MIB + MIB / 2 + 3 * PAGE), 0);
    assert_sound(&region.heap);
    region_unmap(&region);
}

static const struct creation {
    int expected;
    size_t offset;
    size_t size;
    tmf_heap_config config;
} creations[] = {
    {0, 0, MIB, {0, NULL}},
    {0, 0, MIB, {32, "rb-twin"}},
    {0, 0, MIB, {4096, "rb-twin"}},
    {0, 5000, MIB, {0, NULL}},
    {0, 3500, MIB, {0, NULL}}, /* the header does not straddle two pages */
    {0, 0, 4 * PAGE, {0, NULL}},
    {0, 0, MIB, {16, "rb-tags"}},
    {0, 0, MIB, {16, "bins"}},
    {0, 0, 4 * PAGE, {128, "bins"}},
    {0, 0, MIB, {16, "tlsf"}},
    {EINVAL, 0, MIB, {16, "rb-twin"}},
    {EINVAL, 0, MIB, {8, "rb-tags"}},
    {EINVAL, 0, MIB, {8, "bins"}},
    {EINVAL, 0, MIB, {8, "tlsf"}},
    {EINVAL, 0, MIB, {8192, "rb-twin"}},
    {EINVAL, 0, MIB, {96, "rb-twin"}},
    {EINVAL, 0, MIB, {1, NULL}},
    {EINVAL, 0, MIB + 1, {0, NULL}},
    {EINVAL, MIB + 1, MIB, {0, NULL}},
    {EINVAL, 0, (size_t)PTRDIFF_MAX + 1, {0, NULL}},
    {ENOENT, 0, MIB, {0, "rb-triplet"}},
    {ENOENT, 0, MIB, {0, ""}},
    {ENOMEM, 0, 0, {0, NULL}},
    {ENOMEM, 0, 3 * PAGE, {0, NULL}},
    {ENOMEM, MIB - PAGE, MIB, {0, NULL}},
    {ENOMEM, MIB, MIB, {0, NULL}},
#if SIZE_MAX > UINT32_MAX /* else no size is beyond links of 32 bits */
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 39, {32, "rb-twin"}},
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 40, {64, "rb-twin32"}},
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 36, {16, "rb-tags"}},
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 44, {16, "bins"}},
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 37, {16, "tlsf"}},
    {TMF_ENOTSUPPORTED, 0, (size_t)1 << 45, {32, "tlsf"}},
#endif
};

static void test_creation(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof creations / sizeof creations[0]; n++) {
        const struct creation *creation = &creations[n];
        struct region region;
        region_map(&region, MIB + PAGE);
        tmf_heap_config config = creation->config;
        int error = region_create(&region, creation->offset, creation->size, config);
        assert_int_equal(error, creation->expected);
        if (error == 0) {
            tmf_heap attached;
            size_t quantum = config.quantum != 0 ? config.quantum : 32;
            assert_int_equal((size_t)1 << region.heap.quantum_shift, quantum);
            assert_sound(&region.heap);
            assert_int_equal(
                tmf_heap_attach(&attached, region.base, creation->offset, creation->size), 0);
            assert_ptr_equal(attached.media, region.heap.media);
            assert_in_range((uintptr_t)attached.media % PAGE, 0, PAGE - TMF_HEAP_HOT);
            assert_ptr_equal(attached.index, region.heap.index);
        }
        region_unmap(&region);
    }
}

static void test_attach_errors(void **state)
{
    (void)state;
    struct region region;
    tmf_heap found;
    region_map(&region, 2 * MIB);
    assert_int_equal(tmf_heap_attach(&found, region.base, 0, MIB), TMF_ECORRUPT);
    assert_int_equal(region_create(&region, 100, MIB, (tmf_heap_config){0}), 0);
    assert_int_equal(tmf_heap_attach(&found, region.base, 100, MIB), 0);
    assert_int_equal(tmf_heap_attach(&found, region.base, 100, 2 * MIB), 0);
    assert_int_equal(tmf_heap_attach(&found, region.base, 100, MIB - PAGE), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_attach(&found, region.base, 0, MIB), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_attach(&found, region.base, MIB, MIB), TMF_ECORRUPT);
    assert_int_equal(tmf_heap_attach(&found, region.base, 100, 0), EINVAL);
    assert_int_equal(tmf_heap_attach(&found, region.base + 8, 100, MIB), EINVAL);
    region_unmap(&region);
}

/* A header field, and a value that it cannot have beside the others. */
static const struct bad_field {
    size_t offset;
    uint64_t add;
} bad_fields[] = {
    {offsetof(struct tmf_heap_media, magic), 1},
    {offsetof(struct tmf_heap_media, version), 1},
    {offsetof(struct tmf_heap_media, quantum_shift), 1},
    {offsetof(struct tmf_heap_media, quantum_shift), UINT32_MAX},
    {offsetof(struct tmf_heap_media, index_id), 1000},
    {offsetof(struct tmf_heap_media, link_bits), 1},
    {offsetof(struct tmf_heap_media, end), 1},
    {offsetof(struct tmf_heap_media, end), UINT64_MAX},
    {offsetof(struct tmf_heap_media, first), 1},
    {offsetof(struct tmf_heap_media, used_quanta), 1},
    {offsetof(struct tmf_heap_media, used_quanta), UINT64_MAX},
    {offsetof(struct tmf_heap_media, free_quanta), 1},
    {offsetof(struct tmf_heap_media, used_blocks), UINT64_MAX},
    {offsetof(struct tmf_heap_media, used_blocks), 1000},
    {offsetof(struct tmf_heap_media, free_blocks), UINT64_MAX},
    {offsetof(struct tmf_heap_media, free_blocks), 1 << 20},
    {offsetof(struct tmf_heap_media, extent_count), UINT64_MAX},
    {offsetof(struct tmf_heap_media, extent_count), 1},
    {offsetof(struct tmf_heap_media, extent_count), 1000},
    {offsetof(struct tmf_heap_media, extents[0].first), 1},
    {offsetof(struct tmf_heap_media, extents[0].quanta), 1 << 20},
    {offsetof(struct tmf_heap_media, extents[0].at), 64},
    {offsetof(struct tmf_heap_media, extents[31].at), 1},
};

static void test_attach_looks_at_every_field(void **state)
{
    (void)state;
    struct region region;
    tmf_heap found;
    region_map(&region, MIB);
    assert_int_equal(region_create(&region, 0, MIB, (tmf_heap_config){0}), 0);
    (void)block_take(&region, 1, 1);
    unsigned char *media = (unsigned char *)region.heap.media;
    for (size_t n = 0; n < sizeof bad_fields / sizeof bad_fields[0]; n++) {
        const struct bad_field *bad = &bad_fields[n];
        bool narrow = bad->offset > 0 && bad->offset < offsetof(struct tmf_heap_media, end);
        uint64_t right = 0;
        memcpy(&right, media + bad->offset, narrow ? 4 : 8);
        uint64_t wrong = right + bad->add;
        memcpy(media + bad->offset, &wrong, narrow ? 4 : 8);
        if (tmf_heap_attach(&found, region.base, 0, MIB) != TMF_ECORRUPT) {
            fail_msg("%zu more at offset %zu is believed", (size_t)bad->add, bad->offset);
        }
        memcpy(media + bad->offset, &right, narrow ? 4 : 8);
    }
    assert_int_equal(tmf_heap_attach(&found, region.base, 0, MIB), 0);
    region_unmap(&region);
}

/* Small growths of a heap fill the table of extents in the end; that is an error and no more. */
static void test_full_table_of_extents(void **state)
{
    (void)state;
    struct region region;
    size_t size = MIB;
    size_t reserved = 128 * MIB;
    int error = 0;
    region_map(&region, reserved);
    assert_int_equal(region_create(&region, 0, size, (tmf_heap_config){.quantum = 32}), 0);
    for (; error == 0; size += 16 * PAGE) {
        assert_in_range(size, MIB, reserved);
        error = tmf_heap_grow(&region.heap, size);
    }
    assert_int_equal(error, ENOMEM);
    assert_int_equal(region.heap.media->extent_count, TMF_MAP_EXTENTS_MAX);
    assert_sound(&region.heap);
    (void)block_take(&region, 1, largest_free(&region));
    assert_sound(&region.heap);
    region_unmap(&region);
}

/*
 * A tebibyte, or what there is room for. Only pages that are touched cost memory and time: not even
 * the checker reads the map of what is free, and no block is too large to be freed at once.
 */
static void fill_the_largest(tmf_heap_config config)
{
    struct region region;
    region_map(&region, REGION_MOST);
    int error = region_create(&region, 0, REGION_MOST, config);
    if (error == TMF_ENOTSUPPORTED && REGION_MOST / config.quantum > UINT32_MAX) {
        region_unmap(&region);
        return;
    }
    assert_int_equal(error, 0);
    struct block low = block_take(&region, 1, 1);
    struct block block = block_take(&region, 1, 1);
    assert_int_equal(tmf_heap_free(&region.heap, low.at, 1), 0);
    assert_int_equal(tmf_heap_free(&region.heap, block.at, 1), 0);
    assert_true(largest_free(&region) > REGION_MOST / 100 * 92); /* btree at 16 bytes: 7 % */
    assert_sound(&region.heap);
    struct block most = block_take(&region, 1, largest_free(&region) - config.quantum);
    struct block least = block_take(&region, 1, 1);
    void *at = NULL;
    assert_int_equal(tmf_heap_free(&region.heap, most.at, most.size / 2), TMF_EBADBLOCK);
    assert_int_equal(tmf_heap_resize(&region.heap, most.at, most.size, most.size / 2, &at), 0);
    assert_sound(&region.heap);
    assert_int_equal(tmf_heap_free(&region.heap, least.at, 1), 0);
    assert_int_equal(tmf_heap_free(&region.heap, at, most.size / 2), 0);
    assert_sound(&region.heap);
    region_unmap(&region);
}

static void test_the_largest(void **state)
{
    (void)state;
    for_each_kind(fill_the_largest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_growth_errors),
        cmocka_unit_test(test_creation),
        cmocka_unit_test(test_attach_errors),
        cmocka_unit_test(test_attach_looks_at_every_field),
        cmocka_unit_test(test_full_table_of_extents),
        cmocka_unit_test(test_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
