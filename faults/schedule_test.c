/* SPDX-License-Identifier: MIT */
/* Every order of a few steps is found, once; a seed says the order; who waits for ever is told. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc/point.h"
#include "faults/points.h"
#include "faults/schedule.h"

#define THREADS 3
#define STUCK   9 /* exit status */
#define ORDERS  512

static struct schedule_plan plan;
static void (*body)(unsigned thread);
static char order[64];
static size_t order_length;
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_stuck(const char *what) __attribute__((noreturn));
static void on_stuck(const char *what)
{
    (void)what;
    _exit(STUCK);
}

static void *run_thread(void *context)
{
    unsigned thread = (unsigned)(uintptr_t)context;
    schedule_join(thread);
    body(thread);
    schedule_leave();
    return NULL;
}

static void run(unsigned count)
{
    pthread_t threads[THREADS];
    order_length = 0;
    plan.steps_max = 1000;
    plan.on_stuck = on_stuck;
    schedule_begin(&plan, count, 0);
    for (unsigned n = 0; n < count; n++)
        assert_int_equal(pthread_create(&threads[n], NULL, run_thread, (void *)(uintptr_t)n), 0);
    schedule_go();
    for (unsigned n = 0; n < count; n++)
        assert_int_equal(pthread_join(threads[n], NULL), 0);
    order[order_length] = 0;
}

static void note(unsigned thread)
{
    order[order_length++] = (char)('a' + thread);
}

static void two_steps(unsigned thread)
{
    note(thread);
    schedule_step(SCHEDULE_OTHER);
    note(thread);
}

/* How many orders there are, each of which must be new. */
static unsigned count_orders(unsigned threads, unsigned preemptions)
{
    static struct schedule_decision choices[SCHEDULE_DECISIONS_MAX];
    static char orders[ORDERS][sizeof(order)];
    unsigned count = 0;
    plan = (struct schedule_plan){.by_choice = true, .choices = choices};
    do {
        run(threads);
        assert_false(schedule_outcome()->diverged);
        for (unsigned n = 0; n < count; n++)
            assert_string_not_equal(orders[n], order);
        assert_true(count < ORDERS);
        memcpy(orders[count++], order, sizeof(order));
    } while (schedule_choose_next(preemptions, choices, &plan.choice_count));
    return count;
}

/* Of n threads with two steps: (2n)! / 2^n; one after the other: n!. */
static void test_every_order_is_found_once(void **state)
{
    (void)state;
    body = two_steps;
    assert_int_equal(count_orders(2, 8), 6);
    assert_int_equal(count_orders(3, 8), 90);
    assert_int_equal(count_orders(2, 0), 2);
    assert_int_equal(count_orders(3, 0), 6);
    assert_int_equal(count_orders(2, 1), 4); /* abba and baab as well */
}

static void points_and_locks(unsigned thread)
{
    for (int n = 0; n < 3; n++) {
        TMF_POINT("io/close/before");
        (void)pthread_mutex_lock(&first);
        note(thread);
        TMF_POINT("io/close/after");
        note(thread);
        (void)pthread_mutex_unlock(&first);
    }
}

static uint64_t run_seed(uint64_t seed)
{
    plan = (struct schedule_plan){.seed = seed, .depth = 4, .length = 30};
    run(THREADS);
    return schedule_outcome()->hash;
}

/* And a mutex is one: what is noted under it stands together. */
static void test_a_seed_says_the_order(void **state)
{
    (void)state;
    body = points_and_locks;
    unsigned different = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        char before[sizeof(order)];
        uint64_t hash = run_seed(seed);
        memcpy(before, order, sizeof(order));
        assert_true(run_seed(seed) == hash);
        assert_string_equal(order, before);
        for (size_t n = 0; n < order_length; n += 2)
            assert_int_equal(order[n], order[n + 1]);
        different += run_seed(seed + 1) != hash;
    }
    assert_in_range(different, 25, 50);
}

static void cross(unsigned thread)
{
    pthread_mutex_t *mine = thread ? &second : &first;
    pthread_mutex_t *other = thread ? &first : &second;
    (void)pthread_mutex_lock(mine);
    (void)pthread_mutex_lock(other);
    (void)pthread_mutex_unlock(other);
    (void)pthread_mutex_unlock(mine);
}

static void wait_for_nobody(unsigned thread)
{
    (void)thread;
    (void)pthread_mutex_lock(&first);
    (void)pthread_cond_wait(&changed, &first);
    (void)pthread_mutex_unlock(&first);
}

