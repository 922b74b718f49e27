/* SPDX-License-Identifier: MIT */
/*
 * Many readers or one writer: among the threads of a process by a mutex, among processes by flock.
 *
 * Threads. States of a lock (readers = threads inside as readers):
 *
 *        read begin            write begin
 *   ┌──────────────── FREE ────────────────┐      begin goes through ENTERING (the first thread of
 *   ▼                                      ▼      the process takes the flock; others wait), and
 *  READING (readers > 0)            WRITING       comes back to FREE if that fails.
 *   └───── last end ──▶ FREE ◀─── end ─────┘
 *
 *  - a waiting writer stops new readers; when a writer ends, the readers that waited by then go
 *    first (`admitted`): neither side starves the other
 *  - a generation of readers that overlap each other without end would keep the flock for ever; so
 *    after every GENERATION_JOINS newcomers the next one looks at the gate, and if a writer of
 *    another process waits there, it lets the generation drain first
 *  - one thread is inside a lock at most once; a second begin is EDEADLK
 *
 * Processes. Two files of the storage are locked with flock: the `gate` is taken before the `main`
 * one, by readers and writers alike, and given back once the main lock is held. A writer that waits
 * for readers to leave holds the gate, so no new reader passes it. A process that dies loses both.
 *
 * Lock order: thread mutex < gate < main. No lock of ours is held while user code runs, but for the
 * main flock. flock is interrupted by signals (EINTR): it is made again.
 *
 * What the process-level hook (`entered`) does under the fresh flock - looking at the log,
 * recovery, following growth - runs while no other thread of this process is inside.
 */
#ifndef TMF_LOCK_H
#define TMF_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define TMF_WAIT_TRY     UINT64_C(0) /* deadlines in ns of CLOCK_MONOTONIC, and two special ones */
#define TMF_WAIT_FOREVER UINT64_MAX

/* A thread that is inside; owned by the caller, linked while inside. */
struct tmf_lock_holder {
    pthread_t thread;
    struct tmf_lock_holder *next;
};

struct tmf_lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int gate_fd, main_fd;
    unsigned readers, waiting_readers, waiting_writers, admitted, joins;
    bool writing, entering;
    struct tmf_lock_holder *holders;
};

/* Called under the flock just taken; an error gives the flock back and is the begin's own. */
typedef int tmf_lock_entered(void *context, bool exclusive);

int tmf_lock_init(struct tmf_lock *lock, int gate_fd, int main_fd);
void tmf_lock_destroy(struct tmf_lock *lock);

/* The deadline `timeout_ns` from now. */
uint64_t tmf_lock_deadline(uint64_t timeout_ns);

/* EDEADLK; EBUSY (TMF_WAIT_TRY) or ETIMEDOUT; what flock says; what `entered` returns. */
int tmf_lock_shared(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder,
                    tmf_lock_entered *entered, void *context);
int tmf_lock_exclusive(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder,
                       tmf_lock_entered *entered, void *context);
void tmf_lock_release(struct tmf_lock *lock, struct tmf_lock_holder *holder);

/* Whether any thread is inside or waiting. */
bool tmf_lock_in_use(struct tmf_lock *lock);

/* flock by itself: LOCK_SH or LOCK_EX with a deadline, or LOCK_UN. */
int tmf_flock(int fd, int operation, uint64_t deadline);

#endif
