/* SPDX-License-Identifier: MIT */
/* See memory_fs.h. Mappings are in memory_map.c. */
#include "faults/memory_fs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/memory_map.h"
#include "faults/points.h"
#include "txn/io.h"

#define FIRST_DESCRIPTOR 100000
#define DESCRIPTORS      16
#define NOT_OPEN         UINT32_MAX
#define THE_FOLDER       (UINT32_MAX - 1)
#define UNITS_MOST       (DISK_FILE_BYTES / DISK_SECTOR)

/* Stand for units that are all zero, and for those that were changed since the image was loaded. */
static const struct disk_version zero_version, changed_version;

struct loaded {
    const struct disk_version **units; /* what each unit shows; NULL: zeroes */
    uint64_t reach;                    /* bytes from here on were never anything but zero */
};

static struct {
    struct memory_file files[DISK_FILES];
    struct loaded loaded[DISK_FILES];
    uint32_t names[DISK_NAMES]; /* files */
    uint32_t descriptors[DESCRIPTORS];
    struct disk_events *naming; /* knows the names */
    struct disk_events *record; /* NULL: nothing is recorded */
    FILE *trace;
    const char *where;
    size_t unit_size;
    uint64_t changes, draws;
    uint32_t next_file; /* this and those after it are none on the disk */
} fs = {.unit_size = DISK_PAGE, .where = "the beginning"};

static void *reserve(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int memory_fs_make(void)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        fs.files[n] = (struct memory_file){.number = n, .bytes = reserve(DISK_FILE_BYTES)};
        fs.loaded[n].units = reserve(UNITS_MOST * sizeof(struct disk_version *));
        if (!fs.files[n].bytes || !fs.loaded[n].units)
            return ENOMEM;
    }
    for (uint32_t n = 0; n < DESCRIPTORS; n++)
        fs.descriptors[n] = NOT_OPEN;
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        fs.names[n] = DISK_NO_FILE;
    return 0;
}

/* ---- what was changed */

static void note_change(struct memory_file *file, uint64_t at, uint64_t size)
{
    struct loaded *loaded = &fs.loaded[file->number];
    uint64_t end = (at + size + fs.unit_size - 1) / fs.unit_size;
    for (uint64_t n = at / fs.unit_size; n < end; n++)
        loaded->units[n] = &changed_version;
    if (loaded->reach < at + size)
        loaded->reach = at + size;
}

static void record(struct disk_event event)
{
    event.where = fs.where;
    if (fs.record)
        disk_events_add(fs.record, &event);
}

static void tick(void)
{
    fs.changes++;
    if (fs.record)
        disk_events_tick(fs.record);
}

/* A page of the mapping was stored to. */
static void note_store(struct memory_file *file, uint64_t at, uint64_t size)
{
    note_change(file, at, size);
    tick();
    record((struct disk_event){.kind = DISK_WRITE,
                               .file = file->number,
                               .at = at,
                               .size = size,
                               .bytes = file->bytes + at,
                               .is_store = true});
}

static void step(const char *where)
{
    memory_map_look(note_store);
    fs.where = where;
}

static void step_at_point(size_t n)
{
    step(faults_point_at(n)->name);
}

/* ---- loading */

static void load_unit(struct memory_file *file, uint64_t unit, const struct disk_version *version)
{
    struct loaded *loaded = &fs.loaded[file->number];
    unsigned char *to = file->bytes + unit * fs.unit_size;
    if (!version)
        version = &zero_version;
    const struct disk_version *now = loaded->units[unit] ? loaded->units[unit] : &zero_version;
    if (now == version)
        return;
    loaded->units[unit] = version;
    if (version == &zero_version)
        memset(to, 0, fs.unit_size);
    else
        memcpy(to, version->bytes, fs.unit_size);
    memory_map_file_changed(file, unit * fs.unit_size);
}

