/* SPDX-License-Identifier: MIT */
/*
 * The locks among processes. All belong to open files of the storage, so a process that dies loses
 * them once the kernel has taken it apart, and a storage never waits for the dead.
 *
 *   turnstile  taken by whoever wants to write, until it may: writers come in turn
 *   writer     held by the one who writes, with whatever strategy
 *   room       two, shared by readers that have to wait, until they are in
 *   gate       two, one of them held by a writer that waits for readers to leave; who comes to read
 *              meanwhile has to pass it, shared
 *   main       shared by readers; exclusive for who changes the .odb: a shared-mapping writer as
 *              long as it writes, a redo writer while it makes a checkpoint, and recovery
 *
 * Main is a flock of the log; the others are locks of a byte each of it (enum tmf_lock_byte), of
 * the open-file-description kind, which flock does not see. Order: turnstile < writer < room < gate
 * < main, for who waits. Waits are interrupted by signals (EINTR) and made again.
 *
 * Functions return 0; EBUSY (TMF_WAIT_TRY); ETIMEDOUT; or what the system says.
 */
#ifndef TMF_PROCESS_LOCK_H
#define TMF_PROCESS_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#define TMF_WAIT_TRY     UINT64_C(0) /* deadlines in ns of CLOCK_MONOTONIC, and two special ones */
#define TMF_WAIT_FOREVER UINT64_MAX

#define TMF_ROOMS   2 /* and as many gates */
#define TMF_NO_ROOM (-1)

/* Which byte of the log. */
enum tmf_lock_byte {
    TMF_BYTE_TURNSTILE,
    TMF_BYTE_WRITER,
    TMF_BYTE_ROOM,                             /* the first of them, */
    TMF_BYTE_GATE = TMF_BYTE_ROOM + TMF_ROOMS, /* the first of them */
};

/* What the notice at TMF_LOG_NOTICE_OFFSET of the log says. */
#define TMF_NOTICE_PHASE   UINT64_C(1) /* which room and gate are for newcomers */
#define TMF_NOTICE_WAITING UINT64_C(2) /* a writer does, behind the gate */

struct tmf_process_lock {
    int log_fd;
    bool is_exclusive; /* writer and main are held from open to close: nothing to be done */
    /* In a shared mapping of the log; NULL: nothing is mapped yet, so the file is read. */
    const uint64_t *notice;
};

/* The deadline `timeout_ns` from now; the time now. */
uint64_t tmf_deadline(uint64_t timeout_ns);
uint64_t tmf_now_ns(void);

int tmf_process_share(const struct tmf_process_lock *lock, uint64_t deadline);
void tmf_process_unshare(const struct tmf_process_lock *lock);
/*
 * The same for a process of which more threads wait to read. `room` is the one that it is in, or
 * TMF_NO_ROOM. It is left when main is shared; after an error it is what the others may go on from,
 * or has to be left.
 */
int tmf_process_share_together(const struct tmf_process_lock *lock, uint64_t deadline, int *room);
void tmf_process_leave_room(const struct tmf_process_lock *lock, int *room);
/* With main, or the writer lock, which is given back then: threads of this process wait to read,
 * and go before writers that come later. Does not wait. */
void tmf_process_stay_in_room(const struct tmf_process_lock *lock, int *room);
/* With main shared, before and after: lets a writer that waits go first, or one that is about to
 * get nearer. */
int tmf_process_let_pass(const struct tmf_process_lock *lock, uint64_t deadline);

int tmf_process_write(const struct tmf_process_lock *lock, uint64_t deadline);
void tmf_process_unwrite(const struct tmf_process_lock *lock);

/* With the writer lock: main, exclusively; back to nothing; back to shared. */
int tmf_process_alone(const struct tmf_process_lock *lock, uint64_t deadline);
void tmf_process_not_alone(const struct tmf_process_lock *lock);
int tmf_process_alone_to_shared(const struct tmf_process_lock *lock);

/* Whether a writer of another process waits at the gate for our readers to leave. */
bool tmf_process_is_wanted(const struct tmf_process_lock *lock);

/* flock by itself: LOCK_SH or LOCK_EX with a deadline, or LOCK_UN. */
int tmf_flock(int fd, int operation, uint64_t deadline);

#endif
