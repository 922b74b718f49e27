/* SPDX-License-Identifier: MIT */
/*
 * What every strategy owes, in the words of tmf.h; run once with each. Where strategies differ -
 * what a commit outlives, whether a stray store traps or is found, whether anything can be undone -
 * the test expects of each what it says of itself, and no less: the control must lose what it does
 * not protect, or the check could not fail.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "txn/test_calls.h"
#include "txn/test_pages.h"

#define SIZE      (64 * TEST_PAGE)
#define PAGES     ((size_t)16)
#define LEAST_LOG 1 /* byte: the log is full all the time */

static size_t page_count = PAGES;

static tmf_options creation(void)
{
    return (tmf_options){.size = SIZE,
                         .root_size = sizeof(struct root),
                         .root_init = test_make_pages,
                         .root_context = &page_count};
}

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = creation();
    return test_open(place, &options);
}

static bool can_undo(void)
{
    return test_strategy_survives() != TMF_SURVIVES_NOTHING;
}

/* The first word of a page of the block. */
static uint64_t *word(const struct root *root, size_t page)
{
    return root->block + page * PAGE_WORDS;
}

static void put(tmf_writer *writer, size_t page, uint64_t value)
{
    test_put(writer, word(tmf_writer_root(writer), page), value);
}

static void put_all(tmf_writer *writer, uint64_t value)
{
    for (size_t page = 0; page < PAGES; page++)
        put(writer, page, value);
}

static void commit_all(tmf_storage *storage, uint64_t value)
{
    tmf_writer *writer = test_write(storage);
    put_all(writer, value);
    test_commit(writer);
}

/* Every page says the same: what it is. */
static uint64_t read_all(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const struct root *root = tmf_reader_root(reader);
    uint64_t value = *word(root, 0);
    for (size_t page = 1; page < PAGES; page++)
        check(*word(root, page) == value);
    tmf_read_end(reader);
    return value;
}

static uint64_t read_page(tmf_storage *storage, size_t page)
{
    tmf_reader *reader = test_read(storage);
    uint64_t value = *word(tmf_reader_root(reader), page);
    tmf_read_end(reader);
    return value;
}

