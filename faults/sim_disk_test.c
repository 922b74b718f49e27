/* SPDX-License-Identifier: MIT */
/*
 * Each promise of the simulated disk, and that there is no other: what images show after each kind
 * of event, under both models of a file system and at every tear; and that no image is forgotten or
 * counted twice, against images put together by brute force.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "faults/sim_disk.h"

#define MEMORY ((size_t)16 << 20)
#define LOG    "folder/a.log"
#define ODB    "folder/a.odb"

static struct disk_events events;
static struct sim_disk disk;

static void start(enum disk_model model, size_t tear)
{
    assert_int_equal(disk_events_make(&events, MEMORY, 1024), 0);
    assert_int_equal(sim_disk_make(&disk, model, tear, &events), 0);
}

static int stop(void **state)
{
    (void)state;
    sim_disk_free(&disk);
    disk_events_free(&events);
    return 0;
}

/* ---- what happens */

static void happen(struct disk_event event)
{
    disk_events_add(&events, &event);
    sim_disk_apply(&disk, &events.at[events.count - 1]);
}

static void name(const char *path, uint32_t file)
{
    disk_events_tick(&events);
    happen((struct disk_event){
        .kind = DISK_NAME, .name = disk_events_name(&events, path), .file = file});
}

static void resize(uint32_t file, uint64_t size)
{
    disk_events_tick(&events);
    happen((struct disk_event){.kind = DISK_SIZE, .file = file, .size = size});
}

/* One call. */
static void put(uint32_t file, uint64_t at, uint64_t size, unsigned char value)
{
    unsigned char bytes[4 * DISK_PAGE];
    assert_true(size <= sizeof(bytes));
    memset(bytes, value, size);
    disk_events_tick(&events);
    happen((struct disk_event){
        .kind = DISK_WRITE, .file = file, .at = at, .size = size, .bytes = bytes});
}

static void sync_file(uint32_t file, bool data_only)
{
    disk_events_tick(&events);
    happen((struct disk_event){.kind = DISK_SYNC, .file = file, .data_only = data_only});
}

static void sync_folder(void)
{
    disk_events_tick(&events);
    happen((struct disk_event){.kind = DISK_SYNC_FOLDER});
}

/* File 0, there for certain, of so many pages of zeroes. */
static void make_file(uint64_t pages)
{
    name(ODB, 0);
    resize(0, pages * DISK_PAGE);
    sync_file(0, false);
    sync_folder();
}

/* ---- what images show */

#define IMAGES_MOST 4096

/* Calls `visit` for every combination of alternatives. */
static void each_image(void visit(void))
{
    uint32_t digits[64] = {0};
    sim_disk_vary(&disk);
    assert_true(disk.variable_count <= 64 && !disk.is_full);
    for (;;) {
        sim_disk_choose_all(&disk, false);
        for (uint32_t n = 0; n < disk.variable_count; n++)
            sim_disk_choose(&disk, n, digits[n]);
        visit();
        uint32_t n = 0;
        while (n < disk.variable_count && ++digits[n] == disk.variables[n].count)
            digits[n++] = 0;
        if (n == disk.variable_count)
            return;
    }
}

static uint64_t hashes[IMAGES_MOST];
static size_t image_count;

static void collect(void)
{
    uint64_t hash = sim_disk_hash(&disk);
    for (size_t n = 0; n < image_count; n++) {
        if (hashes[n] == hash)
            return;
    }
    assert_true(image_count < IMAGES_MOST);
    hashes[image_count++] = hash;
}

/* Distinct images. */
static size_t count_images(void)
{
    image_count = 0;
    each_image(collect);
    return image_count;
}

/* Of what is chosen, in file 0. */
static unsigned char shown_at(uint64_t at)
{
    const struct disk_version *version = sim_disk_unit(&disk, 0, (uint32_t)(at / disk.unit_size));
    return version ? version->bytes[at % disk.unit_size] : 0;
}

static uint64_t wanted_at, wanted_size;
static unsigned char wanted;
static uint32_t wanted_file;
static bool was_seen;

static void look_for_byte(void)
{
    was_seen = was_seen || shown_at(wanted_at) == wanted;
}

static bool may_show(uint64_t at, unsigned char value)
{
    wanted_at = at;
    wanted = value;
    was_seen = false;
    each_image(look_for_byte);
    return was_seen;
}

static void look_for_size(void)
{
    was_seen = was_seen || sim_disk_size(&disk, 0) == wanted_size;
}

static bool may_have_size(uint64_t size)
{
    wanted_size = size;
    was_seen = false;
    each_image(look_for_size);
    return was_seen;
}

static const char *wanted_path;

static void look_for_name(void)
{
    was_seen =
        was_seen || sim_disk_file_of(&disk, disk_events_name(&events, wanted_path)) == wanted_file;
}

static bool may_mean(const char *path, uint32_t file)
{
    wanted_path = path;
    wanted_file = file;
    was_seen = false;
    each_image(look_for_name);
    return was_seen;
}

