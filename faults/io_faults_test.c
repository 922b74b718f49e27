/* SPDX-License-Identifier: MIT */
/*
 * The n-th use of a call fails and no other, or all from then on; calls do less, memory is refused;
 * and what a failed sync loses is lost until it is written once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults/io_faults.h"
#include "faults/medium.h"

#define PAGE 4096

static char path[64];
static int fd;

static void arm(const char *call, const char *name, uint64_t nth, bool sticky)
{
    const struct faults_fault fault = {faults_row_find(call, name), nth, sticky};
    assert_non_null(fault.row);
    faults_io_arm(&fault);
}

static int init(void **state)
{
    (void)state;
    int error = faults_io_init();
    faults_io_install();
    return error;
}

static int open_file(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "io_faults_test.XXXXXX");
    fd = mkstemp(path);
    faults_io_arm(&(struct faults_fault){.row = NULL});
    return fd < 0;
}

static int close_file(void **state)
{
    (void)state;
    unlink(path);
    return close(fd);
}

/* ---- which use fails */

static void test_the_nth_use_fails(void **state)
{
    struct stat status;
    (void)state;
    for (uint64_t nth = 1; nth <= 3; nth++) {
        arm("fstat", "ENOMEM", nth, false);
        for (uint64_t use = 1; use <= 4; use++) {
            errno = 0;
            assert_int_equal(tmf_io->fstat(fd, &status), use == nth ? -1 : 0);
            assert_int_equal(errno, use == nth ? ENOMEM : 0);
        }
        assert_int_equal(faults_io_made(FAULTS_CALL_fstat), 4);
        assert_int_equal(faults_io_struck(), 1);
    }
}

static void test_sticky_is_from_then_on(void **state)
{
    struct stat status;
    (void)state;
    arm("fstat", "EIO", 2, true);
    for (uint64_t use = 1; use <= 5; use++)
        assert_int_equal(tmf_io->fstat(fd, &status), use >= 2 ? -1 : 0);
    assert_int_equal(faults_io_struck(), 4);
}

static void test_nothing_happens_while_suspended(void **state)
{
    struct stat status;
    (void)state;
    arm("fstat", "EIO", 1, false);
    faults_io_suspend(true);
    assert_int_equal(tmf_io->fstat(fd, &status), 0);
    faults_io_suspend(false);
    assert_int_equal(faults_io_made(FAULTS_CALL_fstat), 0);
    assert_int_equal(tmf_io->fstat(fd, &status), -1);
}

/* ---- how */

static void test_reads_and_writes_are_short(void **state)
{
    static const struct {
        const char *name;
        ssize_t expected;
    } kinds[] = {{"one", 1}, {"half", 50}};
    char bytes[100] = {0};
    (void)state;
    assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    for (size_t n = 0; n < 2; n++) {
        arm("pwrite", kinds[n].name, 1, false);
        assert_int_equal(tmf_io->pwrite(fd, bytes, sizeof(bytes), 0), kinds[n].expected);
        arm("pread", kinds[n].name, 1, false);
        assert_int_equal(tmf_io->pread(fd, bytes, sizeof(bytes), 0), kinds[n].expected);
    }
    arm("pwrite", "nothing", 1, false);
    assert_int_equal(tmf_io->pwrite(fd, bytes, sizeof(bytes), 0), 0);
}

static void test_letting_go_of_a_lock_never_fails(void **state)
{
    struct flock range = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};
    (void)state;
    arm("flock", "ENOLCK", 1, true);
    assert_int_equal(tmf_io->flock(fd, LOCK_UN), 0);
    assert_int_equal(tmf_io->flock(fd, LOCK_SH | LOCK_NB), -1);
    arm("fcntl_lock", "ENOLCK", 1, true);
    assert_int_equal(tmf_io->fcntl_lock(fd, F_OFD_SETLK, &range), 0);
    range.l_type = F_WRLCK;
    assert_int_equal(tmf_io->fcntl_lock(fd, F_OFD_SETLK, &range), -1);
}

