/* SPDX-License-Identifier: MIT */
/* See disk_watch.h. Runs in signal handlers too: no memory is asked for but by mmap. */
#include "faults/disk_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/io_points.h"
#include "faults/points.h"
#include "faults/schedule.h"
#include "faults/sim_disk.h"
#include "txn/io.h"

#define DESCRIPTORS 1024
#define NOT_OURS    UINT32_MAX
#define THE_FOLDER  (UINT32_MAX - 1)
#define SEEN_BYTES  (DISK_FILES * DISK_FILE_BYTES)

/* What is known of a file, by all who are recorded. */
struct watched {
    uint64_t size;
    bool is_shared; /* it was mapped, and may change by stores */
};

/* In memory that is shared with children. */
struct common {
    struct disk_events *events;
    unsigned char *seen; /* what each file held at the last step, DISK_FILE_BYTES of each */
    char folder[256];
    uint32_t names[DISK_NAMES]; /* files */
    struct watched files[DISK_FILES];
    uint32_t file_count;
    uint64_t steps, seed, draws;
};
static struct common *watch;

/* Of this process. */
static struct {
    uint32_t number;
    uint32_t descriptors[DESCRIPTORS]; /* files */
    unsigned char *views[DISK_FILES];  /* of the files themselves, those that it has opened */
    const char *where;
} own;

static const struct tmf_io watching;

static void add(struct disk_event event)
{
    event.process = own.number;
    disk_events_add(watch->events, &event);
}

/* ---- stores */

static unsigned char *seen_of(uint32_t number)
{
    return watch->seen + number * DISK_FILE_BYTES;
}

static void note_store(uint32_t number, uint64_t at)
{
    unsigned char *seen = seen_of(number) + at;
    const unsigned char *now = own.views[number] + at;
    uint64_t left = watch->files[number].size - at;
    uint64_t size = left < DISK_PAGE ? left : DISK_PAGE;
    if (memcmp(now, seen, size) == 0)
        return;
    memcpy(seen, now, size);
    disk_events_tick(watch->events);
    add((struct disk_event){.kind = DISK_WRITE,
                            .file = number,
                            .at = at,
                            .size = size,
                            .bytes = seen,
                            .is_store = true,
                            .where = own.where});
}

void disk_watch_step(const char *where)
{
    watch->steps++;
    for (uint32_t number = 0; number < watch->file_count; number++) {
        const struct watched *file = &watch->files[number];
        bool may_change = file->is_shared && own.views[number];
        for (uint64_t at = 0; may_change && at < file->size; at += DISK_PAGE)
            note_store(number, at);
    }
    own.where = where;
}

static void step_at_point(size_t n)
{
    disk_watch_step(faults_point_at(n)->name);
}

/* ---- names and descriptors */

static uint32_t file_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS ? own.descriptors[fd] : NOT_OURS;
}

static bool is_inside(const char *path)
{
    size_t length = strlen(watch->folder);
    return strncmp(path, watch->folder, length) == 0 && path[length] == '/';
}

static void name_it(const char *path, uint32_t file)
{
    uint32_t name = disk_events_name(watch->events, path);
    if (name == DISK_NAMES)
        return;
    watch->names[name] = file;
    add((struct disk_event){.kind = DISK_NAME, .name = name, .file = file, .where = own.where});
}

static uint32_t add_file(const char *path)
{
    if (watch->file_count == DISK_FILES) {
        watch->events->is_full = true;
        return NOT_OURS;
    }
    disk_events_tick(watch->events);
    name_it(path, watch->file_count);
    return watch->file_count++;
}

/* Whoever may store into a file has opened it. A mapping keeps its open file, and the locks of
 * that, so it has one of its own. */
