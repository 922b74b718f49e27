/* SPDX-License-Identifier: MIT */
/*
 * What every holder of a lock does first: look at the log. If it holds a transaction that nobody
 * ended, its owner is dead; under the exclusive lock the pages are put back (undo), that is made
 * durable, and only then is the log's transaction ended. Each step may be cut off and made again:
 * putting a page back twice is putting it back once.
 *
 * Recovery always syncs, whatever the durability of the one who recovers: the dead may have
 * promised more.
 *
 * Poison. A sync that failed leaves pages in the cache that the medium does not have and that the
 * kernel now calls clean, so what is read back proves nothing. From then on no begin succeeds in
 * any process. tmf_open() heals it: it puts back every logged page, which makes each dirty again,
 * syncs, and writes a new slot, which makes the log's state durable again too, whichever side of
 * the failed sync the medium is on.
 */
#include <errno.h>
#include <sys/file.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/storage.h"

int tmf_poison(struct tmf_storage *storage, int error)
{
    storage->poisoned = error;
    tmf_log_set_poison(&storage->log, error);
    return error;
}

int tmf_sync_arena(struct tmf_storage *storage)
{
    if (storage->durability == TMF_DURABILITY_PROCESS)
        return 0;
    storage->stats.syncs++;
    return tmf_io->fdatasync(storage->odb_fd) == 0 ? 0 : tmf_poison(storage, errno);
}

static int undo(struct tmf_storage *storage)
{
    struct tmf_log_state state;
    int error = tmf_log_look(&storage->log, &state);
    if (!error)
        error = tmf_log_undo(&storage->log, storage->odb_fd, state.poisoned);
    if (error)
        return error;
    TMF_POINT("txn/recover/before-sync");
    storage->stats.syncs++;
    if (tmf_io->fdatasync(storage->odb_fd) != 0)
        return tmf_poison(storage, errno);
    TMF_POINT("txn/recover/before-end");
    error = tmf_log_end(&storage->log);
    if (error)
        return tmf_poison(storage, error);
    return tmf_log_clear_poison(&storage->log);
}

int tmf_recover(struct tmf_storage *storage)
{
    TMF_POINT("txn/recover/begin");
    bool durable = storage->log.durable;
    storage->log.durable = true;
    int error = undo(storage);
    storage->log.durable = durable;
    if (error)
        return tmf_fail(error, "recovering '%s'", storage->odb_path);
    storage->stats.recoveries++;
    return 0;
}

/* Another process may have made the arena larger, or undone that it was. */
static int follow_growth(struct tmf_storage *storage)
{
    uint64_t size = tmf_header(storage)->size;
    uint64_t file_size;
    if (size <= storage->arena.size)
        return 0;
    int error = tmf_file_size(storage->odb_fd, &file_size);
    if (!error && (size > file_size || size > PTRDIFF_MAX || size % TMF_PAGE_SIZE != 0))
        error = TMF_ECORRUPT;
    if (!error)
        error = tmf_arena_extend(&storage->arena, size);
    if (!error)
        error = storage->strategy->resize(storage);
    return error ? tmf_fail(error, "following '%s' to %llu bytes", storage->odb_path,
                            (unsigned long long)size)
                 : 0;
}

static int look(struct tmf_storage *storage, struct tmf_log_state *state)
{
    int error = tmf_log_look(&storage->log, state);
    if (error)
        return tmf_fail(error, "reading '%s'", storage->log_path);
    if (state->poisoned && !storage->poisoned)
        storage->poisoned = EIO;
    return storage->poisoned ? tmf_fail(TMF_EPOISONED, "using '%s'", storage->odb_path) : 0;
}

/*
 * A reader that must recover changes its lock into an exclusive one and back. flock promises
 * neither change to be atomic, so the log is looked at again after each (flaw D26).
 */
static int recover_as_reader(struct tmf_storage *storage)
{
    struct tmf_log_state state;
    int error = tmf_flock(storage->log_fd, LOCK_EX, TMF_WAIT_FOREVER);
    if (!error)
        error = look(storage, &state);
    if (!error && state.pending)
        error = tmf_recover(storage);
    return error ? error : tmf_flock(storage->log_fd, LOCK_SH, TMF_WAIT_FOREVER);
}

int tmf_entered(void *context, bool exclusive)
{
    struct tmf_storage *storage = context;
    struct tmf_log_state state;
    int error = look(storage, &state);
    while (!error && state.pending) {
        error = exclusive ? tmf_recover(storage) : recover_as_reader(storage);
        if (!error)
            error = look(storage, &state);
    }
    return error ? error : follow_growth(storage);
}
