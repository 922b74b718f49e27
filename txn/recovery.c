/* SPDX-License-Identifier: MIT */
/*
 * What every holder of a lock does first: look at the log. If the .odb is not what was committed -
 * an undo log that nobody ended, whose owner is dead; a redo log with records, for a strategy that
 * maps the .odb itself - it is settled, alone with the storage: the pages are put back, or the
 * records written, into the .odb; that is made durable; and only then a new slot makes the log an
 * empty one. Each step may be cut off and made again: the same bytes written twice are written
 * once. A redo strategy needs no settling of a redo log: it takes over the records into its own
 * mapping. Unless it finds, behind the end of the records, some that were lost with the one before
 * them, as power failure leaves them of commits that nobody waited for: a transaction that is made
 * again, exactly as it was, would have the same record, and they would continue it. So whoever is
 * to append settles first.
 *
 * Settling always syncs, whatever the durability of the one who settles: the dead may have promised
 * more, and a redo log must be safe before any of it reaches the .odb.
 *
 * Poison. A sync that failed leaves pages in the cache that the medium does not have and that the
 * kernel now calls clean, so what is read back proves nothing. From then on no begin succeeds in
 * any process. tmf_open() heals it: it writes every record and every page anew, which makes each
 * dirty again, syncs, and writes a new slot, which makes the log's state durable again too,
 * whichever side of the failed sync the medium is on.
 */
#include <errno.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo.h"
#include "txn/storage.h"
#include "txn/undo_log.h"

int tmf_poison(struct tmf_storage *storage, int error)
{
    if (TMF_MUTANT("not-poisoned"))
        return error;
    storage->poisoned = error;
    if (!TMF_MUTANT("poison-not-told"))
        tmf_log_set_poison(&storage->log, error);
    return error;
}

int tmf_sync_arena(struct tmf_storage *storage)
{
    if (storage->durability == TMF_DURABILITY_PROCESS)
        return 0;
    storage->stats.syncs++;
    if (TMF_MUTANT("arena-unsynced"))
        return 0;
    if (tmf_io->fdatasync(storage->odb_fd) == 0 || TMF_MUTANT("arena-sync-ignored"))
        return 0;
    if (TMF_MUTANT("failed-sync-repeated") && tmf_io->fdatasync(storage->odb_fd) == 0)
        return 0;
    return tmf_poison(storage, errno);
}

/* ---- settling */

static int sync_log(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    if (log->durable_below >= log->at.sequence && !tmf_redo_log_has_next(log))
        return 0;
    if (TMF_MUTANT("published-before-log-synced"))
        return 0;
    log->syncs++;
    return tmf_io->fdatasync(log->fd) == 0 ? 0 : tmf_poison(storage, errno);
}

static int publish(struct tmf_storage *storage, bool rewrite, uint64_t *sequence)
{
    struct tmf_redo_buffer buffer = {0};
    struct tmf_redo_cursor end;
    int error = rewrite ? tmf_redo_log_rewrite(&storage->log, &buffer) : 0;
    if (!error)
        error = sync_log(storage);
    if (!error)
        error = tmf_redo_log_publish(&storage->log, storage->odb_fd, &buffer, &end);
    tmf_redo_buffer_free(&buffer);
    if (error)
        return error;
    *sequence = end.sequence;
    if (storage->log.at.sequence <= end.sequence)
        return 0;
    return tmf_fail(TMF_ECORRUPT, "publishing: transactions that were in '%s' are gone",
                    storage->log_path);
}

static int settle(struct tmf_storage *storage, enum tmf_log_kind kind, bool rewrite)
{
    uint64_t sequence = storage->log.sequence + 1;
    if (TMF_MUTANT("log-started-before-settled"))
        (void)tmf_log_start(&storage->log, kind, sequence);
    int error = storage->log.kind == TMF_LOG_UNDO
                    ? tmf_undo_log_apply(&storage->log, storage->odb_fd, rewrite)
                    : publish(storage, rewrite, &sequence);
    if (error)
        return error;
    TMF_POINT("txn/settle/before-sync");
    storage->stats.syncs++;
    if (!TMF_MUTANT("settled-unsynced") && tmf_io->fdatasync(storage->odb_fd) != 0)
        return tmf_poison(storage, errno);
    TMF_POINT("txn/settle/before-start");
    if (TMF_MUTANT("settled-log-kept"))
        return 0;
    error = tmf_log_start(&storage->log, kind, sequence);
    return error ? tmf_poison(storage, error) : 0;
}

