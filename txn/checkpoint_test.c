/* SPDX-License-Identifier: MIT */
/*
 * What a redo log costs while it lives: its size and the memory of private copies are bounded,
 * readers of other processes go on while one writes and wait only while it makes a checkpoint, a
 * commit looks at what was stored to and at no more.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "txn/io.h"
#include "txn/test_calls.h"
#include "txn/test_pages.h"

#define SIZE     ((size_t)8 << 20)
#define PAGES    ((size_t)1024)
#define LOG_SIZE ((size_t)64 << 10)

static size_t page_count = PAGES;

static tmf_storage *open_with(const struct test_place *place, size_t private_size)
{
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = test_make_pages,
                                 .root_context = &page_count,
                                 .log_size = LOG_SIZE,
                                 .private_size = private_size};
    tmf_storage *storage = test_open(place, &options);
    tmf_write_end(test_write(storage)); /* the first one makes the log a redo log */
    return storage;
}

static uint64_t *block_of(tmf_writer *writer)
{
    return test_pages_of(writer);
}

/* Stores `value` to all of `count` pages from `first` on, each word another number. */
static void fill(tmf_writer *writer, size_t first, size_t count, uint64_t value)
{
    uint64_t *at = block_of(writer) + first * PAGE_WORDS;
    check_ok(tmf_touch(writer, at, count * TEST_PAGE));
    for (size_t n = 0; n < count * PAGE_WORDS; n++)
        at[n] = value + n;
}

static void check_filled(tmf_storage *storage, size_t first, size_t count, uint64_t value)
{
    tmf_reader *reader = test_read(storage);
    const uint64_t *at = test_pages_seen(reader) + first * PAGE_WORDS;
    for (size_t n = 0; n < count * PAGE_WORDS; n++)
        check(at[n] == value + n);
    tmf_read_end(reader);
}

static void commit_filled(tmf_storage *storage, size_t first, size_t count, uint64_t value)
{
    tmf_writer *writer = test_write(storage);
    fill(writer, first, count, value);
    test_commit(writer);
}

/* ---- the log */

static void test_log_is_bounded(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, 0);
    tmf_writer *writer = test_write(storage);
    for (uint64_t n = 0; n < 100; n++) {
        fill(writer, n % 64, 3, n << 32); /* 12 KiB each: some 20 times the log */
        check_ok(tmf_commit(writer));
        check(test_file_size(place->log) <= LOG_SIZE);
    }
    tmf_write_end(writer);
    tmf_stats stats;
    tmf_stats_get(storage, &stats);
    check(stats.log_bytes > 10 * LOG_SIZE);
    check_filled(storage, 99 % 64, 3, UINT64_C(99) << 32);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_transaction_larger_than_the_log(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, 0);
    commit_filled(storage, 0, PAGES, 1); /* 4 MiB */
    check_filled(storage, 0, PAGES, 1);
    commit_filled(storage, 7, 1, 2);
    check(test_file_size(place->log) <= LOG_SIZE);
    check_ok(tmf_close(storage));
    storage = open_with(place, 0);
    check_filled(storage, 8, PAGES - 8, 1 + 8 * PAGE_WORDS);
    check_filled(storage, 7, 1, 2);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- readers of other processes */

struct visitor {
    const struct test_place *place;
    struct test_flag begin, begun, end, ended;
};

static void visit(const void *context)
{
    const struct visitor *visitor = context;
    tmf_storage *storage = test_open(visitor->place, NULL);
    test_flag_wait(&visitor->begin);
    tmf_reader *reader = test_read(storage);
    const uint64_t *block = test_pages_seen(reader);
    uint64_t seen = block[0];
    test_flag_raise(&visitor->begun);
    test_flag_wait(&visitor->end);
    check(block[0] == seen); /* nothing changes under a reader */
    tmf_read_end(reader);
    test_flag_raise(&visitor->ended);
    check_ok(tmf_close(storage));
}

static void test_readers_go_on_beside_a_writer(const struct test_place *place)
{
    struct visitor visitor = {.place = place};
    struct test_flag *flags[] = {&visitor.begin, &visitor.begun, &visitor.end, &visitor.ended};
    for (size_t n = 0; n < 4; n++)
        test_flag_make(flags[n]);
    tmf_storage *storage = open_with(place, 0);
    pid_t child = test_child(visit, &visitor);
    tmf_writer *writer = test_write(storage);
    fill(writer, 0, 1, 1);
    test_flag_raise(&visitor.begin); /* in mid-transaction */
    test_flag_wait(&visitor.begun);
    for (uint64_t n = 2; n < 40; n++) { /* some 5 times the log, which grows meanwhile */
        fill(writer, 0, 2, n);
        check_ok(tmf_commit(writer));
    }
    check(test_file_size(place->log) > LOG_SIZE);
    test_flag_raise(&visitor.end);
    test_flag_wait(&visitor.ended);
    tmf_write_end(writer); /* nobody has to wait any more: the log starts over */
    commit_filled(storage, 0, 1, 50);
    check(test_file_size(place->log) <= LOG_SIZE);
    test_child_returned(child);
    check_ok(tmf_close(storage));
    for (size_t n = 0; n < 4; n++)
        test_flag_free(flags[n]);
}

/* While the arena is synced, which a checkpoint does, another process asks for a view. */
static struct {
    struct tmf_io table;
    const struct test_place *place;
    struct test_flag ask, answered;
    unsigned asked;
} publishing;

