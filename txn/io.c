/* SPDX-License-Identifier: MIT */
/* The system's own calls behind the table of io.h. */
#include "txn/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/* open(2) is variadic; the table's entry is not. */
static int open_with_mode(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
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
    .mmap = mmap,
    .munmap = munmap,
    .mprotect = mprotect,
    .madvise = madvise,
    .getrandom = getrandom,
    .nanosleep = nanosleep,
    .sigaction = sigaction,
};

const struct tmf_io *tmf_io = &tmf_io_system;
