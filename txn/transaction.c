/* SPDX-License-Identifier: MIT */
/* Readers and writers: begin, commit, roll back, end. The states are in storage.h. */
#include <errno.h>
#include <sched.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/format.h"
#include "txn/storage.h"

/* ---- the transaction inside the exclusive lock */

int tmf_transaction_begin(struct tmf_storage *storage)
{
    int error = storage->strategy->begin(storage);
    if (error)
        return tmf_fail(error, "beginning a transaction of '%s'", storage->odb_path);
    storage->doom_error = 0;
    storage->doomed_by_page = false;
    storage->bus_page = 0;
    storage->state = TMF_ACTIVE;
    return 0;
}

int tmf_stop_stores(struct tmf_storage *storage)
{
    while (atomic_flag_test_and_set_explicit(&storage->fault_lock, memory_order_acquire))
        (void)sched_yield();
    int before = atomic_exchange(&storage->state, TMF_LOCKED);
    atomic_flag_clear_explicit(&storage->fault_lock, memory_order_release);
    return before;
}

/* The step did not end as it should: whatever is stored now must reach nothing. */
static int fall(struct tmf_storage *storage, int error, const char *doing)
{
    if (!TMF_MUTANT("failed-step-not-doomed"))
        tmf_doom(storage, error);
    return tmf_fail(error, "%s '%s'", doing, storage->odb_path);
}

/* A strategy that undoes has made its commit durable by itself. */
static int commit(struct tmf_storage *storage, bool wait)
{
    int error = storage->strategy->commit(storage);
    if (error || !wait || !storage->strategy->is_redo ||
        storage->durability == TMF_DURABILITY_PROCESS)
        return error;
    return tmf_sync_below(storage, storage->log.appended);
}

int tmf_transaction_commit(struct tmf_storage *storage, bool wait)
{
    TMF_POINT("txn/commit/begin");
    if (tmf_stop_stores(storage) == TMF_DOOMED && !TMF_MUTANT("doom-not-told")) {
        storage->state = TMF_DOOMED;
        return tmf_fail(storage->doom_error,
                        "committing '%s': a store of the transaction could not be made; roll back",
                        storage->odb_path);
    }
    int error = commit(storage, wait);
    return error ? fall(storage, error, "committing") : tmf_transaction_begin(storage);
}

static int transaction_rollback(struct tmf_storage *storage)
{
    int before = tmf_stop_stores(storage);
    int error = storage->strategy->rollback(storage);
    if (error == TMF_ENOTSUPPORTED) { /* nothing happened, the transaction goes on */
        storage->state = before;
        return tmf_fail(error, "rolling back '%s': strategy %s keeps no log", storage->odb_path,
                        storage->strategy->name);
    }
    return error ? fall(storage, error, "rolling back") : tmf_transaction_begin(storage);
}

int tmf_transaction_end(struct tmf_storage *storage)
{
    int error = 0;
    if (!storage->poisoned)
        error = transaction_rollback(storage);
    (void)tmf_stop_stores(storage);
    int end_error = storage->strategy->end(storage);
    if (end_error) /* stores would not trap: no further transaction here */
        storage->poisoned = end_error;
    storage->state = TMF_IDLE;
    if (error == TMF_ENOTSUPPORTED)
        return 0;
    if (error && !TMF_MUTANT("left-undone-forgotten"))
        storage->left_undone = true;
    return error;
}

/* ---- begin and end */

static int begin_check(const struct tmf_storage *storage)
{
    if (storage->forked)
        return tmf_fail(TMF_EFORKED, "using '%s'", storage->odb_path);
    if (storage->poisoned)
        return tmf_fail(TMF_EPOISONED, "using '%s'", storage->odb_path);
    return 0;
}

static int lock_failed(const struct tmf_storage *storage, int error, const char *doing)
{
    /* Our own errors explained themselves where they arose. */
    return error < 0 ? error : tmf_fail(error, "beginning to %s '%s'", doing, storage->odb_path);
}

static int read_begin(struct tmf_storage *storage, uint64_t deadline, struct tmf_reader **out)
{
    struct tmf_lock_holder *holder;
    int error = begin_check(storage);
    if (error)
        return error;
    error = tmf_lock_shared(&storage->lock, deadline, &holder);
    if (error)
        return lock_failed(storage, error, "read");
    *out = (struct tmf_reader *)(void *)holder;
    return 0;
}

static struct tmf_storage *storage_of(const struct tmf_reader *reader)
{
    return reader->holder.context;
}

static int write_begin(struct tmf_storage *storage, uint64_t deadline, struct tmf_writer **out)
{
    int error = begin_check(storage);
    if (error)
        return error;
    error = tmf_lock_exclusive(&storage->lock, deadline, &storage->writer.holder);
    if (error)
        return lock_failed(storage, error, "write");
    error = tmf_check_numbers(storage);
    if (!error)
        error = tmf_transaction_begin(storage);
    if (error) {
        tmf_lock_release(&storage->lock, &storage->writer.holder);
        return error;
    }
    TMF_POINT("txn/write/begun");
    *out = &storage->writer;
    return 0;
}

int tmf_read_begin(tmf_storage *storage, tmf_reader **out)
{
    return read_begin(storage, TMF_WAIT_FOREVER, out);
}

int tmf_read_begin_try(tmf_storage *storage, tmf_reader **out)
{
    return read_begin(storage, TMF_WAIT_TRY, out);
}