static void close_well(tmf_storage *storage)
{
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- what it is */

static void test_says_what_it_is(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_reader *reader = test_read(storage);
    tmf_info info;
    check_ok(tmf_info_get(storage, &info));
    check(strcmp(info.strategy, test_strategy()) == 0);
    tmf_read_end(reader);
    close_well(storage);
}

/* Whoever names no strategy is given one that survives power loss, and can ask which. */
static void test_default_survives_power(const struct test_place *place)
{
    close_well(create(place));
    tmf_storage *storage;
    check_ok(tmf_open(place->path, NULL, &storage));
    tmf_reader *reader = test_read(storage);
    tmf_info info;
    check_ok(tmf_info_get(storage, &info));
    size_t n = 0;
    while (strcmp(tmf_strategy_name(n), info.strategy) != 0)
        n++;
    check(tmf_strategy_survives(n) == TMF_SURVIVES_POWER && !tmf_strategy_must_touch(n));
    tmf_read_end(reader);
    close_well(storage);
}

/* ---- all or nothing */

static void test_rollback_undoes(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    commit_all(storage, 1);
    tmf_writer *writer = test_write(storage);
    put_all(writer, 2);
    check_error(can_undo() ? 0 : TMF_ENOTSUPPORTED, tmf_rollback(writer));
    check(*word(tmf_writer_root(writer), 3) == (can_undo() ? 1 : 2));
    put_all(writer, 3);
    tmf_write_end(writer);
    check(read_all(storage) == (can_undo() ? 1 : 3));
    commit_all(storage, 4);
    check(read_all(storage) == 4);
    close_well(storage);
}

static void commit_store_and_die(const void *place)
{
    tmf_storage *storage = test_open(place, NULL);
    tmf_writer *writer = test_write(storage);
    put_all(writer, 1);
    check_ok(tmf_commit(writer));
    put_all(writer, 2);
    test_die();
}

static void test_commit_outlives_its_process(const struct test_place *place)
{
    close_well(create(place));
    test_child_died(test_child(commit_store_and_die, place), SIGKILL);
    tmf_storage *storage = test_open(place, NULL);
    check(read_all(storage) == (can_undo() ? 1 : 2));
    close_well(storage);
}

/* ---- stores by system calls */

static void test_system_calls_store_what_was_touched(const struct test_place *place)
{
    static const char sentence[] = "from a pipe";
    int ends[2];
    check(pipe(ends) == 0);
    tmf_storage *storage = create(place);
    for (size_t page = 0; page < PAGES; page++) {
        tmf_writer *writer = test_write(storage);
        char *at = (char *)word(tmf_writer_root(writer), page) + TEST_PAGE - 4; /* over a border */
        size_t size = page + 1 < PAGES ? sizeof(sentence) : 4;
        check(write(ends[1], sentence, size) == (ssize_t)size);
        check_ok(tmf_touch(writer, at, size));
        check(read(ends[0], at, size) == (ssize_t)size);
        test_commit(writer);
    }
    check_ok(tmf_close(storage));
    storage = test_open(place, NULL);
    tmf_reader *reader = test_read(storage);
    for (size_t page = 0; page < PAGES; page++)
        check(memcmp((const char *)word(tmf_reader_root(reader), page) + TEST_PAGE - 4, sentence,
                     page + 1 < PAGES ? sizeof(sentence) : 4) == 0);
    tmf_read_end(reader);
    close_well(storage);
}

static void test_touch_has_borders(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    unsigned char *base = tmf_address(storage);
    check_error(EINVAL, tmf_touch(writer, base - 1, 1));
    check_error(EINVAL, tmf_touch(writer, base + SIZE, 1));
    check_error(EINVAL, tmf_touch(writer, base + SIZE - 1, 2));
    check_error(EINVAL, tmf_touch(writer, base, SIZE + 1));
    check_ok(tmf_touch(writer, base + SIZE, 0));
    check_ok(tmf_touch(writer, base + SIZE - 1, 1));
    test_commit(writer);
    close_well(storage);
}

/* ---- who may do what */

struct stranger {
    tmf_storage *storage;
    tmf_writer *writer;
    tmf_reader *reader;
};

static void *use_as_stranger(void *context)
{
    const struct stranger *stranger = context;
    uint64_t ticket;
    check_error(TMF_ENOTOWNER, tmf_commit(stranger->writer));
    check_error(TMF_ENOTOWNER, tmf_commit_nowait(stranger->writer, &ticket));
    check_error(TMF_ENOTOWNER, tmf_rollback(stranger->writer));
    check_error(TMF_ENOTOWNER, tmf_touch(stranger->writer, tmf_address(stranger->storage), 1));
    check(!tmf_alloc(stranger->writer, 1) && errno == TMF_ENOTOWNER);
    tmf_write_end(stranger->writer); /* does nothing: the owner goes on */
    return NULL;
}

static void use_after_fork(const void *context)
{
    const struct stranger *stranger = context;
    tmf_reader *reader;
    tmf_writer *writer;
    check_error(TMF_EFORKED, tmf_read_begin(stranger->storage, &reader));
    check_error(TMF_EFORKED, tmf_write_begin(stranger->storage, &writer));
    check_error(TMF_EFORKED, tmf_commit(stranger->writer));
    check_error(TMF_EFORKED, tmf_rollback(stranger->writer));
    check_error(TMF_EFORKED, tmf_wait(stranger->storage, 0));
    check_error(TMF_EFORKED, tmf_close(stranger->storage));
    tmf_write_end(stranger->writer);
}

static void test_only_the_owner_goes_on(const struct test_place *place)
{
    struct stranger stranger = {.storage = create(place)};
    pthread_t thread;
    tmf_reader *reader;
    stranger.writer = test_write(stranger.storage);
    put_all(stranger.writer, 7);
    check_ok(pthread_create(&thread, NULL, use_as_stranger, &stranger));
    check_ok(pthread_join(thread, NULL));
    test_in_child(use_after_fork, &stranger);
    check_error(EDEADLK, tmf_read_begin(stranger.storage, &reader));
    check_error(EBUSY, tmf_close(stranger.storage));
    test_commit(stranger.writer);
    check_error(TMF_ENOTOWNER, tmf_commit(stranger.writer)); /* it has ended */
    reader = test_read(stranger.storage);
    check_error(EBUSY, tmf_close(stranger.storage));
    tmf_read_end(reader);
    check(read_all(stranger.storage) == 7);
    close_well(stranger.storage);
}

/* ---- other processes */

#define ROUNDS 40

struct pair {
    const struct test_place *place;
    size_t log_size;
    struct test_flag ours, theirs;
};

/* Round n: all pages say 2 n - 1; half of them are stored to here, the other half there. */
static void change_half(tmf_storage *storage, size_t first, uint64_t value)
{
    tmf_writer *writer = test_write(storage);
    for (size_t page = first; page < PAGES; page += 2)
        put(writer, page, value);
    test_commit(writer);
}

static tmf_storage *open_with_log(const struct pair *pair)
{
    const tmf_options options = {.log_size = pair->log_size};
    return test_open(pair->place, &options);
}

static void be_the_other(const void *context)
{
    const struct pair *pair = context;
    tmf_storage *storage = open_with_log(pair);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        test_flag_wait(&pair->theirs);
        check(read_page(storage, 0) == round);
        check(read_page(storage, 1) == round - 1);
        change_half(storage, 1, round);
        check(read_all(storage) == round);
        test_flag_raise(&pair->ours);
    }
    check_ok(tmf_close(storage));
}