static void load_file(struct memory_file *file, const struct sim_disk *disk)
{
    struct loaded *loaded = &fs.loaded[file->number];
    file->size = sim_disk_size(disk, file->number);
    uint64_t end = file->size / fs.unit_size;
    for (uint64_t unit = 0; unit < end; unit++) {
        if (unit < disk->files[file->number].unit_count)
            load_unit(file, unit, sim_disk_unit(disk, file->number, (uint32_t)unit));
        else if (unit * fs.unit_size < loaded->reach)
            load_unit(file, unit, NULL);
        else
            break;
    }
    if (loaded->reach < end * fs.unit_size)
        loaded->reach = end * fs.unit_size;
}

/* What was loaded cannot be told any more, up to there. */
static void forget_loaded(bool all)
{
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        uint64_t end = all ? UNITS_MOST : fs.loaded[n].reach / fs.unit_size;
        for (uint64_t unit = 0; unit < end; unit++)
            fs.loaded[n].units[unit] = &changed_version;
    }
}

/* New files are other ones than all that the disk knows: their past must not show. */
static uint32_t first_unknown(const struct sim_disk *disk)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < DISK_FILES; n++) {
        if (disk->files[n].unit_count > 0 || sim_disk_size(disk, n) > 0)
            count = n + 1;
    }
    for (uint32_t n = 0; n < DISK_NAMES; n++) {
        if (fs.names[n] != DISK_NO_FILE && fs.names[n] >= count)
            count = fs.names[n] + 1;
    }
    return count;
}

void memory_fs_load(const struct sim_disk *disk)
{
    if (fs.unit_size != disk->unit_size)
        forget_loaded(true);
    fs.unit_size = disk->unit_size;
    fs.naming = disk->memory;
    for (uint32_t n = 0; n < DISK_NAMES; n++) {
        fs.names[n] = sim_disk_file_of(disk, n);
        if (fs.names[n] != DISK_NO_FILE)
            load_file(&fs.files[fs.names[n]], disk);
    }
    for (uint32_t n = 0; n < DESCRIPTORS; n++)
        fs.descriptors[n] = NOT_OPEN;
    fs.next_file = first_unknown(disk);
    fs.changes = fs.draws = 0;
    fs.where = "the beginning";
    memory_map_reset();
}

/* Versions are compared by where they are, which must not be used again for another. */
void memory_fs_forget(void)
{
    forget_loaded(false);
}

/* ---- descriptors and names */

static struct memory_file *file_of(int fd)
{
    uint32_t n = (uint32_t)fd - FIRST_DESCRIPTOR;
    return n < DESCRIPTORS && fs.descriptors[n] < DISK_FILES ? &fs.files[fs.descriptors[n]] : NULL;
}

static int descriptor_for(uint32_t what)
{
    for (uint32_t n = 0; n < DESCRIPTORS; n++) {
        if (fs.descriptors[n] != NOT_OPEN)
            continue;
        fs.descriptors[n] = what;
        return FIRST_DESCRIPTOR + (int)n;
    }
    errno = EMFILE;
    return -1;
}

/* Whatever the file held before. */
static void empty(struct memory_file *file)
{
    struct loaded *loaded = &fs.loaded[file->number];
    file->size = 0;
    memset(file->bytes, 0, loaded->reach);
    note_change(file, 0, loaded->reach);
    for (uint64_t at = 0; at < loaded->reach; at += DISK_PAGE)
        memory_map_file_changed(file, at);
}

static void name_it(uint32_t name, uint32_t file)
{
    fs.names[name] = file;
    record((struct disk_event){.kind = DISK_NAME, .name = name, .file = file});
}

static int create(uint32_t name)
{
    if (fs.next_file == DISK_FILES) {
        errno = ENOSPC;
        return -1;
    }
    uint32_t file = fs.next_file++;
    empty(&fs.files[file]);
    tick();
    name_it(name, file);
    return descriptor_for(file);
}

static void trace(const char *call, const struct memory_file *file, uint64_t at, uint64_t size)
{
    if (!fs.trace)
        return;
    const char *name = "a file without a name";
    for (uint32_t n = 0; n < fs.naming->name_count; n++) {
        if (fs.names[n] == file->number)
            name = fs.naming->names[n];
    }
    fprintf(fs.trace, "%s %s %llu %llu\n", call, name, (unsigned long long)at,
            (unsigned long long)size);
}

