/* SPDX-License-Identifier: MIT */
/*
 * undo-fsync: the original's protocol, and the default.
 *
 * The arena is mapped shared and read-only. Write order of a transaction:
 *
 *   first store to a page   1. its committed content is appended to the log
 *                           2. the log is synced     - the kernel may write the page back at any
 *                                                      instant once it is writable, so what it
 *                                                      overwrites must be on the medium before
 *                           3. the page becomes writable, and the store is made again
 *   commit                  4. all pages become read-only
 *                           5. the arena is synced   - before 6 the log can undo, after it nothing
 *                                                      can: all of the change must be there
 *                           6. the next sequence is written into the log's other slot
 *                           7. the log is synced     - the commit is acknowledged after this only;
 *                                                      an unsynced commit could come undone
 *   rollback                the logged pages are written back, then 5 to 7: before the log forgets
 *                           them they must be on the medium
 *
 * A transaction that stored nothing syncs nothing.
 *
 * Each page made writable by itself splits the mapping, and vm.max_map_count (65530) ends that
 * after some 32,000 scattered pages. So the granule grows: after STEPS_SINGLE steps of one page,
 * pages are logged and opened 16 at a time, after STEPS_MORE of these 256 at a time, and so on: at
 * most 2 * (STEPS_SINGLE + 7 * STEPS_MORE) pieces for any arena, at the price of a longer log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/io.h"
#include "txn/storage.h"

#define STEPS_SINGLE  16384u
#define STEPS_MORE    1024u
#define GRANULE_SHIFT 4u

/* Which pages are in the log. Sized for the arena, but only pages that are used take memory. */
struct undo_state {
    void *memory;
    size_t memory_size;
    uint64_t page_count; /* of the arena */
    uint64_t *bitmap;    /* a bit for each page: logged in this transaction */
    uint64_t *pages;     /* the logged pages in order, to clear the bitmap by */
    uint64_t logged;
    unsigned granule_shift; /* log2 of pages opened at a time */
    unsigned steps;         /* since the granule grew */
};

