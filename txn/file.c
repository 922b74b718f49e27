/* SPDX-License-Identifier: MIT */
/* See file.h. A short read or write is not an error (it happens near limits and signals), it is
 * continued where it stopped. */
#include "txn/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "alloc/point.h"
#include "tmf_errors.h"
#include "txn/io.h"

int tmf_file_read(int fd, void *to, size_t size, uint64_t at)
{
    unsigned char *bytes = to;
    while (size > 0) {
        ssize_t got = tmf_io->pread(fd, bytes, size, (off_t)at);
        if (got < 0 && errno == EINTR && !TMF_MUTANT("interrupted-read"))
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            return TMF_EWRONGSIZE;
        bytes += TMF_MUTANT("second-part-misplaced") ? 0 : got;
        size -= (size_t)got;
        at += (uint64_t)got;
    }
    return 0;
}

int tmf_file_write(int fd, const void *from, size_t size, uint64_t at)
{
    const unsigned char *bytes = from;
    while (size > 0) {
        ssize_t put = tmf_io->pwrite(fd, bytes, size, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno;
        if (put == 0)
            return EIO; /* no progress and no reason given: never loop on it */
        if (TMF_MUTANT("short-write"))
            return 0;
        bytes += put;
        size -= (size_t)put;
        at += (uint64_t)put;
    }
    return 0;
}

int tmf_file_zero(int fd, uint64_t from, uint64_t to)
{
    static const unsigned char zeroes[64 * 1024];
    while (from < to) {
        size_t size = to - from < sizeof(zeroes) ? (size_t)(to - from) : sizeof(zeroes);
        int error = tmf_file_write(fd, zeroes, size, from);
        if (error)
            return error;
        from += size;
    }
    return 0;
}

int tmf_file_size(int fd, uint64_t *out)
{
    struct stat status;
    if (tmf_io->fstat(fd, &status) != 0)
        return errno;
    *out = (uint64_t)status.st_size;
    return 0;
}

int tmf_file_open(const char *path, int flags, int *out)
{
    int fd;
    do {
        fd = tmf_io->open(path, flags | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    *out = fd;
    return 0;
}

int tmf_file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof(folder))
        return ENAMETOOLONG;
    memcpy(folder, path, length);
    folder[length] = '\0';
    int fd = -1;
    int error = tmf_file_open(length ? folder : ".", O_RDONLY | O_DIRECTORY, &fd);
    if (error)
        return error;
    error = tmf_io->fsync(fd) != 0 ? errno : 0;
    if (error && TMF_MUTANT("folder-left-open"))
        return error;
    (void)tmf_io->close(fd);
    return error;
}

int tmf_draw(void *to, size_t size)
{
    ssize_t got;
    do {
        got = tmf_io->getrandom(to, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno;
    return (size_t)got == size ? 0 : EIO; /* up to 256 bytes come whole */
}