static int memory_open(const char *path, int flags, mode_t mode)
{
    (void)mode;
    step("open");
    if (flags & O_DIRECTORY)
        return descriptor_for(THE_FOLDER);
    uint32_t name = disk_events_name(fs.naming, path);
    if (name == DISK_NAMES) {
        errno = ENOSPC;
        return -1;
    }
    if (fs.names[name] != DISK_NO_FILE)
        return descriptor_for(fs.names[name]);
    if (flags & O_CREAT)
        return create(name);
    errno = ENOENT;
    return -1;
}

static int memory_close(int fd)
{
    step("close");
    fs.descriptors[(uint32_t)fd - FIRST_DESCRIPTOR] = NOT_OPEN;
    return 0;
}

static int memory_fstat(int fd, struct stat *out)
{
    const struct memory_file *file = file_of(fd);
    step("fstat");
    *out = (struct stat){.st_mode = S_IFREG};
    if (!file)
        return 0;
    out->st_ino = file->number + 1;
    out->st_size = (off_t)file->size;
    for (uint32_t n = 0; n < DISK_NAMES; n++)
        out->st_nlink += fs.names[n] == file->number;
    return 0;
}

static int memory_rename(const char *from, const char *to)
{
    uint32_t old = disk_events_name(fs.naming, from);
    uint32_t new = disk_events_name(fs.naming, to);
    step("rename");
    if (old == DISK_NAMES || new == DISK_NAMES || fs.names[old] == DISK_NO_FILE) {
        errno = ENOENT;
        return -1;
    }
    tick();
    name_it(new, fs.names[old]);
    name_it(old, DISK_NO_FILE);
    return 0;
}

static int memory_unlink(const char *path)
{
    uint32_t name = disk_events_name(fs.naming, path);
    step("unlink");
    if (name == DISK_NAMES || fs.names[name] == DISK_NO_FILE) {
        errno = ENOENT;
        return -1;
    }
    tick();
    name_it(name, DISK_NO_FILE);
    return 0;
}

/* ---- content */

static ssize_t memory_pread(int fd, void *to, size_t size, off_t at)
{
    const struct memory_file *file = file_of(fd);
    step("pread");
    if ((uint64_t)at >= file->size)
        return 0;
    size_t part = file->size - (uint64_t)at < size ? file->size - (uint64_t)at : size;
    memcpy(to, file->bytes + at, part);
    trace("pread", file, (uint64_t)at, part);
    return (ssize_t)part;
}

static void set_size(struct memory_file *file, uint64_t size)
{
    uint64_t low = size < file->size ? size : file->size;
    uint64_t high = size < file->size ? file->size : size;
    memset(file->bytes + low, 0, high - low);
    note_change(file, low, high - low);
    for (uint64_t at = low; at < high; at += DISK_PAGE)
        memory_map_file_changed(file, at);
    file->size = size;
    record((struct disk_event){.kind = DISK_SIZE, .file = file->number, .size = size});
}

static ssize_t memory_pwrite(int fd, const void *from, size_t size, off_t at)
{
    struct memory_file *file = file_of(fd);
    step("pwrite");
    if ((uint64_t)at + size > DISK_FILE_BYTES) {
        errno = EFBIG;
        return -1;
    }
    tick();
    if ((uint64_t)at + size > file->size)
        set_size(file, (uint64_t)at + size);
    memory_map_write(file, (uint64_t)at, from, size);
    note_change(file, (uint64_t)at, size);
    record((struct disk_event){.kind = DISK_WRITE,
                               .file = file->number,
                               .at = (uint64_t)at,
                               .size = size,
                               .bytes = file->bytes + at});
    trace("pwrite", file, (uint64_t)at, size);
    return (ssize_t)size;
}

static int memory_ftruncate(int fd, off_t size)
{
    struct memory_file *file = file_of(fd);
    step("ftruncate");
    if ((uint64_t)size > DISK_FILE_BYTES) {
        errno = EFBIG;
        return -1;
    }
    tick();
    set_size(file, (uint64_t)size);
    trace("ftruncate", file, 0, (uint64_t)size);
    return 0;
}

