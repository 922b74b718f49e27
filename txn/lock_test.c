/* SPDX-License-Identifier: MIT */
/*
 * Every arrow of the states in lock.c, as a script that a few threads follow.
 *
 * A script is pairs of a thread, A to D, and what it does:
 *   r w  begins to read or write, and waits     R W  begins, and would not wait
 *   o    begins to write, and gives up soon      .   ends
 * or one sign: ! what is inside has become stale, x the next who enters is refused, # another
 * process waits at the gate, = no longer. A state is a letter (F R W), who is inside, who waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/lock.h"
#include "txn/process_lock.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define ACTORS    4
#define LITTLE_NS UINT64_C(3000000)

struct actor {
    pthread_t thread;
    struct tmf_lock_holder *holder, own;
    int error; /* of its last begin */
    struct test_flag told;
    char order;        /* 0: end for good */
    _Atomic bool busy; /* with an order */
    _Atomic bool inside;
};

static struct tmf_lock lock;
static struct actor actors[ACTORS];
static _Atomic bool is_stale, refuses;
static bool gate_taken;
static int log_fd, gate_fd;

static int entered(void *context, bool exclusive, uint64_t deadline)
{
    (void)context, (void)exclusive, (void)deadline;
    (void)pthread_mutex_lock(&lock.mutex); /* it is free */
    check(lock.entering && lock.readers == 0 && !lock.writing);
    (void)pthread_mutex_unlock(&lock.mutex);
    is_stale = false;
    bool refused = refuses;
    refuses = false;
    return refused ? EIO : 0;
}

static bool stale(void *context)
{
    (void)context;
    return is_stale;
}

static const struct tmf_lock_hooks hooks = {.entered = entered, .is_stale = stale};

/* ---- the threads */

static void begin(struct actor *actor)
{
    uint64_t deadline = TMF_WAIT_FOREVER;
    if (actor->order == 'R' || actor->order == 'W')
        deadline = TMF_WAIT_TRY;
    if (actor->order == 'o')
        deadline = tmf_deadline(LITTLE_NS);
    bool writes = actor->order == 'w' || actor->order == 'W' || actor->order == 'o';
    struct tmf_lock_holder *holder = &actor->own;
    struct tmf_lock_holder second; /* of one that is inside: never filled */
    actor->error = writes ? tmf_lock_exclusive(&lock, deadline, actor->inside ? &second : holder)
                          : tmf_lock_shared(&lock, deadline, &holder);
    if (actor->error)
        return;
    actor->holder = holder;
    actor->inside = true;
}

static void *act(void *context)
{
    struct actor *actor = context;
    for (;;) {
        test_flag_wait(&actor->told);
        if (!actor->order)
            return NULL;
        if (actor->order == '.') {
            actor->inside = false;
            tmf_lock_release(&lock, actor->holder);
        } else {
            begin(actor);
        }
        actor->busy = false;
    }
}

static unsigned count_waiting(void)
{
    unsigned count = lock.waiting_readers;
    for (const struct tmf_lock_waiter *at = lock.first_writer; at; at = at->next)
        count++;
    return count;
}

/* Whether somebody has been woken, or is about to be, and did not go on yet. */
static bool is_moving(void)
{
    bool is_free = lock.readers == 0 && !lock.writing;
    bool may_join = lock.readers > 0 && !lock.first_writer && !is_stale && !gate_taken;
    return lock.entering || lock.admitted > 0 || (is_free && count_waiting() > 0) ||
           (may_join && lock.waiting_readers > 0);
}

/* Until everybody who is busy waits, and rightly so. Who gives up soon is waited for. */
static void settle(void)
{
    for (bool settled = false; !settled; (void)sched_yield()) {
        unsigned busy = 0;
        bool soon = false;
        (void)pthread_mutex_lock(&lock.mutex);
        for (size_t n = 0; n < ACTORS; n++) {
            busy += actors[n].busy;
            soon = soon || (actors[n].busy && actors[n].order == 'o');
        }
        settled = busy == count_waiting() && !soon && !is_moving();
        (void)pthread_mutex_unlock(&lock.mutex);
    }
}

static void tell(size_t n, char order)
{
    actors[n].order = order;
    actors[n].busy = true;
    test_flag_raise(&actors[n].told);
}

