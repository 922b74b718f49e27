/* SPDX-License-Identifier: MIT */
/*
 * What is written and synced, in which order, as the calls of txn/io.h tell: flaws D1 (a commit
 * that is a truncation nobody syncs), D4 (names that nobody syncs), D5 (a page that can change
 * before it is saved), D7 (life after a failed sync) and D25 (syncs for nothing) of the original.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/io.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define SIZE (64 * TEST_PAGE)

struct root {
    uint64_t number;
};

static const tmf_options creation = {.size = SIZE,
                                     .root_size = sizeof(struct root),
                                     .strategy = "undo-fsync",
                                     .log_size = TMF_LOG_RECORDS_OFFSET + 8 * TMF_UNDO_RECORD_SIZE};

/* ---- a trace: what each call did to what, in words */

static char trace[4096];

static void note(const char *what, const char *to)
{
    size_t length = strlen(trace);
    (void)snprintf(trace + length, sizeof(trace) - length, "%s%s%s%s", length ? ", " : "", what,
                   *to ? " " : "", to);
}

/* "odb", "log", "new", or "folder". */
static const char *kind_of(int fd)
{
    static const char *const kinds[] = {"odb", "log", "new"};
    char link[64];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    check(length > 3);
    path[length] = '\0';
    for (size_t n = 0; n < sizeof(kinds) / sizeof(kinds[0]); n++) {
        if (strcmp(path + length - 3, kinds[n]) == 0)
            return kinds[n];
    }
    return "folder";
}

static ssize_t trace_pwrite(int fd, const void *from, size_t size, off_t at)
{
    const char *kind = kind_of(fd);
    const char *what = "write";
    if (strcmp(kind, "log") == 0 && size == TMF_UNDO_RECORD_SIZE)
        what = "record";
    else if (strcmp(kind, "log") == 0 && size == TMF_LOG_SLOT_SIZE &&
             at < (off_t)TMF_LOG_POISON_OFFSET)
        what = "slot";
    note(what, kind);
    return tmf_io_system.pwrite(fd, from, size, at);
}

static int trace_fdatasync(int fd)
{
    note("sync", kind_of(fd));
    return tmf_io_system.fdatasync(fd);
}

static int trace_fsync(int fd)
{
    note("sync", kind_of(fd));
    return tmf_io_system.fsync(fd);
}

static int trace_ftruncate(int fd, off_t size)
{
    note("cut", kind_of(fd));
    return tmf_io_system.ftruncate(fd, size);
}

static int trace_rename(const char *from, const char *to)
{
    note("rename", "");
    return tmf_io_system.rename(from, to);
}

static int trace_mprotect(void *at, size_t size, int protection)
{
    note(protection & PROT_WRITE ? "unlock" : "protect", "");
    return tmf_io_system.mprotect(at, size, protection);
}

static void trace_begin(void)
{
    static struct tmf_io table;
    table = tmf_io_system;
    table.pwrite = trace_pwrite;
    table.fdatasync = trace_fdatasync;
    table.fsync = trace_fsync;
    table.ftruncate = trace_ftruncate;
    table.rename = trace_rename;
    table.mprotect = trace_mprotect;
    tmf_io = &table;
    trace[0] = '\0';
}

static void check_trace(const char *expected)
{
    if (strcmp(trace, expected) != 0)
        print_error("traced:   %s\nexpected: %s\n", trace, expected);
    check(strcmp(trace, expected) == 0);
    trace[0] = '\0';
}

/* ---- D1, D5, D25: transactions */

#define NAME_SYNCED "sync folder" /* by who opens what nobody has written to yet */
#define STORED      "record log, sync log, unlock"
#define ENDED       "sync odb, slot log, sync log"
#define COMMITTED   "protect, " ENDED
#define ROLLED_BACK "protect, write odb, " ENDED

