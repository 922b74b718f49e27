/* SPDX-License-Identifier: MIT */
/*
 * Every arrow of the states in lock.c, as a script that a few threads follow, and every arrow of
 * those in process_lock.c against every state of another process.
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
#include <sys/mman.h>
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

static void test_every_arrow_among_threads(const struct test_place *place)
{
    open_files(place);
    for (int alone = 0; alone < 2; alone++) {
        const struct tmf_process_lock process = {.log_fd = log_fd};
        check_ok(tmf_lock_init(&lock, process, alone, &hooks, NULL));
        for (size_t n = 0; n < ACTORS; n++) {
            test_flag_make(&actors[n].told);
            check_ok(pthread_create(&actors[n].thread, NULL, act, &actors[n]));
        }
        for (size_t n = 0; n < ARROW_COUNT; n++)
            try_arrow(&arrows[n]);
        for (size_t n = 0; n < ACTORS; n++) {
            actors[n].order = 0;
            test_flag_raise(&actors[n].told);
            check_ok(pthread_join(actors[n].thread, NULL));
            test_flag_free(&actors[n].told);
        }
        tmf_lock_destroy(&lock);
    }
}

/* ---- among processes: two, each with its own open files, as flock sees them */

enum held { NOTHING, SHARED, WRITER, ALONE, WRITER_SHARED, HELD_STATES };
enum step { SHARE, WRITE, GO_ALONE };

static int take_step(const struct tmf_process_lock *process, enum step step)
{
    switch (step) {
    case SHARE:
        return tmf_process_share(process, TMF_WAIT_TRY);
    case WRITE:
        return tmf_process_write(process, TMF_WAIT_TRY);
    default:
        return tmf_process_alone(process, TMF_WAIT_TRY);
    }
}

static void undo_step(const struct tmf_process_lock *process, enum step step)
{
    if (step == SHARE)
        tmf_process_unshare(process);
    if (step == WRITE)
        tmf_process_unwrite(process);
    if (step == GO_ALONE)
        tmf_process_not_alone(process);
}

static void hold(const struct tmf_process_lock *process, enum held held)
{
    if (held == SHARED)
        check_ok(take_step(process, SHARE));
    if (held >= WRITER)
        check_ok(take_step(process, WRITE));
    if (held >= ALONE)
        check_ok(take_step(process, GO_ALONE));
    if (held == WRITER_SHARED)
        check_ok(tmf_process_alone_to_shared(process));
}

static void let_go(const struct tmf_process_lock *process, enum held held)
{
    if (held == SHARED || held == WRITER_SHARED)
        undo_step(process, SHARE);
    if (held == ALONE)
        undo_step(process, GO_ALONE);
    if (held >= WRITER)
        undo_step(process, WRITE);
}

static void test_every_arrow_among_processes(const struct test_place *place)
{
    static const int told[HELD_STATES][3] = {
        [NOTHING] = {[SHARE] = 0, [WRITE] = 0, [GO_ALONE] = 0},
        [SHARED] = {[SHARE] = 0, [WRITE] = 0, [GO_ALONE] = EBUSY},
        [WRITER] = {[SHARE] = 0, [WRITE] = EBUSY, [GO_ALONE] = 0},
        [ALONE] = {[SHARE] = EBUSY, [WRITE] = EBUSY, [GO_ALONE] = EBUSY},
        [WRITER_SHARED] = {[SHARE] = 0, [WRITE] = EBUSY, [GO_ALONE] = EBUSY},
    };
    open_files(place);
    const struct tmf_process_lock one = {.log_fd = log_fd};
    open_files(place);
    const struct tmf_process_lock other = {.log_fd = log_fd};
    for (enum held held = 0; held < HELD_STATES; held++) {
        for (enum step step = 0; step <= GO_ALONE; step++) {
            test_context("step %d while another is in state %d", step, held);
            hold(&one, held);
            check_error(told[held][step], take_step(&other, step));
            if (told[held][step] == 0)
                undo_step(&other, step);
            let_go(&one, held);
            check_ok(take_step(&other, WRITE)); /* all is free: nothing was left behind */
            check_ok(take_step(&other, GO_ALONE));
            undo_step(&other, GO_ALONE);
            undo_step(&other, WRITE);
        }
    }
}

