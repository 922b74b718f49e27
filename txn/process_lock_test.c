/* SPDX-License-Identifier: MIT */
/*
 * Every arrow of the states in process_lock.c against every state of another process, and who goes
 * before whom where they wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/process_lock.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define LITTLE_NS UINT64_C(3000000)

static int log_fd;

static void open_files(const struct test_place *place)
{
    log_fd = open(place->log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check(log_fd >= 0);
}

/* ---- two processes, each with its own open files, as flock sees them */

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

/* A process of which more threads wait goes on from the room that it stayed in, and keeps that
 * where it fails. */
static void test_a_process_stays_in_the_room(const struct test_place *place)
{
    int room = TMF_NO_ROOM;
    open_files(place);
    const struct tmf_process_lock one = {.log_fd = log_fd};
    open_files(place);
    const struct tmf_process_lock other = {.log_fd = log_fd};
    hold(&one, ALONE);
    tmf_process_stay_in_room(&one, &room);
    tmf_process_stay_in_room(&one, &room);
    let_go(&one, ALONE);
    check(room == 0 && !test_byte_is_free(other.log_fd, TMF_BYTE_ROOM));
    hold(&other, WRITER);
    check_error(EBUSY, take_step(&other, GO_ALONE));
    check_ok(tmf_process_share_together(&one, TMF_WAIT_FOREVER, &room));
    check(room == TMF_NO_ROOM && test_byte_is_free(other.log_fd, TMF_BYTE_ROOM));
    tmf_process_unshare(&one);
    check_ok(take_step(&other, GO_ALONE));
    check_error(ETIMEDOUT, tmf_process_share_together(&one, tmf_deadline(LITTLE_NS), &room));
    check(room == 0 && !test_byte_is_free(other.log_fd, TMF_BYTE_ROOM));
    tmf_process_leave_room(&one, &room);
    check(room == TMF_NO_ROOM && test_byte_is_free(other.log_fd, TMF_BYTE_ROOM));
    let_go(&other, ALONE);
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
        test_case(test_every_arrow_among_processes),
        test_case(test_who_waits_to_read_is_in_the_room),
        test_case(test_a_process_stays_in_the_room),
        test_case(test_who_is_in_the_room_goes_first),
        test_case(test_a_writer_that_waits_is_minded),
        test_case(test_a_reader_lets_a_writer_pass),
        test_case(test_notice_of_the_dead_is_not_minded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