static int settle_durably(struct tmf_storage *storage, enum tmf_log_kind kind, bool rewrite)
{
    bool durable = storage->log.durable;
    int error = tmf_sync_enter(storage);
    if (error)
        return error;
    storage->log.durable = true;
    error = settle(storage, kind, rewrite);
    storage->log.durable = durable;
    tmf_sync_leave(storage);
    return error;
}

int tmf_settle(struct tmf_storage *storage, enum tmf_log_kind kind)
{
    return settle_durably(storage, kind, false);
}

static int recover(struct tmf_storage *storage, const struct tmf_log_state *state,
                   enum tmf_log_kind kind)
{
    tmf_log_follow(&storage->log, state);
    int error = settle_durably(storage, kind, state->poisoned);
    if (!error && state->poisoned && !TMF_MUTANT("poison-never-healed"))
        error = tmf_log_clear_poison(&storage->log);
    if (!error && (state->pending || state->poisoned))
        storage->stats.recoveries++;
    storage->log.turn = 0; /* what a private mapping shows is to be read anew */
    return error;
}

int tmf_recover(struct tmf_storage *storage, const struct tmf_log_state *state,
                enum tmf_log_kind kind)
{
    TMF_POINT("txn/recover/begin");
    int error = recover(storage, state, kind);
    return error ? tmf_fail(error, "recovering '%s'", storage->odb_path) : 0;
}

/* Another process may have made the arena larger, or undone that it was. A strategy that follows
 * only in part is of no use any more here: the storage is to be opened anew. */
int tmf_follow_growth(struct tmf_storage *storage)
{
    uint64_t size = tmf_header(storage)->size;
    uint64_t file_size;
    if (size <= storage->arena.size || TMF_MUTANT("growth-not-followed"))
        return 0;
    int error = tmf_file_size(storage->odb_fd, &file_size);
    if (!error && (size > file_size || size > PTRDIFF_MAX || size % TMF_PAGE_SIZE != 0))
        error = TMF_ECORRUPT;
    if (!error)
        error = tmf_arena_extend(&storage->arena, size);
    if (!error) {
        error = storage->strategy->resize(storage);
        storage->poisoned = error;
    }
    return error ? tmf_fail(error, "following '%s' to %llu bytes", storage->odb_path,
                            (unsigned long long)size)
                 : 0;
}

static int look(struct tmf_storage *storage, struct tmf_log_state *state)
{
    int error = tmf_log_look(&storage->log, state);
    if (error)
        return tmf_fail(error, "reading '%s'", storage->log_path);
    if (state->poisoned && !storage->poisoned && !TMF_MUTANT("poison-of-others-ignored"))
        storage->poisoned = EIO;
    return storage->poisoned ? tmf_fail(TMF_EPOISONED, "using '%s'", storage->odb_path) : 0;
}

/* Whether the log must become another one before this storage may be used; of what kind. */
static bool is_due(const struct tmf_storage *storage, const struct tmf_log_state *state,
                   bool exclusive, enum tmf_log_kind *kind)
{
    bool is_redo = storage->strategy->is_redo;
    enum tmf_log_kind own = is_redo ? TMF_LOG_REDO : TMF_LOG_UNDO;
    *kind = exclusive ? own : state->kind;
    if (exclusive && (state->kind != own || storage->log.has_leftovers))
        return true;
    if (TMF_MUTANT("dead-holder-missed"))
        return false;
    return state->pending && !(is_redo && state->kind == TMF_LOG_REDO);
}

static int recover_if_due(struct tmf_storage *storage, bool exclusive)
{
    struct tmf_log_state state;
    enum tmf_log_kind kind;
    int error = look(storage, &state);
    return !error && is_due(storage, &state, exclusive, &kind) ? tmf_recover(storage, &state, kind)
                                                               : error;
}

