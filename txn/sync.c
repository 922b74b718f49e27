/* SPDX-License-Identifier: MIT */
/* See sync.h. */
#include "txn/sync.h"

#include <errno.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/io.h"
#include "txn/storage.h"

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

/* The sync itself, without the mutex: whoever appends meanwhile does not wait. */
static int lead(struct tmf_storage *storage)
{
    struct tmf_log *log = &storage->log;
    uint64_t appended = log->appended;
    TMF_POINT("txn/sync/before");
    log->syncs++;
    if (tmf_io->fdatasync(log->fd) != 0 && !TMF_MUTANT("log-sync-ignored"))
        return tmf_poison(storage, errno);
    TMF_POINT("txn/sync/after");
    if (log->durable_below < appended)
        log->durable_below = appended;
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
        (void)pthread_cond_broadcast(&sync->ended);
    }
    (void)pthread_mutex_unlock(&sync->mutex);
    return error;
}