static int sync_of(int fd, bool data_only)
{
    const struct memory_file *file = file_of(fd);
    step(data_only ? "fdatasync" : "fsync");
    tick();
    if (!file) {
        record((struct disk_event){.kind = DISK_SYNC_FOLDER});
        return 0;
    }
    record((struct disk_event){.kind = DISK_SYNC, .file = file->number, .data_only = data_only});
    trace(fs.where, file, 0, 0);
    return 0;
}

static int memory_fdatasync(int fd)
{
    return sync_of(fd, true);
}

static int memory_fsync(int fd)
{
    return sync_of(fd, false);
}

static void *memory_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    struct memory_file *file = file_of(fd);
    step("mmap");
    if (file && !at)
        return file->bytes + offset;
    return file ? memory_map_file(file, at, size, flags, (uint64_t)offset, protection & PROT_WRITE)
                : memory_map_anonymous(size, flags);
}

static int memory_munmap(void *at, size_t size)
{
    step("munmap");
    memory_unmap(at, size);
    return 0;
}

static int memory_mprotect(void *at, size_t size, int protection)
{
    step("mprotect");
    if (protection & PROT_WRITE)
        memory_map_open(at, size);
    return 0;
}

static int memory_madvise(void *at, size_t size, int advice)
{
    step("madvise");
    if (advice == MADV_DONTNEED)
        memory_map_drop(at, size);
    return 0;
}

/* ---- what nobody waits for, and what there is not */

static int memory_fallocate(int fd, int mode, off_t at, off_t size)
{
    (void)fd, (void)mode, (void)at, (void)size;
    return 0;
}

static int memory_flock(int fd, int operation)
{
    (void)fd, (void)operation;
    step("flock");
    return 0;
}

static int memory_fcntl_lock(int fd, int command, struct flock *lock)
{
    (void)fd;
    step("fcntl_lock");
    if (command == F_OFD_GETLK)
        lock->l_type = F_UNLCK;
    return 0;
}

static int memory_ioctl(int fd, unsigned long request, void *argument)
{
    (void)fd, (void)request, (void)argument;
    errno = ENOTTY;
    return -1;
}

static int memory_userfaultfd(int flags)
{
    (void)flags;
    errno = ENOSYS;
    return -1;
}

static int memory_mlock(const void *at, size_t size)
{
    (void)at, (void)size;
    return 0;
}

static ssize_t memory_getrandom(void *to, size_t size, unsigned flags)
{
    (void)flags;
    unsigned char *bytes = to;
    for (size_t n = 0; n < size; n++)
        bytes[n] = (unsigned char)((++fs.draws * 0x9e3779b97f4a7c15u) >> 40);
    return (ssize_t)size;
}

static int memory_getrusage(int who, struct rusage *out)
{
    return tmf_io_system.getrusage(who, out);
}

static int memory_nanosleep(const struct timespec *wish, struct timespec *left)
{
    (void)wish, (void)left;
    return 0;
}

static int memory_sigaction(int signal, const struct sigaction *act, struct sigaction *old)
{
    return tmf_io_system.sigaction(signal, act, old);
}

static const struct tmf_io table = {
#define ENTRY(result, name, parameters, arguments) .name = memory_##name,
#define memory_munlock                             memory_mlock
    TMF_IO_CALLS(ENTRY)
#undef ENTRY
#undef memory_munlock
};

void memory_fs_use(bool wanted)
{
    tmf_io = wanted ? &table : &tmf_io_system;
}

void memory_fs_record(struct disk_events *events)
{
    fs.record = events;
    faults_points_watch(events ? step_at_point : NULL);
}

void memory_fs_trace(FILE *to)
{
    fs.trace = to;
}

uint64_t memory_fs_changes(void)
{
    return fs.changes;
}

unsigned memory_fs_open_descriptors(void)
{
    unsigned count = 0;
    for (uint32_t n = 0; n < DESCRIPTORS; n++)
        count += fs.descriptors[n] != NOT_OPEN;
    return count;
}
