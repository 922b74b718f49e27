/* SPDX-License-Identifier: MIT */
/*
 * What the arena shows becomes what is committed: after other processes wrote, after stray stores,
 * after the arena was mapped anew; and checkpoints. See redo.h.
 *
 * Storing into a page that was not copied yet may fail as SIGBUS (its file page cannot be read, or
 * on tmpfs not be made), so the arena is TMF_APPLYING meanwhile, and a failure ends in an error.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo.h"

static void expect_stores(struct tmf_storage *storage)
{
    storage->doom_error = 0;
    storage->bus_page = 0;
    storage->state = TMF_APPLYING;
}

static int stop_stores(struct tmf_storage *storage, int error)
{
    return tmf_stop_stores(storage) == TMF_DOOMED ? storage->doom_error : error;
}

int tmf_redo_watch(struct tmf_storage *storage)
{
    const struct tmf_finder *finder = storage->strategy->finder;
    int error = finder->find(storage);
    if (!error)
        error = finder->rearm(storage);
    if (!error)
        tmf_pageset_clear(&tmf_redo_state(storage)->dirty);
    finder->settled(storage);
    return error;
}

int tmf_redo_restore(struct tmf_storage *storage, uint64_t page)
{
    unsigned char *at = storage->arena.base + page * TMF_PAGE_SIZE;
    const unsigned char *shadow = tmf_shadow_find(&tmf_redo_state(storage)->shadows, page);
    if (!shadow && TMF_MUTANT("stale-copy-kept"))
        return 0;
    if (!shadow)
        return tmf_io->madvise(at, TMF_PAGE_SIZE, MADV_DONTNEED) == 0 ? 0 : errno;
    int error = storage->strategy->finder->unlock(storage, page, 1);
    if (!error) /* it was writable when it was found, but for a stray store in what is cold now */
        memcpy(at, shadow, TMF_PAGE_SIZE);
    return error;
}

/* ---- a new mapping */

static int open_page(struct tmf_storage *storage, uint64_t page)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    int error = storage->strategy->finder->unlock(storage, page, 1);
    tmf_pageset_add(&state->dirty, page);
    tmf_pageset_add(&state->copied, page);
    return error;
}

static int paint_shadows(struct tmf_storage *storage)
{
    const struct tmf_shadows *shadows = &tmf_redo_state(storage)->shadows;
    int error = 0;
    for (uint32_t n = 0; !error && n < shadows->count; n++) {
        uint64_t page = shadows->pages[n];
        error = open_page(storage, page);
        if (!error)
            memcpy(storage->arena.base + page * TMF_PAGE_SIZE, tmf_shadow_find(shadows, page),
                   TMF_PAGE_SIZE);
    }
    return error;
}

static int remap(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    int error = tmf_arena_attach(&storage->arena);
    if (error)
        return error;
    tmf_pageset_clear(&state->dirty);
    tmf_pageset_clear(&state->copied);
    state->granule = (struct tmf_granule){0};
    error = storage->strategy->finder->remapped(storage);
    if (error || !state->shadows.count)
        return error;
    expect_stores(storage);
    error = stop_stores(storage, paint_shadows(storage));
    return error ? error : tmf_redo_watch(storage);
}

/* What was left half done shows neither old nor new content: it is to be mapped anew. */
int tmf_redo_remap(struct tmf_storage *storage)
{
    int error = remap(storage);
    if (error)
        storage->arena.detached = true;
    return error;
}

/* ---- stray stores */

static int sweep_page(struct tmf_storage *storage, uint64_t page)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    unsigned char *at = storage->arena.base + page * TMF_PAGE_SIZE;
    unsigned char *committed;
    bool is_new;
    int error = tmf_redo_committed(storage, page, &committed, &is_new);
    if (error)
        return error;
    bool is_stray = memcmp(at, committed, TMF_PAGE_SIZE) != 0;
    if (is_new)
        tmf_shadow_drop_last(&state->shadows);
    if (!is_stray)
        return 0;
    state->strays++;
    storage->stats.strays++;
    return tmf_redo_restore(storage, page);
}

/* Undoes what was stored since the last transaction ended. */
static int sweep(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    int error = storage->strategy->finder->find(storage);
    uint64_t strays = state->strays;
    for (uint64_t n = 0; !error && n < state->dirty.count; n++)
        error = sweep_page(storage, state->dirty.pages[n]);
    if (error)
        return error;
    if (state->strays != strays)
        return tmf_redo_watch(storage);
    error = storage->strategy->finder->rearm(storage);
    tmf_pageset_clear(&state->dirty);
    storage->strategy->finder->settled(storage);
    return error;
}

/* ---- catching up */

static int apply_to_page(struct tmf_storage *storage, uint64_t offset, const unsigned char *bytes,
                         size_t size)
{
    uint64_t page = offset / TMF_PAGE_SIZE;
    unsigned char *committed;
    bool is_new;
    int error = tmf_redo_committed(storage, page, &committed, &is_new);
    if (!error)
        error = open_page(storage, page);
    if (error)
        return error;
    if (!TMF_MUTANT("caught-up-not-remembered"))
        memcpy(committed + offset % TMF_PAGE_SIZE, bytes, size);
    memcpy(storage->arena.base + offset, bytes, size);
    return 0;
}

