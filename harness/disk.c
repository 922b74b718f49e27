/* SPDX-License-Identifier: MIT */
#include "harness/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGE 4096u

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* A user who is no root is root in a namespace, as himself. */
static bool own_namespace(void)
{
    char users[64], groups[64];
    snprintf(users, sizeof(users), "0 %u 1", getuid());
    snprintf(groups, sizeof(groups), "0 %u 1", getgid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users) &&
           write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", groups);
}

int disk_mount(const char *folder)
{
    if (!own_namespace() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, NULL) != 0)
        return errno;
    return disk_resize(folder, DISK_AMPLE);
}

int disk_resize(const char *folder, uint64_t pages)
{
    char size[64];
    snprintf(size, sizeof(size), "size=%" PRIu64, pages * PAGE);
    return mount(NULL, folder, NULL, MS_REMOUNT, size) == 0 ? 0 : errno;
}

uint64_t disk_used(const char *folder)
{
    struct statvfs disk;
    return statvfs(folder, &disk) == 0 ? disk.f_blocks - disk.f_bfree : 0;
}

void disk_unmount(const char *folder)
{
    umount2(folder, MNT_DETACH);
}
