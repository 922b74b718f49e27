/* SPDX-License-Identifier: MIT */
/*
 * The bound on locked memory, which only undo-mlock meets: a quota that is full makes it sync the
 * log, unlock, and go on. The quota is RLIMIT_MEMLOCK itself, in a process without the privilege
 * to exceed it, and one of ours that says how often it was asked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "txn/io.h"
#include "txn/test_pages.h"

#define PAGES  ((size_t)40)
#define SIZE   (2 * PAGES * TEST_PAGE)
#define NOBODY 65534

static size_t page_count = PAGES;

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = test_make_pages,
                                 .root_context = &page_count};
    return test_open(place, &options);
}

static void put_all(tmf_writer *writer, uint64_t value)
{
    uint64_t *block = test_pages_of(writer);
    for (size_t page = 0; page < PAGES; page++)
        block[page * PAGE_WORDS] = value;
}

static void check_all(tmf_storage *storage, uint64_t value)
{
    tmf_reader *reader = test_read(storage);
    const uint64_t *block = test_pages_seen(reader);
    for (size_t page = 0; page < PAGES; page++)
        check(block[page * PAGE_WORDS] == value);
    tmf_read_end(reader);
}

/* ---- a quota of ours */

static struct {
    struct tmf_io table;
    size_t quota, locked; /* pages */
    unsigned refused, syncs;
} bounded;

static int bounded_mlock(const void *at, size_t size)
{
    (void)at;
    if (bounded.locked + size / TEST_PAGE > bounded.quota) {
        bounded.refused++;
        errno = ENOMEM;
        return -1;
    }
    bounded.locked += size / TEST_PAGE;
    return 0;
}

static int bounded_munlock(const void *at, size_t size)
{
    (void)at, (void)size;
    bounded.locked = 0;
    return 0;
}

static int counted_fdatasync(int fd)
{
    (void)fd;
    bounded.syncs++;
    return 0;
}

static void use_quota(size_t pages)
{
    memset(&bounded, 0, sizeof(bounded));
    bounded.quota = pages;
    bounded.table = tmf_io_system;
    bounded.table.mlock = bounded_mlock;
    bounded.table.munlock = bounded_munlock;
    bounded.table.fdatasync = counted_fdatasync;
    tmf_io = &bounded.table;
}

/* Syncs of the log while pages are stored to, and three for the commit. */
static void commit_under(tmf_storage *storage, size_t quota, uint64_t value)
{
    test_context("a quota of %zu pages", quota);
    use_quota(quota);
    tmf_writer *writer = test_write(storage);
    put_all(writer, value);
    unsigned before_commit = bounded.syncs;
    check(bounded.refused == PAGES / (quota + 1));
    check(before_commit == bounded.refused);
    check(bounded.locked == PAGES % (quota + 1));
    check_ok(tmf_commit(writer));
    check(bounded.locked == 0);
    check(bounded.syncs - before_commit == 2 + (PAGES % (quota + 1) != 0)); /* log, arena, slot */
    tmf_write_end(writer);
    check_all(storage, value);
}

static void test_full_quota_syncs_and_goes_on(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    commit_under(storage, PAGES, 1); /* what the author imagined */
    commit_under(storage, 7, 2);
    commit_under(storage, 1, 3);
    commit_under(storage, 0, 4); /* as undo-fsync */
    tmf_io = &tmf_io_system;
    check_ok(tmf_close(storage));
}

/* ---- the system's quota; the sanitizers put an mlock in its place that locks nothing */

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                             \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)
#define MLOCK_LOCKS

static size_t locked_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    check(status);
    while (fgets(line, sizeof(line), status))
        (void)sscanf(line, "VmLck: %zu", &kib);
    (void)fclose(status);
    return kib;
}

static void commit_as_nobody(const void *place)
{
    const struct rlimit few = {8 * TEST_PAGE, 8 * TEST_PAGE};
    tmf_storage *storage = test_open(place, NULL);
    check(setrlimit(RLIMIT_MEMLOCK, &few) == 0);
    check(geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
    tmf_writer *writer = test_write(storage);
    put_all(writer, 9);
    check(locked_kib() > 0 && locked_kib() <= 8 * TEST_PAGE / 1024);
    check_ok(tmf_commit(writer));
    check(locked_kib() == 0);
    put_all(writer, 10);
    check_ok(tmf_rollback(writer));
    check(locked_kib() == 0);
    tmf_write_end(writer);
    check_all(storage, 9);
    check_ok(tmf_close(storage));
}

static void test_limit_of_the_system(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    test_in_child(commit_as_nobody, place);
    tmf_storage *storage = test_open(place, NULL);
    check_all(storage, 9);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_full_quota_syncs_and_goes_on),
#ifdef MLOCK_LOCKS
        test_case(test_limit_of_the_system),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
