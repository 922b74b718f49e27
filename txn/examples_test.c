/* SPDX-License-Identifier: MIT */
/*
 * What the examples and tests of the original show, with each strategy that can roll back: creation
 * and a taken address, commit, both rollbacks, collections, reuse of freed memory, growth, threads
 * that share, stores across page borders, a child that dies in mid-transaction, blocks that grow
 * and shrink in place, a writer in the wrong hands.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/test_collections.h"
#include "txn/test_kit.h"

#define MAGIC UINT64_C(0xfedcab0987654321)
#define KIB   ((size_t)1024)
#define MIB   ((size_t)1 << 20)

#define NUMBER_AT_FIRST UINT64_C(2718281828)
#define NUMBER_LATER    UINT64_C(31415926)

struct root {
    uint64_t number, shadow;
    struct list list;
    struct map map;
    struct table table;
    void *block;
};

static int set_number(tmf_writer *writer, void *root, void *context)
{
    (void)writer;
    ((struct root *)root)->number = *(const uint64_t *)context;
    return 0;
}

static int must_not_run(tmf_writer *writer, void *root, void *context)
{
    (void)writer, (void)root, (void)context;
    check(!"the initialiser of a storage that exists already");
    return 0;
}

static tmf_options new_options(size_t size)
{
    static uint64_t number = NUMBER_AT_FIRST;
    return (tmf_options){.size = size,
                         .magic = MAGIC,
                         .root_size = sizeof(struct root),
                         .root_init = set_number,
                         .root_context = &number};
}

static tmf_storage *create(const struct test_place *place)
{
    tmf_options options = new_options(MIB);
    return test_open(place, &options);
}

static tmf_storage *reopen(const struct test_place *place, size_t size)
{
    tmf_options options = {
        .size = size, .magic = MAGIC, .root_size = sizeof(struct root), .root_init = must_not_run};
    return test_open(place, &options);
}

static uint64_t read_number(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    uint64_t number = ((const struct root *)tmf_reader_root(reader))->number;
    tmf_read_end(reader);
    return number;
}

static void test_initialises_root_and_detects_overlap(const struct test_place *place)
{
    const struct test_place other = test_place_beside(place, "other");
    tmf_options options = new_options(MIB);
    options.address = TEST_ADDRESS;
    tmf_storage *storage = test_open(place, &options);
    tmf_storage *second = NULL;
    unsigned files = test_files(place);
    check_error(TMF_EWRONGADDRESS, test_try_open(other.path, &options, &second));
    options.address = (char *)TEST_ADDRESS + MIB - TEST_PAGE; /* the last page alone */
    check_error(TMF_EWRONGADDRESS, test_try_open(other.path, &options, &second));
    check(!second && test_files(place) == files);
    check(read_number(storage) == NUMBER_AT_FIRST);

    options.address = (char *)TEST_ADDRESS + MIB; /* right behind */
    second = test_open(&other, &options);
    check_ok(tmf_close(second));
    check_ok(tmf_close(storage));
}

static void test_commit_persists(const struct test_place *place)
{
    tmf_options options = new_options(MIB);
    options.address = TEST_ADDRESS;
    tmf_storage *storage = test_open(place, &options);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number = NUMBER_LATER;
    check_ok(tmf_commit(writer));
    check(root->number == NUMBER_LATER);
    tmf_write_end(writer);
    check_ok(tmf_close(storage));

    storage = reopen(place, 0);
    check(read_number(storage) == NUMBER_LATER);
    check(tmf_address(storage) == TEST_ADDRESS);
    check(tmf_size(storage) == MIB);
    check_ok(tmf_close(storage));
}

static void test_rolls_back(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number = NUMBER_LATER;
    check_ok(tmf_rollback(writer));
    check(root->number == NUMBER_AT_FIRST);
    root->shadow = 1; /* the next transaction runs already */
    check_ok(tmf_commit(writer));
    root->number = NUMBER_LATER;
    check(root->number == NUMBER_LATER);
    tmf_write_end(writer); /* without commit */
    check(read_number(storage) == NUMBER_AT_FIRST);
    check_ok(tmf_close(storage));

    storage = reopen(place, 0);
    tmf_reader *reader = test_read(storage);
    const struct root *same_root = tmf_reader_root(reader);
    check(same_root->number == NUMBER_AT_FIRST && same_root->shadow == 1);
    tmf_read_end(reader);
    check_ok(tmf_close(storage));
}

/* ---- collections */

#define ENTRIES 1000

static uint64_t value_of(uint64_t key)
{
    return key * key + 1;
}