/* ---- content */

static void test_every_version_may_be_there_until_a_sync(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(2);
    put(0, 0, 8, 1);
    put(0, 0, 8, 2);
    assert_true(may_show(0, 0) && may_show(0, 1) && may_show(0, 2));
    sync_file(0, true);
    assert_true(may_show(0, 2) && !may_show(0, 1) && !may_show(0, 0));
    put(0, DISK_PAGE, 8, 3);
    assert_true(!may_show(0, 0) && may_show(DISK_PAGE, 0) && may_show(DISK_PAGE, 3));
}

static void test_a_sync_covers_its_file_alone(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(1);
    name(LOG, 1);
    put(0, 0, 8, 1);
    sync_file(1, false);
    assert_true(may_show(0, 0));
    sync_folder();
    assert_true(may_show(0, 0));
}

static void test_pages_arrive_in_any_order(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(3);
    put(0, 0, 3 * DISK_PAGE, 1);
    assert_int_equal(count_images(), 8);
    put(0, 0, DISK_PAGE, 2);
    assert_int_equal(count_images(), 12);
}

static void test_a_page_is_torn_at_sectors(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_SECTOR);
    make_file(1);
    put(0, DISK_SECTOR - 8, 16, 1);
    assert_int_equal(count_images(), 4);
    put(0, 0, DISK_PAGE, 1);
    assert_int_equal(count_images(), 3 * 3 * 64);
}

static void test_a_write_call_is_whole_without_tears(void **state)
{
    (void)state;
    start(DISK_POSIX, 0);
    make_file(4);
    put(0, DISK_PAGE - 8, 16, 1);
    assert_int_equal(count_images(), 2);
    put(0, 3 * DISK_PAGE, 8, 2);
    assert_int_equal(count_images(), 4);
    /* Pages that one call wrote go with whatever else happened to them. */
    put(0, 0, 8, 3);
    assert_int_equal(count_images(), 6);
}

static void test_equal_images_are_one(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(2);
    uint64_t generation = disk.generation;
    put(0, 0, 8, 0);
    assert_int_equal(count_images(), 1);
    assert_int_equal(disk.generation, generation);
    put(0, 0, 8, 1);
    put(0, 0, 8, 0);
    put(0, 0, 8, 1);
    assert_int_equal(count_images(), 2);
    assert_int_equal(disk.variables[0].count, 2);
}

/* ---- sizes */

static void test_a_size_is_durable_by_a_sync(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(1);
    resize(0, 2 * DISK_PAGE);
    put(0, DISK_PAGE, 8, 1);
    assert_true(may_have_size(DISK_PAGE) && may_have_size(2 * DISK_PAGE));
    sync_file(0, true);
    assert_true(!may_have_size(DISK_PAGE) && may_have_size(2 * DISK_PAGE));
}

static void test_posix_fdatasync_does_not_promise_a_cut(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(2);
    put(0, DISK_PAGE, 8, 1);
    sync_file(0, false);
    resize(0, DISK_PAGE);
    sync_file(0, true);
    assert_true(may_have_size(2 * DISK_PAGE) && may_have_size(DISK_PAGE));
    assert_true(may_show(DISK_PAGE, 1));
    sync_file(0, false);
    assert_true(!may_have_size(2 * DISK_PAGE));
}

static void test_ext4_fdatasync_promises_a_cut(void **state)
{
    (void)state;
    start(DISK_EXT4, DISK_PAGE);
    make_file(2);
    resize(0, DISK_PAGE);
    assert_true(may_have_size(2 * DISK_PAGE));
    sync_file(0, true);
    assert_true(!may_have_size(2 * DISK_PAGE));
}

static void test_what_was_cut_off_does_not_come_back(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(2);
    put(0, DISK_PAGE, 8, 1);
    sync_file(0, false);
    resize(0, DISK_PAGE);
    resize(0, 2 * DISK_PAGE);
    assert_true(may_show(DISK_PAGE, 0));
    sync_file(0, false);
    assert_true(!may_show(DISK_PAGE, 1));
}

/* ---- names */

static void test_posix_promises_a_name_by_the_folder_alone(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    name(ODB, 0);
    resize(0, DISK_PAGE);
    sync_file(0, false);
    assert_true(may_mean(ODB, DISK_NO_FILE) && may_mean(ODB, 0));
    sync_folder();
    assert_true(!may_mean(ODB, DISK_NO_FILE));
}

static void rename_odb_to_log(void)
{
    disk_events_tick(&events);
    happen((struct disk_event){.kind = DISK_NAME, .name = disk_events_name(&events, LOG)});
    happen((struct disk_event){
        .kind = DISK_NAME, .name = disk_events_name(&events, ODB), .file = DISK_NO_FILE});
}

static void test_posix_renames_by_half(void **state)
{
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(1);
    rename_odb_to_log();
    assert_int_equal(count_images(), 4);
    sync_folder();
    assert_int_equal(count_images(), 1);
}

