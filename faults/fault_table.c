/* SPDX-License-Identifier: MIT */
/*
 * What each system call may do other than what it was asked for, and why; after the manual pages.
 * Not here is what only a mistake of the library could cause (EBADF, EFAULT, most of EINVAL).
 */
#include <errno.h>
#include <string.h>

#include "faults/io_faults.h"

/* The name is taken before the errno's own macro is expanded. */
#define FAIL(call, error, spans, reason)                                                           \
    {                                                                                              \
        FAULTS_CALL_##call, FAULTS_FAIL, error, #error, spans, FAULTS_MAY_FAIL, reason             \
    }
#define BEAR(call, error, spans, reason)                                                           \
    {                                                                                              \
        FAULTS_CALL_##call, FAULTS_FAIL, error, #error, spans, FAULTS_MUST_GO_ON, reason           \
    }
#define LOSE(call, error, reason)                                                                  \
    {                                                                                              \
        FAULTS_CALL_##call, FAULTS_LOSE, error, #error, FAULTS_BOTH, FAULTS_MAY_FAIL, reason       \
    }

static const struct faults_row rows[] = {
    FAIL(open, EMFILE, FAULTS_BOTH, "the process has as many descriptors as it may"),
    FAIL(open, ENOSPC, FAULTS_BOTH, "a new file, and no room for it in its folder"),
    FAIL(open, EACCES, FAULTS_BOTH, "permissions, which may change, or a sandbox over /proc"),
    FAIL(open, EIO, FAULTS_BOTH, "the folder or the inode cannot be read"),
    FAIL(open, ENFILE, FAULTS_BOTH, "the system has as many open files as it may"),
    FAIL(open, ENOMEM, FAULTS_BOTH, "no memory in the kernel"),
    FAIL(open, EDQUOT, FAULTS_BOTH, "a new file, and the user's share of the disk is full"),
    FAIL(open, EROFS, FAULTS_BOTH, "the file system was made read-only after an error"),
    BEAR(open, EINTR, FAULTS_ONCE, "a signal while a slow file system was asked"),
    BEAR(close, EIO, FAULTS_BOTH, "of an earlier write; the descriptor is gone all the same"),
    BEAR(close, ENOSPC, FAULTS_BOTH, "likewise, over NFS"),
    BEAR(close, EINTR, FAULTS_BOTH, "a signal; the descriptor is gone all the same"),
    FAIL(fstat, EIO, FAULTS_BOTH, "a network file system cannot be asked"),
    FAIL(fstat, ENOMEM, FAULTS_BOTH, "no memory in the kernel"),
    FAIL(pread, EIO, FAULTS_BOTH, "the medium cannot be read"),
    FAIL(pread, ENOMEM, FAULTS_BOTH, "no memory for the page in the kernel"),
    BEAR(pread, EINTR, FAULTS_ONCE, "a signal before anything was read"),
    {FAULTS_CALL_pread, FAULTS_ONE, 0, "one", FAULTS_ONCE, FAULTS_MUST_GO_ON,
     "a signal, or a bad sector behind"},
    {FAULTS_CALL_pread, FAULTS_HALF, 0, "half", FAULTS_BOTH, FAULTS_MUST_GO_ON,
     "a signal, or a bad sector behind"},
    FAIL(pwrite, ENOSPC, FAULTS_BOTH, "the disk is full"),
    FAIL(pwrite, EDQUOT, FAULTS_BOTH, "the user's share of the disk is full"),
    FAIL(pwrite, EROFS, FAULTS_BOTH, "the file system was made read-only after an error"),
    FAIL(pwrite, EIO, FAULTS_BOTH, "the page to be changed in part cannot be read"),
    FAIL(pwrite, EFBIG, FAULTS_BOTH, "RLIMIT_FSIZE, or the file system's limit"),
    BEAR(pwrite, EINTR, FAULTS_ONCE, "a signal before anything was written"),
    {FAULTS_CALL_pwrite, FAULTS_ONE, 0, "one", FAULTS_ONCE, FAULTS_MUST_GO_ON,
     "a signal, or the disk's last bytes"},
    {FAULTS_CALL_pwrite, FAULTS_HALF, 0, "half", FAULTS_BOTH, FAULTS_MUST_GO_ON,
     "a signal, or the disk's last bytes"},
    {FAULTS_CALL_pwrite, FAULTS_NOTHING, EIO, "nothing", FAULTS_BOTH, FAULTS_MAY_FAIL,
     "not for a file on a disk, but no standard forbids it; an endless loop would be wrong"},
    LOSE(fdatasync, EIO, "writing back failed, now or since the last sync"),
    LOSE(fdatasync, ENOSPC, "no room for what was written without asking for it, as over NFS"),
    LOSE(fdatasync, EDQUOT, "the same, for the user's share"),
    FAIL(fdatasync, EINTR, FAULTS_BOTH, "a signal; nothing is lost, but nobody knows"),
    LOSE(fsync, EIO, "writing back failed, now or since the last sync"),
    LOSE(fsync, ENOSPC, "no room for what was written without asking for it, as over NFS"),
    LOSE(fsync, EDQUOT, "the same, for the user's share"),
    FAIL(fsync, EINTR, FAULTS_BOTH, "a signal; nothing is lost, but nobody knows"),
    FAIL(ftruncate, ENOSPC, FAULTS_BOTH, "no room for the file system's own records"),
    FAIL(ftruncate, EROFS, FAULTS_BOTH, "the file system was made read-only after an error"),
    FAIL(ftruncate, EIO, FAULTS_BOTH, "the inode cannot be changed"),
    FAIL(ftruncate, EFBIG, FAULTS_BOTH, "RLIMIT_FSIZE, or the file system's limit"),
    FAIL(ftruncate, EINTR, FAULTS_ONCE, "a signal while it waited"),
    FAIL(fallocate, ENOSPC, FAULTS_BOTH, "the disk is full"),
    FAIL(fallocate, EOPNOTSUPP, FAULTS_BOTH, "not every file system has it"),
    FAIL(fallocate, EIO, FAULTS_BOTH, "the inode cannot be changed"),
    FAIL(fallocate, EFBIG, FAULTS_BOTH, "RLIMIT_FSIZE, or the file system's limit"),
    FAIL(fallocate, EDQUOT, FAULTS_BOTH, "the user's share of the disk is full"),
    FAIL(fallocate, EINTR, FAULTS_ONCE, "a signal while it waited"),
    FAIL(fallocate, ENOSYS, FAULTS_BOTH, "a sandbox, or a kernel without it"),
    FAIL(rename, EIO, FAULTS_BOTH, "the folder cannot be changed"),
    FAIL(rename, ENOSPC, FAULTS_BOTH, "no room for a longer folder"),
    FAIL(rename, EDQUOT, FAULTS_BOTH, "the same, for the user's share"),
    FAIL(rename, ENOMEM, FAULTS_BOTH, "no memory in the kernel"),
    FAIL(rename, EROFS, FAULTS_BOTH, "the file system was made read-only after an error"),
    FAIL(rename, EACCES, FAULTS_BOTH, "permissions of the folder, which may change"),
    FAIL(unlink, EIO, FAULTS_BOTH, "the folder cannot be changed"),
    FAIL(unlink, EROFS, FAULTS_BOTH, "the file system was made read-only after an error"),
    FAIL(unlink, ENOMEM, FAULTS_BOTH, "no memory in the kernel"),
    FAIL(unlink, EACCES, FAULTS_BOTH, "permissions of the folder, which may change"),
    BEAR(flock, EINTR, FAULTS_ONCE, "a signal while it waited"),
    FAIL(flock, ENOLCK, FAULTS_BOTH, "no memory for a lock; to let go of one needs none"),
    BEAR(fcntl_lock, EINTR, FAULTS_ONCE, "a signal while it waited"),
    FAIL(fcntl_lock, ENOLCK, FAULTS_BOTH, "too many locks; to let go of ours needs none more"),
    FAIL(ioctl, ENOMEM, FAULTS_BOTH, "no memory in the kernel: it splits mappings"),
    FAIL(ioctl, EAGAIN, FAULTS_BOTH, "the mappings of the process are changing"),
    FAIL(scan, ENOMEM, FAULTS_BOTH, "no memory for what it found"),
    BEAR(scan, EINTR, FAULTS_ONCE, "a signal during a long scan"),
    FAIL(userfaultfd, EPERM, FAULTS_BOTH, "a sandbox, or vm.unprivileged_userfaultfd"),
    FAIL(userfaultfd, EMFILE, FAULTS_BOTH, "the process has as many descriptors as it may"),
    FAIL(userfaultfd, ENFILE, FAULTS_BOTH, "the system has as many open files as it may"),
    FAIL(userfaultfd, ENOMEM, FAULTS_BOTH, "no memory in the kernel"),
    FAIL(userfaultfd, ENOSYS, FAULTS_BOTH, "a kernel without it"),
    FAIL(mmap, ENOMEM, FAULTS_BOTH, "vm.max_map_count, RLIMIT_AS, or no memory"),
    FAIL(mmap, EAGAIN, FAULTS_BOTH, "too much memory is locked, see mlockall"),
    FAIL(mmap, ENFILE, FAULTS_BOTH, "the system has as many open files as it may"),
    FAIL(mmap, ENODEV, FAULTS_BOTH, "a file system that cannot map"),
    BEAR(munmap, ENOMEM, FAULTS_BOTH,
         "vm.max_map_count, where it would split; ours does not, so "
         "it is done and the error only told"),
    FAIL(mprotect, ENOMEM, FAULTS_BOTH, "it splits a mapping: vm.max_map_count"),
    BEAR(mlock, ENOMEM, FAULTS_BOTH, "RLIMIT_MEMLOCK, or it splits a mapping: vm.max_map_count"),
    BEAR(mlock, EAGAIN, FAULTS_BOTH, "not all of it could be locked"),
    BEAR(mlock, EPERM, FAULTS_BOTH, "RLIMIT_MEMLOCK is 0"),
    BEAR(munlock, ENOMEM, FAULTS_BOTH, "it splits a mapping: vm.max_map_count"),
    BEAR(munlock, EAGAIN, FAULTS_BOTH, "the kernel lacks something for a moment"),
    FAIL(madvise, ENOMEM, FAULTS_BOTH, "it splits a mapping: vm.max_map_count"),
    FAIL(madvise, EAGAIN, FAULTS_BOTH, "the kernel lacks something for a moment"),
    BEAR(getrandom, EINTR, FAULTS_ONCE, "a signal early after the boot"),
    FAIL(getrandom, ENOSYS, FAULTS_BOTH, "a sandbox"),
    BEAR(getrusage, EINVAL, FAULTS_BOTH, "a kernel without RUSAGE_THREAD"),
    BEAR(nanosleep, EINTR, FAULTS_BOTH, "a signal"),
    FAIL(sigaction, EINVAL, FAULTS_BOTH, "a sandbox that keeps SIGSEGV for itself"),
    FAIL(memory, ENOMEM, FAULTS_BOTH, "RLIMIT_AS, or no memory"),
    FAIL(room, ENOSPC, FAULTS_BOTH, "the disk is full: also stores into holes fail, by SIGBUS"),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const char *const names[FAULTS_CALLS] = {
#define NAME(result, name, parameters, arguments) #name,
    TMF_IO_CALLS(NAME)
#undef NAME
        "scan",
    "memory",
    "room",
};

const struct faults_row *faults_row_at(size_t n)
{
    return n < ROW_COUNT ? &rows[n] : NULL;
}

const struct faults_row *faults_row_find(const char *call, const char *name)
{
    for (size_t n = 0; n < ROW_COUNT; n++) {
        if (strcmp(names[rows[n].call], call) == 0 && strcmp(rows[n].name, name) == 0)
            return &rows[n];
    }
    return NULL;
}

const char *faults_call_name(enum faults_call call)
{
    return names[call];
}
