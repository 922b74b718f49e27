/* SPDX-License-Identifier: MIT */
/*
 * Making commits of a redo log durable, many with one sync. A commit that was appended is durable
 * once a sync that began after it has ended. The first who waits leads: it syncs for everything
 * appended by then; who comes meanwhile waits for that sync and, if it began too early, the next
 * one leads. So the tickets of a storage become durable in order.
 *
 * Threads that commit and wait, over and over, would fall into two groups that sync in turn: those
 * that a sync has just served append their next commits while the others' sync is under way. So
 * with durability group who leads first waits, a quarter of what the last sync took at most, for as
 * many commits as there were when that ended, served by it or waiting: 8 threads share one sync
 * instead of two, and a thread that is alone waits for nobody.
 *
 * Every sync of a redo log by this process is made between tmf_sync_enter() and tmf_sync_leave():
 * the kernel reports a failed write to one of two syncs that overlap, and the other must not take
 * that for success.
 */
#ifndef TMF_SYNC_H
#define TMF_SYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct tmf_storage;

struct tmf_sync {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool syncing;
    uint64_t expected; /* commits that a sync is likely to serve */
    uint64_t last_ns;  /* what the last one took */
};

int tmf_sync_init(struct tmf_sync *sync);
void tmf_sync_destroy(struct tmf_sync *sync);

/* Waits for a sync under way; TMF_EPOISONED where it failed. */
int tmf_sync_enter(struct tmf_storage *storage);
void tmf_sync_leave(struct tmf_storage *storage);

/* Returns once every transaction below `sequence` is durable. The error of the sync; TMF_EPOISONED.
 */
int tmf_sync_below(struct tmf_storage *storage, uint64_t sequence);

#endif
