/* SPDX-License-Identifier: MIT */
/*
 * A store into the arena that the hardware stopped. Everything here runs in a signal handler, on
 * any thread: no allocation, no lock of the C library, no sentence; only atomics, memory that is
 * ours, and bare system calls.
 *
 * A store cannot return an error. If it cannot be made safe - the log cannot be written or synced,
 * the protection cannot be changed, the disk has no room for the page - the transaction is doomed:
 * the arena is, or becomes, a private copy in which the program goes on without reaching the file,
 * until it commits (and is told) or rolls back.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <sched.h>

#include "alloc/point.h"
#include "txn/io.h"
#include "txn/storage.h"

static void fault_lock(struct tmf_storage *storage)
{
    while (atomic_flag_test_and_set_explicit(&storage->fault_lock, memory_order_acquire))
        (void)sched_yield();
}

static void fault_unlock(struct tmf_storage *storage)
{
    atomic_flag_clear_explicit(&storage->fault_lock, memory_order_release);
}

/*
 * With fault_lock. Where the arena cannot be made a copy as a whole, it becomes one page by page,
 * as they are stored to.
 */
static void doom(struct tmf_storage *storage, int error)
{
    storage->doomed_by_page = storage->strategy->doom(storage) != 0;
    storage->arena.detached = true;
    storage->doom_error = error;
    storage->state = TMF_DOOMED;
}

void tmf_doom(struct tmf_storage *storage, int error)
{
    fault_lock(storage);
    if (storage->state != TMF_DOOMED)
        doom(storage, error);
    fault_unlock(storage);
}

/* For a page of a doomed transaction that must not be, or cannot be, stored to. */
static bool mend_page(struct tmf_storage *storage, uint64_t page, bool bus)
{
    if (bus)
        return tmf_arena_substitute(&storage->arena, page) == 0;
    return !storage->doomed_by_page || TMF_MUTANT("doomed-page-not-copied") ||
           tmf_arena_copy(&storage->arena, page, storage->log.record) == 0;
}

/*
 * SIGBUS: the file system has no block for the page, or an I/O error. Asking for the block tells
 * which; if it is given, the access may be made again, but only once. (On tmpfs even reading a hole
 * takes a block.)
 */
static bool bus_fault(struct tmf_storage *storage, uint64_t page)
{
    int error = EIO;
    if (storage->bus_page != page + 1) {
        storage->bus_page = page + 1;
        if (tmf_io->fallocate(storage->odb_fd, FALLOC_FL_KEEP_SIZE, (off_t)(page * TMF_PAGE_SIZE),
                              (off_t)TMF_PAGE_SIZE) == 0 ||
            TMF_MUTANT("full-disk-tried-for-ever"))
            return true;
        error = errno;
    }
    doom(storage, error);
    return !storage->doomed_by_page || mend_page(storage, page, true);
}

static bool store_fault(struct tmf_storage *storage, uint64_t page)
{
    if (storage->writer.creating || (storage->strategy->declared_only && !storage->heap_stores))
        return false;
    int error = storage->strategy->fault(storage, page, 1);
    if (!error)
        return true;
    doom(storage, error);
    return mend_page(storage, page, false);
}

bool tmf_transaction_fault(struct tmf_storage *storage, const void *address, bool bus)
{
    uint64_t page =
        (uint64_t)((const unsigned char *)address - storage->arena.base) / TMF_PAGE_SIZE;
    bool handled = false;
    fault_lock(storage);
    switch ((int)storage->state) {
    case TMF_ACTIVE:
        handled = bus ? bus_fault(storage, page) : store_fault(storage, page);
        break;
    case TMF_APPLYING:
        handled = bus && bus_fault(storage, page);
        break;
    case TMF_DOOMED: /* a store: perhaps by another thread, after this one's was stopped */
        handled = mend_page(storage, page, bus);
        break;
    default:
        break;
    }
    fault_unlock(storage);
    return handled;
}

int tmf_transaction_touch(struct tmf_storage *storage, uint64_t first, uint64_t count)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    /* A handler that stores into the arena would wait for the lock that its own thread holds. */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    fault_lock(storage);
    int error = storage->state == TMF_DOOMED ? storage->doom_error
                                             : storage->strategy->fault(storage, first, count);
    if (error && storage->state != TMF_DOOMED)
        doom(storage, error);
    fault_unlock(storage);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
