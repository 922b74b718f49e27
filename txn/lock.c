/* SPDX-License-Identifier: MIT */
/* See lock.h for the states, the order and the rules. */
#include "txn/lock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

#include "alloc/point.h"
#include "txn/io.h"

#define GENERATION_JOINS 64
#define NS_PER_S         UINT64_C(1000000000)
#define POLL_FIRST_NS    UINT64_C(20000)
#define POLL_LAST_NS     UINT64_C(1000000)
#define ASK_AGAIN_NS     UINT64_C(10000000)

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

uint64_t tmf_lock_deadline(uint64_t timeout_ns)
{
    uint64_t now = now_ns();
    return timeout_ns >= TMF_WAIT_FOREVER - 1 - now ? TMF_WAIT_FOREVER - 1 : now + timeout_ns;
}

/* ---- processes */

/* flock knows no time-out: ask again and again, at growing distances. */
static int flock_poll(int fd, int operation, uint64_t deadline)
{
    uint64_t pause_ns = POLL_FIRST_NS;
    for (;;) {
        if (tmf_io->flock(fd, operation | LOCK_NB) == 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return errno;
        if (deadline == TMF_WAIT_TRY)
            return EBUSY;
        uint64_t now = now_ns();
        if (now >= deadline)
            return ETIMEDOUT;
        struct timespec wish = to_timespec(pause_ns < deadline - now ? pause_ns : deadline - now);
        (void)tmf_io->nanosleep(&wish, NULL);
        pause_ns = pause_ns * 2 < POLL_LAST_NS ? pause_ns * 2 : POLL_LAST_NS;
    }
}

int tmf_flock(int fd, int operation, uint64_t deadline)
{
    if (operation != LOCK_UN && deadline != TMF_WAIT_FOREVER)
        return flock_poll(fd, operation, deadline);
    while (tmf_io->flock(fd, operation) != 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static void flock_leave(struct tmf_lock *lock)
{
    TMF_POINT("txn/lock/leave");
    (void)tmf_flock(lock->main_fd, LOCK_UN, TMF_WAIT_FOREVER);
}

static int flock_enter(struct tmf_lock *lock, bool exclusive, uint64_t deadline,
                       tmf_lock_entered *entered, void *context)
{
    int operation = exclusive ? LOCK_EX : LOCK_SH;
    int error = tmf_flock(lock->gate_fd, operation, deadline);
    if (error)
        return error;
    TMF_POINT("txn/lock/gate-taken");
    error = tmf_flock(lock->main_fd, operation, deadline);
    (void)tmf_flock(lock->gate_fd, LOCK_UN, TMF_WAIT_FOREVER);
    if (error)
        return error;
    TMF_POINT("txn/lock/taken");
    error = entered(context, exclusive);
    if (error)
        flock_leave(lock);
    return error;
}

/* ---- threads */

int tmf_lock_init(struct tmf_lock *lock, int gate_fd, int main_fd)
{
    *lock = (struct tmf_lock){.gate_fd = gate_fd, .main_fd = main_fd};
    pthread_condattr_t monotonic;
    int error = pthread_mutex_init(&lock->mutex, NULL);
    if (error)
        return error;
    error = pthread_condattr_init(&monotonic);
    if (!error) {
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        error = pthread_cond_init(&lock->changed, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
    }
    if (error)
        (void)pthread_mutex_destroy(&lock->mutex);
    return error;
}

void tmf_lock_destroy(struct tmf_lock *lock)
{
    (void)pthread_cond_destroy(&lock->changed);
    (void)pthread_mutex_destroy(&lock->mutex);
}

static bool holds(const struct tmf_lock *lock, pthread_t thread)
{
    for (const struct tmf_lock_holder *at = lock->holders; at; at = at->next) {
        if (pthread_equal(at->thread, thread))
            return true;
    }
    return false;
}

static void link_holder(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    holder->thread = pthread_self();
    holder->next = lock->holders;
    lock->holders = holder;
}

static void unlink_holder(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    struct tmf_lock_holder **at = &lock->holders;
    while (*at != holder)
        at = &(*at)->next;
    *at = holder->next;
}

static int wait_changed(struct tmf_lock *lock, uint64_t deadline)
{
    if (deadline == TMF_WAIT_TRY)
        return EBUSY;
    if (deadline == TMF_WAIT_FOREVER)
        return pthread_cond_wait(&lock->changed, &lock->mutex);
    struct timespec until = to_timespec(deadline);
    return pthread_cond_timedwait(&lock->changed, &lock->mutex, &until);
}

/* Whether a writer of another process waits for the readers of this one to leave. */
static bool is_wanted_outside(struct tmf_lock *lock)
{
    if (lock->readers == 0 || lock->joins < GENERATION_JOINS)
        return false;
    if (tmf_flock(lock->gate_fd, LOCK_SH, TMF_WAIT_TRY) != 0)
        return true;
    (void)tmf_flock(lock->gate_fd, LOCK_UN, TMF_WAIT_FOREVER);
    lock->joins = 0;
    return false;
}

static bool reader_must_wait(struct tmf_lock *lock, bool admitted)
{
    if (lock->writing || lock->entering)
        return true;
    if (lock->waiting_writers > 0 && !admitted)
        return true;
    return is_wanted_outside(lock);
}

/* The writer outside may give up without a word to us: ask again now and then. */
static int wait_to_join(struct tmf_lock *lock, uint64_t deadline)
{
    uint64_t soon = tmf_lock_deadline(ASK_AGAIN_NS);
    bool ask_again = lock->joins >= GENERATION_JOINS && deadline != TMF_WAIT_TRY && soon < deadline;
    int error = wait_changed(lock, ask_again ? soon : deadline);
    return ask_again && error == ETIMEDOUT ? 0 : error;
}

/* Waits until a reader may enter. A reader that waits when a writer ends is admitted before the
 * writers that wait. */
static int wait_to_read(struct tmf_lock *lock, uint64_t deadline)
{
    int error = 0;
    lock->waiting_readers++;
    while (!error && reader_must_wait(lock, lock->admitted > 0))
        error = wait_to_join(lock, deadline);
    lock->waiting_readers--;
    if (lock->admitted > 0)
        lock->admitted--;
    if (error)
        (void)pthread_cond_broadcast(&lock->changed);
    return error;
}

static bool writer_must_wait(const struct tmf_lock *lock)
{
    return lock->writing || lock->entering || lock->readers > 0 || lock->admitted > 0;
}

static int wait_to_write(struct tmf_lock *lock, uint64_t deadline)
{
    int error = 0;
    lock->waiting_writers++;
    while (!error && writer_must_wait(lock))
        error = wait_changed(lock, deadline);
    lock->waiting_writers--;
    if (error)
        (void)pthread_cond_broadcast(&lock->changed);
    return error;
}

/* With the mutex held and nobody inside: takes the flock, without the mutex. */
static int enter(struct tmf_lock *lock, bool exclusive, uint64_t deadline,
                 tmf_lock_entered *entered, void *context)
{
    lock->entering = true;
    (void)pthread_mutex_unlock(&lock->mutex);
    int error = flock_enter(lock, exclusive, deadline, entered, context);
    (void)pthread_mutex_lock(&lock->mutex);
    lock->entering = false;
    (void)pthread_cond_broadcast(&lock->changed);
    return error;
}

int tmf_lock_shared(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder,
                    tmf_lock_entered *entered, void *context)
{
    (void)pthread_mutex_lock(&lock->mutex);
    int error = holds(lock, pthread_self()) ? EDEADLK : 0;
    if (!error && reader_must_wait(lock, false))
        error = wait_to_read(lock, deadline);
    if (!error && lock->readers == 0) {
        lock->joins = 0;
        error = enter(lock, false, deadline, entered, context);
    }
    if (!error) {
        lock->readers++;
        lock->joins++;
        link_holder(lock, holder);
    }
    (void)pthread_mutex_unlock(&lock->mutex);
    return error;
}

int tmf_lock_exclusive(struct tmf_lock *lock, uint64_t deadline, struct tmf_lock_holder *holder,
                       tmf_lock_entered *entered, void *context)
{
    (void)pthread_mutex_lock(&lock->mutex);
    int error = holds(lock, pthread_self()) ? EDEADLK : wait_to_write(lock, deadline);
    if (!error)
        error = enter(lock, true, deadline, entered, context);
    if (!error) {
        lock->writing = true;
        link_holder(lock, holder);
    }
    (void)pthread_mutex_unlock(&lock->mutex);
    return error;
}

void tmf_lock_release(struct tmf_lock *lock, struct tmf_lock_holder *holder)
{
    (void)pthread_mutex_lock(&lock->mutex);
    unlink_holder(lock, holder);
    bool was_writing = lock->writing;
    bool last = was_writing || --lock->readers == 0;
    if (last)
        flock_leave(lock);
    if (was_writing) {
        lock->writing = false;
        lock->admitted = lock->waiting_readers;
    }
    if (last)
        (void)pthread_cond_broadcast(&lock->changed);
    (void)pthread_mutex_unlock(&lock->mutex);
}

bool tmf_lock_in_use(struct tmf_lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
    bool in_use = lock->holders || lock->entering || lock->waiting_readers || lock->waiting_writers;
    (void)pthread_mutex_unlock(&lock->mutex);
    return in_use;
}
