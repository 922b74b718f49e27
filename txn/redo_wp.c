/* SPDX-License-Identifier: MIT */
/*
 * redo-wp: the kernel remembers which pages were stored to. The arena is registered with a
 * userfaultfd for asynchronous write protection (Linux 6.7): the first store to a page since the
 * last scan is resolved inside the kernel, without a signal, by clearing a bit of its page table
 * entry; PAGEMAP_SCAN fetches the pages whose bit is clear. Their bits are set again one by one, or
 * where they are many by the scan itself, before anybody looks at them. So stores by system calls
 * are seen as well. Only hot segments are scanned (segments.h), and none if the
 * process has not had a page fault since the last scan: most transactions end, and many begin,
 * without.
 *
 * Pages of a new mapping have no bit to begin with, so each segment's are set when it first becomes
 * hot, or is first scanned because it lies between hot ones: what is found there then was not
 * stored to, since it was read-only from the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo.h"
#include "txn/segments.h"

/* Newer than the headers of Debian 12: linux/userfaultfd.h and linux/fs.h of Linux 6.7. */
#define FEATURE_WP_UNPOPULATED (UINT64_C(1) << 13)
#define FEATURE_WP_ASYNC       (UINT64_C(1) << 15)
#define USER_MODE_ONLY         1
#define PAGE_WRITTEN           (UINT64_C(1) << 1)
#define SCAN_WP_MATCHING       (UINT64_C(1) << 0)
#define SCAN_CHECK_WPASYNC     (UINT64_C(1) << 1)
struct scanned_region {
    uint64_t start, end, categories;
};
struct scan_request {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, struct scan_request)

#define REGIONS       512u
#define TABLE_SIZE    (UINT64_C(1) << 21) /* what one page table maps */
#define FEW           3                   /* regions in a page table */
#define SEGMENT_SHIFT 4u                  /* 16 pages */

struct wp {
    struct tmf_segments segments;
    /* Page faults of this process when the last scan began, and those that were none of the
     * program's since; 0: there was no scan. Those of the thread that made it. */
    uint64_t faults, own_faults;
    bool is_idle; /* the last find did not have to scan */
    struct scanned_region regions[REGIONS];
};

static struct wp *wp_of(const struct tmf_storage *storage)
{
    return tmf_redo_state(storage)->finder_state;
}

/* ---- what the kernel has to offer */

static int missing(int error, const char *what)
{
    return tmf_fail(TMF_ENOTSUPPORTED, "strategy redo-wp needs %s (%s)", what, tmf_strerror(error));
}

static int open_uffd(int *out)
{
    struct uffdio_api api = {.api = UFFD_API,
                             .features = FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC};
    int fd = tmf_io->userfaultfd(O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY);
    if (fd < 0)
        return missing(errno, "userfaultfd(2), which the kernel lacks or a sandbox forbids");
    if (tmf_io->ioctl(fd, UFFDIO_API, &api) != 0) {
        int error = errno;
        (void)tmf_io->close(fd);
        return missing(error, "asynchronous write protection (UFFD_FEATURE_WP_ASYNC, Linux 6.7)");
    }
    *out = fd;
    return 0;
}

/* How many regions were found, or -1 and errno. */
static int ask_for_pages(int pagemap_fd, struct scan_request *request)
{
    int found;
    do {
        found = tmf_io->ioctl(pagemap_fd, PAGEMAP_SCAN_REQUEST, request);
    } while (found < 0 && errno == EINTR && !TMF_MUTANT("interrupted-scan"));
    return found;
}

static int open_pagemap(int *out)
{
    struct scan_request nothing = {.size = sizeof(nothing), .return_mask = PAGE_WRITTEN};
    int error = tmf_file_open("/proc/self/pagemap", O_RDONLY, out);
    if (error)
        return missing(error, "/proc/self/pagemap");
    if (ask_for_pages(*out, &nothing) >= 0)
        return 0;
    error = errno;
    (void)tmf_io->close(*out);
    *out = -1;
    return missing(error, "PAGEMAP_SCAN (Linux 6.7)");
}

static int open_both(int *uffd, int *pagemap_fd)
{
    int error = open_uffd(uffd);
    if (error)
        return error;
    error = open_pagemap(pagemap_fd);
    if (!error)
        return 0;
    (void)tmf_io->close(*uffd);
    *uffd = -1;
    return error;
}