static void never_end(unsigned thread)
{
    (void)thread;
    for (;;)
        (void)sched_yield();
}

/* Whether `what` gets stuck under a seed below `seeds`. */
static unsigned stuck_seeds(void (*what)(unsigned thread), uint64_t seeds)
{
    unsigned count = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            body = what;
            plan = (struct schedule_plan){.seed = seed, .depth = 2, .length = 4};
            run(2);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) &&
                    (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == STUCK));
        count += WEXITSTATUS(status) == STUCK;
    }
    return count;
}

static void test_who_waits_for_ever_is_told(void **state)
{
    (void)state;
    unsigned crossed = stuck_seeds(cross, 40);
    assert_in_range(crossed, 1, 39); /* with one order it does not happen */
    assert_int_equal(stuck_seeds(wait_for_nobody, 2), 2);
    assert_int_equal(stuck_seeds(never_end, 2), 2);
}

static void nap_or_wait(unsigned thread)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec += thread ? 1000 : 2000;
    if (thread == 2) {
        (void)nanosleep(&(struct timespec){.tv_sec = 500}, NULL);
    } else {
        (void)pthread_mutex_lock(&first);
        int error = pthread_cond_timedwait(&changed, &first, &now);
        (void)pthread_mutex_unlock(&first);
        if (error != ETIMEDOUT)
            return;
    }
    note(thread);
}

static void test_time_passes_where_all_wait(void **state)
{
    (void)state;
    body = nap_or_wait;
    (void)run_seed(1);
    assert_string_equal(order, "cba");
}

/* ---- threads that come later, and children that take no part */

static pthread_t later;

/* Thread 0 calls thread 2 when it has made a step, and waits for it. */
static void call_another(unsigned thread)
{
    note(thread);
    schedule_step(SCHEDULE_OTHER);
    if (thread == 0) {
        assert_int_equal(pthread_create(&later, NULL, run_thread, (void *)(uintptr_t)2), 0);
        schedule_come(2);
        schedule_await(2);
        assert_int_equal(pthread_join(later, NULL), 0);
    }
    note(thread);
}

static void run_with_later(uint64_t seed)
{
    pthread_t threads[2];
    body = call_another;
    order_length = 0;
    plan = (struct schedule_plan){
        .seed = seed, .depth = 3, .length = 8, .steps_max = 1000, .on_stuck = on_stuck};
    schedule_begin(&plan, 2, 1);
    for (uintptr_t n = 0; n < 2; n++)
        assert_int_equal(pthread_create(&threads[n], NULL, run_thread, (void *)n), 0);
    schedule_go();
    for (unsigned n = 0; n < 2; n++)
        assert_int_equal(pthread_join(threads[n], NULL), 0);
    order[order_length] = 0;
}

static void test_a_thread_comes_later_and_is_awaited(void **state)
{
    (void)state;
    bool between = false; /* the later one has gone on among the steps of thread 1 */
    for (uint64_t seed = 0; seed < 50; seed++) {
        run_with_later(seed);
        const char *first_a = strchr(order, 'a'), *last_a = strrchr(order, 'a');
        const char *first_b = strchr(order, 'b'), *last_b = strrchr(order, 'b');
        const char *first_c = strchr(order, 'c'), *last_c = strrchr(order, 'c');
        assert_int_equal(strlen(order), 6);
        assert_true(first_a < first_c && last_c < last_a);
        between |= first_b < first_c && first_c < last_b;
    }
    assert_true(between);
}

/* A child makes no steps: what it does does not change what its parent does. */
static void bear(unsigned thread)
{
    int status;
    pid_t child = schedule_fork();
    assert_true(child >= 0);
    if (child == 0) {
        schedule_step(SCHEDULE_OTHER);
        _exit(schedule_takes_part());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && schedule_takes_part());
    note(thread);
}

static void test_a_child_takes_no_part(void **state)
{
    (void)state;
    body = bear;
    plan = (struct schedule_plan){.seed = 1, .depth = 1, .length = 1};
    run(2);
    assert_int_equal(schedule_outcome()->steps, 0);
    assert_int_equal(order_length, 2);
}

static int init(void **state)
{
    (void)state;
    return faults_points_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order_is_found_once),
        cmocka_unit_test(test_a_seed_says_the_order),
        cmocka_unit_test(test_who_waits_for_ever_is_told),
        cmocka_unit_test(test_time_passes_where_all_wait),
        cmocka_unit_test(test_a_thread_comes_later_and_is_awaited),
        cmocka_unit_test(test_a_child_takes_no_part),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
