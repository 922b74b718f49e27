/* SPDX-License-Identifier: MIT */
/* See test_calls.h. */
#include "txn/test_calls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

static struct test_fault fault;
static bool armed;
static _Atomic unsigned made[TEST_CALLS + 1]; /* the last counts them all */
static _Atomic bool struck;

static const char *const names[] = {
#define TEST_CALL(result, name, parameters, arguments) #name,
    TMF_IO_CALLS(TEST_CALL)
#undef TEST_CALL
        "any",
};

/* Counts the call; whether the fault strikes it. */
static bool strikes(enum test_call call)
{
    unsigned count = atomic_fetch_add(&made[call], 1) + 1;
    unsigned all = atomic_fetch_add(&made[TEST_CALL_ANY], 1) + 1;
    if (!armed || (fault.call != call && fault.call != TEST_CALL_ANY))
        return false;
    if (fault.call == TEST_CALL_ANY)
        count = all;
    if (count != fault.nth && !(fault.sticky && count > fault.nth))
        return false;
    atomic_store(&struck, true);
    if (fault.kind == TEST_KILL) {
        (void)kill(getpid(), SIGKILL);
        for (;;)
            (void)pause();
    }
    return true;
}

static int failure(void)
{
    errno = fault.error;
    return -1;
}

#define TEST_CALL(result, name, parameters, arguments)                                             \
    static result failing_##name parameters                                                        \
    {                                                                                              \
        if (strikes(TEST_CALL_##name))                                                             \
            return (result)(intptr_t)failure();                                                    \
        return tmf_io_system.name arguments;                                                       \
    }
TMF_IO_CALLS(TEST_CALL)
#undef TEST_CALL

/* The kernel lets go of a descriptor whatever close says, and so do we; likewise of a mapping. */
static int closing_close(int fd)
{
    int result = tmf_io_system.close(fd);
    return strikes(TEST_CALL_close) ? failure() : result;
}

static int closing_munmap(void *at, size_t size)
{
    int result = tmf_io_system.munmap(at, size);
    return strikes(TEST_CALL_munmap) ? failure() : result;
}

static size_t half(size_t size)
{
    return (size + 1) / 2;
}

static ssize_t short_pread(int fd, void *to, size_t size, off_t at)
{
    return tmf_io_system.pread(fd, to, strikes(TEST_CALL_pread) ? half(size) : size, at);
}

static ssize_t short_pwrite(int fd, const void *from, size_t size, off_t at)
{
    return tmf_io_system.pwrite(fd, from, strikes(TEST_CALL_pwrite) ? half(size) : size, at);
}

static int counted_fdatasync(int fd)
{
    (void)fd;
    return strikes(TEST_CALL_fdatasync) ? failure() : 0;
}

static int counted_fsync(int fd)
{
    (void)fd;
    return strikes(TEST_CALL_fsync) ? failure() : 0;
}

static struct tmf_io table = {
#define TEST_CALL(result, name, parameters, arguments) .name = failing_##name,
    TMF_IO_CALLS(TEST_CALL)
#undef TEST_CALL
};

void test_calls_use(const struct test_fault *new_fault)
{
    armed = new_fault;
    if (new_fault)
        fault = *new_fault;
    for (unsigned call = 0; call <= TEST_CALL_ANY; call++)
        atomic_store(&made[call], 0);
    atomic_store(&struck, false);
    bool is_short = new_fault && new_fault->kind == TEST_SHORT;
    table.pread = is_short ? short_pread : failing_pread;
    table.pwrite = is_short ? short_pwrite : failing_pwrite;
    table.close = closing_close;
    table.munmap = closing_munmap;
    table.fdatasync = counted_fdatasync;
    table.fsync = counted_fsync;
    tmf_io = &table;
}

bool test_calls_struck(void)
{
    return atomic_load(&struck);
}

unsigned test_calls_made(enum test_call call)
{
    return atomic_load(&made[call]);
}

const char *test_call_name(enum test_call call)
{
    return names[call];
}
