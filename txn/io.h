/* SPDX-License-Identifier: MIT */
/*
 * The only door to the kernel: every system call of txn/ goes through this table, so that faults/
 * can put its own in. Signatures are those of the C library; failure is -1 (or MAP_FAILED) and
 * errno. The table is swapped while no other thread uses a storage.
 */
#ifndef TMF_IO_H
#define TMF_IO_H

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* X(result, name, parameters, arguments) */
#define TMF_IO_CALLS(X)                                                                            \
    X(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode))                  \
    X(int, close, (int fd), (fd))                                                                  \
    X(int, fstat, (int fd, struct stat *out), (fd, out))                                           \
    X(ssize_t, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))               \
    X(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))    \
    X(int, fdatasync, (int fd), (fd))                                                              \
    X(int, fsync, (int fd), (fd))                                                                  \
    X(int, ftruncate, (int fd, off_t size), (fd, size))                                            \
    X(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))              \
    X(int, rename, (const char *from, const char *to), (from, to))                                 \
    X(int, unlink, (const char *path), (path))                                                     \
    X(int, flock, (int fd, int operation), (fd, operation))                                        \
    X(int, fcntl_lock, (int fd, int command, struct flock *lock), (fd, command, lock))             \
    X(int, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))        \
    X(int, userfaultfd, (int flags), (flags))                                                      \
    X(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset),      \
      (at, size, protection, flags, fd, offset))                                                   \
    X(int, munmap, (void *at, size_t size), (at, size))                                            \
    X(int, mprotect, (void *at, size_t size, int protection), (at, size, protection))              \
    X(int, mlock, (const void *at, size_t size), (at, size))                                       \
    X(int, munlock, (const void *at, size_t size), (at, size))                                     \
    X(int, madvise, (void *at, size_t size, int advice), (at, size, advice))                       \
    X(ssize_t, getrandom, (void *to, size_t size, unsigned flags), (to, size, flags))              \
    X(int, getrusage, (int who, struct rusage *out), (who, out))                                   \
    X(int, nanosleep, (const struct timespec *wish, struct timespec *left), (wish, left))          \
    X(int, sigaction, (int signal, const struct sigaction *act, struct sigaction *old),            \
      (signal, act, old))

struct tmf_io {
#define TMF_IO_MEMBER(result, name, parameters, arguments) result(*name) parameters;
    TMF_IO_CALLS(TMF_IO_MEMBER)
#undef TMF_IO_MEMBER
};

extern const struct tmf_io tmf_io_system; /* the system's own calls */
extern const struct tmf_io *tmf_io;       /* the table in use; at first tmf_io_system */

#endif