/* ---- waits among processes */

static void *share(void *context)
{
    const struct tmf_process_lock *process = context;
    check_ok(tmf_process_share(process, TMF_WAIT_FOREVER));
    return NULL;
}

static void *go_alone(void *context)
{
    const struct tmf_process_lock *process = context;
    check_ok(tmf_process_alone(process, TMF_WAIT_FOREVER));
    return NULL;
}

static void *let_pass(void *context)
{
    const struct tmf_process_lock *process = context;
    check_ok(tmf_process_let_pass(process, TMF_WAIT_FOREVER));
    return NULL;
}

/* A reader that waits is in the room until it is in, and one that would not wait never. */
static void test_who_waits_to_read_is_in_the_room(const struct test_place *place)
{
    pthread_t thread;
    open_files(place);
    const struct tmf_process_lock one = {.log_fd = log_fd};
    open_files(place);
    struct tmf_process_lock other = {.log_fd = log_fd};
    hold(&one, ALONE);
    check_error(EBUSY, take_step(&other, SHARE));
    check(test_byte_is_free(one.log_fd, TMF_BYTE_ROOM));
    check_error(ETIMEDOUT, tmf_process_share(&other, tmf_deadline(LITTLE_NS)));
    check(test_byte_is_free(one.log_fd, TMF_BYTE_ROOM));
    check_ok(pthread_create(&thread, NULL, share, &other));
    while (test_byte_is_free(one.log_fd, TMF_BYTE_ROOM))
        (void)sched_yield();
    let_go(&one, ALONE);
    check_ok(pthread_join(thread, NULL));
    check(test_byte_is_free(one.log_fd, TMF_BYTE_ROOM));
    tmf_process_unshare(&other);
}

/* While somebody is in a room no writer goes alone that would not wait; one that waits lets those
 * go first who are in the room of the notice, and goes once before those in the other. Others read.
 */
static void test_who_is_in_the_room_goes_first(const struct test_place *place)
{
    open_files(place);
    const struct tmf_process_lock one = {.log_fd = log_fd};
    open_files(place);
    const struct tmf_process_lock waiting = {.log_fd = log_fd};
    hold(&one, WRITER);
    for (unsigned phase = 0; phase < TMF_ROOMS; phase++) {
        check(test_byte_lock(log_fd, TMF_BYTE_ROOM + phase, F_RDLCK) == 0);
        check_error(EBUSY, take_step(&one, GO_ALONE));
        check_error(ETIMEDOUT, tmf_process_alone(&one, tmf_deadline(LITTLE_NS)));
        check(test_byte_is_free(waiting.log_fd, TMF_BYTE_GATE));
        check(test_byte_is_free(waiting.log_fd, TMF_BYTE_GATE + 1));
        hold(&waiting, SHARED);
        let_go(&waiting, SHARED);
        check_ok(tmf_process_alone(&one, tmf_deadline(LITTLE_NS)));
        undo_step(&one, GO_ALONE);
        check_error(ETIMEDOUT, tmf_process_alone(&one, tmf_deadline(LITTLE_NS)));
        check(test_byte_lock(log_fd, TMF_BYTE_ROOM + phase, F_UNLCK) == 0);
    }
    let_go(&one, WRITER);
}

/* Where no writer waits a reader makes one call; where one does it says so, and who comes later
 * goes after it, who is in the room before. */
