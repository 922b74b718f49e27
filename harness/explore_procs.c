/* SPDX-License-Identifier: MIT */
/*
 * Processes under a schedule, see explore.h: one run. Each opens the storage, reads or writes, and
 * closes, all of it by the schedule. One may die at a step of it.
 */
#include <errno.h>

#include "harness/explore.h"
#include "harness/led.h"

struct company {
    const struct explore_run *run;
    struct oracle *oracle; /* each has its copy */
};

static void violate(const struct explore_run *run, unsigned number, const char *call, int error)
{
    board_violate(run->board, "process %u: %s: %s", number, call, error_text(error));
}

static void live(void *context, unsigned number)
{
    const struct company *company = context;
    const struct explore_run *run = company->run;
    tmf_storage *storage;
    schedule_locks_install();
    struct workload_place place = explore_place(run->what, number);
    int error = workload_open(&place, run->path, &storage);
    if (error) {
        violate(run, number, "the storage does not open", error);
        return;
    }
    explore_compete(run, number, storage, company->oracle);
    error = tmf_close(storage);
    if (error)
        violate(run, number, "the storage does not close", error);
}

static void died(void *context, unsigned number)
{
    const struct company *company = context;
    atomic_store(&company->run->board->contenders[number].state, CONTENDER_DONE);
}

void explore_processes(const struct explore_run *run)
{
    const struct exploration *what = run->what;
    struct difference difference;
    struct company company = {run, oracle_new(what->place.workload, what->place.seed)};
    struct led led = {.plan = run->plan,
                      .count = (unsigned)(what->readers + what->writers),
                      .live = live,
                      .died = died,
                      .context = &company};
    if (!company.oracle)
        board_violate(run->board, "no memory for a model");
    else if (!led_run(&led, &difference) && run->board->violations == 0)
        board_violate(run->board, "%s", difference.what);
    oracle_free(company.oracle);
}
