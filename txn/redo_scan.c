/* SPDX-License-Identifier: MIT */
/*
 * redo-scan: pages that were ever stored to are those that the kernel has copied, and the pagemap
 * tells them from pages of the file, on any kernel. All copies in hot segments (segments.h) are
 * compared with what was committed: more of them than one transaction has changed. Comparing a
 * segment costs more than the trap that makes it hot, so all are cold after each transaction.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo.h"
#include "txn/segments.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_OF_FILE (UINT64_C(1) << 61)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRIES       512u
#define SEGMENT_SHIFT 3u /* 8 pages: comparing them costs as much as a trap */

struct scan {
    struct tmf_segments segments;
    uint64_t entries[ENTRIES];
};

static struct scan *scan_of(const struct tmf_storage *storage)
{
    return tmf_redo_state(storage)->finder_state;
}

static int open_pagemap(int *out)
{
    int error = tmf_file_open("/proc/self/pagemap", O_RDONLY, out);
    return error ? tmf_fail(TMF_ENOTSUPPORTED, "strategy redo-scan needs /proc/self/pagemap (%s)",
                            tmf_strerror(error))
                 : 0;
}

static int scan_probe(void)
{
    int fd = -1;
    int error = open_pagemap(&fd);
    if (!error)
        (void)tmf_io->close(fd);
    return error;
}

static int scan_open(struct tmf_storage *storage)
{
    struct scan *scan = calloc(1, sizeof(*scan));
    if (!scan)
        return ENOMEM;
    int error = open_pagemap(&storage->pagemap_fd);
    if (error) {
        free(scan);
        return error;
    }
    tmf_redo_state(storage)->finder_state = scan;
    return tmf_segments_open(&scan->segments, storage, SEGMENT_SHIFT, false);
}

static void scan_close(struct tmf_storage *storage)
{
    struct scan *scan = scan_of(storage);
    if (!scan)
        return;
    tmf_segments_close(&scan->segments);
    (void)tmf_io->close(storage->pagemap_fd);
    storage->pagemap_fd = -1;
    free(scan);
}

static int scan_remapped(struct tmf_storage *storage)
{
    return tmf_segments_remapped(&scan_of(storage)->segments, storage, NULL);
}

static int scan_resize(struct tmf_storage *storage)
{
    return tmf_segments_resize(&scan_of(storage)->segments, storage);
}

static int scan_unlock(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_segments_warm(&scan_of(storage)->segments, storage, first, count, NULL);
}

/* A copy in a cold segment is of an earlier transaction: it is read-only, and as committed. */
static void add_copy(struct tmf_storage *storage, uint64_t page)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    if (!tmf_segments_is_hot(&scan_of(storage)->segments, page))
        return;
    tmf_pageset_add(&state->dirty, page);
    tmf_pageset_add(&state->copied, page);
}

/* The file takes whole entries only, so always as many are asked for as there is room for. */
static int read_some(struct tmf_storage *storage, uint64_t number, uint64_t *got)
{
    struct scan *scan = scan_of(storage);
    ssize_t bytes;
    do {
        bytes = tmf_io->pread(storage->pagemap_fd, scan->entries, sizeof(scan->entries),
                              (off_t)(number * sizeof(uint64_t)));
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return errno;
    *got = (uint64_t)bytes / sizeof(uint64_t);
    return *got ? 0 : EIO;
}

static int read_entries(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    const struct scan *scan = scan_of(storage);
    uint64_t base = (uintptr_t)storage->arena.base / TMF_PAGE_SIZE;
    for (uint64_t end = first + count, got = 0; first < end; first += got) {
        int error = read_some(storage, base + first, &got);
        if (error)
            return error;
        for (uint64_t n = 0; n < got && first + n < end; n++) {
            uint64_t entry = scan->entries[n];
            if (first + n + 1 == end && TMF_MUTANT("last-page-not-scanned"))
                continue;
            if ((entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) && !(entry & ENTRY_OF_FILE))
                add_copy(storage, first + n);
        }
    }
    return 0;
}

static int scan_find(struct tmf_storage *storage)
{
    return tmf_segments_each_hot(&scan_of(storage)->segments, storage, read_entries);
}

static int scan_rearm(struct tmf_storage *storage)
{
    return tmf_segments_cool(&scan_of(storage)->segments, storage, NULL);
}

static void scan_settled(struct tmf_storage *storage)
{
    (void)storage;
}

static const struct tmf_finder finder = {
    .open = scan_open,
    .close = scan_close,
    .resize = scan_resize,
    .remapped = scan_remapped,
    .unlock = scan_unlock,
    .find = scan_find,
    .rearm = scan_rearm,
    .settled = scan_settled,
};

const struct tmf_strategy tmf_strategy_redo_scan = {
    .name = "redo-scan",
    .about = "write-ahead log; finds the copied pages in the pagemap; survives power loss",
    .probe = scan_probe,
    .finder = &finder,
    TMF_REDO_OPERATIONS,
};
