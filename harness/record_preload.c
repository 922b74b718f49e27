/* SPDX-License-Identifier: MIT */
/*
 * The library that `tmf record` has loaded into a program ahead of all others: it stands between
 * the program and its malloc, and writes down what is asked for, see record_stream.h.
 *
 * It must not do the program any harm, whatever the program does:
 *
 * - It takes no lock. Places are handed out by an atomic counter, chunks put in by compare and
 *   exchange; so there is nothing that a fork, a signal or a death can leave locked.
 * - It allocates nothing and keeps no descriptor open: a program may close all it has. A chunk's
 * file is opened by its name, made as large as it must be, mapped, and closed.
 * - A file that cannot grow (the disk is full, a limit is reached) ends the recording of the
 * process and nothing else. Room is allocated before it is stored to, for else a full disk were a
 * SIGBUS.
 * - The state lies in memory that the kernel gives to a child of fork as zeroes, however it forked:
 *   a child finds that it has not begun, and begins a stream of its own. A child of vfork, which
 *   shares its parent's memory, records in its parent's name until it calls exec.
 * - errno is as the real function leaves it.
 *
 * The real functions are those of the next library in the search order, and dlsym() finds them.
 * What dlsym() itself may allocate meanwhile comes from a small buffer of our own, and is not
 * recorded; nor is what the dynamic linker allocates before there is an environment.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness/record_stream.h"

#define PATH_BYTES   4096
#define EARLY_BYTES  ((size_t)65536)
#define EARLY_ALIGN  ((size_t)16)
#define STREAMS_MAX  1000000u /* of one process id */
#define PAGE_SIZE_IS ((size_t)4096)

/* Of the real functions. */
static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void (*free)(void *block);
    int (*posix_memalign)(void **out, size_t alignment, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
} real;
static _Atomic bool resolved;

enum phase { NOT_BEGUN, BEGINNING, RECORDING, OFF };

/* Zeroes in a new process; see above. */
struct state {
    _Atomic int phase;
    struct record_head *head;
    char path[PATH_BYTES];
    _Atomic(struct record *) chunks[RECORD_CHUNKS_MAX];
};
static _Atomic(struct state *) shared_state;

static _Atomic uint32_t threads;
/* No allocation is needed to reach these. */
#define OWN static _Thread_local __attribute__((tls_model("initial-exec")))
OWN uint32_t thread_number; /* 0: none yet */
OWN bool inside;            /* one of the functions below: what it calls is not recorded */

/* ---- what is allocated while the real functions are looked up ---- */

static _Alignas(16) unsigned char early[EARLY_BYTES];
static _Atomic size_t early_used;

static bool is_early(const void *block)
{
    return (uintptr_t)block - (uintptr_t)early < EARLY_BYTES;
}

/* Zeroed; its size stands in front of it. Never freed. */
static void *early_allocate(size_t size)
{
    if (size > EARLY_BYTES)
        return NULL;
    size_t room = EARLY_ALIGN + (size + EARLY_ALIGN - 1) / EARLY_ALIGN * EARLY_ALIGN;
    size_t at = atomic_fetch_add(&early_used, room);
    if (at > EARLY_BYTES - room)
        return NULL;
    memcpy(early + at, &size, sizeof(size));
    return early + at + EARLY_ALIGN;
}

static size_t early_size(const void *block)
{
    size_t size;
    memcpy(&size, (const unsigned char *)block - EARLY_ALIGN, sizeof(size));
    return size;
}

/* ISO C knows no way from a void pointer to a function. */
static void look_up(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(function, &found, sizeof(found));
}

/* False: it is being looked up by this very thread. */
static bool resolve(void)
{
    if (atomic_load_explicit(&resolved, memory_order_acquire))
        return true;
    if (inside)
        return false;
    inside = true;
    look_up(&real.malloc, "malloc");
    look_up(&real.calloc, "calloc");
    look_up(&real.realloc, "realloc");
    look_up(&real.free, "free");
    look_up(&real.posix_memalign, "posix_memalign");
    look_up(&real.aligned_alloc, "aligned_alloc");
    look_up(&real.memalign, "memalign");
    look_up(&real.valloc, "valloc");
    look_up(&real.pvalloc, "pvalloc");
    atomic_store_explicit(&resolved, true, memory_order_release);
    inside = false;
    return true;
}

/* ---- the stream ---- */

/* System calls that are no cancellation points, and that nobody stands in front of. */
static int open_file(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_RDWR | O_CLOEXEC, 0600);
}

static void close_file(int fd)
{
    syscall(SYS_close, fd);
}

/* Makes sure that bytes [at, at + size) of the file exist; a limit would be a signal. */
static bool allocate_room(int fd, off_t at, size_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && (rlim_t)at + size > limit.rlim_cur) {
        errno = EFBIG;
        return false;
    }
    return syscall(SYS_fallocate, fd, 0, at, size) == 0 ||
           (errno == EOPNOTSUPP && syscall(SYS_ftruncate, fd, at + (off_t)size) == 0);
}

