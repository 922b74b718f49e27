/* SPDX-License-Identifier: MIT */
/*
 * Processes under a schedule, see explore.h: one run. Each opens the storage, reads or writes, and
 * closes, all of it by the schedule. One may die at a step of it: its parent sees it dead before
 * anybody goes on, so what it had locked is free, and that too is the same every time.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/explore.h"

#define LIMIT_SECONDS 60u

struct process {
    const struct explore_run *run;
    unsigned number;
    pid_t pid;
    struct oracle *oracle;
};

static void violate(const struct process *self, const char *call, int error)
{
    board_violate(self->run->board, "process %u: %s: %s", self->number, call, error_text(error));
}

static int live(void *context)
{
    const struct process *self = context;
    const struct explore_run *run = self->run;
    tmf_storage *storage;
    schedule_locks_install();
    schedule_join(self->number);
    int error = workload_open(&run->what->place, run->path, &storage);
    if (error) {
        violate(self, "the storage does not open", error);
    } else {
        explore_compete(run, self->number, storage, self->oracle);
        error = tmf_close(storage);
        if (error)
            violate(self, "the storage does not close", error);
    }
    schedule_leave();
    return 0;
}

static struct process *find(struct process *all, unsigned count, pid_t pid)
{
    for (unsigned n = 0; n < count; n++) {
        if (all[n].pid == pid)
            return &all[n];
    }
    return NULL;
}

/* False: it ended as it must not. */
static bool bury(const struct process *dead, int status)
{
    const struct explore_run *run = dead->run;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && run->plan->dies_at) {
        atomic_store(&run->board->contenders[dead->number].state, CONTENDER_DONE);
        schedule_bury(dead->number);
        return true;
    }
    if (run->board->violations == 0)
        board_violate(run->board, "process %u ended with wait status %#x", dead->number,
                      (unsigned)status);
    return false;
}

static void see_to(struct process *all, unsigned count)
{
    bool goes_on = true;
    for (unsigned left = count; left > 0;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        struct process *ended = pid > 0 ? find(all, count, pid) : NULL;
        if (pid < 0 && errno != EINTR)
            return;
        if (!ended)
            continue;
        ended->pid = 0;
        left--;
        if (goes_on && !bury(ended, status)) {
            goes_on = false;
            for (unsigned n = 0; n < count; n++) {
                if (all[n].pid)
                    kill(all[n].pid, SIGKILL);
            }
        }
    }
}

void explore_processes(const struct explore_run *run)
{
    static struct process all[SCHEDULE_THREADS_MAX];
    const struct exploration *what = run->what;
    unsigned count = (unsigned)(what->readers + what->writers);
    struct oracle *oracle = oracle_new(what->place.workload, what->place.seed);
    schedule_begin(run->plan, count);
    unsigned started = 0;
    for (; started < count && oracle; started++) {
        struct process *one = &all[started];
        *one = (struct process){run, started, 0, oracle}; /* a copy of it, once it is forked */
        if (child_start(live, one, LIMIT_SECONDS, &one->pid) != 0)
            break;
    }
    if (started == count)
        schedule_go();
    else
        board_violate(run->board, "a process does not start");
    for (unsigned n = 0; started < count && n < started; n++)
        kill(all[n].pid, SIGKILL);
    see_to(all, started);
    oracle_free(oracle);
}