/* Both keep copies of all pages, and each must see what the other has stored to them. */
static void take_turns(const struct test_place *place, size_t log_size)
{
    struct pair pair = {.place = place, .log_size = log_size};
    test_flag_make(&pair.ours);
    test_flag_make(&pair.theirs);
    pid_t other = test_child(be_the_other, &pair);
    tmf_storage *storage = open_with_log(&pair);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        change_half(storage, 0, round);
        test_flag_raise(&pair.theirs);
        test_flag_wait(&pair.ours);
        check(read_all(storage) == round);
    }
    test_child_returned(other);
    commit_all(storage, 0);
    close_well(storage);
    test_flag_free(&pair.ours);
    test_flag_free(&pair.theirs);
}

static void test_sees_all_that_others_commit(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    take_turns(place, LEAST_LOG);
    take_turns(place, 0);
}

/* ---- a sync that fails */

struct witness {
    const struct test_place *place;
    struct test_flag opened, failed, told;
};

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
    check_ok(tmf_close(storage));
    test_flag_raise(&witness->told);
}

/* Returns whether there was an nth sync to fail. */
static bool fail_sync(const struct test_place *place, unsigned nth)
{
    const struct test_fault fault = {.call = TEST_CALL_fdatasync, .error = EIO, .nth = nth};
    struct witness witness = {.place = place};
    test_flag_make(&witness.opened);
    test_flag_make(&witness.failed);
    test_flag_make(&witness.told);
    pid_t child = test_child(be_told, &witness);
    test_flag_wait(&witness.opened);
    tmf_storage *storage = test_open(place, NULL);
    uint64_t before = read_all(storage);
    tmf_writer *writer = test_write(storage);
    test_calls_use(&fault);
    put_all(writer, before + 1);
    int error = tmf_commit(writer);
    bool struck = test_calls_struck();
    check(struck ? error != 0 : error == 0);
    tmf_write_end(writer);
    tmf_reader *reader;
    check_error(struck ? TMF_EPOISONED : 0, tmf_read_begin(storage, &reader));
    if (!struck)
        tmf_read_end(reader);
    else
        test_flag_raise(&witness.failed), test_flag_wait(&witness.told);
    check_ok(tmf_close(storage));
    test_calls_use(NULL);
    if (struck)
        test_child_returned(child);
    else
        test_child_kill(child);
    storage = test_open(place, NULL); /* heals */
    uint64_t after = read_all(storage);
    check(after == before + 1 || (struck && after == before) || !can_undo());
    close_well(storage);
    return struck;
}

static void test_failed_sync_is_final_for_all(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    unsigned nth = 1;
    test_context("sync %u fails", nth);
    while (fail_sync(place, nth)) {
        nth++;
        test_context("sync %u fails", nth);
    }
    check(nth > 1);
}

/* ---- stores outside a transaction */

static sigjmp_buf trapped;

static void on_trap(int signal)
{
    (void)signal;
    siglongjmp(trapped, 1);
}

static bool store_traps(volatile uint64_t *at, uint64_t value)
{
    if (sigsetjmp(trapped, 1))
        return true;
    *at = value;
    return false;
}

/* Scanning strategies leave pages writable that were stored to lately. */
static bool may_be_found_later(unsigned flags)
{
    return strcmp(test_strategy(), "redo-wp") == 0 ||
           (strcmp(test_strategy(), "redo-scan") == 0 && (flags & TMF_SYSCALLS));
}

static void store_outside(const struct test_place *place, unsigned flags)
{
    const tmf_options options = {.flags = flags};
    tmf_storage *storage = test_open(place, &options);
    commit_all(storage, 5);
    tmf_reader *reader = test_read(storage);
    uint64_t *at = word(tmf_reader_root(reader), 3);
    tmf_read_end(reader);
    bool traps = store_traps(at, 6);
    tmf_writer *writer;
    check(traps == !may_be_found_later(flags));
    check_error(traps ? 0 : TMF_ESTRAY, tmf_write_begin(storage, &writer));
    if (!traps)
        writer = test_write(storage); /* it was undone and reported, once */
    check(*at == 5);
    put(writer, 4, 5);
    test_commit(writer);
    check(read_all(storage) == 5);
    check_ok(tmf_close(storage));
    storage = test_open(place, NULL);
    check(read_all(storage) == 5);
    close_well(storage);
}

static void test_stray_store_traps_or_is_undone(const struct test_place *place)
{
    (void)signal(SIGSEGV, on_trap); /* before the first open: ours hands on to it */
    check_ok(tmf_close(create(place)));
    store_outside(place, 0);
    store_outside(place, TMF_SYSCALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_says_what_it_is),
        test_case(test_default_survives_power),
        test_case(test_rollback_undoes),
        test_case(test_commit_outlives_its_process),
        test_case(test_system_calls_store_what_was_touched),
        test_case(test_touch_has_borders),
        test_case(test_only_the_owner_goes_on),
        test_case(test_sees_all_that_others_commit),
        test_case(test_failed_sync_is_final_for_all),
        test_case(test_stray_store_traps_or_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