static void test_d1_d5_order_of_a_commit(const struct test_place *place)
{
    tmf_storage *storage = test_open(place, &creation);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    trace_begin();
    root->number = 1;
    check_trace(STORED); /* saved and synced before it can change */
    root->number = 2;
    check_trace(""); /* once */
    check_ok(tmf_commit(writer));
    check_trace(COMMITTED); /* no truncation; the mark after the arena; synced before it returns */
    root->number = 3;
    check_trace(STORED);
    check_ok(tmf_rollback(writer));
    check_trace(ROLLED_BACK);
    root->number = 4;
    tmf_write_end(writer);
    check_trace(STORED ", " ROLLED_BACK);
    check_ok(tmf_close(storage));
}

static void test_d1_order_of_a_touch(const struct test_place *place)
{
    tmf_storage *storage = test_open(place, &creation);
    tmf_writer *writer = test_write(storage);
    unsigned char *pages = (unsigned char *)tmf_address(storage) + 8 * TEST_PAGE;
    trace_begin();
    check_ok(tmf_touch(writer, pages + 100, 2 * TEST_PAGE)); /* three pages, one sync */
    check_trace("record log, record log, record log, sync log, unlock");
    memset(pages, 'x', 3 * TEST_PAGE);
    check_trace("");
    test_commit(writer);
    check_trace(COMMITTED);
    check_ok(tmf_close(storage));
}

/* The log is cut back when it has grown, but only after the commit is durable without that. */
static void test_d1_log_is_cut_after_the_commit(const struct test_place *place)
{
    tmf_storage *storage = test_open(place, &creation);
    tmf_writer *writer = test_write(storage);
    unsigned char *pages = (unsigned char *)tmf_address(storage) + 8 * TEST_PAGE;
    for (size_t page = 0; page < 20; page++)
        pages[page * TEST_PAGE] = 'x';
    check(test_file_size(place->log) > creation.log_size);
    trace_begin();
    test_commit(writer);
    check_trace(COMMITTED ", cut log");
    check(test_file_size(place->log) == creation.log_size);
    check_ok(tmf_close(storage));
}

static void test_d1_order_with_durability_process(const struct test_place *place)
{
    tmf_options options = creation;
    options.durability = TMF_DURABILITY_PROCESS;
    tmf_storage *storage = test_open(place, &options);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    trace_begin();
    root->number = 1;
    test_commit(writer);
    check_trace("record log, unlock, protect, slot log");
    check_ok(tmf_close(storage));
}

static void test_d25_nothing_is_written_for_nothing(const struct test_place *place)
{
    tmf_stats before, after;
    tmf_storage *storage = test_open(place, &creation);
    tmf_stats_get(storage, &before);
    trace_begin();
    tmf_writer *writer = test_write(storage);
    check_ok(tmf_commit(writer));
    check_ok(tmf_rollback(writer));
    tmf_write_end(writer);
    tmf_read_end(test_read(storage));
    check_trace("");
    tmf_stats_get(storage, &after);
    check(memcmp(&before, &after, sizeof(before)) == 0);
    check_ok(tmf_close(storage));
    check_trace("");
    storage = test_open(place, NULL);
    check_ok(tmf_close(storage));
    check_trace(NAME_SYNCED);
}

/* ---- D4: creation and growth */

static void test_d4_order_of_a_creation(const struct test_place *place)
{
    static const char *const steps[] = {"slot log", "sync log", "sync folder",
                                        "sync new", "rename",   "sync folder"};
    trace_begin();
    tmf_storage *storage = test_open(place, &creation);
    const char *at = trace;
    for (size_t n = 0; n < sizeof(steps) / sizeof(steps[0]); n++) {
        test_context("'%s' in %s", steps[n], trace);
        at = strstr(at, steps[n]);
        check(at);
        at += strlen(steps[n]);
    }
    check(*at == '\0'); /* the folder is synced last */
    check_ok(tmf_close(storage));
}

