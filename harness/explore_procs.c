/* SPDX-License-Identifier: MIT */
/*
 * Processes under a schedule, see explore.h: one run. The first thread of each opens the storage,
 * reads or writes, and closes, all of it by the schedule; the others come when it is open, read,
 * and are waited for before it is closed.
 *
 * One may die at a step of it. Then each process, when it is inside for the first time, bears a
 * child that takes no part and outlives it, and has to let go of what it inherited (flaw D20). A
 * parent goes on when its child has: so that too is the same every time.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "harness/explore.h"
#include "harness/led.h"

struct company {
    struct explore_run run;
    struct oracle *oracle; /* each process has its copy */
};

/* A thread. */
struct companion {
    const struct company *company;
    tmf_storage *storage;
    struct oracle *oracle;
    pthread_t thread;
    unsigned number;
    bool has_come;
};

static void violate(const struct company *company, unsigned number, const char *call, int error)
{
    board_violate(company->run.board, "process %u: %s: %s", number, call, error_text(error));
}

/* ---- children that outlive their parent; there is one run at a time */

enum { READ_END, WRITE_END };

static struct orphanage {
    bool is_open;
    bool is_parent; /* this process bore one */
    int born[2];    /* a byte of each that has let go */
    int is_over[2]; /* has no end to write to once all is over */
} orphanage;

static bool open_orphanage(void)
{
    if (pipe(orphanage.born) != 0)
        return false;
    if (pipe(orphanage.is_over) != 0) {
        (void)close(orphanage.born[READ_END]);
        (void)close(orphanage.born[WRITE_END]);
        return false;
    }
    return orphanage.is_open = true;
}

static void close_orphanage(void)
{
    for (int n = 0; n < 2 && orphanage.is_open; n++) {
        (void)close(orphanage.born[n]);
        (void)close(orphanage.is_over[n]);
    }
    orphanage.is_open = false;
}

static void live_as_orphan(void) __attribute__((noreturn));
static void live_as_orphan(void)
{
    char byte = 0;
    if (write(orphanage.born[WRITE_END], &byte, 1) == 1)
        (void)!read(orphanage.is_over[READ_END], &byte, 1);
    _exit(0);
}

static void bear_orphan(struct board *board)
{
    char byte;
    if (!orphanage.is_open || orphanage.is_parent)
        return;
    orphanage.is_parent = true;
    pid_t child = schedule_fork();
    if (child == 0)
        live_as_orphan();
    if (child < 0 || read(orphanage.born[READ_END], &byte, 1) != 1)
        board_violate(board, "no child is born: %s", strerror(errno));
}

/* Who waits for a lock looks again, and so is told whom it has let go first. */
static void inside(const struct explore_run *run)
{
    schedule_wake(&schedule_file_locks);
    bear_orphan(run->board);
}

/* ---- one process */

static void *accompany(void *context)
{
    const struct companion *self = context;
    schedule_join(self->number);
    explore_compete(&self->company->run, self->number, self->storage, self->oracle);
    schedule_leave();
    return NULL;
}

static bool call_companion(struct companion *one)
{
    const struct exploration *what = one->company->run.what;
    one->oracle = oracle_new(what->place.workload, what->place.seed);
    int error = one->oracle ? pthread_create(&one->thread, NULL, accompany, one) : ENOMEM;
    if (error)
        violate(one->company, one->number, "a thread does not start", error);
    else
        schedule_come(one->number);
    return error == 0;
}

static void compete(const struct company *company, unsigned number, tmf_storage *storage)
{
    static struct companion all[SCHEDULE_THREADS_MAX];
    const struct exploration *what = company->run.what;
    for (unsigned n = 1; n < what->threads; n++) {
        unsigned other = number + n * explore_first_count(what);
        all[n] = (struct companion){.company = company, .number = other, .storage = storage};
        all[n].has_come = call_companion(&all[n]);
    }
    explore_compete(&company->run, number, storage, company->oracle);
    for (unsigned n = 1; n < what->threads; n++) {
        if (all[n].has_come) {
            schedule_await(all[n].number);
            (void)pthread_join(all[n].thread, NULL);
        }
        oracle_free(all[n].oracle);
    }
}

static void live(void *context, unsigned number)
{
    const struct company *company = context;
    tmf_storage *storage;
    if (orphanage.is_open)
        (void)close(orphanage.is_over[WRITE_END]);
    struct workload_place place = explore_place(company->run.what, number);
    int error = workload_open(&place, company->run.path, &storage);
    if (error) {
        violate(company, number, "the storage does not open", error);
        return;
    }
    compete(company, number, storage);
    error = tmf_close(storage);
    if (error)
        violate(company, number, "the storage does not close", error);
}

/* ---- all of them */

static void died(void *context, unsigned number)
{
    const struct company *company = context;
    struct board *board = company->run.board;
    for (size_t n = 0; n < board->contender_count; n++) {
        if (board->contenders[n].process == number)
            atomic_store(&board->contenders[n].state, CONTENDER_DONE);
    }
}

void explore_processes(const struct exploration *what, const struct schedule_plan *plan,
                       struct board *board, const char *path)
{
    struct difference difference;
    struct company company = {.run = {.what = what, .board = board, .path = path, .inside = inside},
                              .oracle = oracle_new(what->place.workload, what->place.seed)};
    struct led led = {.plan = plan,
                      .count = explore_first_count(what),
                      .later = explore_count(what) - explore_first_count(what),
                      .live = live,
                      .died = died,
                      .context = &company};
    if (!company.oracle)
        board_violate(board, "no memory for a model");
    else if (plan->dies_at && !open_orphanage())
        board_violate(board, "no pipe for those that outlive their parents");
    else if (!led_run(&led, &difference) && board->violations == 0)
        board_violate(board, "%s", difference.what);
    close_orphanage();
    oracle_free(company.oracle);
}
