/* SPDX-License-Identifier: MIT */
/*
 * See process_lock.h. States of a process, each arrow a function; process_lock_test.c tries every
 * arrow against every state of another process, lock.pml all their interleavings.
 *
 *              share                          write
 *     SHARED ◀─────── NOTHING ─────────────────────────────▶ WRITER
 *        │   unshare ▶   ▲               unwrite                │ ▲
 *        │               └──────────────────────────────────────┤ │ not_alone
 *        │                                                alone ▼ │
 *        └─ ─ ─ with WRITER in hand: alone_to_shared ◀───────  ALONE
 *
 * let_pass leads from SHARED to SHARED, by way of NOTHING where a writer waits to be ALONE.
 *
 * Two that are SHARED go together, and so do SHARED and WRITER; all else excludes each other.
 * Whatever a process holds, it holds through its own open files: what dies lets go.
 *
 * All of that is `turnstile`, `writer` and `main`. What else there is makes waits fair: flock lets
 * readers join readers while a writer waits; and a lock that is given back wakes who waits for it
 * but hands it nothing, so who is slow to wake finds the next one there, and the next.
 *
 *   - A writer that does not find `main` free closes a gate, puts up a notice, and waits. A reader
 *     looks at the notice, which costs no call; if it says nothing, it takes `main` at once, else
 *     it has to pass the gate first.
 *   - A reader that has to wait does so in a room, which it can enter at any time, for nobody ever
 *     has a room for itself: a writer does not take that byte, it asks whether somebody has, and
 *     goes after those in the room.
 *   - There are two gates and two rooms. The notice says which of them are for newcomers, and a
 *     writer that waits changes it: who waited before is in the other room, behind a gate that is
 *     open, and is waited for; who comes later waits for the writer.
 *
 * So a reader that waits sees one writer go first, the one that had looked into the room before; or
 * two, if the notice changed before it was in the room. One that has to recover what the dead left
 * becomes a writer for that; unless there is one that will do it first thing: then it keeps `main`
 * until that one waits at the gate, and goes from there into the room. (Writers leave a redo log to
 * readers of an undo strategy, and a poison to who opens: those come in turn with the writers.) A
 * writer that waits sees those go first who were in `main` or in the room, and of each thread one
 * reader that had looked before the notice was up. To be wrong about the notice costs a turn, so
 * nobody minds what the dead have left there.
 *
 * Of a process only one thread waits here. So that the others lose nothing by that, it stays in the
 * room for them as it gives its locks back, and they go on from there (stay_in_room,
 * share_together).
 */
#include "txn/process_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "alloc/point.h"
#include "txn/file.h"
#include "txn/format.h"
#include "txn/io.h"
#include "txn/tmf.h"

#define NS_PER_S      UINT64_C(1000000000)
#define POLL_FIRST_NS UINT64_C(20000)
#define POLL_LAST_NS  UINT64_C(1000000)
#define ON_ITS_WAY_NS UINT64_C(100000) /* a writer, from its lock to main or to the gate */

uint64_t tmf_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t tmf_deadline(uint64_t timeout_ns)
{
    uint64_t now = tmf_now_ns();
    return timeout_ns >= TMF_WAIT_FOREVER - 1 - now ? TMF_WAIT_FOREVER - 1 : now + timeout_ns;
}

/* ---- one lock of either kind, asked for once; 0 or an errno, EWOULDBLOCK: somebody has it */

enum kind { FLOCK, BYTE, BYTE_IS_FREE }; /* the last takes nothing */

struct request {
    int fd;
    enum kind kind;
    int operation; /* LOCK_SH, LOCK_EX or LOCK_UN */
    unsigned byte; /* of a byte lock: enum tmf_lock_byte, the first of */
    unsigned count;
};

static int ask_flock(const struct request *request, bool wait)
{
    return tmf_io->flock(request->fd, request->operation | (wait ? 0 : LOCK_NB)) == 0 ? 0 : errno;
}

