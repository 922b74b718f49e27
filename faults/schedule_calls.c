/* SPDX-License-Identifier: MIT */
/*
 * The calls by which threads wait for each other, led here by the linker (--wrap, as in
 * memory_faults.c). A thread that takes part in a schedule waits by its rules; its mutexes are
 * locked for real too, so a thread that takes no part still finds them so. Time is the schedule's.
 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "faults/schedule.h"

#define NS_PER_S UINT64_C(1000000000)

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
#define LED_HERE(name, ...)                                                                        \
    int __real_##name(__VA_ARGS__);                                                                \
    int __wrap_##name(__VA_ARGS__);
LED_HERE(pthread_mutex_lock, pthread_mutex_t *mutex)
LED_HERE(pthread_mutex_unlock, pthread_mutex_t *mutex)
LED_HERE(pthread_cond_wait, pthread_cond_t *condition, pthread_mutex_t *mutex)
LED_HERE(pthread_cond_timedwait, pthread_cond_t *condition, pthread_mutex_t *mutex,
         const struct timespec *until)
LED_HERE(pthread_cond_broadcast, pthread_cond_t *condition)
LED_HERE(sched_yield, void)
LED_HERE(nanosleep, const struct timespec *wish, struct timespec *left)
LED_HERE(clock_gettime, clockid_t clock, struct timespec *out)

static void lock(pthread_mutex_t *mutex)
{
    while (pthread_mutex_trylock(mutex) != 0)
        (void)schedule_wait(mutex, SCHEDULE_FOREVER);
}

static void unlock(pthread_mutex_t *mutex)
{
    (void)__real_pthread_mutex_unlock(mutex);
    schedule_wake(mutex);
}

/* Whether the time came before somebody told. */
static bool wait_for(const pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until_ns)
{
    schedule_will_wait(condition);
    unlock(mutex);
    bool timed_out = schedule_wait(condition, until_ns);
    lock(mutex);
    return timed_out;
}

static uint64_t ns_of(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_nsec;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!schedule_takes_part())
        return __real_pthread_mutex_lock(mutex);
    schedule_step(SCHEDULE_LOCK);
    lock(mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!schedule_takes_part())
        return __real_pthread_mutex_unlock(mutex);
    unlock(mutex);
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!schedule_takes_part())
        return __real_pthread_cond_wait(condition, mutex);
    (void)wait_for(condition, mutex, SCHEDULE_FOREVER);
    return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    if (!schedule_takes_part())
        return __real_pthread_cond_timedwait(condition, mutex, until);
    return wait_for(condition, mutex, ns_of(until)) ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
    if (schedule_takes_part())
        schedule_wake(condition);
    return __real_pthread_cond_broadcast(condition);
}

int __wrap_sched_yield(void)
{
    if (!schedule_takes_part())
        return __real_sched_yield();
    schedule_step(SCHEDULE_YIELD);
    return 0;
}

/* Gives way, too: where some poll, there is always one whose nap is over, and who is below them
 * would never go on. */
int __wrap_nanosleep(const struct timespec *wish, struct timespec *left)
{
    if (!schedule_takes_part())
        return __real_nanosleep(wish, left);
    uint64_t until_ns = schedule_now_ns() + ns_of(wish);
    schedule_step(SCHEDULE_YIELD);
    (void)schedule_wait(wish, until_ns);
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!schedule_takes_part())
        return __real_clock_gettime(clock, out);
    uint64_t now_ns = schedule_now_ns();
    *out = (struct timespec){.tv_sec = (time_t)(now_ns / NS_PER_S),
                             .tv_nsec = (long)(now_ns % NS_PER_S)};
    return 0;
}
/* NOLINTEND(bugprone-reserved-identifier) */