/* The header's run came before the one that needs it. The arena is mapped anew on the way. */
static int follow_growth(struct tmf_storage *storage)
{
    int error = stop_stores(storage, 0);
    if (!error)
        error = tmf_follow_growth(storage);
    expect_stores(storage);
    return error;
}

static int apply_run(void *context, uint64_t offset, const unsigned char *bytes, size_t size)
{
    struct tmf_storage *storage = context;
    int error = 0;
    if (offset > storage->arena.size || size > storage->arena.size - offset)
        error = follow_growth(storage);
    if (!error && (offset > storage->arena.size || size > storage->arena.size - offset))
        return tmf_fail(TMF_ECORRUPT, "reading the log: it names byte %llu, the arena has %zu",
                        (unsigned long long)offset, storage->arena.size);
    while (!error && size > 0) {
        size_t room = TMF_PAGE_SIZE - offset % TMF_PAGE_SIZE;
        size_t part = size < room ? size : room;
        part -= part == room && TMF_MUTANT("page-border-missed");
        error = apply_to_page(storage, offset, bytes, part);
        offset += part;
        bytes += part;
        size -= part;
    }
    return error;
}

static int apply_records(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    struct tmf_log *log = &storage->log;
    int error = 0;
    while (!error) {
        error = tmf_redo_log_read(log, &log->at, &state->reading);
        if (error || !state->reading.size)
            break;
        if (log->at.sequence % 4 == 0 && TMF_MUTANT("record-skipped"))
            continue;
        error = tmf_redo_buffer_each(&state->reading, apply_run, storage);
    }
    tmf_redo_buffer_clear(&state->reading);
    log->appended = log->at.sequence;
    if (TMF_MUTANT("taken-over-taken-for-durable"))
        log->durable_below = log->at.sequence;
    return error;
}

static int apply(struct tmf_storage *storage)
{
    if (!tmf_redo_log_has_next(&storage->log))
        return 0;
    expect_stores(storage);
    int error = stop_stores(storage, apply_records(storage));
    if (!error)
        error = tmf_redo_watch(storage);
    storage->state = TMF_IDLE;
    return error;
}

/*
 * The log has started anew. If it starts with what comes next for us, the .odb holds what our
 * copies show; else they are of no use.
 */
static int follow(struct tmf_storage *storage, const struct tmf_log_state *log_state, bool *dropped)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    bool missed = !storage->log.turn || log_state->sequence != storage->log.at.sequence;
    tmf_log_follow(&storage->log, log_state);
    *dropped =
        (missed && !TMF_MUTANT("missed-checkpoint-ignored")) || tmf_redo_is_over_limit(storage);
    if (!*dropped)
        return 0;
    tmf_shadows_clear(&state->shadows);
    return tmf_redo_remap(storage);
}

static int catch_up(struct tmf_storage *storage, const struct tmf_log_state *log_state,
                    bool may_sweep)
{
    bool turned = log_state->turn != storage->log.turn;
    bool has_news = turned || tmf_redo_log_has_next(&storage->log);
    bool dropped = false;
    int error = 0;
    if (storage->arena.detached)
        error = tmf_redo_remap(storage);
    if (!error && turned)
        error = follow(storage, log_state, &dropped);
    if (!error && !dropped && (may_sweep || has_news))
        error = sweep(storage);
    if (!error && log_state->kind == TMF_LOG_REDO)
        error = apply(storage);
    return error;
}

int tmf_redo_catch_up(struct tmf_storage *storage, const struct tmf_log_state *log_state,
                      bool may_sweep)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    bool is_first = !storage->log.turn;
    int error = catch_up(storage, log_state, may_sweep);
    storage->state = TMF_IDLE;
    if (error) { /* what we show is neither old nor new: the next one begins with the slot */
        storage->log.turn = 0;
        return tmf_fail(error, "reading the log of '%s'", storage->odb_path);
    }
    error = is_first ? tmf_check_remains(storage) : 0;
    if (error)
        return error;
    if (!state->strays)
        return 0;
    uint64_t strays = state->strays;
    state->strays = 0;
    return tmf_fail(TMF_ESTRAY, "using '%s': %llu pages were stored to outside a transaction",
                    storage->odb_path, (unsigned long long)strays);
}

/* ---- checkpoints */

int tmf_redo_checkpoint(struct tmf_storage *storage, uint64_t deadline)
{
    int error = TMF_MUTANT("checkpoint-beside-readers")
                    ? 0
                    : tmf_process_alone(&storage->lock.process, deadline);
    if (error)
        return error;
    if (TMF_MUTANT("unlocked-before-published"))
        tmf_process_not_alone(&storage->lock.process);
    TMF_POINT("txn/checkpoint/begin");
    error = tmf_settle(storage, TMF_LOG_REDO);
    tmf_process_not_alone(&storage->lock.process);
    return error;
}

void tmf_redo_tidy(struct tmf_storage *storage)
{
    const struct tmf_process_lock *process = &storage->lock.process;
    struct tmf_log_state state;
    if (storage->poisoned || tmf_process_write(process, TMF_WAIT_TRY) != 0)
        return;
    if (tmf_log_look(&storage->log, &state) == 0 && state.pending && !state.poisoned &&
        state.turn == storage->log.turn)
        (void)tmf_redo_checkpoint(storage, TMF_WAIT_TRY);
    tmf_process_unwrite(process);
}