static void fill(tmf_writer *writer, struct root *root)
{
    for (uint64_t n = 0; n < ENTRIES; n++) {
        list_push(writer, &root->list, n);
        map_put(writer, &root->map, n * 7919 % ENTRIES, value_of(n * 7919 % ENTRIES));
        table_put(writer, &root->table, n, value_of(n));
    }
}

static void check_filled(const struct root *root)
{
    check(list_counts_down(&root->list, ENTRIES - 1, ENTRIES));
    check(map_is_whole(&root->map) && root->map.count == ENTRIES);
    check(table_is_whole(&root->table) && root->table.count == ENTRIES);
    for (uint64_t key = 0, value; key < ENTRIES; key++) {
        check(map_get(&root->map, key, &value) && value == value_of(key));
        check(table_get(&root->table, key, &value) && value == value_of(key));
    }
}

/* Empties them in part. */
static void spoil(tmf_writer *writer, struct root *root)
{
    for (uint64_t n = 0, value; n < ENTRIES; n += 3) {
        check(list_pop(writer, &root->list, &value));
        check(map_erase(writer, &root->map, n));
        check(table_erase(writer, &root->table, n));
    }
    check(map_is_whole(&root->map) && table_is_whole(&root->table));
}

static void test_collections_persist(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    fill(writer, tmf_writer_root(writer));
    check_ok(tmf_commit(writer));
    spoil(writer, tmf_writer_root(writer));
    check_ok(tmf_rollback(writer));
    check_filled(tmf_writer_root(writer));
    check_ok(tmf_check(storage));
    spoil(writer, tmf_writer_root(writer));
    tmf_write_end(writer);
    check_ok(tmf_close(storage));

    storage = reopen(place, 0);
    tmf_reader *reader = test_read(storage);
    check_filled(tmf_reader_root(reader));
    check_ok(tmf_check(storage));
    tmf_read_end(reader);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static size_t used_bytes(tmf_storage *storage)
{
    tmf_info info;
    check_ok(tmf_info_get(storage, &info));
    return info.used_bytes;
}

static void test_freed_memory_is_reused(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    void *first = test_alloc(writer, 1000);
    void *second = test_alloc(writer, 1000);
    check_ok(tmf_commit(writer));
    check_ok(tmf_free(writer, first, 1000));
    check(test_alloc(writer, 1000) == first);
    check_ok(tmf_commit(writer));
    check_ok(tmf_free(writer, first, 1000));
    check_ok(tmf_rollback(writer)); /* it is not free again */
    check(test_alloc(writer, 1000) != first);
    check_ok(tmf_rollback(writer));
    check_ok(tmf_free(writer, first, 1000));
    check_ok(tmf_free(writer, second, 1000));

    size_t before = used_bytes(storage);
    fill(writer, root);
    check_ok(tmf_commit(writer));
    uint64_t value;
    while (list_pop(writer, &root->list, &value))
        check(map_erase(writer, &root->map, value));
    table_clear(writer, &root->table);
    check(used_bytes(storage) == before);
    test_commit(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_expands_but_does_not_shrink(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    void *address = tmf_address(storage);
    tmf_writer *writer = test_write(storage);
    errno = 0;
    check(!tmf_alloc(writer, 2 * MIB) && errno == ENOMEM);
    fill(writer, tmf_writer_root(writer));
    test_commit(writer);
    check_ok(tmf_close(storage));

    storage = reopen(place, 4 * MIB);
    check(tmf_size(storage) == 4 * MIB && tmf_address(storage) == address);
    writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    check_filled(root);
    root->block = test_alloc(writer, 2 * MIB);
    memset(root->block, 'b', 2 * MIB);
    test_commit(writer);
    check_ok(tmf_close(storage));

    tmf_options smaller = {.size = MIB};
    check_error(TMF_EWRONGSIZE, test_try_open(place->path, &smaller, &storage));
    storage = reopen(place, 0);
    check(tmf_size(storage) == 4 * MIB);
    tmf_reader *reader = test_read(storage);
    root = (struct root *)(uintptr_t)tmf_reader_root(reader);
    check(((char *)root->block)[0] == 'b' && ((char *)root->block)[2 * MIB - 1] == 'b');
    tmf_read_end(reader);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- threads */

#define WRITERS    3
#define READERS    4
#define WRITES     40
#define READS_EACH 200

struct crew {
    tmf_storage *storage;
    pthread_barrier_t start;
};

/* Every second transaction is rolled back, every third of the others by its end alone. */
static void *write_much(void *context)
{
    struct crew *crew = context;
    (void)pthread_barrier_wait(&crew->start);
    for (unsigned n = 0; n < 2 * WRITES; n++) {
        tmf_writer *writer = test_write(crew->storage);
        struct root *root = tmf_writer_root(writer);
        root->number++;
        list_push(writer, &root->list, root->number);
        (void)sched_yield();
        root->shadow++;
        if (n % 2 == 0)
            check_ok(tmf_commit(writer));
        else if (n % 3)
            check_ok(tmf_rollback(writer));
        tmf_write_end(writer);
    }
    return NULL;
}

static void *read_much(void *context)
{
    struct crew *crew = context;
    uint64_t last = 0;
    (void)pthread_barrier_wait(&crew->start);
    for (unsigned n = 0; n < READS_EACH; n++) {
        tmf_reader *reader = test_read(crew->storage);
        const struct root *root = tmf_reader_root(reader);
        check(root->number == root->shadow && root->number >= last);
        check(list_counts_down(&root->list, root->number, (size_t)root->number));
        last = root->number;
        tmf_read_end(reader);
    }
    return NULL;
}

static void test_threads_share(const struct test_place *place)
{
    tmf_options options = new_options(MIB);
    options.root_init = NULL;
    struct crew crew = {.storage = test_open(place, &options)};
    pthread_t threads[WRITERS + READERS];
    check_ok(pthread_barrier_init(&crew.start, NULL, WRITERS + READERS));
    for (unsigned n = 0; n < WRITERS + READERS; n++)
        check_ok(pthread_create(&threads[n], NULL, n < WRITERS ? write_much : read_much, &crew));
    for (unsigned n = 0; n < WRITERS + READERS; n++)
        check_ok(pthread_join(threads[n], NULL));
    (void)pthread_barrier_destroy(&crew.start);
    check(read_number(crew.storage) == (uint64_t)WRITERS * WRITES);
    test_storage_is_well(crew.storage);
    check_ok(tmf_close(crew.storage));
}

static void *use_another_threads_writer(void *context)
{
    tmf_writer *writer = context;
    check_error(TMF_ENOTOWNER, tmf_commit(writer));
    check_error(TMF_ENOTOWNER, tmf_rollback(writer));
    check_error(TMF_ENOTOWNER, tmf_touch(writer, tmf_writer_root(writer), 1));
    check(!tmf_alloc(writer, 1) && errno == TMF_ENOTOWNER);
    check(!tmf_resize(writer, tmf_writer_root(writer), 16, 32) && errno == TMF_ENOTOWNER);
    check_error(TMF_ENOTOWNER, tmf_free(writer, tmf_writer_root(writer), 16));
    tmf_write_end(writer); /* does nothing */
    return NULL;
}

static void test_another_threads_writer_is_refused(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number = NUMBER_LATER;
    pthread_t thread;
    check_ok(pthread_create(&thread, NULL, use_another_threads_writer, writer));
    check_ok(pthread_join(thread, NULL));
    test_commit(writer);
    check(read_number(storage) == NUMBER_LATER);
    check_ok(tmf_close(storage));
}

/* ---- stores across the border of two pages */

enum outcome { COMMITTED, ROLLED_BACK, ENDED, KILLED, OUTCOMES };

#define BORDER_PAGES 4

struct border {
    const struct test_place *place;
    size_t at; /* of the store, in the block */
    uint64_t value;
};

struct unaligned {
    uint64_t value;
} __attribute__((packed));

static void store(tmf_writer *writer, size_t at, uint64_t value)
{
    unsigned char *block = ((struct root *)tmf_writer_root(writer))->block;
    ((struct unaligned *)(void *)(block + at))->value = value;
}

static void store_and_die(const void *context)
{
    const struct border *border = context;
    tmf_storage *storage = reopen(border->place, 0);
    store(test_write(storage), border->at, border->value);
    test_die();
}

static void store_across(tmf_storage *storage, enum outcome outcome, struct border *border)
{
    if (outcome == KILLED) {
        test_child_died(test_child(store_and_die, border), SIGKILL);
        return;
    }
    tmf_writer *writer = test_write(storage);
    store(writer, border->at, border->value);
    if (outcome == COMMITTED)
        check_ok(tmf_commit(writer));
    if (outcome == ROLLED_BACK)
        check_ok(tmf_rollback(writer));
    tmf_write_end(writer);
}

static void check_block(tmf_storage *storage, const unsigned char *expected, size_t size)
{
    tmf_reader *reader = test_read(storage);
    const struct root *root = tmf_reader_root(reader);
    check(memcmp(root->block, expected, size) == 0);
    tmf_read_end(reader);
}

static void test_stores_over_page_borders(const struct test_place *place)
{
    static unsigned char expected[BORDER_PAGES * TEST_PAGE];
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->block = tmf_alloc_aligned(writer, TEST_PAGE, sizeof(expected));
    check(root->block);
    memset(root->block, 'x', sizeof(expected));
    memset(expected, 'x', sizeof(expected));
    test_commit(writer);

    struct border border = {.place = place, .value = UINT64_C(0x0123456789abcdef)};
    for (size_t page = 1; page < BORDER_PAGES; page++) {
        for (size_t back = 0; back <= 7; back++) {
            for (enum outcome outcome = 0; outcome < OUTCOMES; outcome++, border.value++) {
                test_context("8 bytes at border %zu - %zu, outcome %d", page, back, outcome);
                border.at = page * TEST_PAGE - back;
                store_across(storage, outcome, &border);
                if (outcome == COMMITTED)
                    memcpy(expected + border.at, &border.value, sizeof(border.value));
                check_block(storage, expected, sizeof(expected));
            }
        }
    }
    check_ok(tmf_close(storage));
}

/* ---- a child that dies */

static void change_all_and_raise(const struct test_place *place, int signal)
{
    tmf_storage *storage = reopen(place, 0);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number = NUMBER_LATER;
    spoil(writer, root);
    (void)raise(signal);
}

static void change_all_and_be_killed(const void *place)
{
    change_all_and_raise(place, SIGKILL);
}

static void change_all_and_abort(const void *place)
{
    change_all_and_raise(place, SIGABRT);
}

static void commit_and_be_killed(const void *place)
{
    tmf_storage *storage = reopen(place, 0);
    tmf_writer *writer = test_write(storage);
    ((struct root *)tmf_writer_root(writer))->number = NUMBER_LATER;
    check_ok(tmf_commit(writer));
    test_die();
}

static void test_recovers_what_a_child_left(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    fill(writer, tmf_writer_root(writer));
    test_commit(writer);
    check_ok(tmf_close(storage));

    static const struct {
        test_body *body;
        int signal;
        uint64_t number;
    } deaths[] = {
        {change_all_and_be_killed, SIGKILL, NUMBER_AT_FIRST},
        {change_all_and_abort, SIGABRT, NUMBER_AT_FIRST},
        {commit_and_be_killed, SIGKILL, NUMBER_LATER},
    };
    for (size_t n = 0; n < sizeof(deaths) / sizeof(deaths[0]); n++) {
        test_context("death %zu", n);
        test_child_died(test_child(deaths[n].body, place), deaths[n].signal);
        storage = reopen(place, 0);
        check(read_number(storage) == deaths[n].number);
        tmf_reader *reader = test_read(storage);
        check_filled(tmf_reader_root(reader));
        tmf_read_end(reader);
        test_storage_is_well(storage);
        check_ok(tmf_close(storage));
    }
}

/* ---- blocks that change their size */

static void test_grows_and_shrinks_in_place(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    char *block = test_alloc(writer, 16 * KIB);
    memset(block, 'a', 16 * KIB);
    check(tmf_resize(writer, block, 16 * KIB, 64 * KIB) == block);
    memset(block + 16 * KIB, 'b', 48 * KIB);
    check_ok(tmf_commit(writer));
    check(tmf_resize(writer, block, 64 * KIB, 8 * KIB) == block);
    check_ok(tmf_rollback(writer)); /* 64 KiB again */
    char *behind = test_alloc(writer, 16 * KIB);
    check(behind >= block + 64 * KIB);
    check(tmf_resize(writer, block, 64 * KIB, 8 * KIB) == block);
    char *moved = tmf_resize(writer, block, 8 * KIB, 128 * KIB); /* `behind` is in the way */
    check(moved && moved != block);
    for (size_t at = 0; at < 8 * KIB; at++)
        check(moved[at] == 'a');
    test_commit(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_initialises_root_and_detects_overlap),
        test_case(test_commit_persists),
        test_case(test_rolls_back),
        test_case(test_collections_persist),
        test_case(test_freed_memory_is_reused),
        test_case(test_expands_but_does_not_shrink),
        test_case(test_stores_over_page_borders),
        test_case(test_recovers_what_a_child_left),
        test_case(test_grows_and_shrinks_in_place),
        test_case(test_threads_share),
        test_case(test_another_threads_writer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
