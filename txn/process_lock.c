/* SPDX-License-Identifier: MIT */
/*
 * See process_lock.h. States of a process, each arrow a function; lock_test.c tries every arrow
 * against every state of another process, lock.pml all their interleavings.
 *
 *              share                          write
 *     SHARED ◀─────── NOTHING ─────────────────────────────▶ WRITER
 *        │   unshare ▶   ▲               unwrite                │ ▲
 *        │               └──────────────────────────────────────┤ │ not_alone
 *        │                                                alone ▼ │
 *        └─ ─ ─ with WRITER in hand: alone_to_shared ◀───────  ALONE
 *
 * Two that are SHARED go together, and so do SHARED and WRITER; all else excludes each other.
 * Whatever a process holds, it holds through its own open files: what dies lets go.
 */
#include "txn/process_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "alloc/point.h"
#include "txn/io.h"

#define NS_PER_S      UINT64_C(1000000000)
#define POLL_FIRST_NS UINT64_C(20000)
#define POLL_LAST_NS  UINT64_C(1000000)

enum byte { TURNSTILE, WRITER }; /* which byte of the log */

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

struct request {
    int fd;
    int operation;  /* LOCK_SH, LOCK_EX or LOCK_UN */
    enum byte byte; /* of a byte lock */
    bool is_byte;
};

static int ask_flock(const struct request *request, bool wait)
{
    return tmf_io->flock(request->fd, request->operation | (wait ? 0 : LOCK_NB)) == 0 ? 0 : errno;
}

static int ask_byte(const struct request *request, bool wait)
{
    struct flock range = {.l_type = request->operation == LOCK_UN ? F_UNLCK : F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = request->byte,
                          .l_len = 1};
    if (tmf_io->fcntl_lock(request->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EACCES || errno == EAGAIN ? EWOULDBLOCK : errno;
}

static int ask(const struct request *request, bool wait)
{
    int error;
    do {
        error = request->is_byte ? ask_byte(request, wait) : ask_flock(request, wait);
    } while (error == EINTR && !TMF_MUTANT("interrupted-lock"));
    return error;
}

/* Neither kind knows a time-out: ask again and again, at growing distances. */
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
        uint64_t nap_ns = pause_ns < deadline - now ? pause_ns : deadline - now;
        struct timespec nap = {.tv_sec = (time_t)(nap_ns / NS_PER_S),
                               .tv_nsec = (long)(nap_ns % NS_PER_S)};
        (void)tmf_io->nanosleep(&nap, NULL);
    }
}

static int take(const struct request *request, uint64_t deadline)
{
    bool may_wait = request->operation == LOCK_UN || deadline == TMF_WAIT_FOREVER;
    return may_wait ? ask(request, true) : poll_for(request, deadline);
}

int tmf_flock(int fd, int operation, uint64_t deadline)
{
    return take(&(struct request){.fd = fd, .operation = operation}, deadline);
}

static int take_byte(const struct tmf_process_lock *lock, enum byte byte, int operation,
                     uint64_t deadline)
{
    return take(&(struct request){lock->log_fd, operation, byte, true}, deadline);
}

/* ---- what they are for */

static int pass_gate(const struct tmf_process_lock *lock, int operation, uint64_t deadline)
{
    if (lock->is_exclusive || TMF_MUTANT("main-lock-not-taken"))
        return 0;
    if (TMF_MUTANT("gate-not-passed"))
        return tmf_flock(lock->log_fd, operation, deadline);
    int error = tmf_flock(lock->odb_fd, operation, deadline);
    if (error)
        return error;
    TMF_POINT("txn/lock/gate-taken");
    error = tmf_flock(lock->log_fd, operation, deadline);
    if (!TMF_MUTANT("gate-not-given-back"))
        (void)tmf_flock(lock->odb_fd, LOCK_UN, TMF_WAIT_FOREVER);
    return error;
}

static void leave_main(const struct tmf_process_lock *lock)
{
    if (!lock->is_exclusive)
        (void)tmf_flock(lock->log_fd, LOCK_UN, TMF_WAIT_FOREVER);
}

int tmf_process_share(const struct tmf_process_lock *lock, uint64_t deadline)
{
    return pass_gate(lock, LOCK_SH, deadline);
}

void tmf_process_unshare(const struct tmf_process_lock *lock)
{
    leave_main(lock);
}

int tmf_process_write(const struct tmf_process_lock *lock, uint64_t deadline)
{
    if (lock->is_exclusive)
        return 0;
    int error = take_byte(lock, TURNSTILE, LOCK_EX, deadline);
    if (error)
        return error;
    TMF_POINT("txn/lock/turnstile-taken");
    if (!TMF_MUTANT("writer-lock-not-taken"))
        error = take_byte(lock, WRITER, LOCK_EX, deadline);
    (void)take_byte(lock, TURNSTILE, LOCK_UN, TMF_WAIT_FOREVER);
    return error;
}

void tmf_process_unwrite(const struct tmf_process_lock *lock)
{
    if (!lock->is_exclusive)
        (void)take_byte(lock, WRITER, LOCK_UN, TMF_WAIT_FOREVER);
}

int tmf_process_alone(const struct tmf_process_lock *lock, uint64_t deadline)
{
    return pass_gate(lock, LOCK_EX, deadline);
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
    if (lock->is_exclusive)
        return false;
    if (tmf_flock(lock->odb_fd, LOCK_SH, TMF_WAIT_TRY) != 0)
        return true;
    (void)tmf_flock(lock->odb_fd, LOCK_UN, TMF_WAIT_FOREVER);
    return false;
}