static const char *dies_after;

static int die_in_place_of_a_sync(int fd)
{
    (void)fd;
    if (strstr(trace, dies_after))
        test_die();
    return 0;
}

/* Creates it, or makes it larger. */
static void open_and_die(const void *context)
{
    static struct tmf_io table;
    const struct test_place *place = context;
    tmf_options options = creation;
    options.size = test_exists(place->odb) ? 2 * SIZE : SIZE;
    trace_begin();
    table = *tmf_io;
    table.fsync = die_in_place_of_a_sync;
    tmf_io = &table;
    (void)test_open(place, &options);
}

/* Its name was not durable when its creator died, nor is it by the commits of others. */
static void test_d4_name_of_a_dead_creator(const struct test_place *place)
{
    dies_after = "rename";
    test_child_died(test_child(open_and_die, place), SIGKILL);
    check(test_exists(place->odb));
    for (unsigned turn = 0; turn < 2; turn++) {
        trace_begin();
        tmf_storage *storage = test_open(place, NULL);
        check_trace(turn ? "" : NAME_SYNCED);
        tmf_writer *writer = test_write(storage);
        ((struct root *)tmf_writer_root(writer))->number = turn + 1;
        test_commit(writer);
        check_ok(tmf_close(storage));
    }
}

/* Opens it twice as large as it was created; that must begin so. */
static tmf_storage *open_grown(const struct test_place *place, const char *begun)
{
    tmf_options options = creation;
    options.size = 2 * SIZE;
    trace_begin();
    tmf_storage *storage = test_open(place, &options);
    test_context("%s", trace);
    check(strncmp(trace, begun, strlen(begun)) == 0);
    return storage;
}

static void test_order_of_growth(const struct test_place *place)
{
    check_ok(tmf_close(test_open(place, &creation)));
    tmf_storage *storage = /* its size, then what names it */
        open_grown(place, NAME_SYNCED ", cut odb, sync odb, record log, sync log, unlock");
    check(strcmp(trace + strlen(trace) - strlen(COMMITTED), COMMITTED) == 0);
    check_ok(tmf_close(storage));
}

static void write_once(const void *context)
{
    tmf_storage *storage = test_open(context, NULL);
    tmf_writer *writer = test_write(storage);
    ((struct root *)tmf_writer_root(writer))->number++;
    test_commit(writer);
    check_ok(tmf_close(storage));
}

/* Who wrote the slot may have died before its sync: it is durable before a record stands under it.
 */
static void test_slot_of_another_is_synced(const struct test_place *place)
{
    tmf_storage *storage = test_open(place, &creation);
    test_in_child(write_once, place);
    for (unsigned turn = 0; turn < 2; turn++) {
        trace_begin();
        tmf_writer *writer = test_write(storage);
        check_trace(turn ? "" : "sync log");
        ((struct root *)tmf_writer_root(writer))->number++;
        check_trace(STORED);
        test_commit(writer);
        check_trace(COMMITTED);
    }
    check_ok(tmf_close(storage));
}

/* That the file is long enough already does not say that its size is durable. */
static void test_growth_of_the_dead_is_synced(const struct test_place *place)
{
    check_ok(tmf_close(test_open(place, &creation)));
    dies_after = "cut odb";
    test_child_died(test_child(open_and_die, place), SIGKILL);
    check(test_file_size(place->odb) == 2 * SIZE);
    check_ok(tmf_close(open_grown(place, NAME_SYNCED ", sync odb, record log")));
}

/* ---- D7: a sync that fails */

enum { SYNC_OF_THE_STORE = 1, SYNC_OF_THE_ARENA, SYNC_OF_THE_MARK };

struct witness {
    const struct test_place *place;
    struct test_flag opened, failed, told, healed;
};

