/* SPDX-License-Identifier: MIT */
/* See led.h. */
#include "harness/led.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "harness/child.h"

#define LIMIT_SECONDS 300u

struct process {
    const struct led *led;
    unsigned number;
    pid_t pid;
    bool has_ended;
};

static int live(void *context)
{
    const struct process *self = context;
    schedule_join(self->number);
    self->led->live(self->led->context, self->number);
    schedule_leave();
    return 0;
}

static struct process *find(struct process *all, unsigned count, pid_t pid)
{
    for (unsigned n = 0; n < count; n++) {
        if (all[n].pid == pid && !all[n].has_ended)
            return &all[n];
    }
    return NULL;
}

static void kill_all(const struct process *all, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        if (!all[n].has_ended)
            kill(all[n].pid, SIGKILL);
    }
}

/* False: it ended as it must not. */
static bool bury(const struct process *dead, int status, struct difference *what)
{
    const struct led *led = dead->led;
    char how[128];
    struct child_end end;
    child_end_of(status, &end);
    if (end.exited && end.code == 0)
        return true;
    if (end.signal == SIGKILL && led->plan->dies_at) {
        if (led->died)
            led->died(led->context, dead->number);
        schedule_bury(dead->pid);
        return true;
    }
    child_explain(&end, how, sizeof(how));
    return differs(what, "process %u %s", dead->number, how);
}

static bool see_to(struct process *all, unsigned count, struct difference *what)
{
    bool goes_on = true;
    for (unsigned left = count; left > 0;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        struct process *ended = pid > 0 ? find(all, count, pid) : NULL;
        if (pid < 0 && errno != EINTR)
            return differs(what, "waiting for processes failed: %s", strerror(errno));
        if (!ended)
            continue;
        ended->has_ended = true;
        left--;
        if (goes_on && !bury(ended, status, what)) {
            goes_on = false;
            kill_all(all, count);
        }
    }
    return goes_on;
}

bool led_run(const struct led *led, struct difference *what)
{
    static struct process all[SCHEDULE_THREADS_MAX];
    unsigned started = 0;
    int error = 0;
    schedule_begin(led->plan, led->count, led->later);
    for (; started < led->count && !error; started += !error) {
        all[started] = (struct process){.led = led, .number = started};
        error = child_start(live, &all[started], LIMIT_SECONDS, &all[started].pid);
    }
    if (error)
        kill_all(all, started);
    else
        schedule_go();
    bool ended = see_to(all, started, what);
    return error ? differs(what, "process %u does not start: %s", started, strerror(error)) : ended;
}