static struct flock range_of(const struct request *request)
{
    static const short types[] = {[LOCK_SH] = F_RDLCK, [LOCK_EX] = F_WRLCK, [LOCK_UN] = F_UNLCK};
    return (struct flock){.l_type = types[request->operation],
                          .l_whence = SEEK_SET,
                          .l_start = request->byte,
                          .l_len = request->count};
}

static int ask_byte(const struct request *request, bool wait)
{
    struct flock range = range_of(request);
    if (tmf_io->fcntl_lock(request->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EACCES || errno == EAGAIN ? EWOULDBLOCK : errno;
}

static int ask_whether_free(const struct request *request)
{
    struct flock range = range_of(request);
    if (tmf_io->fcntl_lock(request->fd, F_OFD_GETLK, &range) != 0)
        return errno;
    return range.l_type == F_UNLCK ? 0 : EWOULDBLOCK;
}

static int ask_once(const struct request *request, bool wait)
{
    switch (request->kind) {
    case BYTE:
        return ask_byte(request, wait);
    case BYTE_IS_FREE:
        return ask_whether_free(request);
    default:
        return ask_flock(request, wait);
    }
}

static int ask(const struct request *request, bool wait)
{
    int error;
    do {
        error = ask_once(request, wait);
    } while (error == EINTR && !TMF_MUTANT("interrupted-lock"));
    return error;
}

static void nap(uint64_t length_ns)
{
    struct timespec length = {.tv_sec = (time_t)(length_ns / NS_PER_S),
                              .tv_nsec = (long)(length_ns % NS_PER_S)};
    (void)tmf_io->nanosleep(&length, NULL);
}

/* No kind knows a time-out: ask again and again, at growing distances. */
static int poll_for(const struct request *request, uint64_t deadline)
{
    for (uint64_t pause_ns = POLL_FIRST_NS;; pause_ns *= 2) {
        int error = ask(request, false);
        if (error != EWOULDBLOCK)
            return error;
        if (deadline == TMF_WAIT_TRY)
            return EBUSY;
        uint64_t now = tmf_now_ns();
        if (now >= deadline)
            return ETIMEDOUT;
        if (pause_ns > POLL_LAST_NS)
            pause_ns = POLL_LAST_NS;
        nap(pause_ns < deadline - now ? pause_ns : deadline - now);
    }
}

static int take(const struct request *request, uint64_t deadline)
{
    bool may_wait = request->operation == LOCK_UN || deadline == TMF_WAIT_FOREVER;
    return may_wait && request->kind != BYTE_IS_FREE ? ask(request, true)
                                                     : poll_for(request, deadline);
}

int tmf_flock(int fd, int operation, uint64_t deadline)
{
    return take(&(struct request){fd, FLOCK, operation, 0, 0}, deadline);
}

static int take_byte(const struct tmf_process_lock *lock, unsigned byte, int operation,
                     uint64_t deadline)
{
    return take(&(struct request){lock->log_fd, BYTE, operation, byte, 1}, deadline);
}

/* Until nobody is in so many rooms. */
static int wait_for_rooms(const struct tmf_process_lock *lock, unsigned first, unsigned count,
                          uint64_t deadline)
{
    if (TMF_MUTANT("room-not-looked-at"))
        return 0;
    return take(&(struct request){lock->log_fd, BYTE_IS_FREE, LOCK_EX, first, count}, deadline);
}

static bool is_closed(const struct tmf_process_lock *lock, unsigned gate)
{
    const struct request request = {lock->log_fd, BYTE_IS_FREE, LOCK_SH, gate, 1};
    return take(&request, TMF_WAIT_TRY) != 0;
}

/* ---- the notice */

static int read_notice(const struct tmf_process_lock *lock, uint64_t *out)
{
    if (lock->notice) {
        *out = __atomic_load_n(lock->notice, __ATOMIC_ACQUIRE);
        return 0;
    }
    int error = tmf_file_read(lock->log_fd, out, sizeof(*out), TMF_LOG_NOTICE_OFFSET);
    if (error == TMF_EWRONGSIZE) { /* the log is being created */
        *out = 0;
        return 0;
    }
    return error;
}

/* Whether a writer does wait behind the gate of this notice: the dead leave theirs up. */
static bool is_waited(const struct tmf_process_lock *lock, uint64_t notice)
{
    return notice & TMF_NOTICE_WAITING &&
           is_closed(lock, TMF_BYTE_GATE + (notice & TMF_NOTICE_PHASE));
}

static int put_up(const struct tmf_process_lock *lock, uint64_t notice)
{
    return tmf_file_write(lock->log_fd, &notice, sizeof(notice), TMF_LOG_NOTICE_OFFSET);
}

/* ---- what they are for */

static bool has_nothing_to_take(const struct tmf_process_lock *lock)
{
    return lock->is_exclusive || TMF_MUTANT("main-lock-not-taken");
}

static int pass_gate(const struct tmf_process_lock *lock, unsigned phase, uint64_t deadline)
{
    int error = TMF_MUTANT("gate-not-passed")
                    ? 0
                    : take_byte(lock, TMF_BYTE_GATE + phase, LOCK_SH, deadline);
    if (error)
        return error;
    TMF_POINT("txn/lock/gate-passed");
    error = tmf_flock(lock->log_fd, LOCK_SH, deadline);
    (void)take_byte(lock, TMF_BYTE_GATE + phase, LOCK_UN, TMF_WAIT_FOREVER);
    return error;
}

/* Nobody waits for that. */
static int enter_room(const struct tmf_process_lock *lock, unsigned phase, int *room)
{
    int error = take_byte(lock, TMF_BYTE_ROOM + phase, LOCK_SH, TMF_WAIT_FOREVER);
    if (!error)
        *room = (int)phase;
    return error;
}

static int close_gate_and_wait(const struct tmf_process_lock *lock, unsigned phase,
                               uint64_t deadline)
{
    unsigned next = TMF_MUTANT("phase-not-changed") ? phase : !phase;
    int error = take_byte(lock, TMF_BYTE_GATE + next, LOCK_EX, deadline);
    if (error)
        return error;
    error = put_up(lock, next | (TMF_MUTANT("notice-not-put-up") ? 0 : TMF_NOTICE_WAITING));
    if (!error)
        error = wait_for_rooms(lock, TMF_BYTE_ROOM + phase, 1, deadline);
    if (!error)
        error = tmf_flock(lock->log_fd, LOCK_EX, deadline);
    (void)put_up(lock, next); /* where that fails newcomers pass the gate, which is open */
    if (!TMF_MUTANT("gate-not-given-back"))
        (void)take_byte(lock, TMF_BYTE_GATE + next, LOCK_UN, TMF_WAIT_FOREVER);
    return error;
}

static void leave_main(const struct tmf_process_lock *lock)
{
    if (!lock->is_exclusive)
        (void)tmf_flock(lock->log_fd, LOCK_UN, TMF_WAIT_FOREVER);
}

void tmf_process_leave_room(const struct tmf_process_lock *lock, int *room)
{
    if (*room != TMF_NO_ROOM && !TMF_MUTANT("room-not-left"))
        (void)take_byte(lock, TMF_BYTE_ROOM + (unsigned)*room, LOCK_UN, TMF_WAIT_FOREVER);
    *room = TMF_NO_ROOM;
}

void tmf_process_stay_in_room(const struct tmf_process_lock *lock, int *room)
{
    uint64_t notice = 0;
    if (!has_nothing_to_take(lock) && *room == TMF_NO_ROOM && read_notice(lock, &notice) == 0 &&
        !TMF_MUTANT("waiting-threads-forgotten"))
        (void)enter_room(lock, notice & TMF_NOTICE_PHASE, room);
}

/* By the gate of the room that it is in, or of newcomers. */
static int share_at_once(const struct tmf_process_lock *lock, uint64_t notice, int room)
{
    unsigned gate = room == TMF_NO_ROOM ? notice & TMF_NOTICE_PHASE : (unsigned)room;
    return notice & TMF_NOTICE_WAITING ? pass_gate(lock, gate, TMF_WAIT_TRY)
                                       : tmf_flock(lock->log_fd, LOCK_SH, TMF_WAIT_TRY);
}

int tmf_process_share_together(const struct tmf_process_lock *lock, uint64_t deadline, int *room)
{
    uint64_t notice = 0;
    if (has_nothing_to_take(lock))
        return 0;
    int error = read_notice(lock, &notice);
    if (error)
        return error;
    error = share_at_once(lock, notice, *room);
    if (error == EBUSY && deadline != TMF_WAIT_TRY) {
        error = *room == TMF_NO_ROOM ? enter_room(lock, notice & TMF_NOTICE_PHASE, room) : 0;
        if (!error)
            error = pass_gate(lock, (unsigned)*room, deadline);
    }
    if (!error)
        tmf_process_leave_room(lock, room);
    return error;
}

int tmf_process_share(const struct tmf_process_lock *lock, uint64_t deadline)
{
    int room = TMF_NO_ROOM;
    int error = tmf_process_share_together(lock, deadline, &room);
    tmf_process_leave_room(lock, &room);
    return error;
}

void tmf_process_unshare(const struct tmf_process_lock *lock)
{
    leave_main(lock);
}

int tmf_process_let_pass(const struct tmf_process_lock *lock, uint64_t deadline)
{
    uint64_t notice = 0;
    if (tmf_now_ns() >= deadline)
        return ETIMEDOUT;
    int error = read_notice(lock, &notice);
    if (error)
        return error;
    if (!is_waited(lock, notice)) {
        nap(ON_ITS_WAY_NS);
        return 0;
    }
    int room;
    error = enter_room(lock, notice & TMF_NOTICE_PHASE, &room);
    if (error)
        return error;
    leave_main(lock);
    error = pass_gate(lock, (unsigned)room, deadline);
    tmf_process_leave_room(lock, &room);
    return error;
}

int tmf_process_write(const struct tmf_process_lock *lock, uint64_t deadline)
{
    if (lock->is_exclusive)
        return 0;
    int error = take_byte(lock, TMF_BYTE_TURNSTILE, LOCK_EX, deadline);
    if (error)
        return error;
    TMF_POINT("txn/lock/turnstile-taken");
    if (!TMF_MUTANT("writer-lock-not-taken"))
        error = take_byte(lock, TMF_BYTE_WRITER, LOCK_EX, deadline);
    (void)take_byte(lock, TMF_BYTE_TURNSTILE, LOCK_UN, TMF_WAIT_FOREVER);
    return error;
}

void tmf_process_unwrite(const struct tmf_process_lock *lock)
{
    if (!lock->is_exclusive)
        (void)take_byte(lock, TMF_BYTE_WRITER, LOCK_UN, TMF_WAIT_FOREVER);
}

int tmf_process_alone(const struct tmf_process_lock *lock, uint64_t deadline)
{
    uint64_t notice = 0;
    if (has_nothing_to_take(lock))
        return 0;
    int error = read_notice(lock, &notice);
    if (!error)
        error = wait_for_rooms(lock, TMF_BYTE_ROOM, TMF_ROOMS, TMF_WAIT_TRY);
    if (!error)
        error = tmf_flock(lock->log_fd, LOCK_EX, TMF_WAIT_TRY);
    if (error != EBUSY || deadline == TMF_WAIT_TRY)
        return error;
    return close_gate_and_wait(lock, notice & TMF_NOTICE_PHASE, deadline);
}

void tmf_process_not_alone(const struct tmf_process_lock *lock)
{
    leave_main(lock);
}

int tmf_process_alone_to_shared(const struct tmf_process_lock *lock)
{
    return lock->is_exclusive ? 0 : tmf_flock(lock->log_fd, LOCK_SH, TMF_WAIT_FOREVER);
}

bool tmf_process_is_wanted(const struct tmf_process_lock *lock)
{
    uint64_t notice = 0;
    return !lock->is_exclusive && read_notice(lock, &notice) == 0 && is_waited(lock, notice);
}
