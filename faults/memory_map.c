/* SPDX-License-Identifier: MIT */
/* See memory_map.h. */
#include "faults/memory_map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/sim_disk.h"

#define PAGES_MOST (DISK_FILE_BYTES / DISK_PAGE)

/* The memory stays where it is from image to image. */
static struct {
    unsigned char *base; /* DISK_FILE_BYTES of memory; NULL: none yet */
    size_t size;         /* bytes mapped; 0: none */
    struct memory_file *file;
    const struct memory_file *shown; /* whose pages `is_equal` is about */
    bool is_private;
    bool is_open;              /* a shared mapping that may be stored to */
    bool is_equal[PAGES_MOST]; /* the page is certainly that of the file */
} map;

static void copy_page(uint64_t page)
{
    if (map.is_equal[page])
        return;
    memcpy(map.base + page * DISK_PAGE, map.file->bytes + page * DISK_PAGE, DISK_PAGE);
    map.is_equal[page] = true;
}

static bool take_memory(unsigned char *at)
{
    if (map.base == at)
        return true;
    if (map.base)
        (void)munmap(map.base, DISK_FILE_BYTES);
    void *got = mmap(at, DISK_FILE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    map.base = got == (void *)at ? at : NULL;
    map.shown = NULL;
    return map.base != NULL;
}

static void show(struct memory_file *file)
{
    if (map.shown != file)
        memset(map.is_equal, 0, sizeof(map.is_equal));
    map.shown = map.file = file;
}

void *memory_map_file(struct memory_file *file, void *at, size_t size, int flags, uint64_t offset,
                      bool writable)
{
    unsigned char *base = (unsigned char *)at - offset;
    if (offset + size > DISK_FILE_BYTES || !take_memory(base)) {
        errno = EEXIST;
        return MAP_FAILED;
    }
    show(file);
    map.is_private = (flags & MAP_PRIVATE) != 0;
    map.is_open = !map.is_private && (writable || (map.is_open && offset > 0));
    if (map.size < offset + size || !(flags & MAP_FIXED_NOREPLACE))
        map.size = offset + size;
    for (uint64_t page = offset / DISK_PAGE; page < (offset + size) / DISK_PAGE; page++)
        copy_page(page);
    return at;
}

static bool is_inside(const void *at)
{
    return map.size && (uintptr_t)at - (uintptr_t)map.base < map.size;
}

void memory_map_open(void *at, size_t size)
{
    if (!is_inside(at))
        return;
    uint64_t first = (uint64_t)((unsigned char *)at - map.base) / DISK_PAGE;
    for (uint64_t page = first; page < first + size / DISK_PAGE; page++)
        map.is_equal[page] = false;
    map.is_open = !map.is_private;
}

void memory_map_drop(void *at, size_t size)
{
    if (!is_inside(at) || !map.is_private)
        return;
    uint64_t first = (uint64_t)((unsigned char *)at - map.base) / DISK_PAGE;
    for (uint64_t page = first; page < first + size / DISK_PAGE; page++)
        copy_page(page);
}

void memory_map_file_changed(const struct memory_file *file, uint64_t at)
{
    if (map.shown == file)
        map.is_equal[at / DISK_PAGE] = false;
}

static void write_page(struct memory_file *file, uint64_t at, const unsigned char *from,
                       size_t size)
{
    uint64_t page = at / DISK_PAGE;
    unsigned char *of_file = file->bytes + page * DISK_PAGE;
    unsigned char *mapped = map.base + page * DISK_PAGE;
    bool is_mapped = map.size && map.file == file && page < map.size / DISK_PAGE;
    bool follows = is_mapped && (map.is_equal[page] || memcmp(of_file, mapped, DISK_PAGE) == 0);
    memcpy(file->bytes + at, from, size);
    if (follows)
        memcpy(mapped + at % DISK_PAGE, from, size);
    else if (!is_mapped)
        memory_map_file_changed(file, at);
}

void memory_map_write(struct memory_file *file, uint64_t at, const void *from, size_t size)
{
    const unsigned char *bytes = from;
    while (size > 0) {
        size_t room = DISK_PAGE - at % DISK_PAGE;
        size_t part = size < room ? size : room;
        write_page(file, at, bytes, part);
        at += part;
        bytes += part;
        size -= part;
    }
}

void memory_map_look(void note(struct memory_file *file, uint64_t at, uint64_t size))
{
    if (!map.size || map.is_private || !map.is_open)
        return;
    for (uint64_t at = 0; at < map.size && at < map.file->size; at += DISK_PAGE) {
        if (memcmp(map.base + at, map.file->bytes + at, DISK_PAGE) == 0)
            continue;
        memcpy(map.file->bytes + at, map.base + at, DISK_PAGE);
        note(map.file, at, DISK_PAGE);
    }
}

void memory_map_reset(void)
{
    map.size = 0;
    map.is_open = false;
    map.file = NULL;
}

/* ---- anonymous memory: kept, and given again to who asks for as much */

#define PIECES 64
static struct {
    void *at;
    size_t size;
    bool is_used;
} pieces[PIECES];

static void *new_piece(size_t n, size_t size, int flags)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED)
        return at;
    pieces[n].at = at;
    pieces[n].size = size;
    pieces[n].is_used = true;
    return at;
}

void *memory_map_anonymous(size_t size, int flags)
{
    size_t free_piece = PIECES;
    for (size_t n = 0; n < PIECES; n++) {
        if (!pieces[n].at && free_piece == PIECES)
            free_piece = n;
        if (!pieces[n].at || pieces[n].is_used || pieces[n].size != size)
            continue;
        pieces[n].is_used = true;
        if (!(flags & MAP_POPULATE))
            memset(pieces[n].at, 0, size);
        return pieces[n].at;
    }
    if (free_piece < PIECES)
        return new_piece(free_piece, size, flags);
    errno = ENOMEM;
    return MAP_FAILED;
}

void memory_unmap(void *at, size_t size)
{
    if (is_inside(at)) {
        memory_map_reset();
        return;
    }
    for (size_t n = 0; n < PIECES; n++) {
        if (pieces[n].at == at && pieces[n].size == size)
            pieces[n].is_used = false;
    }
}
