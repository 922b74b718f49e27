/* SPDX-License-Identifier: MIT */
#include "faults/io_faults.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "faults/medium.h"

#define STACK_DEPTH 12 /* of calls: what leads to one is told apart by that many */

/* Shared with children. */
struct counts {
    _Atomic uint64_t made[FAULTS_CALLS];
    _Atomic uint64_t struck;
    uint64_t places[FAULTS_CALLS][FAULTS_PLACES];
};

static struct counts *counts; /* NULL: not switched on */
static struct faults_fault armed;
static bool suspended;

int faults_io_init(void)
{
    void *shared =
        mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    counts = shared;
    void *stack[1];
    (void)backtrace(stack, 1); /* the first one loads what it needs, with memory of its own */
    return medium_init();
}

void faults_io_arm(const struct faults_fault *fault)
{
    armed = *fault;
    suspended = false;
    for (size_t call = 0; call < FAULTS_CALLS; call++)
        atomic_store(&counts->made[call], 0);
    atomic_store(&counts->struck, 0);
    medium_forget();
    medium_follow(armed.row && armed.row->kind == FAULTS_LOSE);
}

void faults_io_suspend(bool wanted)
{
    suspended = wanted;
}

uint64_t faults_io_made(enum faults_call call)
{
    return atomic_load(&counts->made[call]);
}

uint64_t faults_io_struck(void)
{
    return atomic_load(&counts->struck);
}

uint64_t faults_io_place(enum faults_call call, uint64_t nth)
{
    return nth > 0 && nth <= FAULTS_PLACES && nth <= faults_io_made(call)
               ? counts->places[call][nth - 1]
               : 0;
}

/* The way to here as a number (FNV-1a over the return addresses). */
static uint64_t find_place(void)
{
    void *stack[STACK_DEPTH];
    uint64_t place = 0xcbf29ce484222325u;
    int depth = backtrace(stack, STACK_DEPTH);
    for (int n = 0; n < depth; n++)
        place = (place ^ (uintptr_t)stack[n]) * 0x100000001b3u;
    return place;
}

bool faults_io_strikes(enum faults_call call)
{
    if (!counts || suspended)
        return false;
    uint64_t count = atomic_fetch_add(&counts->made[call], 1) + 1;
    if (!armed.row && count <= FAULTS_PLACES)
        counts->places[call][count - 1] = find_place();
    if (!armed.row || armed.row->call != call || count < armed.nth)
        return false;
    if (count > armed.nth && !armed.sticky)
        return false;
    atomic_fetch_add(&counts->struck, 1);
    return true;
}

static int fail(void)
{
    errno = armed.row->error;
    return -1;
}

#define FAILING(result, name, parameters, arguments)                                               \
    static result failing_##name parameters                                                        \
    {                                                                                              \
        if (faults_io_strikes(FAULTS_CALL_##name))                                                 \
            return (result)(intptr_t)fail();                                                       \
        return tmf_io_system.name arguments;                                                       \
    }
TMF_IO_CALLS(FAILING)

/* ---- calls that are done though they fail */

static int closing_close(int fd)
{
    int result = tmf_io_system.close(fd);
    return faults_io_strikes(FAULTS_CALL_close) ? fail() : result;
}

static int unmapping_munmap(void *at, size_t size)
{
    int result = tmf_io_system.munmap(at, size);
    return faults_io_strikes(FAULTS_CALL_munmap) ? fail() : result;
}

/* ---- calls that are not always to fail: letting go of a lock needs no memory and no time */

static int locking_flock(int fd, int operation)
{
    if (!(operation & LOCK_UN) && faults_io_strikes(FAULTS_CALL_flock))
        return fail();
    return tmf_io_system.flock(fd, operation);
}

static int locking_fcntl_lock(int fd, int command, struct flock *lock)
{
    if (lock->l_type != F_UNLCK && faults_io_strikes(FAULTS_CALL_fcntl_lock))
        return fail();
    return tmf_io_system.fcntl_lock(fd, command, lock);
}

/* ---- calls that are several in one */

static int parted_ioctl(int fd, unsigned long request, void *argument)
{
    bool scans = _IOC_TYPE(request) == 'f';
    if (faults_io_strikes(scans ? FAULTS_CALL_scan : FAULTS_CALL_ioctl))
        return fail();
    return tmf_io_system.ioctl(fd, request, argument);
}

/* ---- calls that may do less */

/* What a file of /proc gives comes in whole words. */
static size_t least_of(int fd)
{
    struct stat status;
    bool is_proc = fstat(fd, &status) == 0 && status.st_size == 0;
    return is_proc ? sizeof(uint64_t) : 1;
}

static size_t shorten(int fd, size_t size)
{
    size_t least = least_of(fd);
    if (armed.row->kind == FAULTS_NOTHING)
        return 0;
    size_t shorter = armed.row->kind == FAULTS_HALF ? size / 2 / least * least : least;
    return shorter == 0 || shorter > size ? size : shorter;
}

static ssize_t shorter_pread(int fd, void *to, size_t size, off_t at)
{
    if (faults_io_strikes(FAULTS_CALL_pread)) {
        if (armed.row->kind == FAULTS_FAIL)
            return fail();
        size = shorten(fd, size);
    }
    return tmf_io_system.pread(fd, to, size, at);
}

static ssize_t shorter_pwrite(int fd, const void *from, size_t size, off_t at)
{
    if (faults_io_strikes(FAULTS_CALL_pwrite)) {
        if (armed.row->kind == FAULTS_FAIL)
            return fail();
        size = shorten(fd, size);
        if (size == 0)
            return 0;
    }
    ssize_t put = tmf_io_system.pwrite(fd, from, size, at);
    if (put > 0)
        medium_written(fd, at, (size_t)put);
    return put;
}

/* ---- what becomes of the medium */

static int sync_file(enum faults_call call, int fd)
{
    if (!faults_io_strikes(call)) {
        medium_synced(fd);
        return 0;
    }
    if (armed.row->kind == FAULTS_LOSE)
        medium_lost(fd);
    return fail();
}

static int losing_fdatasync(int fd)
{
    return sync_file(FAULTS_CALL_fdatasync, fd);
}

static int losing_fsync(int fd)
{
    return sync_file(FAULTS_CALL_fsync, fd);
}

static int cutting_ftruncate(int fd, off_t size)
{
    if (faults_io_strikes(FAULTS_CALL_ftruncate))
        return fail();
    int result = tmf_io_system.ftruncate(fd, size);
    if (result == 0)
        medium_cut(fd, size);
    return result;
}

static int forgetting_unlink(const char *path)
{
    if (faults_io_strikes(FAULTS_CALL_unlink))
        return fail();
    medium_unlinked(path);
    return tmf_io_system.unlink(path);
}

/* ---- the table */

static struct tmf_io table = {
#define ENTRY(result, name, parameters, arguments) .name = failing_##name,
    TMF_IO_CALLS(ENTRY)
#undef ENTRY
};

void faults_io_install(void)
{
    table.close = closing_close;
    table.munmap = unmapping_munmap;
    table.flock = locking_flock;
    table.fcntl_lock = locking_fcntl_lock;
    table.ioctl = parted_ioctl;
    table.pread = shorter_pread;
    table.pwrite = shorter_pwrite;
    table.fdatasync = losing_fdatasync;
    table.fsync = losing_fsync;
    table.ftruncate = cutting_ftruncate;
    table.unlink = forgetting_unlink;
    tmf_io = &table;
}
