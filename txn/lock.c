/* SPDX-License-Identifier: MIT */
/*
 * See lock.h for what it promises.
 *
 * States, of the lock of one process. Each arrow has a name, by which lock_test.c tries it.
 *
 *                 ┌──────────── refused ◀───────────┐
 *                 ▼                                 │ what `entered` returns, or a wait that ends
 *        ┌────▶ FREE ── enters to read, write ──▶ ENTERING
 *        │                                       ╱        ╲
 *   last leaves,                    reads       ╱          ╲  writes
 *   writer ends                                ▼            ▼
 *        │            ┌── joins ──▶ READING (readers > 0)  WRITING
 *        │            └── leaves ◀──── │  │  ▲              │
 *        ├─────────────────────────────┴──│──│──────────────┘
 *        │                 is handed on   ▼  │ the next one joins, or enters if it is stale
 *        └──────────── all give up ◀──── HANDED
 *
 * A thread that may not enter waits, and a begin that would not wait is told EBUSY:
 *
 *   waits for the writer    a reader or writer, in WRITING and ENTERING
 *   waits for the readers   a writer, in READING
 *   waits behind a writer   a reader, in READING, while a writer waits
 *   waits for the drain     a reader, in READING, where the generation inside is stale, or wanted
 *                           outside; the last that leaves lets it in
 *   is admitted             a reader that waits as a writer ends; as the last reader leaves, where
 *                           no writer waits; as another is done with ENTERING, unless that was
 *                           admitted and a writer waits. It goes before the writers that wait and
 *                           all who come later, and what is wanted outside is no matter to it
 *   is handed on            what the last reader has among processes, to those who are admitted,
 *                           where it is not wanted outside: that saves both a call
 *   is next                 writers that wait get in as they came
 *   gives up                at its deadline; whoever waited behind it is woken
 *
 * So a writer waits for each writer before it and one generation of readers after each; a reader,
 * for the writer that is inside. Among processes, turnstile, gates and rooms see to that: who is
 * admitted as nobody is inside stays in a room until one has entered or all have given up. No
 * writer of this process goes before them, for it might wait for one that waits for the room. But a
 * reader that waits behind a writer of its process waits as long as that does, and so for all of
 * other processes that go before it.
 *
 * Readers that read briefly would hinder each other more than they help, were they put to sleep and
 * woken: a flock takes less. So the mutex spins before it sleeps, and a reader looks for a moment
 * whether the one that is ENTERING is done. (`tmf bench --filter read/threads`.)
 *
 * Order: the mutex, then nothing. It is let go of while `entered` runs and a flock is waited for;
 * what is done under it, giving locks back, never waits. ENTERING keeps everybody else out
 * meanwhile.
 *
 * Lifetime: a reader's holder belongs to the lock and is never freed before it, so that a second
 * end finds it inactive; a writer's is part of the storage. A waiter is on the stack of the thread
 * that waits, in the queue for no longer. A lock is destroyed when nobody is inside or waits
 * (tmf_lock_in_use()). In a child of fork() it is never touched again: its mutex may be held by a
 * thread that is not there.
 */
#include "txn/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "alloc/point.h"

#define NS_PER_S      UINT64_C(1000000000)
#define ASK_AGAIN_NS  UINT64_C(10000000)
#define ENTERING_SPIN 100u /* looks: a few microseconds */

/* ---- processes */

/* Who is admitted stays in a room, and so goes before writers of other processes as well. */
static void leave_processes(struct tmf_lock *lock, bool exclusive)
{
    TMF_POINT("txn/lock/leave");
    if (lock->admitted > 0)
        tmf_process_stay_in_room(&lock->process, &lock->room);
    if (!exclusive)
        tmf_process_unshare(&lock->process);
    if (exclusive && lock->writers_alone)
        tmf_process_not_alone(&lock->process);
    if (exclusive)
        tmf_process_unwrite(&lock->process);
}

static int take_write(struct tmf_lock *lock, uint64_t deadline)
{
    int error = tmf_process_write(&lock->process, deadline);
    if (error || !lock->writers_alone)
        return error;
    error = tmf_process_alone(&lock->process, deadline);
    if (error)
        tmf_process_unwrite(&lock->process);
    return error;
}