static void test_a_close_that_fails_closes(void **state)
{
    (void)state;
    int copy = dup(fd);
    arm("close", "EIO", 1, false);
    assert_int_equal(tmf_io->close(copy), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void test_memory_is_refused(void **state)
{
    (void)state;
    arm("memory", "ENOMEM", 2, false);
    void *volatile first = malloc(10); /* a compiler may leave out what nobody looks at */
    void *volatile second = calloc(1, 10);
    int error = errno;
    bool refused = !second;
    free(second);
    void *volatile third = realloc(first, 20);
    faults_io_arm(&(struct faults_fault){.row = NULL});
    assert_non_null(first);
    assert_true(refused);
    assert_int_equal(error, ENOMEM);
    assert_non_null(third);
    free(third);
}

static void test_the_table_is_whole(void **state)
{
    const struct faults_row *row;
    (void)state;
    for (size_t n = 0; (row = faults_row_at(n)); n++) {
        assert_true(strlen(row->reason) > 5);
        assert_ptr_equal(faults_row_find(faults_call_name(row->call), row->name), row);
        assert_true(row->kind > FAULTS_LOSE || row->error > 0);
    }
    assert_null(faults_row_find("fstat", "EPERM"));
    assert_null(faults_row_find("fork", "EIO"));
    for (enum faults_call call = 0; call < FAULTS_CALLS; call++) {
        bool found = false;
        for (size_t n = 0; (row = faults_row_at(n)); n++)
            found = found || row->call == call;
        assert_true(found);
    }
}

/* ---- the medium */

static void put(char letter, size_t page)
{
    char bytes[PAGE];
    memset(bytes, letter, sizeof(bytes));
    assert_int_equal(tmf_io->pwrite(fd, bytes, sizeof(bytes), (off_t)(page * PAGE)), PAGE);
}

/* What the medium has of each page, a letter; 0: nothing was ever written. */
static void check_medium(const char *letters)
{
    struct stat status;
    char byte;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(medium_show(path, status.st_dev, status.st_ino), 0);
    for (size_t page = 0; letters[page]; page++) {
        assert_int_equal(pread(fd, &byte, 1, (off_t)(page * PAGE)), 1);
        assert_int_equal(byte ? byte : '0', letters[page]);
    }
}

static void test_a_failed_sync_loses_what_was_dirty(void **state)
{
    (void)state;
    arm("fdatasync", "EIO", 2, false);
    put('a', 0);
    put('a', 1);
    assert_int_equal(tmf_io->fdatasync(fd), 0);
    put('b', 1);
    put('b', 2);
    assert_int_equal(tmf_io->fdatasync(fd), -1);
    assert_true(medium_has_lost());
    assert_int_equal(tmf_io->fdatasync(fd), 0); /* Linux: there is nothing left to be written */
    check_medium("aa0");
}

static void test_what_is_written_once_more_is_there(void **state)
{
    (void)state;
    arm("fdatasync", "EIO", 2, false);
    put('a', 0);
    put('a', 1);
    assert_int_equal(tmf_io->fdatasync(fd), 0);
    put('b', 0);
    put('b', 1);
    assert_int_equal(tmf_io->fdatasync(fd), -1);
    put('b', 1); /* the very same bytes */
    check_medium("ab");
}

static void test_a_store_after_the_loss_is_seen_by_what_it_leaves(void **state)
{
    (void)state;
    arm("fsync", "ENOSPC", 1, false);
    put('b', 0);
    put('b', 1);
    assert_int_equal(tmf_io->fsync(fd), -1);
    assert_int_equal(pwrite(fd, "c", 1, PAGE), 1); /* past the table, as through a mapping */
    check_medium("0c");
}

static void test_an_interrupted_sync_loses_nothing(void **state)
{
    (void)state;
    arm("fdatasync", "EINTR", 1, false);
    put('a', 0);
    assert_int_equal(tmf_io->fdatasync(fd), -1);
    assert_false(medium_has_lost());
}

static void test_what_was_cut_off_does_not_come_back(void **state)
{
    (void)state;
    arm("fdatasync", "EIO", 2, false);
    put('a', 0);
    put('a', 1);
    assert_int_equal(tmf_io->fdatasync(fd), 0);
    assert_int_equal(tmf_io->ftruncate(fd, PAGE), 0);
    put('b', 1);
    assert_int_equal(tmf_io->fdatasync(fd), -1);
    check_medium("a0");
}

int main(void)
{
#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, open_file, close_file)
    const struct CMUnitTest tests[] = {
        WITH_FILE(test_the_nth_use_fails),
        WITH_FILE(test_sticky_is_from_then_on),
        WITH_FILE(test_nothing_happens_while_suspended),
        WITH_FILE(test_reads_and_writes_are_short),
        WITH_FILE(test_letting_go_of_a_lock_never_fails),
        WITH_FILE(test_a_close_that_fails_closes),
        WITH_FILE(test_memory_is_refused),
        WITH_FILE(test_the_table_is_whole),
        WITH_FILE(test_a_failed_sync_loses_what_was_dirty),
        WITH_FILE(test_what_is_written_once_more_is_there),
        WITH_FILE(test_a_store_after_the_loss_is_seen_by_what_it_leaves),
        WITH_FILE(test_an_interrupted_sync_loses_nothing),
        WITH_FILE(test_what_was_cut_off_does_not_come_back),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