/* Maps that part of the file, which is made to exist; NULL and errno. */
static void *map_file(int fd, off_t at, size_t size)
{
    if (!allocate_room(fd, at, size))
        return NULL;
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
    return mapped != MAP_FAILED ? mapped : NULL;
}

static struct state *get_state(void)
{
    struct state *state = atomic_load(&shared_state);
    if (state)
        return state;
    void *made = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED)
        return NULL;
    if (madvise(made, sizeof(*state), MADV_WIPEONFORK) == 0 &&
        atomic_compare_exchange_strong(&shared_state, &state, made))
        return made;
    munmap(made, sizeof(*state));
    return state;
}

static void fill_head(struct record_head *head)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    head->started_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    head->pid = getpid();
    head->parent = getppid();
    prctl(PR_GET_NAME, head->name);
    head->magic = RECORD_MAGIC;
}

/* Makes the file of the stream; a process id comes once more after exec, or after a long while. */
static int make_file(char path[PATH_BYTES], const char *folder)
{
    int fd = -1;
    for (unsigned n = 0; fd < 0 && n < STREAMS_MAX; n++) {
        int length = snprintf(path, PATH_BYTES, "%s/%d.%u", folder, (int)getpid(), n);
        if (length < 0 || length >= PATH_BYTES)
            return -1;
        fd = open_file(path, O_CREAT | O_EXCL);
        if (fd < 0 && errno != EEXIST)
            return -1;
    }
    return fd;
}

/* The folder outlives the environment, which the program may change. */
static const char *get_folder(void)
{
    static char folder[PATH_BYTES - 64];
    const char *named = folder[0] ? NULL : getenv(RECORD_FOLDER_VARIABLE);
    if (named && strlen(named) < sizeof(folder))
        memcpy(folder, named, strlen(named) + 1);
    return folder[0] ? folder : NULL;
}

static enum phase begin_stream(struct state *state)
{
    const char *folder = get_folder();
    int fd = folder ? make_file(state->path, folder) : -1;
    if (fd < 0)
        return OFF;
    state->head = map_file(fd, 0, RECORD_HEAD_BYTES);
    close_file(fd);
    if (!state->head)
        return OFF;
    fill_head(state->head);
    return RECORDING;
}

/* Of the thread that comes first; others wait for the moment that it takes. */
static bool begin(struct state *state)
{
    int phase = NOT_BEGUN;
    if (!environ)
        return false; /* yet */
    if (atomic_compare_exchange_strong(&state->phase, &phase, BEGINNING)) {
        int error = errno;
        atomic_store(&state->phase, (int)begin_stream(state));
        errno = error;
    }
    while ((phase = atomic_load(&state->phase)) == BEGINNING)
        sched_yield();
    return phase == RECORDING;
}

/* From here on nothing of this process is recorded: what came later would miss what is lost. */
static void give_up(struct state *state, uint64_t ticket, int error)
{
    uint64_t failed = atomic_load(&state->head->failed);
    while ((failed == 0 || ticket + 1 < failed) &&
           !atomic_compare_exchange_weak(&state->head->failed, &failed, ticket + 1))
        ;
    atomic_store(&state->head->error, error);
    atomic_store(&state->phase, OFF);
}

/* Maps a chunk, if no other thread is faster; NULL and errno. */
static struct record *add_chunk(struct state *state, uint64_t number)
{
    struct record *chunk = NULL;
    int fd = number < RECORD_CHUNKS_MAX ? open_file(state->path, 0) : -1;
    if (fd < 0)
        return NULL;
    off_t at = RECORD_HEAD_BYTES + (off_t)(number * RECORD_CHUNK_BYTES);
    struct record *mine = map_file(fd, at, RECORD_CHUNK_BYTES);
    int error = errno;
    close_file(fd);
    errno = error;
    if (!mine)
        return NULL;
    if (atomic_compare_exchange_strong(&state->chunks[number], &chunk, mine))
        return mine;
    munmap(mine, RECORD_CHUNK_BYTES);
    return chunk;
}

/* The place of a ticket; NULL: there is no room, and recording has ended. */
static struct record *place_of(struct state *state, uint64_t ticket)
{
    uint64_t number = ticket / RECORD_CHUNK_RECORDS;
    struct record *chunk = NULL;
    if (number < RECORD_CHUNKS_MAX)
        chunk = atomic_load_explicit(&state->chunks[number], memory_order_acquire);
    if (!chunk) {
        int error = errno;
        errno = ENOMEM;
        chunk = add_chunk(state, number);
        if (!chunk)
            give_up(state, ticket, errno);
        errno = error;
    }
    return chunk ? &chunk[ticket % RECORD_CHUNK_RECORDS] : NULL;
}

/* Of the next power of two, as memalign() takes any number. */
static uint8_t log_of(size_t alignment)
{
    return alignment > 1 ? (uint8_t)(64 - __builtin_clzll(alignment - 1)) : 0;
}

