/* SPDX-License-Identifier: MIT */
/* The operations that the redo strategies share: see redo.h for the write order. */
#include "txn/redo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"

#define LOG_STRETCH                                                                                \
    8 /* a log may grow to so many times its size before a commit waits for readers */

/* ---- opening */

static int open_state(struct tmf_storage *storage, struct tmf_redo_state *state)
{
    uint64_t pages = storage->arena.size / TMF_PAGE_SIZE;
    int error = tmf_pageset_open(&state->dirty, pages);
    if (!error)
        error = tmf_pageset_open(&state->copied, pages);
    if (!error)
        error = tmf_shadows_open(&state->shadows, pages);
    return error;
}

int tmf_redo_open(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = calloc(1, sizeof(*state));
    if (!state)
        return ENOMEM;
    storage->strategy_state = state;
    int error = open_state(storage, state);
    if (!error)
        error = storage->strategy->finder->open(storage);
    if (error)
        return error;
    storage->arena.is_private = true;
    return tmf_redo_remap(storage);
}

void tmf_redo_close(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    storage->strategy->finder->close(storage);
    tmf_pageset_close(&state->dirty);
    tmf_pageset_close(&state->copied);
    tmf_shadows_close(&state->shadows);
    tmf_redo_buffer_free(&state->record);
    tmf_redo_buffer_free(&state->reading);
    free(state);
    storage->strategy_state = NULL;
}

int tmf_redo_resize(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    uint64_t pages = storage->arena.size / TMF_PAGE_SIZE;
    int error = tmf_pageset_resize(&state->dirty, pages);
    if (!error)
        error = tmf_pageset_resize(&state->copied, pages);
    if (!error)
        error = tmf_shadows_resize(&state->shadows, pages);
    if (!error)
        error = storage->strategy->finder->resize(storage);
    return error ? error : tmf_redo_remap(storage);
}

/* ---- a transaction */

int tmf_redo_begin(struct tmf_storage *storage)
{
    (void)storage;
    return 0;
}

int tmf_redo_fault(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    return storage->strategy->finder->unlock(storage, first, count);
}

int tmf_redo_doom(struct tmf_storage *storage)
{
    int error = tmf_arena_protect(&storage->arena, 0, storage->arena.size, true);
    if (!error)
        storage->arena.detached = true;
    return error;
}

int tmf_redo_committed(struct tmf_storage *storage, uint64_t page, unsigned char **out,
                       bool *is_new)
{
    struct tmf_shadows *shadows = &tmf_redo_state(storage)->shadows;
    *out = tmf_shadow_find(shadows, page);
    *is_new = !*out;
    if (*out)
        return 0;
    int error = tmf_shadow_add(shadows, page, out);
    if (error)
        return error;
    error = tmf_file_read(storage->odb_fd, *out, TMF_PAGE_SIZE, page * TMF_PAGE_SIZE);
    if (error)
        tmf_shadow_drop_last(shadows);
    return error;
}

/* Adds what the page has changed to the record. */
static int put_page(struct tmf_storage *storage, uint64_t page, bool *changed)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    uint64_t offset = page * TMF_PAGE_SIZE;
    unsigned char *committed;
    bool is_new;
    int error = tmf_redo_committed(storage, page, &committed, &is_new);
    if (error)
        return error;
    error = tmf_redo_buffer_diff(&state->record, offset, storage->arena.base + offset, committed,
                                 changed);
    if (is_new && (error || !*changed))
        tmf_shadow_drop_last(&state->shadows);
    return error;
}

/* Step 2, but for the writing. *changed: the pages that differ. */
static int build_record(struct tmf_storage *storage, uint64_t *changed)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    *changed = 0;
    tmf_redo_buffer_clear(&state->record);
    tmf_pageset_sort(&state->dirty);
    uint64_t count = state->dirty.count;
    count -= count > 1 && TMF_MUTANT("last-page-not-logged");
    for (uint64_t n = 0; n < count; n++) {
        bool differs = false;
        int error = put_page(storage, state->dirty.pages[n], &differs);
        if (error)
            return error;
        *changed += differs;
    }
    return 0;
}

