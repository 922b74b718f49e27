/* SPDX-License-Identifier: MIT */
/* The child speaks to whoever traces it by calls of prctl() that the kernel refuses. */
#include "harness/traced.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum word { WORD_STEP = 0x746d6600, WORD_WATCH, WORD_IGNORE };

void traced_watch(bool on)
{
    prctl(on ? WORD_WATCH : WORD_IGNORE, 0, 0, 0, 0);
}

void traced_step(void)
{
    prctl(WORD_STEP, 0, 0, 0, 0);
}

/* What the child runs. */
struct job {
    int (*body)(void *context);
    void *context;
};

#define CANNOT_BE_TRACED 126

static int run_traced(void *context)
{
    const struct job *job = context;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0)
        return CANNOT_BE_TRACED;
    return job->body(job->context);
}

static bool is_sync(uint64_t call)
{
    static const long syncs[] = {SYS_fsync,           SYS_fdatasync, SYS_msync,
                                 SYS_sync_file_range, SYS_syncfs,    SYS_sync};
    for (size_t n = 0; n < sizeof(syncs) / sizeof(syncs[0]); n++) {
        if (call == (uint64_t)syncs[n])
            return true;
    }
    return false;
}

struct watch {
    struct traced_counts *counts;
    uint64_t die_at;
    bool on;
};

/* A system call begins. False: the child shall not take this step. */
static bool take_step(struct watch *watch, uint64_t call, uint64_t argument)
{
    struct traced_counts *counts = watch->counts;
    bool is_word = call == SYS_prctl && argument >= WORD_STEP && argument <= WORD_IGNORE;
    if (is_word && argument != WORD_STEP)
        watch->on = argument == WORD_WATCH;
    if (!watch->on || (is_word && argument != WORD_STEP))
        return true;
    counts->steps++;
    counts->calls += !is_word;
    counts->syncs += is_sync(call);
    return counts->steps != watch->die_at;
}

/* What a stop was for: the signal to go on with, or -1 if it shall not go on. */
static int look_at_stop(struct watch *watch, pid_t pid, int status)
{
    struct __ptrace_syscall_info info;
    int signal = WSTOPSIG(status);
    if (signal != (SIGTRAP | 0x80))
        return signal == SIGSTOP ? 0 : signal;
    long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
    if (size <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return 0;
    return take_step(watch, info.entry.nr, info.entry.args[0]) ? 0 : -1;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* From stop to stop until it has ended. */
static int follow(struct watch *watch, pid_t pid)
{
    int status = wait_for(pid);
    if (WIFSTOPPED(status))
        ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    while (WIFSTOPPED(status)) {
        int signal = look_at_stop(watch, pid, status);
        if (signal < 0)
            kill(pid, SIGKILL);
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)(signal < 0 ? 0 : signal));
        status = wait_for(pid);
    }
    return status;
}

int traced_run(int (*body)(void *context), void *context, unsigned limit_seconds, uint64_t die_at,
               struct traced_counts *counts, struct child_end *out)
{
    struct job job = {body, context};
    struct watch watch = {counts, die_at, false};
    pid_t pid;
    *counts = (struct traced_counts){0};
    int error = child_start(run_traced, &job, limit_seconds, &pid);
    if (error)
        return error;
    int status = follow(&watch, pid);
    child_end_of(status, out);
    return out->exited && out->code == CANNOT_BE_TRACED ? EPERM : 0;
}