static void test_a_writer_that_waits_is_minded(const struct test_place *place)
{
    pthread_t writer, reader;
    open_files(place);
    check(ftruncate(log_fd, TMF_LOG_RECORDS_OFFSET) == 0);
    void *head = mmap(NULL, TMF_LOG_RECORDS_OFFSET, PROT_READ, MAP_SHARED, log_fd, 0);
    check(head != MAP_FAILED);
    const uint64_t *notice = (const uint64_t *)head + TMF_LOG_NOTICE_OFFSET / sizeof(*notice);
    const struct tmf_process_lock one = {.log_fd = log_fd, .notice = notice};
    open_files(place);
    struct tmf_process_lock other = {.log_fd = log_fd, .notice = notice};
    open_files(place);
    struct tmf_process_lock newcomer = {.log_fd = log_fd, .notice = notice};
    test_calls_use(NULL);
    hold(&one, SHARED);
    check(!tmf_process_is_wanted(&one));
    check(test_calls_made(TEST_CALL_ANY) == 1);
    tmf_io = &tmf_io_system;
    hold(&other, WRITER);
    check_error(EBUSY, take_step(&other, GO_ALONE));
    check(*notice == 0); /* who would not wait keeps nobody out */
    check_ok(pthread_create(&writer, NULL, go_alone, &other));
    while (!tmf_process_is_wanted(&one))
        (void)sched_yield();
    check(*notice == (TMF_NOTICE_WAITING | TMF_NOTICE_PHASE));
    check_error(EBUSY, take_step(&newcomer, SHARE));
    check_ok(pthread_create(&reader, NULL, share, &newcomer));
    while (test_byte_is_free(one.log_fd, TMF_BYTE_ROOM + 1))
        (void)sched_yield();
    let_go(&one, SHARED);
    check_ok(pthread_join(writer, NULL));
    check(*notice == TMF_NOTICE_PHASE && test_byte_is_free(one.log_fd, TMF_BYTE_GATE));
    check(!test_byte_is_free(one.log_fd, TMF_BYTE_ROOM + 1));
    let_go(&other, ALONE);
    check_ok(pthread_join(reader, NULL));
    let_go(&newcomer, SHARED);
    check(munmap(head, TMF_LOG_RECORDS_OFFSET) == 0);
}

/* A reader that lets a writer pass keeps main until that one is at the gate; then it is in the
 * room, and next. */
static void test_a_reader_lets_a_writer_pass(const struct test_place *place)
{
    pthread_t writer, reader;
    open_files(place);
    struct tmf_process_lock one = {.log_fd = log_fd};
    open_files(place);
    struct tmf_process_lock other = {.log_fd = log_fd};
    hold(&one, SHARED);
    check_error(ETIMEDOUT, tmf_process_let_pass(&one, tmf_now_ns()));
    hold(&other, WRITER);
    check_ok(tmf_process_let_pass(&one, TMF_WAIT_FOREVER));
    check_error(EBUSY, take_step(&other, GO_ALONE));
    check_ok(pthread_create(&writer, NULL, go_alone, &other));
    while (!tmf_process_is_wanted(&one))
        (void)sched_yield();
    check_ok(pthread_create(&reader, NULL, let_pass, &one));
    check_ok(pthread_join(writer, NULL));
    check(!test_byte_is_free(other.log_fd, TMF_BYTE_ROOM + 1));
    let_go(&other, ALONE);
    check_ok(pthread_join(reader, NULL));
    check(test_byte_is_free(other.log_fd, TMF_BYTE_ROOM + 1));
    let_go(&one, SHARED);
}

/* Who dies while it waits leaves its notice up, and its gate open. */
static void test_notice_of_the_dead_is_not_minded(const struct test_place *place)
{
    const uint64_t notice = TMF_NOTICE_WAITING | TMF_NOTICE_PHASE;
    open_files(place);
    const struct tmf_process_lock one = {.log_fd = log_fd, .notice = &notice};
    check(!tmf_process_is_wanted(&one));
    hold(&one, SHARED);
    let_go(&one, SHARED);
    hold(&one, ALONE);
    let_go(&one, ALONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_every_arrow_among_threads),
        test_case(test_every_arrow_among_processes),
        test_case(test_who_waits_to_read_is_in_the_room),
        test_case(test_who_is_in_the_room_goes_first),
        test_case(test_a_writer_that_waits_is_minded),
        test_case(test_a_reader_lets_a_writer_pass),
        test_case(test_notice_of_the_dead_is_not_minded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
