/* SPDX-License-Identifier: MIT */
/*
 * What other processes do to a storage that this one has open: flaws D15 (the arena grows) and D26
 * (writers die, and a reader that recovers changes its lock, which lets others in between) of the
 * original, and opens that overlap.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/io.h"
#include "txn/process_lock.h"
#include "txn/test_kit.h"

#define SIZE (64 * TEST_PAGE)

struct root {
    uint64_t number, shadow;
    unsigned char *block;
};

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE, .root_size = sizeof(struct root)};
    return test_open(place, &options);
}

static uint64_t read_number(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const struct root *root = tmf_reader_root(reader);
    uint64_t number = root->number;
    check(number == root->shadow);
    tmf_read_end(reader);
    return number;
}

/* Commits one, and leaves the half of another. */
static void write_half_and_die(const void *place)
{
    tmf_writer *writer = test_write(test_open(place, NULL));
    struct root *root = tmf_writer_root(writer);
    root->number++;
    root->shadow++;
    check_ok(tmf_commit(writer));
    root->number++;
    test_die();
}

/* ---- D15 */

static void grow_and_link(const void *place)
{
    const tmf_options larger = {.size = 4 * SIZE};
    tmf_storage *storage = test_open(place, &larger);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->block = test_alloc(writer, 2 * SIZE);
    memset(root->block, 'g', 2 * SIZE);
    test_commit(writer);
    check_ok(tmf_close(storage));
}

static void check_grown(tmf_storage *storage, const struct root *root)
{
    check(tmf_size(storage) == 4 * SIZE);
    for (size_t at = 0; at < 2 * SIZE; at++)
        check(root->block[at] == 'g');
    check_ok(tmf_check(storage));
}

/* Another process has it larger; ours has not begun anything since. */
static tmf_storage *open_and_let_grow(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    test_in_child(grow_and_link, place);
    return storage;
}