/* As a writer of another process does that waits, or does not any longer. */
static void close_gate(bool closed)
{
    const uint64_t notice = closed ? TMF_NOTICE_WAITING : 0;
    check(test_byte_lock(gate_fd, TMF_BYTE_GATE, closed ? F_WRLCK : F_UNLCK) == 0);
    check(pwrite(gate_fd, &notice, sizeof(notice), TMF_LOG_NOTICE_OFFSET) == sizeof(notice));
    gate_taken = closed;
}

/* One sign, or a thread and its order; returns what comes then. A begin that may overtake one that
 * has not registered yet waits for it to have. */
static const char *follow(const char *script)
{
    switch (*script) {
    case '!':
        is_stale = true;
        return script + 1;
    case 'x':
        refuses = true;
        return script + 1;
    case '#':
        close_gate(true);
        return script + 1;
    case '=':
        close_gate(false);
        return script + 1;
    default:
        break;
    }
    size_t n = (size_t)(script[0] - 'A');
    tell(n, script[1]);
    if (script[1] != 'o' || script[2] == 0)
        settle();
    return script + 2;
}

static void play(const char *script)
{
    while (*script)
        script = follow(script);
}

/* "R AB C": A and B read, C waits. */
static void describe(char to[16])
{
    (void)pthread_mutex_lock(&lock.mutex);
    *to++ = "FRW"[lock.writing ? 2 : lock.readers > 0];
    unsigned inside = 0;
    for (int waiting = 0; waiting < 2; waiting++) {
        *to++ = ' ';
        for (size_t n = 0; n < ACTORS; n++) {
            if (waiting ? actors[n].busy : actors[n].inside)
                *to++ = (char)('A' + n);
            inside += !waiting && actors[n].inside;
        }
    }
    *to = 0;
    check(inside == lock.readers + lock.writing);
    (void)pthread_mutex_unlock(&lock.mutex);
}

/* Afterwards all end, however long others wait. */
static void end_all(void)
{
    close_gate(false);
    is_stale = false;
    for (bool any = true; any; (void)sched_yield()) {
        any = false;
        for (size_t n = 0; n < ACTORS; n++) {
            if (!actors[n].busy && actors[n].inside)
                tell(n, '.');
            any = any || actors[n].busy || actors[n].inside;
        }
    }
    check(!tmf_lock_in_use(&lock));
}

/* ---- the arrows */

static const struct arrow {
    const char *name;
    const char *before, *from, *script, *to;
    int error; /* of the begin of the thread that the script begins with; 0: got in, or waits */
} arrows[] = {
    {"enters to read, reads", "", "F  ", "Ar", "R A ", 0},
    {"enters to write, writes", "", "F  ", "Aw", "W A ", 0},
    {"refused, a reader", "x", "F  ", "Ar", "F  ", EIO},
    {"refused, a writer", "x", "F  ", "Aw", "F  ", EIO},
    {"joins", "Ar", "R A ", "Br", "R AB ", 0},
    {"joins, and would not wait", "Ar", "R A ", "BR", "R AB ", 0},
    {"leaves", "ArBr", "R AB ", "A.", "R B ", 0},
    {"last leaves", "ArBrA.", "R B ", "B.", "F  ", 0},
    {"writer ends", "Aw", "W A ", "A.", "F  ", 0},
    {"waits for the writer, a reader", "Aw", "W A ", "Br", "W A B", 0},
    {"waits for the writer, a writer", "Aw", "W A ", "Bw", "W A B", 0},
    {"waits for the readers", "Ar", "R A ", "Bw", "R A B", 0},
    {"waits behind a writer", "ArBw", "R A B", "Cr", "R A BC", 0},
    {"would wait, a reader", "Aw", "W A ", "BR", "W A ", EBUSY},
    {"would wait, a writer", "Ar", "R A ", "BW", "R A ", EBUSY},
    {"would wait behind a writer", "ArBw", "R A B", "CR", "R A B", EBUSY},
    {"last leaves, a writer is next", "ArBwCr", "R A BC", "A.", "W B C", 0},
    {"is admitted, and another that waits", "AwBwCrDr", "W A BCD", "A.", "R CD B", 0},
    {"is admitted, before one that comes later", "AwBwCrA.", "R C B", "Dr", "R C BD", 0},
    {"is next, whatever came later", "ArDwCwBw", "R A BCD", "A.", "W D BC", 0},
    {"is next, after that", "ArDwCwBwA.", "W D BC", "D.", "W C B", 0},
    {"gives up", "Ar", "R A ", "Bo", "R A ", ETIMEDOUT},
    {"gives up, a reader waits behind it", "Ar", "R A ", "BoCr", "R AC ", ETIMEDOUT},
    {"gives up, of two that wait", "ArCw", "R A C", "Bo", "R A C", ETIMEDOUT},
    {"waits for the drain: stale", "Ar!", "R A ", "Br", "R A B", 0},
    {"last leaves, the next generation enters", "Ar!Br", "R A B", "A.", "R B ", 0},
    {"waits for the drain: wanted outside", "Ar#", "R A ", "Br", "R A B", 0},
    {"is wanted no more", "Ar#Br", "R A B", "=", "R AB ", 0},
    {"a second begin, of a reader", "Ar", "R A ", "Ar", "R A ", EDEADLK},
    {"a second begin, of a writer", "Aw", "W A ", "AW", "W A ", EDEADLK},
};
#define ARROW_COUNT (sizeof(arrows) / sizeof(arrows[0]))

