/* SPDX-License-Identifier: MIT */
/* See arena.h. */
#include "txn/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "tmf_errors.h"
#include "txn/file.h"
#include "txn/format.h"
#include "txn/io.h"

/*
 * Where arenas go that were given no address: a zone that the kernel's own choices do not reach and
 * that address and thread sanitizers leave alone, cut into slots so that storages made apart from
 * each other can be open together, and grow. The thread sanitizer's zone is small.
 */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if UINTPTR_MAX == UINT32_MAX
#define ZONE_BASE UINT64_C(0x60000000) /* programs begin below, at 0x56000000 and a bit */
#define ZONE_SIZE UINT64_C(0x40000000)
#define SLOT_SIZE (UINT64_C(1) << 24)
#elif defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define ZONE_BASE UINT64_C(0x7e9000000000)
#define ZONE_SIZE UINT64_C(0x6000000000)
#define SLOT_SIZE (UINT64_C(1) << 30)
#else
#define ZONE_BASE UINT64_C(0x200000000000)
#define ZONE_SIZE UINT64_C(0x300000000000)
#define SLOT_SIZE (UINT64_C(1) << 34)
#endif
#define SLOT_TRIES 64

size_t tmf_page_round(size_t size)
{
    return (size + TMF_PAGE_SIZE - 1) & ~(TMF_PAGE_SIZE - 1);
}

/* Copies are made as they are needed: none is reserved, or a large arena could not be opened. */
static int sharing(const struct tmf_arena *arena)
{
    return arena->is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
}

static int map_at(const struct tmf_arena *arena, unsigned char *at, size_t size, int protection,
                  int flags, off_t offset)
{
    void *got = tmf_io->mmap(at, size, protection, flags, arena->fd, offset);
    if (got == MAP_FAILED)
        return errno == EEXIST ? TMF_EWRONGADDRESS : errno;
    if (got != at) { /* a kernel before 4.17 takes MAP_FIXED_NOREPLACE for a mere hint */
        (void)tmf_io->munmap(got, size);
        return TMF_EWRONGADDRESS;
    }
    if (tmf_io->madvise(at, size, MADV_RANDOM) == 0 &&
        tmf_io->madvise(at, size, MADV_DONTFORK) == 0)
        return 0;
    int error = errno;
    if (!(flags & MAP_FIXED))
        (void)tmf_io->munmap(at, size);
    return error;
}

static int map_new(struct tmf_arena *arena, uint64_t address, size_t size, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    arena->base = (unsigned char *)(uintptr_t)address;
    return map_at(arena, arena->base, size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, 0);
}

int tmf_arena_map(struct tmf_arena *arena, int fd, void *address, size_t size, uint64_t hint,
                  bool writable)
{
    *arena = (struct tmf_arena){.fd = fd};
    int error = TMF_EWRONGADDRESS;
    if (address) {
        error = map_new(arena, (uintptr_t)address, size, writable);
    } else {
        uint64_t slot = SLOT_SIZE; /* a power of two, at least twice the arena: room to grow */
        while (slot / 2 < size && slot < ZONE_SIZE)
            slot *= 2;
        uint64_t slots = ZONE_SIZE / slot;
        for (unsigned n = 0; slots && error == TMF_EWRONGADDRESS && n < SLOT_TRIES; n++)
            error = map_new(arena, ZONE_BASE + (hint + n) % slots * slot, size, writable);
    }
    if (error)
        arena->base = NULL;
    else
        arena->size = size;
    return error;
}

void tmf_arena_unmap(struct tmf_arena *arena)
{
    if (arena->base)
        (void)tmf_io->munmap(arena->base, arena->size);
    arena->base = NULL;
}

int tmf_arena_extend(struct tmf_arena *arena, size_t size)
{
    int error = map_at(arena, arena->base + arena->size, size - arena->size, PROT_READ,
                       sharing(arena) | MAP_FIXED_NOREPLACE, (off_t)arena->size);
    if (!error)
        arena->size = size;
    return error;
}

int tmf_arena_protect(struct tmf_arena *arena, size_t offset, size_t size, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (tmf_io->mprotect(arena->base + offset, size, protection) == 0)
        return 0;
    return TMF_MUTANT("protection-error-swallowed") ? 0 : errno;
}

int tmf_arena_detach(struct tmf_arena *arena)
{
    int error = map_at(arena, arena->base, arena->size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, 0);
    if (!error)
        arena->detached = true;
    return error;
}

static int map_memory(unsigned char *at)
{
    const struct tmf_arena memory = {.fd = -1};
    return map_at(&memory, at, TMF_PAGE_SIZE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
}

int tmf_arena_copy(struct tmf_arena *arena, uint64_t page, unsigned char *copy)
{
    unsigned char *at = arena->base + page * TMF_PAGE_SIZE;
    memcpy(copy, at, TMF_PAGE_SIZE);
    int error = map_memory(at);
    if (!error)
        memcpy(at, copy, TMF_PAGE_SIZE);
    return error;
}

int tmf_arena_substitute(struct tmf_arena *arena, uint64_t page)
{
    unsigned char *at = arena->base + page * TMF_PAGE_SIZE;
    int error = map_memory(at);
    return error ? error : tmf_file_read(arena->fd, at, TMF_PAGE_SIZE, page * TMF_PAGE_SIZE);
}

int tmf_arena_attach(struct tmf_arena *arena)
{
    int error = map_at(arena, arena->base, arena->size, PROT_READ, sharing(arena) | MAP_FIXED, 0);
    if (!error)
        arena->detached = false;
    return error;
}