static void test_d15_reader_sees_the_growth(const struct test_place *place)
{
    tmf_storage *storage = open_and_let_grow(place);
    tmf_reader *reader = test_read(storage);
    check_grown(storage, tmf_reader_root(reader));
    tmf_read_end(reader);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_d15_writer_uses_the_growth(const struct test_place *place)
{
    tmf_storage *storage = open_and_let_grow(place);
    tmf_writer *writer = test_write(storage);
    const struct root *root = tmf_writer_root(writer);
    check_grown(storage, root);
    memset(test_alloc(writer, SIZE), 'n', SIZE); /* fits in the new part alone */
    memset(root->block, 'o', 2 * SIZE);
    check_ok(tmf_rollback(writer));
    check_grown(storage, root);
    memset(test_alloc(writer, SIZE), 'n', SIZE);
    test_commit(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- logs of different sizes: none is cut below what a slot has promised to all */

#define SMALL_LOG (8 * TEST_PAGE)
#define LARGE_LOG (256 * TEST_PAGE)

static void change_block(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number++;
    root->shadow++;
    memset(root->block, (int)root->number, SIZE / 2);
    test_commit(writer);
}

struct large_keeper {
    const struct test_place *place;
    struct test_flag extended, cut, promised;
};

/* Makes the log long and promises nothing; does so later, when another one has cut it. */
static void keep_much(const void *context)
{
    const struct large_keeper *keeper = context;
    const tmf_options much = {.log_size = LARGE_LOG, .strategy = "redo-segv"};
    tmf_storage *storage = test_open(keeper->place, &much);
    change_block(storage);
    test_flag_raise(&keeper->extended);
    test_flag_wait(&keeper->cut);
    change_block(storage);
    check_ok(tmf_close(storage));
    storage = test_open(keeper->place, &much); /* the log is as long as it says */
    change_block(storage);
    for (int n = 0; n < 16; n++)
        change_block(storage);
    check(test_file_size(keeper->place->log) >= LARGE_LOG);
    test_flag_raise(&keeper->promised);
    test_flag_wait(&keeper->cut);
    (void)read_number(storage);
    check_ok(tmf_close(storage));
}

static void make_block(const struct test_place *place)
{
    const tmf_options little = {
        .size = SIZE, .root_size = sizeof(struct root), .log_size = SMALL_LOG};
    tmf_storage *storage = test_open(place, &little);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->block = test_alloc(writer, SIZE / 2);
    test_commit(writer);
    check_ok(tmf_close(storage));
}

static void test_log_is_not_cut_below_a_promise(const struct test_place *place)
{
    const tmf_options little = {.log_size = SMALL_LOG, .strategy = "undo-fsync"};
    struct large_keeper keeper = {.place = place};
    make_block(place);
    tmf_storage *storage = test_open(place, &little);
    test_flag_make(&keeper.extended);
    test_flag_make(&keeper.cut);
    test_flag_make(&keeper.promised);
    pid_t child = test_child(keep_much, &keeper);
    test_flag_wait(&keeper.extended);
    change_block(storage); /* another kind of log: it starts over, and is cut */
    test_flag_raise(&keeper.cut);
    test_flag_wait(&keeper.promised);
    change_block(storage);
    check(test_file_size(place->log) >= LARGE_LOG);
    test_flag_raise(&keeper.cut);
    test_child_returned(child);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
    test_flag_free(&keeper.extended);
    test_flag_free(&keeper.cut);
    test_flag_free(&keeper.promised);
}

/* ---- D26 */

#define DEATHS  30
#define READERS 3

struct mourners {
    const struct test_place *place;
    struct test_flag ready;
};

static void read_until_the_last_death(const void *context)
{
    const struct mourners *mourners = context;
    tmf_storage *storage = test_open(mourners->place, NULL);
    test_flag_raise(&mourners->ready);
    for (uint64_t last = 0, number; last < DEATHS; last = number) {
        number = read_number(storage); /* never the half */
        check(number >= last);
    }
    check_ok(tmf_close(storage));
}

static void test_d26_readers_recover_side_by_side(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    struct mourners mourners = {.place = place};
    test_flag_make(&mourners.ready);
    pid_t readers[READERS];
    for (unsigned n = 0; n < READERS; n++)
        readers[n] = test_child(read_until_the_last_death, &mourners);
    for (unsigned n = 0; n < READERS; n++)
        test_flag_wait(&mourners.ready);
    for (unsigned n = 0; n < DEATHS; n++)
        test_child_died(test_child(write_half_and_die, place), SIGKILL);
    for (unsigned n = 0; n < READERS; n++)
        test_child_returned(readers[n]);
    test_flag_free(&mourners.ready);
    tmf_storage *storage = test_open(place, NULL);
    check(read_number(storage) == DEATHS);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/*
 * What happens while a reader that recovers changes its lock. A writer that is there before it is
 * let pass, and recovers. Where none is, the reader keeps the writer's lock until main is
 * shared again, and flock lets go before it takes: no writer may come in between there.
 */
static struct {
    const struct test_place *place;
    pid_t writer;
    bool met, recovering, refused;
} between;

static int lock_after_a_writer(int fd, int command, struct flock *lock)
{
    if (!between.met) {
        between.met = true;
        between.writer = test_child(write_half_and_die, between.place);
        while (test_byte_is_free(fd, TMF_BYTE_WRITER))
            (void)sched_yield();
    }
    return tmf_io_system.fcntl_lock(fd, command, lock);
}

static void writer_is_refused(const void *context)
{
    tmf_writer *writer;
    tmf_storage *storage = test_open(context, NULL);
    check_error(EBUSY, tmf_write_begin_try(storage, &writer));
    check_ok(tmf_close(storage));
}

static int flock_in_two_steps(int fd, int operation)
{
    if (operation == LOCK_SH && between.recovering && !between.refused) {
        between.refused = true;
        check(tmf_io_system.flock(fd, LOCK_UN) == 0);
        test_in_child(writer_is_refused, between.place);
    }
    between.recovering |= (operation & ~LOCK_NB) == LOCK_EX;
    return tmf_io_system.flock(fd, operation);
}

static void test_d26_no_writer_while_the_lock_changes(const struct test_place *place)
{
    static struct tmf_io table;
    tmf_storage *storage = create(place);
    table = tmf_io_system;
    table.flock = flock_in_two_steps;
    table.fcntl_lock = lock_after_a_writer;
    test_child_died(test_child(write_half_and_die, place), SIGKILL);
    between.place = place;
    tmf_io = &table;
    check(read_number(storage) == 1); /* it comes after the recovery, before that one's commit */
    check(between.met && !between.recovering);
    test_child_died(between.writer, SIGKILL);
    check(read_number(storage) == 2);
    check(between.refused);
    tmf_io = &tmf_io_system;
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- an open passes the gate too: many that overlap would keep out a writer that waits there */

struct visitor {
    const struct test_place *place;
    struct test_flag is_inside;
};

static void open_and_close(const void *context)
{
    const struct visitor *visitor = context;
    tmf_storage *storage = test_open(visitor->place, NULL);
    test_flag_raise(&visitor->is_inside);
    check_ok(tmf_close(storage));
}

static void test_open_waits_at_the_gate(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    const uint64_t notice = TMF_NOTICE_WAITING;
    struct visitor visitor = {.place = place};
    test_flag_make(&visitor.is_inside);
    int log = open(place->log, O_RDWR | O_CLOEXEC);
    check(log >= 0 && test_byte_lock(log, TMF_BYTE_GATE, F_WRLCK) == 0);
    check(pwrite(log, &notice, sizeof(notice), TMF_LOG_NOTICE_OFFSET) == sizeof(notice));
    pid_t child = test_child(open_and_close, &visitor);
    while (test_byte_is_free(log, TMF_BYTE_ROOM)) /* until it waits to read */
        check(test_flag_count(&visitor.is_inside) == 0);
    check(test_byte_lock(log, TMF_BYTE_GATE, F_UNLCK) == 0);
    test_child_returned(child);
    check(close(log) == 0);
    test_flag_free(&visitor.is_inside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_log_is_not_cut_below_a_promise),
        test_case(test_d15_reader_sees_the_growth),
        test_case(test_d15_writer_uses_the_growth),
        test_case(test_d26_readers_recover_side_by_side),
        test_case(test_d26_no_writer_while_the_lock_changes),
        test_case(test_open_waits_at_the_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
