/* SPDX-License-Identifier: MIT */
/*
 * Many readers or one writer: among the threads of a process by a mutex, among processes by flock.
 *
 * Threads. The states are in lock.c.
 *
 *  - a waiting writer stops new readers; when a writer ends, the readers that waited by then go
 *    first (`admitted`), also before writers of other processes that come later; and writers go in
 *    turn: nobody starves
 *  - a generation of readers that overlap each other without end would keep the flock for ever; so
 *    each newcomer looks at the notice (process_lock.h), and if a writer of another process waits,
 *    it lets the generation drain first
 *  - one thread is inside a lock at most once; a second begin is EDEADLK
 *
 *  - where writers of other processes do not wait for our readers (redo), a newcomer that finds
 *    their commits lets the generation drain too, and the next one shows them: who begins after a
 *    commit returned sees it
 *
 * Processes. The first thread that enters takes the locks of process_lock.h, the last one gives
 * them back, or hands them on to readers that wait to enter; readers do neither where the process
 * keeps its locks (TMF_EXCLUSIVE): nobody else can have written. Lock order: thread mutex < those.
 * No lock of ours is held while user code runs, but for the writer and main locks.
 *
 * What the process-level hook (`entered`) does under the fresh lock - looking at the log,
 * recovery, catching up - runs while no other thread of this process is inside.
 */
#ifndef TMF_LOCK_H
#define TMF_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "txn/process_lock.h"

/* A thread that is inside. A writer's is owned by the caller, a reader's by the lock. */
struct tmf_lock_holder {
    pthread_t thread;
    struct tmf_lock_holder *next;
    void *context;       /* of the lock */
    _Atomic bool active; /* inside */
};

/* A writer that waits. */
struct tmf_lock_waiter {
    pthread_cond_t may_enter;
    struct tmf_lock_waiter *next;
};

struct tmf_lock_hooks;

struct tmf_lock {
    pthread_mutex_t mutex;
    pthread_condattr_t monotonic;
    pthread_cond_t readers_may_enter;
    struct tmf_process_lock process;
    bool writers_alone; /* a writer keeps the readers of other processes out */
    const struct tmf_lock_hooks *hooks;
    void *context; /* of the hooks */
    unsigned readers, waiting_readers;
    unsigned admitted; /* of waiting_readers: who go first, before whoever comes later */
    unsigned era;      /* so often they were told so */
    int room;          /* of process_lock.h, where they wait among processes; or TMF_NO_ROOM */
    bool handed;       /* to them, who are to enter: main is shared still, and nobody is inside */
    bool writing;
    _Atomic bool entering;                               /* is looked at without the mutex */
    struct tmf_lock_waiter *first_writer, **last_writer; /* that waits, in turn */
    struct tmf_lock_holder *holders;
    struct tmf_lock_holder *free_holders; /* of readers, kept so that a second end is noticed */
};

struct tmf_lock_hooks {
    /* Called under the fresh lock; an error gives it back and is the begin's own. What has to be
     * waited for is waited for until `deadline`. */
    int (*entered)(void *context, bool exclusive, uint64_t deadline);
    /* Whether what the readers inside see is older than what a newcomer must see. A few ns. */
    bool (*is_stale)(void *context);
};

int tmf_lock_init(struct tmf_lock *lock, struct tmf_process_lock process, bool writers_alone,
                  const struct tmf_lock_hooks *hooks, void *context);
void tmf_lock_destroy(struct tmf_lock *lock);

/*
 * EDEADLK; ENOMEM; EBUSY (TMF_WAIT_TRY) or ETIMEDOUT; what the system says; what `entered` returns.
 */
int tmf_lock_shared(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder **out);
int tmf_lock_exclusive(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder);
void tmf_lock_release(struct tmf_lock *lock, struct tmf_lock_holder *holder);

/* Whether any thread is inside or waiting. */
bool tmf_lock_in_use(struct tmf_lock *lock);

#endif