static int state_map(struct undo_state *state, uint64_t page_count)
{
    uint64_t words = (page_count + 63) / 64;
    size_t size = tmf_page_round((size_t)(words + page_count) * sizeof(uint64_t));
    void *memory = tmf_io->mmap(NULL, size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    *state = (struct undo_state){.memory = memory,
                                 .memory_size = size,
                                 .page_count = page_count,
                                 .bitmap = memory,
                                 .pages = (uint64_t *)memory + words};
    return 0;
}

static int undo_open(struct tmf_storage *storage)
{
    struct undo_state *state = malloc(sizeof(*state));
    if (!state)
        return ENOMEM;
    int error = state_map(state, storage->arena.size / TMF_PAGE_SIZE);
    if (error)
        free(state);
    else
        storage->strategy_state = state;
    return error;
}

static void undo_close(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (state)
        (void)tmf_io->munmap(state->memory, state->memory_size);
    free(state);
    storage->strategy_state = NULL;
}

/* The arena is larger now. Pages logged so far (growth itself is a transaction) stay logged. */
static int undo_resize(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    struct undo_state larger = {0};
    int error = state_map(&larger, storage->arena.size / TMF_PAGE_SIZE);
    if (!larger.memory)
        return error;
    memcpy(larger.bitmap, state->bitmap, (state->page_count + 63) / 64 * sizeof(uint64_t));
    memcpy(larger.pages, state->pages, state->logged * sizeof(uint64_t));
    larger.logged = state->logged;
    larger.granule_shift = state->granule_shift;
    larger.steps = state->steps;
    (void)tmf_io->munmap(state->memory, state->memory_size);
    *state = larger;
    return 0;
}

static bool is_logged(const struct undo_state *state, uint64_t page)
{
    return (state->bitmap[page / 64] >> page % 64 & 1) != 0;
}

static void forget_logged(struct undo_state *state)
{
    for (uint64_t n = 0; n < state->logged; n++)
        state->bitmap[state->pages[n] / 64] = 0;
    state->logged = 0;
    state->granule_shift = state->steps = 0;
}

static int undo_begin(struct tmf_storage *storage)
{
    forget_logged(storage->strategy_state);
    storage->log.records = storage->log.synced = 0;
    return 0;
}

/* Widens [*first, *end) to whole granules, and the granule itself after so many steps. */
static void widen(struct undo_state *state, uint64_t *first, uint64_t *end)
{
    if (++state->steps > (state->granule_shift ? STEPS_MORE : STEPS_SINGLE)) {
        state->granule_shift += GRANULE_SHIFT;
        state->steps = 1;
    }
    uint64_t mask = (UINT64_C(1) << state->granule_shift) - 1;
    *first &= ~mask;
    *end = (*end + mask) & ~mask;
    if (*end > state->page_count)
        *end = state->page_count;
}

static int log_page(struct tmf_storage *storage, uint64_t page)
{
    struct undo_state *state = storage->strategy_state;
    int error = tmf_log_append(&storage->log, page, storage->odb_fd);
    if (error)
        return error;
    state->bitmap[page / 64] |= UINT64_C(1) << page % 64;
    state->pages[state->logged++] = page;
    storage->stats.pages_dirtied++;
    return 0;
}

/* [signal] Steps 1 to 3. */
static int undo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    struct undo_state *state = storage->strategy_state;
    uint64_t end = first + count;
    while (first < end && is_logged(state, first))
        first++;
    if (first == end)
        return 0; /* another thread was faster */
    storage->stats.faults++;
    widen(state, &first, &end);
    for (uint64_t page = first; page < end; page++) {
        int error = is_logged(state, page) ? 0 : log_page(storage, page);
        if (error)
            return error;
    }
    TMF_POINT("txn/fault/logged");
    int error = tmf_log_sync(&storage->log);
    if (error)
        return tmf_poison(storage, error);
    TMF_POINT("txn/fault/synced");
    return tmf_arena_protect(&storage->arena, first * TMF_PAGE_SIZE, (end - first) * TMF_PAGE_SIZE,
                             true);
}

/* Steps 5 to 7. */
static int settle(struct tmf_storage *storage)
{
    TMF_POINT("txn/commit/before-arena-sync");
    int error = tmf_sync_arena(storage);
    if (error)
        return error;
    TMF_POINT("txn/commit/before-mark");
    error = tmf_log_end(&storage->log);
    if (error)
        return tmf_poison(storage, error);
    TMF_POINT("txn/commit/after-mark");
    forget_logged(storage->strategy_state);
    return 0;
}

static int undo_end(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (storage->arena.detached)
        return tmf_arena_attach(&storage->arena);
    return state->logged ? tmf_arena_protect(&storage->arena, 0, storage->arena.size, false) : 0;
}

static int undo_commit(struct tmf_storage *storage)
{
    struct undo_state *state = storage->strategy_state;
    if (!state->logged)
        return 0;
    storage->stats.commits++;
    int error = undo_end(storage);
    return error ? error : settle(storage);
}

static int undo_rollback(struct tmf_storage *storage)
{
    int error = undo_end(storage);
    const struct undo_state *state = storage->strategy_state;
    if (error || !state->logged)
        return error;
    storage->stats.rollbacks++;
    TMF_POINT("txn/rollback/begin");
    error = tmf_log_undo(&storage->log, storage->odb_fd, false);
    return error ? error : settle(storage);
}

const struct tmf_strategy tmf_strategy_undo_fsync = {
    .name = "undo-fsync",
    .about = "logs and syncs a page before its first store; survives power loss (the original's)",
    .open = undo_open,
    .close = undo_close,
    .resize = undo_resize,
    .begin = undo_begin,
    .fault = undo_fault,
    .commit = undo_commit,
    .rollback = undo_rollback,
    .end = undo_end,
};
