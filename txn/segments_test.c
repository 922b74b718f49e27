/* SPDX-License-Identifier: MIT */
/*
 * The coarse level of redo-wp (segments.h): transactions that store to many cold segments make all
 * of the arena hot, so that nothing traps any more; small ones make it cold again; nothing that was
 * stored is lost or kept wrongly in between. What traps is told by the faults of tmf_stats.
 */
#include <string.h>

#include "txn/test_kit.h"

#define PAGES     3072u /* of the block, in an arena of 4096: 256 segments */
#define SCATTERED 64u
#define APART     32u   /* pages: in the first two thirds of the block */
#define FAR       3000u /* a page of which nothing near was stored to since the storage was opened */
#define SMALL     400u  /* transactions of one page */

struct root {
    unsigned char *block;
};

static unsigned expected[PAGES];

static int make_block(tmf_writer *writer, void *root, void *context)
{
    (void)context;
    unsigned char *block = tmf_alloc_aligned(writer, TEST_PAGE, PAGES * TEST_PAGE);
    check(block);
    ((struct root *)root)->block = block;
    memset(block, 0, PAGES * TEST_PAGE);
    return 0;
}

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {.size = 4096 * TEST_PAGE,
                                 .root_size = sizeof(struct root),
                                 .root_init = make_block,
                                 .durability = TMF_DURABILITY_PROCESS};
    memset(expected, 0, sizeof(expected));
    check_ok(tmf_close(test_open(place, &options)));
    const tmf_options again = {.durability = TMF_DURABILITY_PROCESS};
    return test_open(place, &again);
}

static uint64_t traps(const tmf_storage *storage)
{
    tmf_stats stats;
    tmf_stats_get(storage, &stats);
    return stats.faults;
}

static void store(tmf_writer *writer, unsigned page, unsigned number)
{
    unsigned char *block = ((struct root *)tmf_writer_root(writer))->block;
    memcpy(block + page * TEST_PAGE, &number, sizeof(number));
}

static void commit_scattered(tmf_storage *storage, unsigned number)
{
    tmf_writer *writer = test_write(storage);
    for (unsigned i = 0; i < SCATTERED; i++) {
        unsigned page = i * APART + number;
        store(writer, page, expected[page] = number);
    }
    test_commit(writer);
}

static void commit_one(tmf_storage *storage, unsigned page, unsigned number)
{
    tmf_writer *writer = test_write(storage);
    store(writer, page, expected[page] = number);
    test_commit(writer);
}

static void roll_back_scattered(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    for (unsigned page = 5; page < PAGES; page += APART)
        store(writer, page, 999999);
    check_ok(tmf_rollback(writer));
    tmf_write_end(writer);
}

static void check_content(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const unsigned char *block = ((const struct root *)tmf_reader_root(reader))->block;
    for (unsigned page = 0; page < PAGES; page++)
        check(memcmp(block + page * TEST_PAGE, &expected[page], sizeof(expected[page])) == 0);
    tmf_read_end(reader);
}

static void test_all_become_hot_and_cold_again(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    commit_scattered(storage, 1);
    uint64_t before = traps(storage);
    check(before > 0);
    commit_one(storage, FAR, 77);
    for (unsigned number = 2; number < 20; number++)
        commit_scattered(storage, number);
    check(traps(storage) == before);
    roll_back_scattered(storage);
    check_content(storage);

    for (unsigned number = 0; number < SMALL; number++)
        commit_one(storage, number * 7 % PAGES, 1000 + number);
    check(traps(storage) > before);
    check_content(storage);
    roll_back_scattered(storage);
    commit_scattered(storage, 21);
    check_content(storage);
    check_ok(tmf_close(storage));

    storage = test_open(place, NULL);
    check_content(storage);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* With a log so small that it is started over more than once. */
static void commit_elsewhere(const void *place)
{
    const tmf_options options = {.durability = TMF_DURABILITY_PROCESS, .log_size = 1};
    tmf_storage *storage = test_open(place, &options);
    for (unsigned number = 1; number <= SMALL; number++)
        commit_one(storage, FAR, number);
    check_ok(tmf_close(storage));
}

/* Whoever has missed the records of others maps the arena anew, and all of it is cold. */
static void test_all_are_cold_in_a_new_mapping(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    for (unsigned number = 1; number < 5; number++)
        commit_scattered(storage, number);
    uint64_t before = traps(storage);
    test_in_child(commit_elsewhere, place);
    expected[FAR] = SMALL;
    check_content(storage);
    commit_scattered(storage, 5);
    check(traps(storage) > before);
    roll_back_scattered(storage);
    check_content(storage);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_all_become_hot_and_cold_again),
        test_case(test_all_are_cold_in_a_new_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