static void view(const char *path, uint32_t number)
{
    if (number >= DISK_FILES || own.views[number])
        return;
    int fd = tmf_io_system.open(path, O_RDONLY | O_CLOEXEC, 0);
    void *all = fd < 0 ? MAP_FAILED : mmap(NULL, DISK_FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (all == MAP_FAILED)
        watch->events->is_full = true;
    else
        own.views[number] = all;
    if (fd >= 0)
        (void)tmf_io_system.close(fd);
}

static uint32_t number_for(const char *path, int flags)
{
    if (!is_inside(path))
        return NOT_OURS;
    if (flags & O_DIRECTORY)
        return THE_FOLDER;
    uint32_t name = disk_events_name(watch->events, path);
    if (name == DISK_NAMES)
        return NOT_OURS;
    return watch->names[name] == DISK_NO_FILE ? add_file(path) : watch->names[name];
}

static int watch_open(const char *path, int flags, mode_t mode)
{
    disk_watch_step("open");
    int fd = tmf_io_system.open(path, flags, mode);
    int error = errno;
    if (fd >= 0 && fd < DESCRIPTORS) {
        own.descriptors[fd] = number_for(path, flags);
        view(path, own.descriptors[fd]);
    }
    disk_watch_step("open");
    errno = error;
    return fd;
}

static int watch_close(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        own.descriptors[fd] = NOT_OURS;
    disk_watch_step("close");
    return tmf_io_system.close(fd);
}

static int watch_rename(const char *from, const char *to)
{
    disk_watch_step("rename");
    int result = tmf_io_system.rename(from, to);
    int error = errno;
    if (result == 0 && is_inside(from) && is_inside(to)) {
        uint32_t name = disk_events_name(watch->events, from);
        disk_events_tick(watch->events);
        if (name < DISK_NAMES)
            name_it(to, watch->names[name]);
        name_it(from, DISK_NO_FILE);
    }
    disk_watch_step("rename");
    errno = error;
    return result;
}

static int watch_unlink(const char *path)
{
    disk_watch_step("unlink");
    int result = tmf_io_system.unlink(path);
    int error = errno;
    if (result == 0 && is_inside(path)) {
        disk_events_tick(watch->events);
        name_it(path, DISK_NO_FILE);
    }
    disk_watch_step("unlink");
    errno = error;
    return result;
}

/* ---- content and size */

static void note_size(uint32_t number, uint64_t size)
{
    struct watched *file = &watch->files[number];
    if (size > DISK_FILE_BYTES) {
        watch->events->is_full = true;
        return;
    }
    if (size < file->size)
        memset(seen_of(number) + size, 0, file->size - size);
    file->size = size;
    add((struct disk_event){.kind = DISK_SIZE, .file = number, .size = size, .where = own.where});
}

static void note_write(uint32_t number, uint64_t at, const void *bytes, uint64_t size)
{
    disk_events_tick(watch->events);
    if (at + size > watch->files[number].size)
        note_size(number, at + size);
    if (watch->events->is_full)
        return;
    memcpy(seen_of(number) + at, bytes, size);
    add((struct disk_event){.kind = DISK_WRITE,
                            .file = number,
                            .at = at,
                            .size = size,
                            .bytes = bytes,
                            .where = own.where});
}

static ssize_t watch_pwrite(int fd, const void *from, size_t size, off_t at)
{
    disk_watch_step("pwrite");
    ssize_t put = tmf_io_system.pwrite(fd, from, size, at);
    int error = errno;
    uint32_t number = file_of(fd);
    if (put > 0 && number < DISK_FILES)
        note_write(number, (uint64_t)at, from, (uint64_t)put);
    disk_watch_step("pwrite");
    errno = error;
    return put;
}

static int watch_ftruncate(int fd, off_t size)
{
    disk_watch_step("ftruncate");
    int result = tmf_io_system.ftruncate(fd, size);
    int error = errno;
    uint32_t number = file_of(fd);
    if (result == 0 && number < DISK_FILES) {
        disk_events_tick(watch->events);
        note_size(number, (uint64_t)size);
    }
    disk_watch_step("ftruncate");
    errno = error;
    return result;
}

static int sync_of(int fd, bool data_only)
{
    const char *where = data_only ? "fdatasync" : "fsync";
    disk_watch_step(where);
    uint32_t number = file_of(fd);
    disk_events_tick(watch->events);
    if (number == THE_FOLDER)
        add((struct disk_event){.kind = DISK_SYNC_FOLDER, .where = where});
    else if (number < DISK_FILES)
        add((struct disk_event){
            .kind = DISK_SYNC, .file = number, .data_only = data_only, .where = where});
    disk_watch_step(where);
    return 0;
}

static int watch_fdatasync(int fd)
{
    return sync_of(fd, true);
}

static int watch_fsync(int fd)
{
    return sync_of(fd, false);
}

static void *watch_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    disk_watch_step("mmap");
    void *got = tmf_io_system.mmap(at, size, protection, flags, fd, offset);
    int error = errno;
    uint32_t number = file_of(fd);
    if (got != MAP_FAILED && (flags & MAP_SHARED) && number < DISK_FILES)
        watch->files[number].is_shared = true;
    disk_watch_step("mmap");
    errno = error;
    return got;
}

/* As large as was asked for; other numbers than those of a recovery. */
static ssize_t watch_getrandom(void *to, size_t size, unsigned flags)
{
    (void)flags;
    unsigned char *bytes = to;
    for (size_t n = 0; n < size; n++) {
        uint64_t x = watch->seed * 0x9e3779b97f4a7c15u + ++watch->draws;
        x ^= x >> 31;
        x *= 0xbf58476d1ce4e5b9u;
        bytes[n] = (unsigned char)(x >> 56);
    }
    return (ssize_t)size;
}

