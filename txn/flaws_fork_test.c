/* SPDX-License-Identifier: MIT */
/*
 * fork(): what was opened by the parent is of no use to the child and is neither changed nor kept
 * alive by it (flaw D20 of the original: an orphan keeps the lock of its dead parent).
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "txn/test_kit.h"

#define SIZE (64 * TEST_PAGE)

struct root {
    uint64_t number;
    unsigned char *block;
};

static int set_root(tmf_writer *writer, void *root, void *context)
{
    (void)context;
    ((struct root *)root)->block = tmf_alloc(writer, 100);
    ((struct root *)root)->number = 1;
    return 0;
}

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {
        .size = SIZE, .root_size = sizeof(struct root), .root_init = set_root};
    return test_open(place, &options);
}

static uint64_t read_number(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    uint64_t number = ((const struct root *)tmf_reader_root(reader))->number;
    tmf_read_end(reader);
    return number;
}

static void set_number(tmf_writer *writer, uint64_t number)
{
    ((struct root *)tmf_writer_root(writer))->number = number;
}

/* ---- a child and what its parent has open */

struct heirloom {
    const struct test_place *place;
    tmf_storage *storage;
    tmf_reader *reader;
    tmf_writer *writer;
    unsigned char *block;
};

static int see_nothing(void *context, const tmf_block *block)
{
    (void)context, (void)block;
    check(!"a block of the parent's arena");
    return 0;
}

static void check_storage_useless(tmf_storage *storage)
{
    tmf_reader *reader;
    tmf_writer *writer;
    tmf_info info;
    check_error(TMF_EFORKED, tmf_read_begin(storage, &reader));
    check_error(TMF_EFORKED, tmf_read_begin_try(storage, &reader));
    check_error(TMF_EFORKED, tmf_read_begin_timed(storage, 1000, &reader));
    check_error(TMF_EFORKED, tmf_write_begin(storage, &writer));
    check_error(TMF_EFORKED, tmf_write_begin_try(storage, &writer));
    check_error(TMF_EFORKED, tmf_write_begin_timed(storage, 1000, &writer));
    check_error(TMF_EFORKED, tmf_info_get(storage, &info));
    check_error(TMF_EFORKED, tmf_walk(storage, see_nothing, NULL));
    check_error(TMF_EFORKED, tmf_check(storage));
    check_error(TMF_EFORKED, tmf_close(storage));
    check(msync(tmf_address(storage), TEST_PAGE, MS_ASYNC) != 0 && errno == ENOMEM);
}

static void check_writer_useless(const struct heirloom *heirloom)
{
    tmf_writer *writer = heirloom->writer;
    check_error(TMF_EFORKED, tmf_commit(writer));
    check_error(TMF_EFORKED, tmf_rollback(writer));
    check_error(TMF_EFORKED, tmf_touch(writer, heirloom->block, 1));
    check(!tmf_alloc(writer, 1) && errno == TMF_EFORKED);
    check(!tmf_alloc_aligned(writer, 64, 1) && errno == TMF_EFORKED);
    check(!tmf_resize(writer, heirloom->block, 100, 1) && errno == TMF_EFORKED);
    check_error(TMF_EFORKED, tmf_free(writer, heirloom->block, 100));
    tmf_write_end(writer);
}

static void inherit(const void *context)
{
    const struct heirloom *heirloom = context;
    check_storage_useless(heirloom->storage);
    if (heirloom->writer)
        check_writer_useless(heirloom);
    tmf_read_end(heirloom->reader);
    check_storage_useless(heirloom->storage);
}

static void open_again(const void *context)
{
    const struct heirloom *heirloom = context;
    inherit(heirloom);
    tmf_storage *own = test_open(heirloom->place, NULL);
    check(tmf_address(own) == tmf_address(heirloom->storage));
    tmf_writer *writer = test_write(own);
    set_number(writer, 2);
    test_commit(writer);
    check(read_number(own) == 2);
    check_ok(tmf_close(own));
    inherit(heirloom);
}

static void test_child_opens_again(const struct test_place *place)
{
    struct heirloom heirloom = {.place = place, .storage = create(place)};
    test_in_child(open_again, &heirloom);
    check(read_number(heirloom.storage) == 2);
    test_storage_is_well(heirloom.storage);
    check_ok(tmf_close(heirloom.storage));
}

/* Another process that asks, as often as it is told to, whether the storage is locked. */
struct asker {
    const struct test_place *place;
    struct test_flag ask, answered;
};

static void ask_twice(const void *context)
{
    const struct asker *asker = context;
    tmf_storage *storage = test_open(asker->place, NULL);
    tmf_writer *writer;
    test_flag_raise(&asker->answered);
    test_flag_wait(&asker->ask);
    check_error(EBUSY, tmf_write_begin_try(storage, &writer));
    test_flag_raise(&asker->answered);
    test_flag_wait(&asker->ask);
    check_ok(tmf_write_begin_try(storage, &writer));
    check(((struct root *)tmf_writer_root(writer))->number == 3);
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
}