static int wp_probe(void)
{
    int uffd = -1;
    int pagemap_fd = -1;
    int error = open_both(&uffd, &pagemap_fd);
    if (error)
        return error;
    (void)tmf_io->close(uffd);
    (void)tmf_io->close(pagemap_fd);
    return 0;
}

/* ---- the finder */

static int wp_open(struct tmf_storage *storage)
{
    struct wp *wp = calloc(1, sizeof(*wp));
    if (!wp)
        return ENOMEM;
    int error = open_both(&storage->uffd, &storage->pagemap_fd);
    if (error) {
        free(wp);
        return error;
    }
    tmf_redo_state(storage)->finder_state = wp;
    return tmf_segments_open(&wp->segments, storage, SEGMENT_SHIFT, true);
}

static void wp_close(struct tmf_storage *storage)
{
    struct wp *wp = wp_of(storage);
    if (!wp)
        return;
    tmf_segments_close(&wp->segments);
    (void)tmf_io->close(storage->uffd);
    (void)tmf_io->close(storage->pagemap_fd);
    storage->uffd = storage->pagemap_fd = -1;
    free(wp);
}

static int watch_arena(struct tmf_storage *storage)
{
    struct uffdio_register request = {
        .range = {.start = (uintptr_t)storage->arena.base, .len = storage->arena.size},
        .mode = UFFDIO_REGISTER_MODE_WP};
    return tmf_io->ioctl(storage->uffd, UFFDIO_REGISTER, &request) == 0 ? 0 : errno;
}

