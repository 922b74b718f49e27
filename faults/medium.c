/* SPDX-License-Identifier: MIT */
#include "faults/medium.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE      ((size_t)4096)
#define FILES     8u
#define FILE_MOST ((size_t)8 << 20) /* bytes of a file */
#define PAGES     (FILE_MOST / PAGE)

struct file {
    bool used;
    dev_t device;
    ino_t inode;
    size_t pages; /* of which something is known: none behind them */
    bool lost[PAGES];
    unsigned char durable[FILE_MOST];
    unsigned char shown[FILE_MOST]; /* of a lost page: what the page cache had */
};

/* Shared with children. Untouched pages of it cost nothing. */
static struct medium {
    bool follows, has_lost, too_large;
    struct file files[FILES];
} * medium;

int medium_init(void)
{
    void *shared = mmap(NULL, sizeof(*medium), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    medium = shared;
    return 0;
}

void medium_forget(void)
{
    (void)madvise(medium, sizeof(*medium), MADV_REMOVE);
}

void medium_follow(bool wanted)
{
    medium->follows = wanted;
}

static struct file *find(dev_t device, ino_t inode)
{
    for (size_t n = 0; n < FILES; n++) {
        struct file *file = &medium->files[n];
        if (file->used && file->device == device && file->inode == inode)
            return file;
    }
    return NULL;
}

static struct file *add(const struct stat *status)
{
    for (size_t n = 0; n < FILES; n++) {
        struct file *file = &medium->files[n];
        if (!file->used) {
            file->used = true;
            file->device = status->st_dev;
            file->inode = status->st_ino;
            return file;
        }
    }
    medium->too_large = true;
    return NULL;
}

/* The file of a descriptor, its size; NULL: not followed, or a folder. */
static struct file *file_of(int fd, size_t *size)
{
    struct stat status;
    if (!medium || !medium->follows || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return NULL;
    if ((size_t)status.st_size > FILE_MOST) {
        medium->too_large = true;
        return NULL;
    }
    if (size)
        *size = (size_t)status.st_size;
    struct file *file = find(status.st_dev, status.st_ino);
    return file ? file : add(&status);
}

/* A page of the file, with zeroes behind its end. */
static void read_page(int fd, size_t page, unsigned char to[PAGE])
{
    memset(to, 0, PAGE);
    (void)!pread(fd, to, PAGE, (off_t)(page * PAGE));
}

/* Whether a page that was lost still is, now that it holds `now`. */
static bool is_lost(struct file *file, size_t page, const unsigned char now[PAGE])
{
    if (file->lost[page] && memcmp(file->shown + page * PAGE, now, PAGE) != 0)
        file->lost[page] = false;
    return file->lost[page];
}

static void each_page(int fd, void visit(struct file *, size_t page, const unsigned char now[PAGE]))
{
    size_t size = 0;
    unsigned char now[PAGE];
    struct file *file = file_of(fd, &size);
    for (size_t page = 0; file && page * PAGE < size; page++) {
        read_page(fd, page, now);
        if (!is_lost(file, page, now))
            visit(file, page, now);
    }
    if (file && file->pages * PAGE < size)
        file->pages = (size + PAGE - 1) / PAGE;
}

static void keep(struct file *file, size_t page, const unsigned char now[PAGE])
{
    if (memcmp(file->durable + page * PAGE, now, PAGE) != 0)
        memcpy(file->durable + page * PAGE, now, PAGE);
}

static void lose(struct file *file, size_t page, const unsigned char now[PAGE])
{
    if (memcmp(file->durable + page * PAGE, now, PAGE) == 0)
        return;
    memcpy(file->shown + page * PAGE, now, PAGE);
    file->lost[page] = true;
    medium->has_lost = true;
}

void medium_synced(int fd)
{
    each_page(fd, keep);
}

void medium_lost(int fd)
{
    each_page(fd, lose);
}

void medium_written(int fd, off_t at, size_t size)
{
    struct file *file = medium && medium->has_lost ? file_of(fd, NULL) : NULL;
    for (size_t page = (size_t)at / PAGE; file && page < PAGES && page * PAGE < (size_t)at + size;
         page++)
        file->lost[page] = false;
}

static void forget_from(struct file *file, size_t page)
{
    for (; page < file->pages; page++) {
        file->lost[page] = false;
        memset(file->durable + page * PAGE, 0, PAGE);
    }
}

void medium_cut(int fd, off_t size)
{
    struct file *file = file_of(fd, NULL);
    if (file)
        forget_from(file, ((size_t)size + PAGE - 1) / PAGE);
}

void medium_unlinked(const char *path)
{
    struct stat status;
    if (!medium || !medium->follows || stat(path, &status) != 0)
        return;
    struct file *file = find(status.st_dev, status.st_ino);
    if (!file)
        return;
    forget_from(file, 0);
    file->pages = 0;
    file->used = false;
}

bool medium_has_lost(void)
{
    return medium->has_lost || medium->too_large;
}

int medium_show(const char *path, dev_t device, ino_t inode)
{
    struct file *file = find(device, inode);
    unsigned char now[PAGE];
    if (medium->too_large)
        return EFBIG;
    if (!file)
        return 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = 0;
    for (size_t page = 0; !error && page < file->pages; page++) {
        if (!file->lost[page])
            continue;
        read_page(fd, page, now);
        if (is_lost(file, page, now) &&
            pwrite(fd, file->durable + page * PAGE, PAGE, (off_t)(page * PAGE)) != (ssize_t)PAGE)
            error = errno;
    }
    (void)close(fd);
    return error;
}
