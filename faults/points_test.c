/* SPDX-License-Identifier: MIT */
/* Counts are exact, the n-th hit is deadly, and names nobody knows are refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc/point.h"
#include "faults/io_points.h"
#include "faults/points.h"

static size_t find(const char *name)
{
    size_t n;
    assert_int_equal(faults_point_find(name, &n), 0);
    return n;
}

static int init(void **state)
{
    (void)state;
    return faults_points_init();
}

static int reset(void **state)
{
    (void)state;
    faults_points_reset();
    return 0;
}

static void test_hits_are_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        TMF_POINT("io/close/before");
    TMF_POINT("io/close/after");
    assert_int_equal(faults_point_hits(find("io/close/before")), 5);
    assert_int_equal(faults_point_hits(find("io/close/after")), 1);
    assert_int_equal(faults_point_hits(find("io/open/before")), 0);
    faults_points_reset();
    assert_int_equal(faults_point_hits(find("io/close/before")), 0);
}

/* Hits a point `hits` times in a child; returns how that ended. */
static int status_after(int hits)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < hits; i++)
            TMF_POINT("io/fsync/after");
        _exit(7);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_the_nth_hit_kills(void **state)
{
    (void)state;
    for (int deadly = 1; deadly <= 4; deadly++) {
        faults_points_reset();
        assert_int_equal(faults_die_at("io/fsync/after", (uint64_t)deadly), 0);
        int status = status_after(6);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(faults_point_hits(find("io/fsync/after")), deadly);
    }
}

static void test_earlier_hits_do_not_kill(void **state)
{
    (void)state;
    assert_int_equal(faults_die_at("io/fsync/after", 7), 0);
    int status = status_after(6);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void test_unknown_names_are_refused(void **state)
{
    (void)state;
    size_t n;
    assert_int_equal(faults_point_find("io/close", &n), ENOENT);
    assert_int_equal(faults_die_at("no/such/point", 1), ENOENT);
    assert_int_equal(faults_die_at("io/close/before", 0), EINVAL);
}

static void test_calls_hit_their_points_and_keep_errno(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(faults_io_points.close(-1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(faults_point_hits(find("io/close/before")), 1);
    assert_int_equal(faults_point_hits(find("io/close/after")), 1);
}

static void test_every_entry_is_filled_and_installed(void **state)
{
    (void)state;
#define FILLED(result, name, parameters, arguments) assert_non_null(faults_io_points.name);
    TMF_IO_CALLS(FILLED)
#undef FILLED
    faults_io_points_install();
    assert_ptr_equal(tmf_io, &faults_io_points);
    tmf_io = &tmf_io_system;
}

static void test_every_point_has_a_sentence(void **state)
{
    (void)state;
    for (size_t n = 0; faults_point_at(n); n++) {
        assert_true(strlen(faults_point_at(n)->about) > 10);
        assert_int_equal(find(faults_point_at(n)->name), n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hits_are_counted, reset),
        cmocka_unit_test_setup(test_the_nth_hit_kills, reset),
        cmocka_unit_test_setup(test_earlier_hits_do_not_kill, reset),
        cmocka_unit_test_setup(test_unknown_names_are_refused, reset),
        cmocka_unit_test_setup(test_calls_hit_their_points_and_keep_errno, reset),
        cmocka_unit_test_setup(test_every_entry_is_filled_and_installed, reset),
        cmocka_unit_test_setup(test_every_point_has_a_sentence, reset),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