static int arm_pages(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct uffdio_writeprotect request = {
        .range = {.start = (uintptr_t)storage->arena.base + (uintptr_t)(first * TMF_PAGE_SIZE),
                  .len = count * TMF_PAGE_SIZE},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    return tmf_io->ioctl(storage->uffd, UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : errno;
}

/* Neighbours that are not armed yet in one call. */
static int wp_arm(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct tmf_segments *segments = &wp_of(storage)->segments;
    uint64_t end = ((first + count - 1) >> segments->shift) + 1;
    int error = 0;
    for (uint64_t at = first >> segments->shift, next; !error && at < end; at = next) {
        for (next = at; next < end && !segments->armed[next];)
            next++;
        if (next > at) {
            uint64_t from = at << segments->shift;
            uint64_t to = next << segments->shift;
            to = to < segments->page_count ? to : segments->page_count;
            error = arm_pages(storage, from, to - from);
        }
        if (!error)
            memset(segments->armed + at, 1, (size_t)(next - at));
        next += next == at;
    }
    return error;
}

static int wp_remapped(struct tmf_storage *storage)
{
    int error = watch_arena(storage);
    return error ? error : tmf_segments_remapped(&wp_of(storage)->segments, storage, wp_arm);
}

static int wp_resize(struct tmf_storage *storage)
{
    return tmf_segments_resize(&wp_of(storage)->segments, storage);
}

static int wp_unlock(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return tmf_segments_warm(&wp_of(storage)->segments, storage, first, count, wp_arm);
}

static void add_region(struct tmf_storage *storage, const struct scanned_region *region)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    struct wp *wp = wp_of(storage);
    uint64_t base = (uintptr_t)storage->arena.base;
    uint64_t end = (region->end - base) / TMF_PAGE_SIZE;
    for (uint64_t page = (region->start - base) / TMF_PAGE_SIZE; page < end; page++) {
        if (!wp->segments.armed[page >> wp->segments.shift])
            continue;
        tmf_pageset_add(&state->dirty, page);
        tmf_pageset_add(&state->copied, page);
        tmf_segments_found(&wp->segments, page);
    }
}

static bool all_armed(const struct tmf_segments *segments, uint64_t first, uint64_t count)
{
    uint64_t at = first >> segments->shift;
    uint64_t end = ((first + count - 1) >> segments->shift) + 1;
    return !memchr(segments->armed + at, 0, (size_t)(end - at));
}

/* Each region costs a call that flushes its pages; a scan that sets the bits, a flush of all that a
 * page table maps for each in which it found something: 6 us and 20 us in a virtual machine without
 * nested paging. */
static bool are_few(const struct scanned_region *regions, int found)
{
    int tables = 0;
    for (int n = 0; n < found; n++)
        tables += n == 0 || regions[n].start / TABLE_SIZE != regions[n - 1].start / TABLE_SIZE;
    return found <= tables * FEW;
}

static int arm_regions(struct tmf_storage *storage, int found)
{
    const struct scanned_region *regions = wp_of(storage)->regions;
    uint64_t base = (uintptr_t)storage->arena.base;
    int error = 0;
    for (int n = 0; !error && n < found; n++)
        error = arm_pages(storage, (regions[n].start - base) / TMF_PAGE_SIZE,
                          (regions[n].end - regions[n].start) / TMF_PAGE_SIZE);
    return error;
}

/* Fetches what was stored to from request->start on, up to request->walk_end, and sets the bits
 * before anybody looks at the pages. */
static int scan_piece(struct tmf_storage *storage, struct scan_request *request, bool is_armed)
{
    struct wp *wp = wp_of(storage);
    request->flags = SCAN_CHECK_WPASYNC | (is_armed ? 0 : SCAN_WP_MATCHING);
    int found = ask_for_pages(storage->pagemap_fd, request);
    int error = 0;
    if (found > 0 && is_armed) {
        if (are_few(wp->regions, found)) {
            error = arm_regions(storage, found);
        } else {
            request->flags |= SCAN_WP_MATCHING;
            found = ask_for_pages(storage->pagemap_fd, request);
        }
    }
    if (found < 0)
        return errno;
    for (int n = 0; n < found; n++) /* after an error too: some bits are set */
        add_region(storage, &wp->regions[n]);
    return error;
}

static int scan(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct wp *wp = wp_of(storage);
    uint64_t base = (uintptr_t)storage->arena.base;
    struct scan_request request = {.size = sizeof(request),
                                   .start = base + first * TMF_PAGE_SIZE,
                                   .end = base + (first + count) * TMF_PAGE_SIZE,
                                   .vec = (uintptr_t)wp->regions,
                                   .vec_len = REGIONS,
                                   .category_mask = PAGE_WRITTEN,
                                   .return_mask = PAGE_WRITTEN};
    bool is_armed = wp->segments.all_hot || all_armed(&wp->segments, first, count);
    int error = 0;
    while (!error && request.start < request.end) {
        error = scan_piece(storage, &request, is_armed);
        request.start = request.walk_end;
    }
    if (!error && !is_armed)
        memset(wp->segments.armed + (first >> wp->segments.shift), 1,
               (size_t)(((count - 1) >> wp->segments.shift) + 1));
    return error;
}

/* Every first store to a page is a page fault of this process, also one by a system call. */
static uint64_t count_faults(int who)
{
    struct rusage usage;
    if (tmf_io->getrusage(who, &usage) != 0)
        return 0; /* then every find scans */
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

static int wp_find(struct tmf_storage *storage)
{
    struct wp *wp = wp_of(storage);
    uint64_t faults = count_faults(RUSAGE_SELF);
    wp->is_idle = (faults && faults == wp->faults) || TMF_MUTANT("never-scanned");
    wp->faults = faults;
    wp->own_faults = count_faults(RUSAGE_THREAD);
    return wp->is_idle ? 0 : tmf_segments_each_hot(&wp->segments, storage, scan);
}

/* The scan has set the bits. */
static int wp_rearm(struct tmf_storage *storage)
{
    struct wp *wp = wp_of(storage);
    return wp->is_idle ? 0 : tmf_segments_cool(&wp->segments, storage, wp_arm);
}

static void wp_settled(struct tmf_storage *storage)
{
    struct wp *wp = wp_of(storage);
    if (!TMF_MUTANT("own-faults-not-counted"))
        wp->faults += count_faults(RUSAGE_THREAD) - wp->own_faults;
}

static const struct tmf_finder finder = {
    .open = wp_open,
    .close = wp_close,
    .resize = wp_resize,
    .remapped = wp_remapped,
    .unlock = wp_unlock,
    .find = wp_find,
    .rearm = wp_rearm,
    .settled = wp_settled,
};

const struct tmf_strategy tmf_strategy_redo_wp = {
    .name = "redo-wp",
    .about = "write-ahead log; the kernel notes the pages (Linux 6.7); survives power loss",
    .probe = wp_probe,
    .finder = &finder,
    TMF_REDO_OPERATIONS,
};