/*
 * A reader changes its lock into those of a writer and back, in the order in which they are to be
 * taken. flock does not promise the way back to be atomic, so the log is looked at again after it
 * (flaw D26). With `or_writers`, a writer that is there already does it, as all do with an undo
 * log: that one is let pass, and the log looked at again.
 */
static int recover_as_reader(struct tmf_storage *storage, uint64_t deadline, bool or_writers,
                             int recover_here(struct tmf_storage *))
{
    const struct tmf_process_lock *process = &storage->lock.process;
    if (TMF_MUTANT("recovery-waits-in-turn"))
        or_writers = false;
    if (!or_writers)
        tmf_process_unshare(process);
    int error = tmf_process_write(process, or_writers ? TMF_WAIT_TRY : deadline);
    if (error == EBUSY && deadline != TMF_WAIT_TRY)
        return tmf_process_let_pass(process, deadline);
    if (error)
        return error;
    tmf_process_unshare(process);
    error = tmf_process_alone(process, deadline);
    if (!error)
        error = recover_here(storage);
    if (TMF_MUTANT("writer-let-in-too-early"))
        tmf_process_unwrite(process);
    if (!error)
        error = tmf_process_alone_to_shared(process);
    tmf_process_unwrite(process);
    return error;
}

/* ---- opening */

/* The poison heals here and nowhere else. */
static int look_at_open(struct tmf_storage *storage, struct tmf_log_state *state, bool *due)
{
    int error = tmf_log_look(&storage->log, state);
    if (error)
        return tmf_fail(error, "opening '%s': the log is damaged; restore a backup",
                        storage->log_path);
    bool is_own = storage->strategy->is_redo && state->kind == TMF_LOG_REDO;
    *due = state->poisoned || (state->pending && !is_own);
    return 0;
}

static int recover_if_due_at_open(struct tmf_storage *storage)
{
    struct tmf_log_state state;
    bool due = false;
    int error = look_at_open(storage, &state, &due);
    return !error && due ? tmf_recover(storage, &state, state.kind) : error;
}

/* Who made the storage may have died before its name was durable. Nobody ends the log's first turn
 * who has not seen to that. */
static int sync_name(const struct tmf_storage *storage, const struct tmf_log_state *state)
{
    if (state->turn > TMF_LOG_FIRST_TURN || TMF_MUTANT("name-taken-for-durable"))
        return 0;
    int error = tmf_file_sync_folder(storage->odb_path);
    return error ? tmf_fail(error, "syncing the folder of '%s'", storage->odb_path) : 0;
}

int tmf_recover_at_open(struct tmf_storage *storage)
{
    struct tmf_log_state state;
    bool due = false;
    int error = look_at_open(storage, &state, &due);
    if (!error)
        error = sync_name(storage, &state);
    while (!error && due) {
        bool or_writers = state.kind == TMF_LOG_UNDO && !state.poisoned;
        error = recover_as_reader(storage, TMF_WAIT_FOREVER, or_writers, recover_if_due_at_open);
        if (error > 0)
            error = tmf_fail(error, "recovering '%s'", storage->odb_path);
        if (!error)
            error = look_at_open(storage, &state, &due);
    }
    return error;
}

/* ---- beginning */

/* A redo writer keeps no reader out, but has to now. */
static int recover_as_writer(struct tmf_storage *storage, uint64_t deadline)
{
    if (storage->lock.writers_alone)
        return recover_if_due(storage, true);
    int error = tmf_process_alone(&storage->lock.process, deadline);
    if (error)
        return error;
    error = recover_if_due(storage, true);
    tmf_process_not_alone(&storage->lock.process);
    return error;
}

static int recover_if_due_as_reader(struct tmf_storage *storage)
{
    return recover_if_due(storage, false);
}

int tmf_check_remains(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    int error = tmf_redo_log_check_end(log, &log->at, &log->has_leftovers);
    if (!error)
        return 0;
    log->turn = 0; /* whoever asks again looks again */
    if (error != TMF_ECORRUPT)
        return tmf_fail(error, "reading '%s'", storage->log_path);
    return tmf_fail(error,
                    "reading '%s': transaction %llu is damaged or gone, though it was durable "
                    "before what follows was written; restore a backup",
                    storage->log_path, (unsigned long long)log->at.sequence);
}