static void write_down(enum record_kind kind, const void *address, size_t size, size_t alignment)
{
    struct state *state = get_state();
    if (!state)
        return;
    int phase = atomic_load_explicit(&state->phase, memory_order_acquire);
    if (phase == OFF || (phase != RECORDING && !begin(state)))
        return;
    if (thread_number == 0)
        thread_number = atomic_fetch_add(&threads, 1) + 1;
    struct record *record = place_of(state, atomic_fetch_add(&state->head->next, 1));
    if (!record)
        return;
    record->address = (uintptr_t)address;
    record->size = size;
    record->thread = thread_number;
    record->alignment_log = log_of(alignment);
    atomic_store_explicit(&record->kind, (uint8_t)kind, memory_order_release);
}

/* ---- in place of the program's functions ---- */

static void *note(enum record_kind kind, void *block, size_t size, size_t alignment)
{
    if (block)
        write_down(kind, block, size, alignment);
    return block;
}

/* Every function begins with this: false, and it has to do with what there is in `early`, or, in a
 * function that the real ones have called, it only passes on. */
static bool enter(bool *nested)
{
    *nested = inside;
    if (!resolve())
        return false;
    inside = true;
    return true;
}

#define PUBLIC __attribute__((visibility("default")))

PUBLIC void *malloc(size_t size)
{
    bool nested;
    if (!enter(&nested))
        return early_allocate(size);
    void *block = real.malloc(size);
    inside = nested;
    return nested ? block : note(RECORD_ALLOCATED, block, size, 1);
}

PUBLIC void *calloc(size_t count, size_t size)
{
    bool nested;
    if (!enter(&nested))
        return size && count > EARLY_BYTES / size ? NULL : early_allocate(count * size);
    void *block = real.calloc(count, size);
    inside = nested;
    return nested ? block : note(RECORD_ALLOCATED_ZEROED, block, count * size, 1);
}

PUBLIC void free(void *block)
{
    bool nested;
    if (!block || is_early(block) || !enter(&nested))
        return;
    if (!nested)
        write_down(RECORD_FREES, block, 0, 1);
    real.free(block);
    inside = nested;
}

/* Out of the early buffer a block moves as any other allocation. */
static void *leave_early(const void *block, size_t size)
{
    size_t old_size = early_size(block);
    void *moved = malloc(size);
    if (moved)
        memcpy(moved, block, old_size < size ? old_size : size);
    return moved;
}

PUBLIC void *realloc(void *block, size_t size)
{
    bool nested;
    if (is_early(block))
        return leave_early(block, size);
    if (!enter(&nested))
        return early_allocate(size); /* what was not allocated early cannot come here */
    if (block && !nested)
        write_down(RECORD_RESIZES, block, 0, 1);
    void *moved = real.realloc(block, size);
    inside = nested;
    if (nested)
        return moved;
    if (block)
        write_down(RECORD_RESIZED, moved, size, 1);
    else
        note(RECORD_ALLOCATED, moved, size, 1);
    return moved;
}

PUBLIC void *reallocarray(void *block, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, count * size); /* NOLINT: 0 is the program's affair */
}

PUBLIC int posix_memalign(void **out, size_t alignment, size_t size)
{
    bool nested;
    if (!enter(&nested))
        return ENOMEM;
    int error = real.posix_memalign(out, alignment, size);
    inside = nested;
    if (error == 0 && !nested)
        note(RECORD_ALLOCATED, *out, size, alignment);
    return error;
}

PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
    bool nested;
    if (!enter(&nested))
        return NULL;
    void *block = real.aligned_alloc(alignment, size);
    inside = nested;
    return nested ? block : note(RECORD_ALLOCATED, block, size, alignment);
}

PUBLIC void *memalign(size_t alignment, size_t size)
{
    bool nested;
    if (!enter(&nested))
        return NULL;
    void *block = real.memalign(alignment, size);
    inside = nested;
    return nested ? block : note(RECORD_ALLOCATED, block, size, alignment);
}

PUBLIC void *valloc(size_t size)
{
    bool nested;
    if (!enter(&nested))
        return NULL;
    void *block = real.valloc(size);
    inside = nested;
    return nested ? block : note(RECORD_ALLOCATED, block, size, PAGE_SIZE_IS);
}

PUBLIC void *pvalloc(size_t size)
{
    bool nested;
    if (!enter(&nested))
        return NULL;
    void *block = real.pvalloc(size);
    inside = nested;
    size_t rounded = (size + PAGE_SIZE_IS - 1) / PAGE_SIZE_IS * PAGE_SIZE_IS;
    return nested ? block : note(RECORD_ALLOCATED, block, rounded, PAGE_SIZE_IS);
}

/* As early as can be, while there is one thread. */
static __attribute__((constructor(101))) void look_up_early(void)
{
    resolve();
}