/* Steps 4 and 5 where the log is full; a transaction that is larger than it extends it. */
static int make_room(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    struct tmf_redo_state *state = tmf_redo_state(storage);
    uint64_t end = tmf_redo_log_end(log, &state->record);
    if (end > log->size_kept && log->at.offset > TMF_LOG_RECORDS_OFFSET) {
        int error = tmf_redo_checkpoint(storage, TMF_WAIT_TRY);
        if (error == EBUSY)
            error = end <= LOG_STRETCH * log->size_kept
                        ? 0
                        : tmf_redo_checkpoint(storage, TMF_WAIT_FOREVER);
        if (error)
            return error;
        end = tmf_redo_log_end(log, &state->record);
    }
    return end > log->size ? tmf_log_extend(log, end) : 0;
}

/* What was logged and nothing else: a stray store may have come to the page since. */
static int keep_run(void *context, uint64_t offset, const unsigned char *bytes, size_t size)
{
    const struct tmf_shadows *shadows = context;
    if (TMF_MUTANT("committed-not-remembered"))
        return 0;
    memcpy(tmf_shadow_find(shadows, offset / TMF_PAGE_SIZE) + offset % TMF_PAGE_SIZE, bytes, size);
    return 0;
}

int tmf_redo_commit(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    uint64_t changed = 0;
    int error = storage->strategy->finder->find(storage);
    if (!error)
        error = storage->strategy->finder->rearm(storage);
    TMF_POINT("txn/redo/found");
    if (!error)
        error = build_record(storage, &changed);
    if (!error && changed)
        error = make_room(storage);
    if (!error && changed)
        error = tmf_redo_log_append(&storage->log, &state->record);
    if (error && TMF_MUTANT("append-error-swallowed"))
        error = 0;
    if (error)
        return error;
    (void)tmf_redo_buffer_each(&state->record, keep_run, &state->shadows);
    storage->stats.pages_dirtied += changed;
    storage->stats.commits += changed > 0;
    tmf_pageset_clear(&state->dirty);
    tmf_redo_buffer_clear(&state->record);
    storage->strategy->finder->settled(storage);
    return 0;
}

static int restore_dirty(struct tmf_storage *storage)
{
    struct tmf_redo_state *state = tmf_redo_state(storage);
    int error = storage->strategy->finder->find(storage);
    if (error || !state->dirty.count)
        return error;
    for (uint64_t n = TMF_MUTANT("rollback-forgets-page"); !error && n < state->dirty.count; n++)
        error = tmf_redo_restore(storage, state->dirty.pages[n]);
    storage->stats.rollbacks++;
    return error ? error : tmf_redo_watch(storage);
}

int tmf_redo_rollback(struct tmf_storage *storage)
{
    if (!storage->arena.detached)
        return restore_dirty(storage);
    storage->stats.rollbacks++;
    return tmf_redo_remap(storage);
}

bool tmf_redo_is_over_limit(const struct tmf_storage *storage)
{
    const struct tmf_redo_state *state = tmf_redo_state(storage);
    return (state->copied.count + state->shadows.count) * TMF_PAGE_SIZE > storage->private_size;
}

static int drop_stretch(void *context, uint64_t first, uint64_t count)
{
    struct tmf_storage *storage = context;
    unsigned char *at = storage->arena.base + first * TMF_PAGE_SIZE;
    return tmf_io->madvise(at, (size_t)count * TMF_PAGE_SIZE, MADV_DONTNEED) == 0 ? 0 : errno;
}

static int drop_copies(struct tmf_storage *storage)
{
    struct tmf_pageset *copied = &tmf_redo_state(storage)->copied;
    tmf_pageset_sort(copied);
    int error = tmf_pageset_each(copied, drop_stretch, storage);
    if (!error)
        tmf_pageset_clear(copied);
    return error;
}

/* Makes the checkpoint that is due, where nobody has to wait for it, and gives memory back. */
int tmf_redo_end(struct tmf_storage *storage)
{
    const struct tmf_log *log = &storage->log;
    if (storage->arena.detached && !storage->poisoned)
        return tmf_redo_remap(storage);
    bool is_over = tmf_redo_is_over_limit(storage);
    if (storage->poisoned || (!is_over && log->at.offset < log->size_kept / 4 * 3))
        return 0;
    if (tmf_redo_checkpoint(storage, TMF_WAIT_TRY) != 0 || !is_over)
        return 0;
    tmf_shadows_clear(&tmf_redo_state(storage)->shadows);
    return tmf_redo_is_over_limit(storage) ? drop_copies(storage) : 0;
}
