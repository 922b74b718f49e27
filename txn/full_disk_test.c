/* SPDX-License-Identifier: MIT */
/*
 * A full disk: flaw D11 of the original (every SIGBUS is taken for a file that is too short, and
 * the file is cut at it), and ENOSPC while a storage is made, grows, logs and recovers. The error
 * comes from the call, the committed content stays, and with room again the work goes on.
 *
 * The disk is a small tmpfs in a mount namespace of the test's own; a user who may make none is
 * told so, and only the simulated SIGBUS is left of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define MIB      ((size_t)1 << 20)
#define DISK     "size=2m"
#define SIZE     (4 * MIB) /* of the arena: sparse, larger than the disk */
#define PAGES    ((size_t)32)
#define LOG_KEPT (TMF_LOG_RECORDS_OFFSET + 2 * PAGES * TMF_UNDO_RECORD_SIZE)

struct root {
    uint64_t number;
    unsigned char *used;  /* PAGES pages that have been stored to */
    unsigned char *holes; /* PAGES pages that have not */
};

static int set_root(tmf_writer *writer, void *root_object, void *context)
{
    struct root *root = root_object;
    (void)context;
    root->number = 1;
    root->used = tmf_alloc_aligned(writer, TEST_PAGE, PAGES * TEST_PAGE);
    unsigned char *unused = tmf_alloc_aligned(writer, TEST_PAGE, 2 * PAGES * TEST_PAGE);
    root->holes = unused + PAGES * TEST_PAGE; /* the heap may have stored to the first page */
    memset(root->used, 'u', PAGES * TEST_PAGE);
    return 0;
}

static tmf_storage *create(const struct test_place *place, size_t log_size)
{
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = set_root,
                                 .log_size = log_size};
    return test_open(place, &options);
}

static tmf_storage *reopen(const struct test_place *place, size_t log_size)
{
    const tmf_options options = {.log_size = log_size};
    return test_open(place, &options);
}

/* Leaves the holes alone, and so the heap's check: a tmpfs takes room even to read a hole. */
static void check_as_created(const struct root *root)
{
    check(root->number == 1);
    for (size_t at = 0; at < PAGES * TEST_PAGE; at++)
        check(root->used[at] == 'u');
}

static void check_holes(const struct root *root)
{
    for (size_t at = 0; at < PAGES * TEST_PAGE; at++)
        check(root->holes[at] == 0);
}

static void check_storage_as_created(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    check_as_created(tmf_reader_root(reader));
    tmf_read_end(reader);
}

static void store_to_each(unsigned char *pages)
{
    for (size_t page = 0; page < PAGES; page++)
        pages[page * TEST_PAGE + page] = 's';
}

/* A transaction of `pages` that the disk has no room for; the writer goes on. */
static void check_no_room(tmf_writer *writer, unsigned char *pages)
{
    struct root *root = tmf_writer_root(writer);
    root->number = 2;
    store_to_each(pages);
    check(root->number == 2 && pages[0] == 's'); /* it sees what it stored */
    check_error(ENOSPC, tmf_commit(writer));
    check(strstr(tmf_explain(), "roll back"));
    check_error(ENOSPC, tmf_commit(writer));
    check(!tmf_alloc(writer, 10) && errno == ENOSPC);
    check_ok(tmf_rollback(writer));
    check_as_created(root);
}

static void check_room(tmf_writer *writer, unsigned char *pages)
{
    store_to_each(pages);
    check_ok(tmf_commit(writer));
    for (size_t page = 0; page < PAGES; page++)
        check(pages[page * TEST_PAGE + page] == 's');
}