static int take_read(struct tmf_lock *lock, uint64_t deadline)
{
    if (lock->handed)
        return 0;
    return tmf_process_share_together(&lock->process, deadline, &lock->room);
}

/* Whether it has the locks, which an error of `entered` does not give back. */
static bool enter_processes(struct tmf_lock *lock, bool exclusive, uint64_t deadline, int *error)
{
    *error = exclusive ? take_write(lock, deadline) : take_read(lock, deadline);
    if (*error)
        return false;
    TMF_POINT("txn/lock/taken");
    *error = lock->hooks->entered(lock->context, exclusive, deadline);
    return true;
}

/* ---- threads */

/* One that spins before it sleeps: it is held for less than that takes. */
static int init_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error)
        return error;
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    error = pthread_mutex_init(mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return error;
}

int tmf_lock_init(struct tmf_lock *lock, struct tmf_process_lock process, bool writers_alone,
                  const struct tmf_lock_hooks *hooks, void *context)
{
    *lock = (struct tmf_lock){.process = process,
                              .writers_alone = writers_alone,
                              .hooks = hooks,
                              .context = context,
                              .room = TMF_NO_ROOM};
    lock->last_writer = &lock->first_writer;
    int error = pthread_condattr_init(&lock->monotonic);
    if (error)
        return error;
    (void)pthread_condattr_setclock(&lock->monotonic, CLOCK_MONOTONIC);
    error = init_mutex(&lock->mutex);
    if (!error) {
        error = pthread_cond_init(&lock->readers_may_enter, &lock->monotonic);
        if (error)
            (void)pthread_mutex_destroy(&lock->mutex);
    }
    if (error)
        (void)pthread_condattr_destroy(&lock->monotonic);
    return error;
}

void tmf_lock_destroy(struct tmf_lock *lock)
{
    while (lock->free_holders) {
        struct tmf_lock_holder *holder = lock->free_holders;
        lock->free_holders = holder->next;
        free(holder);
    }
    (void)pthread_cond_destroy(&lock->readers_may_enter);
    (void)pthread_mutex_destroy(&lock->mutex);
    (void)pthread_condattr_destroy(&lock->monotonic);
}

static bool holds(const struct tmf_lock *lock, pthread_t thread)
{
    if (TMF_MUTANT("second-begin-unseen"))
        return false;
    for (const struct tmf_lock_holder *at = lock->holders; at; at = at->next) {
        if (pthread_equal(at->thread, thread))
            return true;
    }
    return false;
}

static void link_holder(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    holder->thread = pthread_self();
    holder->context = lock->context;
    holder->next = lock->holders;
    holder->active = true;
    lock->holders = holder;
}

static void unlink_holder(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    struct tmf_lock_holder **at = &lock->holders;
    while (*at != holder)
        at = &(*at)->next;
    *at = holder->next;
    holder->active = false;
}

static struct tmf_lock_holder *take_free(struct tmf_lock *lock)
{
    struct tmf_lock_holder *holder = lock->free_holders;
    if (!holder)
        return calloc(1, sizeof(*holder));
    lock->free_holders = holder->next;
    return holder;
}

static int wait_until(struct tmf_lock *lock, pthread_cond_t *may_enter, uint64_t deadline)
{
    if (deadline == TMF_WAIT_TRY)
        return EBUSY;
    if (deadline == TMF_WAIT_FOREVER || TMF_MUTANT("time-out-ignored"))
        return pthread_cond_wait(may_enter, &lock->mutex);
    struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S),
                             .tv_nsec = (long)(deadline % NS_PER_S)};
    return pthread_cond_timedwait(may_enter, &lock->mutex, &until);
}

static bool is_wanted_outside(const struct tmf_lock *lock)
{
    return !TMF_MUTANT("readers-never-drain") && tmf_process_is_wanted(&lock->process);
}

static bool reader_must_wait(struct tmf_lock *lock, bool admitted)
{
    if ((lock->writing && !TMF_MUTANT("reader-beside-writer")) || lock->entering)
        return true;
    if (lock->first_writer && !admitted)
        return true;
    if (lock->readers > 0 && lock->hooks->is_stale(lock->context) &&
        !TMF_MUTANT("newcomer-sees-old"))
        return true;
    bool has_main = lock->readers > 0 || lock->handed;
    return has_main && (!admitted || TMF_MUTANT("admitted-drain")) && is_wanted_outside(lock);
}