/* ---- all others */

#define STEPPING(result, name, parameters, arguments)                                              \
    static result stepping_##name parameters                                                       \
    {                                                                                              \
        disk_watch_step(#name);                                                                    \
        result returned = tmf_io_system.name arguments;                                            \
        int error = errno;                                                                         \
        disk_watch_step(#name);                                                                    \
        errno = error;                                                                             \
        return returned;                                                                           \
    }
STEPPING(int, fstat, (int fd, struct stat *out), (fd, out))
STEPPING(ssize_t, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
STEPPING(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
STEPPING(int, flock, (int fd, int operation), (fd, operation))
STEPPING(int, fcntl_lock, (int fd, int command, struct flock *lock), (fd, command, lock))
STEPPING(int, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))
STEPPING(int, munmap, (void *at, size_t size), (at, size))
STEPPING(int, mprotect, (void *at, size_t size, int protection), (at, size, protection))
STEPPING(int, mlock, (const void *at, size_t size), (at, size))
STEPPING(int, munlock, (const void *at, size_t size), (at, size))
STEPPING(int, madvise, (void *at, size_t size, int advice), (at, size, advice))

static int watch_userfaultfd(int flags)
{
    int fd = tmf_io_system.userfaultfd(flags);
    if (fd >= 0 && fd < DESCRIPTORS)
        own.descriptors[fd] = NOT_OURS;
    return fd;
}

static int watch_getrusage(int who, struct rusage *out)
{
    return tmf_io_system.getrusage(who, out);
}

static int watch_nanosleep(const struct timespec *wish, struct timespec *left)
{
    return tmf_io_system.nanosleep(wish, left);
}

static int watch_sigaction(int signal, const struct sigaction *act, struct sigaction *old)
{
    return tmf_io_system.sigaction(signal, act, old);
}

static const struct tmf_io watching = {
    .open = watch_open,
    .close = watch_close,
    .fstat = stepping_fstat,
    .pread = stepping_pread,
    .pwrite = watch_pwrite,
    .fdatasync = watch_fdatasync,
    .fsync = watch_fsync,
    .ftruncate = watch_ftruncate,
    .fallocate = stepping_fallocate,
    .rename = watch_rename,
    .unlink = watch_unlink,
    .flock = stepping_flock,
    .fcntl_lock = stepping_fcntl_lock,
    .ioctl = stepping_ioctl,
    .userfaultfd = watch_userfaultfd,
    .mmap = watch_mmap,
    .munmap = stepping_munmap,
    .mprotect = stepping_mprotect,
    .mlock = stepping_mlock,
    .munlock = stepping_munlock,
    .madvise = stepping_madvise,
    .getrandom = watch_getrandom,
    .getrusage = watch_getrusage,
    .nanosleep = watch_nanosleep,
    .sigaction = watch_sigaction,
};

static void *reserve(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void give_back(void)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        if (own.views[n])
            (void)munmap(own.views[n], DISK_FILE_BYTES);
        own.views[n] = NULL;
    }
    if (watch->seen)
        (void)munmap(watch->seen, SEEN_BYTES);
    (void)munmap(watch, sizeof(*watch));
    watch = NULL;
}

static int make(void)
{
    watch = reserve(sizeof(*watch));
    if (!watch)
        return ENOMEM;
    watch->seen = reserve(SEEN_BYTES);
    if (watch->seen)
        return 0;
    give_back();
    return ENOMEM;
}

int disk_watch_start(struct disk_events *events, const char *folder, uint64_t seed)
{
    size_t length = strlen(folder);
    if (length >= sizeof(watch->folder))
        return ENAMETOOLONG;
    int error = make();
    if (error)
        return error;
    watch->events = events;
    watch->seed = seed;
    memcpy(watch->folder, folder, length + 1);
    own.number = 0;
    own.where = "the beginning";
    for (size_t n = 0; n < DESCRIPTORS; n++)
        own.descriptors[n] = NOT_OURS;
    for (size_t n = 0; n < DISK_NAMES; n++)
        watch->names[n] = DISK_NO_FILE;
    tmf_io = &watching;
    faults_points_watch(step_at_point);
    return 0;
}

void disk_watch_as(uint32_t process)
{
    own.number = process;
    faults_io_points_lead(&watching);
    schedule_locks_install();
}

uint64_t disk_watch_end(void)
{
    disk_watch_step("the end");
    uint64_t steps = watch->steps;
    faults_points_watch(NULL);
    tmf_io = &tmf_io_system;
    give_back();
    return steps;
}