/* ---- the disk */

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    check(fd >= 0);
    check(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

static bool own_namespace(void)
{
    char map[64];
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    unsigned user = getuid();
    unsigned group = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    (void)snprintf(map, sizeof(map), "0 %u 1", user);
    write_text("/proc/self/uid_map", map);
    write_text("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof(map), "0 %u 1", group);
    write_text("/proc/self/gid_map", map);
    return true;
}

/* The place is on a small disk from now on, for this process and its children. */
static bool use_small_disk(const struct test_place *place)
{
    if (own_namespace() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", place->folder, "tmpfs", 0, DISK) == 0)
        return true;
    print_message("no disk of one's own to fill up (%s): not tried with a real one\n",
                  strerror(errno));
    return false;
}

static void name_filler(const struct test_place *place, char name[512])
{
    (void)snprintf(name, 512, "%s/filler", place->folder);
}

/* Fills the disk up to the last `spared` pages. */
static void fill_disk(const struct test_place *place, size_t spared)
{
    char name[512];
    static const unsigned char page[TEST_PAGE] = {1};
    struct statvfs disk;
    name_filler(place, name);
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    check(fd >= 0);
    for (;;) {
        check(statvfs(place->folder, &disk) == 0);
        if (disk.f_bfree * disk.f_bsize <= spared * TEST_PAGE)
            break;
        check(write(fd, page, sizeof(page)) == (ssize_t)sizeof(page));
    }
    (void)close(fd);
}

static void empty_disk(const struct test_place *place)
{
    char name[512];
    name_filler(place, name);
    check(unlink(name) == 0);
}

/* ---- creation and growth */

static int fill_too_much(tmf_writer *writer, void *root, void *context)
{
    (void)root, (void)context;
    memset(test_alloc(writer, 3 * MIB), 'x', 3 * MIB);
    return 0;
}

static void test_creation(const struct test_place *place)
{
    static const struct {
        const char *name;
        tmf_options options;
    } too_large[] = {
        {"log", {.size = SIZE, .log_size = 8 * MIB}},
        {"initialiser", {.size = SIZE, .root_init = fill_too_much, .log_size = LOG_KEPT}},
    };
    if (!use_small_disk(place))
        return;
    for (size_t n = 0; n < sizeof(too_large) / sizeof(too_large[0]); n++) {
        tmf_storage *storage = NULL;
        test_context("no room for the %s", too_large[n].name);
        check_error(ENOSPC, test_try_open(place->path, &too_large[n].options, &storage));
        check(!storage && strstr(tmf_explain(), place->path));
        check(test_files(place) == 0);
    }
    check_ok(tmf_close(create(place, LOG_KEPT)));
}

/* Growth needs a page at most; without room for it all is as it was. */
static void test_growth(const struct test_place *place)
{
    const tmf_options larger = {.size = 2 * SIZE, .log_size = LOG_KEPT};
    tmf_storage *storage;
    if (!use_small_disk(place))
        return;
    check_ok(tmf_close(create(place, LOG_KEPT)));
    fill_disk(place, 0);
    int error = test_try_open(place->path, &larger, &storage);
    if (error) {
        check_error(ENOSPC, error);
        check(strstr(tmf_explain(), place->path));
        storage = reopen(place, LOG_KEPT);
    }
    check(tmf_size(storage) == (error ? SIZE : 2 * SIZE));
    check_storage_as_created(storage);
    check_ok(tmf_close(storage));
    empty_disk(place);
    storage = test_open(place, &larger);
    check(tmf_size(storage) == 2 * SIZE);
    check_storage_as_created(storage);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- transactions */

static void try_full_disk(const struct test_place *place, size_t log_size, bool holes)
{
    check_ok(tmf_close(create(place, log_size)));
    tmf_storage *storage = reopen(place, log_size);
    fill_disk(place, 2);
    tmf_writer *writer = test_write(storage);
    const struct root *root = tmf_writer_root(writer);
    unsigned char *pages = holes ? root->holes : root->used;
    check_no_room(writer, pages);
    check_no_room(writer, pages);
    tmf_write_end(writer);
    check_storage_as_created(storage);
    empty_disk(place);
    writer = test_write(storage);
    check_holes(root);
    check_room(writer, pages);
    tmf_write_end(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_d11_no_room_for_a_page(const struct test_place *place)
{
    if (use_small_disk(place))
        try_full_disk(place, LOG_KEPT, true);
}

static void test_no_room_for_the_log(const struct test_place *place)
{
    if (use_small_disk(place))
        try_full_disk(place, 1, false);
}

static void store_and_die(const void *place)
{
    tmf_writer *writer = test_write(reopen(place, LOG_KEPT));
    struct root *root = tmf_writer_root(writer);
    root->number = 2;
    store_to_each(root->used);
    test_die();
}

static void test_recovery_needs_no_room(const struct test_place *place)
{
    if (!use_small_disk(place))
        return;
    check_ok(tmf_close(create(place, LOG_KEPT)));
    fill_disk(place, 0);
    test_child_died(test_child(store_and_die, place), SIGKILL);
    tmf_storage *storage = reopen(place, LOG_KEPT);
    check_storage_as_created(storage);
    tmf_writer *writer = test_write(storage); /* used pages have their room */
    check_room(writer, ((struct root *)tmf_writer_root(writer))->used);
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
}

/* ---- the SIGBUS of a full disk, or of one that cannot be read, sent by ourselves */

static void send_bus_error(const void *address)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = BUS_ADRERR;
    info.si_addr = (void *)(uintptr_t)address;
    check(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &info) == 0);
}

static void try_bus_error(const struct test_place *place, int error_of_fallocate, int expected)
{
    const struct test_fault no_block = {
        .call = TEST_CALL_fallocate, .error = error_of_fallocate, .nth = 1, .sticky = true};
    tmf_storage *storage = create(place, LOG_KEPT);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    size_t odb_size = test_file_size(place->odb);
    test_calls_use(error_of_fallocate ? &no_block : NULL);
    root->used[0] = 's';
    send_bus_error(root->used);
    if (!error_of_fallocate) {
        check_ok(tmf_commit(writer)); /* the block was to be had after all */
        root->used[0] = 't';
        send_bus_error(root->used);
        send_bus_error(root->used); /* though it was given: nothing to mend */
    }
    root->used[1] = 's';
    check_error(expected, tmf_commit(writer));
    check_ok(tmf_rollback(writer));
    check(root->used[0] == (error_of_fallocate ? 'u' : 's') && root->used[1] == 'u');
    check(test_file_size(place->odb) == odb_size); /* not cut */
    check_room(writer, root->used);
    tmf_write_end(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_d11_simulated_no_room(const struct test_place *place)
{
    try_bus_error(place, ENOSPC, ENOSPC);
}

static void test_d11_simulated_bad_block(const struct test_place *place)
{
    try_bus_error(place, 0, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_creation),
        test_case(test_growth),
        test_case(test_d11_no_room_for_a_page),
        test_case(test_no_room_for_the_log),
        test_case(test_recovery_needs_no_room),
        test_case(test_d11_simulated_no_room),
        test_case(test_d11_simulated_bad_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