static void spin_once(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Without the mutex, for a moment. Whether anybody has entered since, so that all is to be looked
 * at again. */
static bool spin_while_entering(struct tmf_lock *lock)
{
    unsigned looks = 0;
    (void)pthread_mutex_unlock(&lock->mutex);
    while (lock->entering && looks < ENTERING_SPIN) {
        spin_once();
        looks++;
    }
    (void)pthread_mutex_lock(&lock->mutex);
    if (TMF_MUTANT("sleeps-unlooked"))
        return false;
    return looks < ENTERING_SPIN || !lock->entering;
}

/* The writer outside may give up without a word to us: ask again now and then. */
static int wait_to_join(struct tmf_lock *lock, uint64_t deadline)
{
    if (lock->entering && deadline != TMF_WAIT_TRY && spin_while_entering(lock))
        return 0;
    uint64_t soon = tmf_deadline(ASK_AGAIN_NS);
    bool ask_again =
        lock->readers > 0 && !lock->first_writer && deadline != TMF_WAIT_TRY && soon < deadline;
    int error = wait_until(lock, &lock->readers_may_enter, ask_again ? soon : deadline);
    return ask_again && error == ETIMEDOUT ? 0 : error;
}

/* Waits until a reader may enter. One that waits when a writer ends is admitted: it goes before the
 * writers that wait, and before the readers that come later. */
static int wait_to_read(struct tmf_lock *lock, uint64_t deadline)
{
    int error = 0;
    unsigned era = lock->era;
    lock->waiting_readers++;
    while (!error && reader_must_wait(lock, lock->era != era))
        error = wait_to_join(lock, deadline);
    lock->waiting_readers--;
    if (lock->era != era)
        lock->admitted--;
    return error;
}

static void queue_writer(struct tmf_lock *lock, struct tmf_lock_waiter *waiter)
{
    waiter->next = NULL;
    *lock->last_writer = waiter;
    lock->last_writer = &waiter->next;
}

static void unqueue_writer(struct tmf_lock *lock, const struct tmf_lock_waiter *waiter)
{
    struct tmf_lock_waiter **at = &lock->first_writer;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (!*at)
        lock->last_writer = at;
}

static bool writer_must_wait(const struct tmf_lock *lock, const struct tmf_lock_waiter *waiter)
{
    return lock->writing || (lock->entering && !TMF_MUTANT("entering-unseen")) ||
           (lock->readers > (unsigned)TMF_MUTANT("reader-count") &&
            !TMF_MUTANT("writer-beside-readers")) ||
           lock->admitted > 0 || lock->first_writer != waiter;
}

static int wait_to_write(struct tmf_lock *lock, uint64_t deadline)
{
    struct tmf_lock_waiter self;
    int error = pthread_cond_init(&self.may_enter, &lock->monotonic);
    if (error)
        return error;
    queue_writer(lock, &self);
    while (!error && writer_must_wait(lock, &self))
        error = wait_until(lock, &self.may_enter, deadline);
    unqueue_writer(lock, &self);
    (void)pthread_cond_destroy(&self.may_enter);
    return error;
}

/* Whatever was changed under the mutex: wakes who may enter now, and nobody else. Of the readers
 * each looks for itself. */
static void wake(struct tmf_lock *lock)
{
    if (lock->writing || lock->entering)
        return;
    if (lock->waiting_readers > 0 && (lock->admitted > 0 || !lock->first_writer))
        (void)pthread_cond_broadcast(&lock->readers_may_enter);
    if (lock->first_writer && !writer_must_wait(lock, lock->first_writer))
        (void)pthread_cond_broadcast(&lock->first_writer->may_enter);
}

/* Whoever waits to read goes before whoever comes later. */
static void admit(struct tmf_lock *lock)
{
    lock->era++;
    lock->admitted = lock->waiting_readers;
}

/*
 * With the mutex held and nobody inside: takes the locks among processes, without the mutex. Who
 * came to read meanwhile is of the same generation, or enters next; but not where a writer waits
 * already for those who are admitted: it would wait without end.
 */
static int enter(struct tmf_lock *lock, bool exclusive, bool was_admitted, uint64_t deadline)
{
    int error;
    lock->entering = true;
    (void)pthread_mutex_unlock(&lock->mutex);
    bool taken = enter_processes(lock, exclusive, deadline, &error);
    (void)pthread_mutex_lock(&lock->mutex);
    lock->entering = lock->handed = false;
    bool admits = exclusive ? error != 0
                            : !was_admitted || !lock->first_writer || TMF_MUTANT("admitted-admit");
    if (admits && !TMF_MUTANT("companions-not-admitted"))
        admit(lock);
    if (error && taken && !TMF_MUTANT("lock-kept-after-error"))
        leave_processes(lock, exclusive);
    return error;
}

/* All who were to enter first have, or have given up. */
static void end_admission(struct tmf_lock *lock)
{
    if (!TMF_MUTANT("empty-room-kept"))
        tmf_process_leave_room(&lock->process, &lock->room);
    if (lock->handed)
        leave_processes(lock, false);
    lock->handed = false;
}

static int join(struct tmf_lock *lock, struct tmf_lock_holder **out)
{
    struct tmf_lock_holder *holder = take_free(lock);
    if (!holder) {
        if (lock->readers == 0)
            leave_processes(lock, false);
        return ENOMEM;
    }
    lock->readers += !TMF_MUTANT("reader-not-counted");
    lock->handed = false;
    link_holder(lock, holder);
    *out = holder;
    return 0;
}

/* Where the process keeps its locks, or main is handed on, nobody else was alone meanwhile. */
static bool has_to_enter(const struct tmf_lock *lock)
{
    return !(lock->process.is_exclusive || lock->handed) || lock->hooks->is_stale(lock->context);
}

int tmf_lock_shared(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder **out)
{
    (void)pthread_mutex_lock(&lock->mutex);
    int error = holds(lock, pthread_self()) ? EDEADLK : 0;
    unsigned era = lock->era;
    if (!error && reader_must_wait(lock, false))
        error = wait_to_read(lock, deadline);
    bool is_first = lock->readers == 0;
    if (!error && is_first && has_to_enter(lock))
        error = enter(lock, false, lock->era != era, deadline);
    if (!error)
        error = join(lock, out);
    if (lock->admitted == 0 && !lock->entering)
        end_admission(lock);
    if (error || is_first)
        wake(lock);
    (void)pthread_mutex_unlock(&lock->mutex);
    return error;
}

int tmf_lock_exclusive(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder)
{
    (void)pthread_mutex_lock(&lock->mutex);
    int error = holds(lock, pthread_self()) ? EDEADLK : wait_to_write(lock, deadline);
    if (!error)
        error = enter(lock, true, false, deadline);
    if (!error) {
        lock->writing = true;
        link_holder(lock, holder);
    }
    wake(lock);
    (void)pthread_mutex_unlock(&lock->mutex);
    return error;
}

/* To readers that are about to enter, which saves both a call; not where a writer waits for it. */
static bool may_hand_on(const struct tmf_lock *lock)
{
    return lock->admitted > 0 && !lock->process.is_exclusive &&
           (!is_wanted_outside(lock) || TMF_MUTANT("handed-though-wanted"));
}

void tmf_lock_release(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    (void)pthread_mutex_lock(&lock->mutex);
    unlink_holder(lock, holder);
    bool was_writing = lock->writing;
    if (!was_writing) {
        holder->next = lock->free_holders;
        lock->free_holders = holder;
    }
    bool last = was_writing || --lock->readers == TMF_MUTANT("last-but-one-unlocks");
    lock->writing = false;
    if (was_writing || (last && !lock->first_writer && !TMF_MUTANT("drained-not-admitted")))
        admit(lock);
    lock->handed = last && !was_writing && may_hand_on(lock);
    if (was_writing || (last && !lock->handed && !lock->process.is_exclusive))
        leave_processes(lock, was_writing);
    if (last && !TMF_MUTANT("waiter-not-woken") && (was_writing || !TMF_MUTANT("leaving-untold")))
        wake(lock);
    (void)pthread_mutex_unlock(&lock->mutex);
}

bool tmf_lock_in_use(struct tmf_lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
    bool in_use = lock->holders || lock->entering || lock->waiting_readers || lock->first_writer;
    (void)pthread_mutex_unlock(&lock->mutex);
    return in_use;
}
