/* SPDX-License-Identifier: MIT */
/* See sync.h. */
#include "txn/sync.h"

#include <errno.h>
#include <sched.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/io.h"
#include "txn/process_lock.h"
#include "txn/storage.h"

#define GATHER_SHARE 4 /* of the time that the last sync took */

int tmf_sync_init(struct tmf_sync *sync)
{
    *sync = (struct tmf_sync){.syncing = false};
    int error = pthread_mutex_init(&sync->mutex, NULL);
    if (error)
        return error;
    error = pthread_cond_init(&sync->ended, NULL);
    if (error)
        (void)pthread_mutex_destroy(&sync->mutex);
    return error;
}

void tmf_sync_destroy(struct tmf_sync *sync)
{
    (void)pthread_cond_destroy(&sync->ended);
    (void)pthread_mutex_destroy(&sync->mutex);
}

/* With the mutex held: becomes the one who syncs. */
static int enter(struct tmf_storage *storage)
{
    struct tmf_sync *sync = &storage->sync;
    while (sync->syncing)
        (void)pthread_cond_wait(&sync->ended, &sync->mutex);
    if (storage->poisoned)
        return tmf_fail(TMF_EPOISONED, "syncing '%s'", storage->log_path);
    sync->syncing = true;
    return 0;
}

int tmf_sync_enter(struct tmf_storage *storage)
{
    (void)pthread_mutex_lock(&storage->sync.mutex);
    int error = enter(storage);
    (void)pthread_mutex_unlock(&storage->sync.mutex);
    return error;
}

void tmf_sync_leave(struct tmf_storage *storage)
{
    (void)pthread_mutex_lock(&storage->sync.mutex);
    storage->sync.syncing = false;
    (void)pthread_cond_broadcast(&storage->sync.ended);
    (void)pthread_mutex_unlock(&storage->sync.mutex);
}

/* Lets as many commits come as came the last time, if they come soon. */
static void gather(const struct tmf_storage *storage)
{
    const struct tmf_sync *sync = &storage->sync;
    const struct tmf_log *log = &storage->log;
    if (storage->durability != TMF_DURABILITY_GROUP ||
        log->appended - log->durable_below >= sync->expected)
        return;
    uint64_t deadline = tmf_now_ns() + sync->last_ns / GATHER_SHARE;
    while (log->appended - log->durable_below < sync->expected && tmf_now_ns() < deadline)
        (void)sched_yield();
}

static void expect(struct tmf_storage *storage, uint64_t began_ns, uint64_t durable_before)
{
    storage->sync.expected = storage->log.appended - durable_before;
    storage->sync.last_ns = tmf_now_ns() - began_ns;
}

/* The sync itself, without the mutex: whoever appends meanwhile does not wait. */
static int lead(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    gather(storage);
    uint64_t began_ns = tmf_now_ns();
    uint64_t durable_before = log->durable_below;
    uint64_t appended = log->appended;
    TMF_POINT("txn/sync/before");
    log->syncs++;
    if (!TMF_MUTANT("commit-log-unsynced") && tmf_io->fdatasync(log->fd) != 0 &&
        !TMF_MUTANT("log-sync-ignored"))
        return tmf_poison(storage, errno);
    TMF_POINT("txn/sync/after");
    if (log->durable_below < appended)
        log->durable_below = appended;
    expect(storage, began_ns, durable_before);
    return 0;
}

int tmf_sync_below(struct tmf_storage *storage, uint64_t sequence)
{
    struct tmf_sync *sync = &storage->sync;
    int error = 0;
    (void)pthread_mutex_lock(&sync->mutex);
    while (!error && storage->log.durable_below < sequence) {
        if (sync->syncing) {
            (void)pthread_cond_wait(&sync->ended, &sync->mutex);
            continue;
        }
        error = enter(storage);
        if (error)
            break;
        (void)pthread_mutex_unlock(&sync->mutex);
        error = lead(storage);
        (void)pthread_mutex_lock(&sync->mutex);
        sync->syncing = false;
        if (!TMF_MUTANT("follower-not-woken"))
            (void)pthread_cond_broadcast(&sync->ended);
    }
    (void)pthread_mutex_unlock(&sync->mutex);
    return error;
}
