/* SPDX-License-Identifier: MIT */
/*
 * File locks under a schedule of processes: who would wait for one lets the others go on, and asks
 * again when any of them has changed a lock. Nobody waits in the kernel, where no schedule sees it.
 * There are points after a call too, where another may let go of the lock: so it is asked for once
 * more with nothing between that and the wait. And what is not the same every time is not told.
 */
#include <errno.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "faults/io_points.h"
#include "faults/schedule.h"

static bool would_wait(int result)
{
    return result != 0 && (errno == EWOULDBLOCK || errno == EAGAIN || errno == EACCES);
}

static void wait_for_locks(void)
{
    schedule_will_wait(&schedule_file_locks);
    (void)schedule_wait(&schedule_file_locks, SCHEDULE_FOREVER);
}

static int scheduled_flock(int fd, int operation)
{
    if (!schedule_takes_part())
        return faults_io_points.flock(fd, operation);
    bool may_wait = !(operation & (LOCK_UN | LOCK_NB));
    int result = faults_io_points.flock(fd, operation | (may_wait ? LOCK_NB : 0));
    while (may_wait && would_wait(result)) {
        result = tmf_io_system.flock(fd, operation | LOCK_NB);
        if (!would_wait(result))
            break;
        wait_for_locks();
        result = faults_io_points.flock(fd, operation | LOCK_NB);
    }
    if (result == 0)
        schedule_wake(&schedule_file_locks);
    return result;
}

static int scheduled_fcntl_lock(int fd, int command, struct flock *lock)
{
    if (!schedule_takes_part())
        return faults_io_points.fcntl_lock(fd, command, lock);
    bool may_wait = command == F_OFD_SETLKW;
    int result = faults_io_points.fcntl_lock(fd, may_wait ? F_OFD_SETLK : command, lock);
    while (may_wait && would_wait(result)) {
        result = tmf_io_system.fcntl_lock(fd, F_OFD_SETLK, lock);
        if (!would_wait(result))
            break;
        wait_for_locks();
        result = faults_io_points.fcntl_lock(fd, F_OFD_SETLK, lock);
    }
    if (result == 0)
        schedule_wake(&schedule_file_locks);
    return result;
}

/* A file that is closed lets go of its locks. */
static int scheduled_close(int fd)
{
    int result = faults_io_points.close(fd);
    if (schedule_takes_part())
        schedule_wake(&schedule_file_locks);
    return result;
}

/* How often a process has had a page fault is not the same every time, so it is not told. */
static int scheduled_getrusage(int who, struct rusage *out)
{
    if (!schedule_takes_part())
        return faults_io_points.getrusage(who, out);
    errno = ENOSYS;
    return -1;
}

void schedule_locks_install(void)
{
    static struct tmf_io table;
    table = faults_io_points;
    table.flock = scheduled_flock;
    table.close = scheduled_close;
    table.fcntl_lock = scheduled_fcntl_lock;
    table.getrusage = scheduled_getrusage;
    tmf_io = &table;
}