/* Another process, which had it open before. */
static void be_told(const void *context)
{
    const struct witness *witness = context;
    tmf_storage *storage = test_open(witness->place, NULL);
    tmf_reader *reader;
    tmf_writer *writer;
    test_flag_raise(&witness->opened);
    test_flag_wait(&witness->failed);
    check_error(TMF_EPOISONED, tmf_read_begin(storage, &reader));
    check_error(TMF_EPOISONED, tmf_write_begin(storage, &writer));
    test_flag_raise(&witness->told); /* and holds no lock */
    test_flag_wait(&witness->healed);
    check_error(TMF_EPOISONED, tmf_read_begin(storage, &reader));
    check_ok(tmf_close(storage));
}

static void fail_sync(tmf_storage *storage, unsigned nth)
{
    const struct test_fault fault = {.call = TEST_CALL_fdatasync, .error = EIO, .nth = nth};
    tmf_writer *writer = test_write(storage);
    tmf_reader *reader;
    test_calls_use(&fault);
    ((struct root *)tmf_writer_root(writer))->number++;
    check(tmf_commit(writer) != 0);
    check(test_calls_struck());
    check_error(TMF_EPOISONED, tmf_commit(writer));
    check_error(TMF_EPOISONED, tmf_rollback(writer));
    check(!tmf_alloc(writer, 1) && errno == TMF_EPOISONED);
    tmf_write_end(writer);
    check_error(TMF_EPOISONED, tmf_write_begin(storage, &writer));
    check_error(TMF_EPOISONED, tmf_read_begin(storage, &reader));
    check(test_calls_made(TEST_CALL_fdatasync) == nth); /* nothing was tried again */
}

static void fail_and_reopen(const struct test_place *place, unsigned nth)
{
    struct witness witness = {.place = place};
    struct test_flag *flags[] = {&witness.opened, &witness.failed, &witness.told, &witness.healed};
    for (size_t n = 0; n < 4; n++)
        test_flag_make(flags[n]);
    pid_t child = test_child(be_told, &witness);
    test_flag_wait(&witness.opened);
    tmf_storage *storage = test_open(place, NULL);
    tmf_reader *reader = test_read(storage);
    uint64_t before = ((const struct root *)tmf_reader_root(reader))->number;
    tmf_read_end(reader);
    fail_sync(storage, nth);
    test_flag_raise(&witness.failed);
    test_flag_wait(&witness.told);
    check_ok(tmf_close(storage));

    test_calls_use(NULL);
    storage = test_open(place, NULL);
    check(test_calls_made(TEST_CALL_fdatasync) > 0); /* what is believed now is durable */
    reader = test_read(storage);
    uint64_t after = ((const struct root *)tmf_reader_root(reader))->number;
    tmf_read_end(reader);
    check(after == before || (nth == SYNC_OF_THE_MARK && after == before + 1));
    test_storage_is_well(storage);
    test_flag_raise(&witness.healed);
    test_child_returned(child);
    check_ok(tmf_close(storage));
    for (size_t n = 0; n < 4; n++)
        test_flag_free(flags[n]);
}

static void test_d7_failed_sync_is_final(const struct test_place *place)
{
    tmf_options options = creation;
    check_ok(tmf_close(test_open(place, &options)));
    for (unsigned nth = SYNC_OF_THE_STORE; nth <= SYNC_OF_THE_MARK; nth++) {
        test_context("sync %u fails", nth);
        fail_and_reopen(place, nth);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_d1_d5_order_of_a_commit),
        test_case(test_d1_order_of_a_touch),
        test_case(test_d1_log_is_cut_after_the_commit),
        test_case(test_d1_order_with_durability_process),
        test_case(test_d25_nothing_is_written_for_nothing),
        test_case(test_d4_order_of_a_creation),
        test_case(test_d4_name_of_a_dead_creator),
        test_case(test_order_of_growth),
        test_case(test_growth_of_the_dead_is_synced),
        test_case(test_slot_of_another_is_synced),
        test_case(test_d7_failed_sync_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