static void test_ext4_renames_whole_and_in_order(void **state)
{
    (void)state;
    start(DISK_EXT4, DISK_PAGE);
    make_file(1);
    rename_odb_to_log();
    assert_int_equal(count_images(), 2);
    name("folder/b", 1);
    assert_int_equal(count_images(), 3);
    resize(0, 2 * DISK_PAGE);
    assert_int_equal(count_images(), 4);
    sync_folder(); /* all but the size, which came after the last name */
    assert_int_equal(count_images(), 2);
}

static void test_ext4_fsync_of_a_new_file_promises_its_name(void **state)
{
    (void)state;
    start(DISK_EXT4, DISK_PAGE);
    name(LOG, 1);
    name(ODB, 0);
    resize(0, DISK_PAGE);
    assert_true(may_mean(ODB, DISK_NO_FILE));
    sync_file(0, false);
    assert_true(!may_mean(ODB, DISK_NO_FILE) && !may_mean(LOG, DISK_NO_FILE));
}

static void test_ext4_fdatasync_does_not_promise_a_rename(void **state)
{
    (void)state;
    start(DISK_EXT4, DISK_PAGE);
    make_file(1);
    name(LOG, 0);
    sync_file(0, true);
    assert_true(may_mean(LOG, DISK_NO_FILE));
    sync_file(0, false);
    assert_true(!may_mean(LOG, DISK_NO_FILE));
}

/* ---- all images, against brute force */

/*
 * Writes at random; beside it every state that each sector ever had since the sync, so the number
 * of distinct images is the product of those that differ.
 */
static void test_count_against_brute_force(void **state)
{
    (void)state;
    srand(1);
    start(DISK_POSIX, DISK_SECTOR);
    make_file(1);
    for (unsigned round = 0; round < 200; round++) {
        size_t expected = 1;
        unsigned char had[8][16];
        for (unsigned sector = 0; sector < 8; sector++)
            had[sector][0] = shown_at(sector * DISK_SECTOR + 17);
        size_t counts[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        unsigned writes = (unsigned)rand() % 5;
        for (unsigned n = 0; n < writes; n++) {
            unsigned first = (unsigned)rand() % 8;
            unsigned count = (unsigned)rand() % 2 + 1;
            unsigned char value = (unsigned char)(rand() % 3);
            count = first + count > 8 ? 8 - first : count;
            put(0, first * DISK_SECTOR, count * DISK_SECTOR, value);
            for (unsigned sector = first; sector < first + count; sector++) {
                if (!memchr(had[sector], value, counts[sector]))
                    had[sector][counts[sector]++] = value;
            }
        }
        for (unsigned sector = 0; sector < 8; sector++)
            expected *= counts[sector];
        assert_int_equal(count_images(), expected);
        sync_file(0, true);
        assert_int_equal(count_images(), 1);
    }
}

/* An image that is started from is durable, and nothing else. */
static void test_starting_from_an_image(void **state)
{
    struct disk_events other_events;
    struct sim_disk other;
    (void)state;
    start(DISK_POSIX, DISK_PAGE);
    make_file(2);
    put(0, 0, 8, 1);
    put(0, DISK_PAGE, 8, 2);
    sim_disk_vary(&disk);
    sim_disk_choose_all(&disk, false);
    sim_disk_choose(&disk, disk.variable_count - 1, 1);
    uint64_t hash = sim_disk_hash(&disk);
    assert_int_equal(disk_events_make(&other_events, MEMORY, 16), 0);
    assert_int_equal(sim_disk_make(&other, DISK_POSIX, DISK_PAGE, &other_events), 0);
    sim_disk_start(&other, &disk);
    sim_disk_vary(&other);
    assert_int_equal(other.variable_count, 0);
    sim_disk_choose_all(&other, false);
    assert_true(sim_disk_hash(&other) == hash);
    sim_disk_free(&other);
    disk_events_free(&other_events);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_version_may_be_there_until_a_sync),
        TEST(test_a_sync_covers_its_file_alone),
        TEST(test_pages_arrive_in_any_order),
        TEST(test_a_page_is_torn_at_sectors),
        TEST(test_a_write_call_is_whole_without_tears),
        TEST(test_equal_images_are_one),
        TEST(test_a_size_is_durable_by_a_sync),
        TEST(test_posix_fdatasync_does_not_promise_a_cut),
        TEST(test_ext4_fdatasync_promises_a_cut),
        TEST(test_what_was_cut_off_does_not_come_back),
        TEST(test_posix_promises_a_name_by_the_folder_alone),
        TEST(test_posix_renames_by_half),
        TEST(test_ext4_renames_whole_and_in_order),
        TEST(test_ext4_fsync_of_a_new_file_promises_its_name),
        TEST(test_ext4_fdatasync_does_not_promise_a_rename),
        TEST(test_count_against_brute_force),
        TEST(test_starting_from_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
