/* SPDX-License-Identifier: MIT */
/* The system's own calls behind the table of io.h. */
#include "txn/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

/* open(2) is variadic; the table's entry is not. */
static int open_with_mode(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

/* So are those of fcntl(2) and ioctl(2); userfaultfd(2) has no function in the C library. */
static int fcntl_with_lock(int fd, int command, struct flock *lock)
{
    return fcntl(fd, command, lock);
}

static int ioctl_with_pointer(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

/* The C library's parameter has a type of its own in C++ and C with extensions. */
static int getrusage_of(int who, struct rusage *out)
{
    return getrusage(who, out);
}

static int open_userfaultfd(int flags)
{
    return (int)syscall(SYS_userfaultfd, flags);
}

const struct tmf_io tmf_io_system = {
    .open = open_with_mode,
    .close = close,
    .fstat = fstat,
    .pread = pread,
    .pwrite = pwrite,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .fallocate = fallocate,
    .rename = rename,
    .unlink = unlink,
    .flock = flock,
    .fcntl_lock = fcntl_with_lock,
    .ioctl = ioctl_with_pointer,
    .userfaultfd = open_userfaultfd,
    .mmap = mmap,
    .munmap = munmap,
    .mprotect = mprotect,
    .mlock = mlock,
    .munlock = munlock,
    .madvise = madvise,
    .getrandom = getrandom,
    .getrusage = getrusage_of,
    .nanosleep = nanosleep,
    .sigaction = sigaction,
};

const struct tmf_io *tmf_io = &tmf_io_system;