static void ask_once(const void *context)
{
    (void)context;
    tmf_storage *storage = test_open(publishing.place, NULL);
    tmf_reader *reader;
    test_flag_raise(&publishing.answered);
    test_flag_wait(&publishing.ask);
    check_error(EBUSY, tmf_read_begin_try(storage, &reader));
    test_flag_raise(&publishing.answered);
    reader = test_read(storage); /* waits for the checkpoint to end */
    tmf_read_end(reader);
    test_flag_raise(&publishing.answered);
    check_ok(tmf_close(storage));
}

static int asking_fdatasync(int fd)
{
    struct stat file, arena;
    check(fstat(fd, &file) == 0 && stat(publishing.place->odb, &arena) == 0);
    if (file.st_ino == arena.st_ino && publishing.asked++ == 0) {
        test_flag_raise(&publishing.ask);
        test_flag_wait(&publishing.answered);
    }
    return 0;
}

static void test_readers_wait_while_it_publishes(const struct test_place *place)
{
    publishing.place = place;
    test_flag_make(&publishing.ask);
    test_flag_make(&publishing.answered);
    tmf_storage *storage = open_with(place, 0);
    pid_t child = test_child(ask_once, NULL);
    test_flag_wait(&publishing.answered);
    publishing.table = tmf_io_system;
    publishing.table.fdatasync = asking_fdatasync;
    tmf_io = &publishing.table;
    for (uint64_t n = 1; publishing.asked == 0; n++)
        commit_filled(storage, 0, 2, n);
    test_flag_wait(&publishing.answered);
    test_child_returned(child);
    tmf_io = &tmf_io_system;
    check_ok(tmf_close(storage));
    test_flag_free(&publishing.ask);
    test_flag_free(&publishing.answered);
}

/* ---- memory */

/* KiB of private copies in the arena. */
static size_t private_kib(const tmf_storage *storage)
{
    char line[512];
    size_t kib = 0, sum = 0;
    unsigned long start = 0, end;
    uintptr_t base = (uintptr_t)tmf_address(storage);
    FILE *maps = fopen("/proc/self/smaps", "r");
    check(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long first;
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            start = first;
        else if (start >= base && start - base < tmf_size(storage) &&
                 sscanf(line, "Anonymous: %zu", &kib) == 1)
            sum += kib;
    }
    (void)fclose(maps);
    return sum;
}

static void test_copies_are_given_back(const struct test_place *place)
{
    const size_t private_size = 128 * TEST_PAGE;
    tmf_storage *storage = open_with(place, private_size);
    for (uint64_t n = 0; n < 30; n++) {
        commit_filled(storage, n * 32, 32, n);
        check(private_kib(storage) <= private_size / 1024);
    }
    for (uint64_t n = 0; n < 30; n++)
        check_filled(storage, n * 32, 32, n);
    check_ok(tmf_close(storage));
    storage = open_with(place, 0); /* and where the option leaves room, they are kept */
    commit_filled(storage, 0, 500, 1);
    commit_filled(storage, 500, 500, 1 + 500 * PAGE_WORDS);
    check(private_kib(storage) >= 1000 * TEST_PAGE / 1024);
    check_filled(storage, 0, 1000, 1);
    check_ok(tmf_close(storage));
}

/* ---- how much is looked at */

/* A page that is compared with what was committed is read from the file when it is first stored to;
 * redo-scan compares all copies around it. */
static void test_only_what_was_stored_to_is_compared(const struct test_place *place)
{
    enum { STEP = 23, STORES = PAGES / STEP };
    check_ok(tmf_close(open_with(place, 0)));
    const tmf_options options = {.log_size = LOG_SIZE};
    tmf_storage *storage = test_open(place, &options);
    tmf_writer *writer = test_write(storage);
    test_calls_use(NULL);
    for (size_t n = 0; n < STORES; n++)
        test_put(writer, block_of(writer) + n * STEP * PAGE_WORDS, n + 1);
    check_ok(tmf_commit(writer));
    unsigned others = strcmp(test_strategy(), "redo-scan") == 0 ? STORES + 2 : 2; /* the pagemap */
    check(test_calls_made(TEST_CALL_pread) <= STORES + others);
    check(test_calls_made(TEST_CALL_pwrite) <= 2);
    tmf_stats stats;
    tmf_stats_get(storage, &stats);
    check(stats.pages_dirtied == STORES);
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
}

/* ---- how much log there is, where nobody says */

static size_t log_size_of_new(const struct test_place *place, const char *name, size_t size)
{
    const struct test_place own = test_place_beside(place, name);
    const tmf_options options = {.size = size, .root_size = 8};
    tmf_storage *storage = test_open(&own, &options);
    tmf_reader *reader = test_read(storage);
    tmf_info info;
    check_ok(tmf_info_get(storage, &info));
    tmf_read_end(reader);
    check_ok(tmf_close(storage));
    return info.log_size;
}

static void test_log_grows_with_the_arena(const struct test_place *place)
{
    const size_t mib = (size_t)1 << 20;
    check(log_size_of_new(place, "small", mib) == mib);
    check(log_size_of_new(place, "middle", 68 * mib) == 8 * mib);
    check(log_size_of_new(place, "large", 256 * mib) == 16 * mib);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_log_is_bounded),
        test_case(test_transaction_larger_than_the_log),
        test_case(test_readers_go_on_beside_a_writer),
        test_case(test_readers_wait_while_it_publishes),
        test_case(test_copies_are_given_back),
        test_case(test_only_what_was_stored_to_is_compared),
        test_case(test_log_grows_with_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