static void expect_state(const struct arrow *arrow, const char *must)
{
    char is[16];
    describe(is);
    test_context("arrow '%s': the state is '%s', must be '%s'", arrow->name, is, must);
    check(strcmp(is, must) == 0);
}

static void try_arrow(const struct arrow *arrow)
{
    play(arrow->before);
    expect_state(arrow, arrow->from);
    struct actor *actor = &actors[arrow->script[0] == '=' ? 1 : arrow->script[0] - 'A'];
    actor->error = 0;
    play(arrow->script);
    settle();
    expect_state(arrow, arrow->to);
    if (!actor->busy)
        check_error(arrow->error, actor->error);
    end_all();
}

static void open_files(const struct test_place *place)
{
    log_fd = open(place->log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    gate_fd = open(place->log, O_RDWR | O_CLOEXEC);
    check(log_fd >= 0 && gate_fd >= 0);
}

static void begin_play(const struct test_place *place, bool alone)
{
    open_files(place);
    const struct tmf_process_lock process = {.log_fd = log_fd};
    check_ok(tmf_lock_init(&lock, process, alone, &hooks, NULL));
    for (size_t n = 0; n < ACTORS; n++) {
        test_flag_make(&actors[n].told);
        check_ok(pthread_create(&actors[n].thread, NULL, act, &actors[n]));
    }
}

static void end_play(void)
{
    for (size_t n = 0; n < ACTORS; n++) {
        actors[n].order = 0;
        test_flag_raise(&actors[n].told);
        check_ok(pthread_join(actors[n].thread, NULL));
        test_flag_free(&actors[n].told);
    }
    tmf_lock_destroy(&lock);
}

static void test_every_arrow_among_threads(const struct test_place *place)
{
    for (int alone = 0; alone < 2; alone++) {
        begin_play(place, alone);
        for (size_t n = 0; n < ARROW_COUNT; n++)
            try_arrow(&arrows[n]);
        end_play();
    }
}

/* What the last reader has among processes goes to the next one, which enters where it is stale. */
static void test_readers_hand_on_what_nobody_wants(const struct test_place *place)
{
    begin_play(place, true);
    play("Ar!Br");
    test_calls_use(NULL);
    play("A.");
    check(test_calls_made(TEST_CALL_flock) == 0);
    tmf_io = &tmf_io_system;
    check(lock.readers == 1 && !lock.handed && lock.room == TMF_NO_ROOM && !is_stale);
    end_all();
    end_play();
}

/* Where a writer of another process waits they give it back, and wait in the room of newcomers. */
static void test_readers_that_are_wanted_stay_in_the_room(const struct test_place *place)
{
    begin_play(place, true);
    play("Ar!Br#");
    check(test_byte_is_free(gate_fd, TMF_BYTE_ROOM));
    tell(0, '.');
    while (flock(gate_fd, LOCK_EX | LOCK_NB) != 0)
        (void)sched_yield();
    check(!test_byte_is_free(gate_fd, TMF_BYTE_ROOM)); /* before main was given back */
    check(flock(gate_fd, LOCK_UN) == 0);
    close_gate(false);
    settle();
    check(lock.readers == 1 && lock.room == TMF_NO_ROOM);
    check(test_byte_is_free(gate_fd, TMF_BYTE_ROOM));
    end_all();
    end_play();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_every_arrow_among_threads),
        test_case(test_readers_hand_on_what_nobody_wants),
        test_case(test_readers_that_are_wanted_stay_in_the_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