static int take_over(struct tmf_storage *storage, const struct tmf_log_state *state, bool exclusive)
{
    if (storage->strategy->is_redo)
        return tmf_redo_catch_up(storage, state, exclusive);
    bool is_first = !storage->log.turn;
    if (storage->log.turn != state->turn && !TMF_MUTANT("commits-of-others-unseen"))
        tmf_log_follow(&storage->log, state);
    return is_first ? tmf_check_remains(storage) : 0;
}

static int settle_and_take_over(struct tmf_storage *storage, bool exclusive, uint64_t deadline)
{
    struct tmf_log_state state;
    enum tmf_log_kind kind;
    int error = look(storage, &state);
    while (!error && is_due(storage, &state, exclusive, &kind)) {
        error = exclusive ? recover_as_writer(storage, deadline)
                          : recover_as_reader(storage, deadline, state.kind == TMF_LOG_UNDO,
                                              recover_if_due_as_reader);
        if (!error)
            error = look(storage, &state);
    }
    return error ? error : take_over(storage, &state, exclusive);
}

static int sync_log_file(struct tmf_storage *storage)
{
    storage->log.syncs++;
    if (tmf_io->fdatasync(storage->log.fd) != 0)
        return tmf_fail(tmf_poison(storage, errno), "syncing '%s'", storage->log_path);
    storage->log.turn_synced = storage->log.turn;
    return 0;
}

/* Who wrote the slot may have died before its sync. A record must not be on the medium without it,
 * so that whoever appends makes sure first. */
static int sync_slot(struct tmf_storage *storage)
{
    const struct tmf_log *log = &storage->log;
    if (log->turn_synced == log->turn || storage->durability == TMF_DURABILITY_PROCESS ||
        TMF_MUTANT("slot-taken-for-durable"))
        return 0;
    return sync_log_file(storage);
}

int tmf_sync_seen(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    bool is_behind = storage->strategy->is_redo && log->durable_below < log->at.sequence;
    if ((log->turn_synced == log->turn && !is_behind) ||
        storage->durability == TMF_DURABILITY_PROCESS || TMF_MUTANT("growth-of-others-unsynced"))
        return 0;
    int error = sync_log_file(storage);
    if (!error && is_behind)
        log->durable_below = log->at.sequence;
    return error;
}

/* A log whose checksums are right may still be forged; where it moves the header, no pointer holds.
 */
static int check_address(const struct tmf_storage *storage)
{
    if (tmf_header(storage)->address == (uintptr_t)storage->arena.base)
        return 0;
    return tmf_fail(TMF_ECORRUPT,
                    "using '%s': its header is not that of what is mapped; restore a backup",
                    storage->odb_path);
}

int tmf_check_numbers(const struct tmf_storage *storage)
{
    if (!tmf_log_is_spent(&storage->log))
        return 0;
    return tmf_fail(TMF_ECORRUPT,
                    "writing '%s': its log '%s' counts beyond what any storage gets to; restore a "
                    "backup",
                    storage->odb_path, storage->log_path);
}

/* Most readers find all as the one before them left it. */
static bool is_as_left(const struct tmf_storage *storage)
{
    return !storage->left_undone && !storage->poisoned && !storage->arena.detached &&
           tmf_log_is_quiet(&storage->log);
}

int tmf_entered(void *context, bool exclusive, uint64_t deadline)
{
    struct tmf_storage *storage = context;
    if (!exclusive && is_as_left(storage))
        return 0;
    int error = settle_and_take_over(storage, exclusive, deadline);
    if (!error && exclusive && storage->log.has_leftovers) /* which was not known before */
        error = settle_and_take_over(storage, exclusive, deadline);
    if (!error && exclusive)
        error = sync_slot(storage);
    if (!error)
        error = check_address(storage);
    if (!error)
        error = tmf_follow_growth(storage);
    if (!error)
        storage->left_undone = false;
    return error;
}

bool tmf_is_stale(void *context)
{
    const struct tmf_storage *storage = context;
    return storage->left_undone ||
           (!storage->lock.process.is_exclusive && tmf_log_is_stale(&storage->log));
}