int tmf_read_begin_timed(tmf_storage *storage, uint64_t timeout_ns, tmf_reader **out)
{
    return read_begin(storage, tmf_deadline(timeout_ns), out);
}

int tmf_write_begin(tmf_storage *storage, tmf_writer **out)
{
    return write_begin(storage, TMF_WAIT_FOREVER, out);
}

int tmf_write_begin_try(tmf_storage *storage, tmf_writer **out)
{
    return write_begin(storage, TMF_WAIT_TRY, out);
}

int tmf_write_begin_timed(tmf_storage *storage, uint64_t timeout_ns, tmf_writer **out)
{
    return write_begin(storage, tmf_deadline(timeout_ns), out);
}

const void *tmf_reader_root(const tmf_reader *reader)
{
    return storage_of(reader)->arena.base + TMF_ROOT_OFFSET;
}

void tmf_read_end(tmf_reader *reader)
{
    if (!reader || storage_of(reader)->forked || !reader->holder.active ||
        !pthread_equal(reader->holder.thread, pthread_self()))
        return;
    tmf_lock_release(&storage_of(reader)->lock, &reader->holder);
}

void *tmf_writer_root(tmf_writer *writer)
{
    return writer->storage->arena.base + TMF_ROOT_OFFSET;
}

static int writer_owned(const struct tmf_writer *writer)
{
    const struct tmf_storage *storage = writer->storage;
    if (storage->forked)
        return tmf_fail(TMF_EFORKED, "writing to '%s'", storage->odb_path);
    if (TMF_MUTANT("owner-unchecked"))
        return 0;
    if (!writer->holder.active || !pthread_equal(writer->holder.thread, pthread_self()))
        return tmf_fail(TMF_ENOTOWNER, "writing to '%s'", storage->odb_path);
    return 0;
}

int tmf_writer_check(const struct tmf_writer *writer)
{
    int error = writer_owned(writer);
    if (!error && writer->storage->poisoned)
        error = tmf_fail(TMF_EPOISONED, "writing to '%s'", writer->storage->odb_path);
    return error;
}

static int may_settle(const struct tmf_writer *writer)
{
    int error = tmf_writer_check(writer);
    if (!error && writer->creating)
        error = tmf_fail(TMF_ENOTSUPPORTED, "ending a transaction inside the initialiser of '%s'",
                         writer->storage->odb_path);
    return error;
}

int tmf_commit(tmf_writer *writer)
{
    int error = may_settle(writer);
    return error ? error : tmf_transaction_commit(writer->storage, true);
}

int tmf_commit_nowait(tmf_writer *writer, uint64_t *ticket)
{
    int error = may_settle(writer);
    if (error)
        return error;
    struct tmf_storage *storage = writer->storage;
    bool wait = storage->durability != TMF_DURABILITY_GROUP;
    error = tmf_transaction_commit(storage, wait);
    if (!error)
        *ticket = storage->strategy->is_redo ? storage->log.appended : 0;
    return error;
}

int tmf_wait(tmf_storage *storage, uint64_t ticket)
{
    if (storage->forked)
        return tmf_fail(TMF_EFORKED, "waiting for a commit of '%s'", storage->odb_path);
    if (storage->durability != TMF_DURABILITY_GROUP)
        return 0;
    if (ticket > storage->log.appended)
        return tmf_fail(EINVAL, "waiting for commit %llu of '%s', which is not made yet",
                        (unsigned long long)ticket, storage->odb_path);
    int error = TMF_MUTANT("ticket-not-waited-for") ? 0 : tmf_sync_below(storage, ticket);
    return error ? tmf_fail(error, "waiting for a commit of '%s'", storage->odb_path) : 0;
}

int tmf_rollback(tmf_writer *writer)
{
    int error = may_settle(writer);
    return error ? error : transaction_rollback(writer->storage);
}

void tmf_write_end(tmf_writer *writer)
{
    if (!writer || writer->creating || writer_owned(writer) != 0)
        return;
    TMF_POINT("txn/write/end");
    bool is_early = TMF_MUTANT("unlocked-before-ended");
    if (is_early)
        tmf_lock_release(&writer->storage->lock, &writer->holder);
    bool is_kept = tmf_transaction_end(writer->storage) != 0 && TMF_MUTANT("lock-kept-at-the-end");
    if (!is_early && !is_kept)
        tmf_lock_release(&writer->storage->lock, &writer->holder);
}

int tmf_touch(tmf_writer *writer, void *at, size_t size)
{
    int error = tmf_writer_check(writer);
    if (error)
        return error;
    struct tmf_storage *storage = writer->storage;
    uintptr_t offset = (uintptr_t)at - (uintptr_t)storage->arena.base;
    if (offset > storage->arena.size || size > storage->arena.size - offset)
        return tmf_fail(EINVAL, "touching %zu bytes at %p: not inside '%s'", size, at,
                        storage->odb_path);
    if (size == 0 || writer->creating)
        return 0;
    uint64_t first = offset / TMF_PAGE_SIZE;
    uint64_t last = (offset + size - 1) / TMF_PAGE_SIZE;
    last -= last > first && TMF_MUTANT("last-page-not-touched");
    error = tmf_transaction_touch(storage, first, last - first + 1);
    return error ? tmf_fail(error, "touching %zu bytes of '%s'; roll back", size, storage->odb_path)
                 : 0;
}