static void test_child_does_not_disturb_a_transaction(const struct test_place *place)
{
    struct heirloom heirloom = {.place = place};
    check_ok(tmf_close(create(place)));
    struct asker asker = {.place = place};
    test_flag_make(&asker.ask);
    test_flag_make(&asker.answered);
    pid_t other = test_child(ask_twice, &asker);
    test_flag_wait(&asker.answered);
    heirloom.storage = test_open(place, NULL);
    heirloom.writer = test_write(heirloom.storage);
    heirloom.block = ((struct root *)tmf_writer_root(heirloom.writer))->block;
    set_number(heirloom.writer, 2);
    test_in_child(inherit, &heirloom);
    test_flag_raise(&asker.ask); /* the child has come and gone, the lock is ours */
    test_flag_wait(&asker.answered);
    set_number(heirloom.writer, 3);
    test_commit(heirloom.writer);
    test_flag_raise(&asker.ask);
    test_child_returned(other);
    test_flag_free(&asker.ask);
    test_flag_free(&asker.answered);
    test_storage_is_well(heirloom.storage);
    check_ok(tmf_close(heirloom.storage));
}

static void test_child_does_not_disturb_a_reader(const struct test_place *place)
{
    struct heirloom heirloom = {.place = place, .storage = create(place)};
    heirloom.reader = test_read(heirloom.storage);
    test_in_child(inherit, &heirloom);
    check(((const struct root *)tmf_reader_root(heirloom.reader))->number == 1);
    tmf_read_end(heirloom.reader);
    test_storage_is_well(heirloom.storage);
    check_ok(tmf_close(heirloom.storage));
}

/* ---- D20 */

struct family {
    const struct test_place *place;
    bool spawns;
    struct test_flag born;  /* raised by the orphan */
    struct test_flag named; /* by its parent: `orphan` is set */
    pid_t *orphan;          /* shared */
};

/* Longer than any test takes, so that a test that failed does not leave it for ever. */
#define ORPHAN_LIFE_S   200
#define STRING_OF(text) #text
#define STRING(text)    STRING_OF(text)

/* Said by the orphan: what fork() does to let go of things, it does in the child. */
static void fork_orphan(const struct family *family)
{
    pid_t orphan = fork();
    check(orphan >= 0);
    if (orphan > 0) {
        *family->orphan = orphan;
        return;
    }
    (void)alarm(ORPHAN_LIFE_S);
    test_flag_raise(&family->born);
    for (;;)
        (void)pause();
}

/* Without what fork() does to let go of things: another program, that only inherits. It says so
 * itself too: posix_spawn() returns before the kernel has closed what exec closes. */
static void spawn_orphan(const struct family *family)
{
    char name[] = "sh";
    char option[] = "-c";
    char command[] = "printf '!'; exec sleep " STRING(ORPHAN_LIFE_S);
    char *arguments[] = {name, option, command, NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    check_ok(posix_spawn_file_actions_init(&actions));
    check_ok(posix_spawn_file_actions_adddup2(&actions, family->born.ends[1], STDOUT_FILENO));
    check_ok(posix_spawn(family->orphan, "/bin/sh", &actions, NULL, arguments, environment));
    check_ok(posix_spawn_file_actions_destroy(&actions));
}

static void leave_an_orphan(const void *context)
{
    const struct family *family = context;
    set_number(test_write(test_open(family->place, NULL)), 77);
    (family->spawns ? spawn_orphan : fork_orphan)(family);
    test_flag_raise(&family->named);
    for (;;)
        (void)pause();
}

static void test_d20_orphans_keep_no_lock(const struct test_place *place)
{
    check(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* so that the orphan can be waited for */
    check_ok(tmf_close(create(place)));
    void *shared = mmap(NULL, TEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    for (int spawns = 0; spawns <= 1; spawns++) {
        test_context("the orphan was %s", spawns ? "spawned" : "forked");
        struct family family = {.place = place, .spawns = spawns, .orphan = shared};
        test_flag_make(&family.born);
        test_flag_make(&family.named);
        pid_t parent = test_child(leave_an_orphan, &family);
        test_flag_wait(&family.born);
        test_flag_wait(&family.named);
        test_child_kill(parent);
        check(kill(*family.orphan, 0) == 0); /* it lives */
        tmf_storage *storage = test_open(place, NULL);
        check(read_number(storage) == 1);
        test_storage_is_well(storage);
        check_ok(tmf_close(storage));
        test_child_kill(*family.orphan);
        test_flag_free(&family.born);
        test_flag_free(&family.named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_child_opens_again),
        test_case(test_child_does_not_disturb_a_transaction),
        test_case(test_child_does_not_disturb_a_reader),
        test_case(test_d20_orphans_keep_no_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
