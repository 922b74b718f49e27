/* SPDX-License-Identifier: MIT */
/* See explore.h. */
#include "harness/explore.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/explore_case.h"
#include "harness/kill_case.h"
#include "harness/progress.h"
#include "harness/random.h"
#include "harness/strategy.h"

#define GENERATIONS_MOST 3                /* of readers that get in before a writer that waits, */
#define WRITERS_MOST     2                /* and of writers before a reader */
#define STEPS_MAX        UINT64_C(400000) /* a run has some thousands */
#define LIMIT_SECONDS    60u              /* for one run; it takes milliseconds */
#define OUTLAST_PERIOD   2                /* visits */
#define NAP_NS           1000000
#define NAPS_MOST        100u
#define SEEN_MAX         ((size_t)1 << 20) /* different interleavings that are told apart */

enum { HELD = 0, VIOLATED = 1 };

/* What the child that makes the runs works with; there is one. */
static struct job {
    const struct exploration *what;
    struct explored *out;
    char fresh[PATH_MAX], folder[PATH_MAX], path[PATH_MAX];
    const struct scratch *scratch;
    struct board *board; /* shared with processes */
    struct schedule_plan plan;
    struct schedule_decision choices[SCHEDULE_DECISIONS_MAX];
    uint64_t *seen; /* hashes; 0: free */
} job;

/* ---- one run */

struct competitor {
    unsigned number;
    tmf_storage *storage;
    struct oracle *oracle;
    pthread_t thread;
};

static _Thread_local struct contend *here;

static void on_wait(const void *thing)
{
    if (here) /* not yet, where a process is still opening */
        contend_waits(here, thing == &schedule_file_locks);
}

/* Every thread waits for another: none of them can be ended, so the process is. */
static void on_stuck(const char *what) __attribute__((noreturn));
static void on_stuck(const char *what)
{
    board_violate(job.board, "%s", what);
    snprintf(job.out->what, sizeof(job.out->what), "%s", job.board->what);
    size_t length = strlen(job.out->what);
    schedule_tell(job.out->what + length, sizeof(job.out->what) - length);
    job.out->violated = true;
    _exit(VIOLATED);
}

static bool anybody_gives_up(const struct board *board)
{
    for (size_t n = 0; n < board->contender_count; n++) {
        const struct contender *one = &board->contenders[n];
        if (atomic_load(&one->gives_up) && atomic_load(&one->state) == CONTENDER_WAITING)
            return true;
    }
    return false;
}

/* Now and then, whoever waits with a time-out does so in vain. Each nap lets everybody go on. */
static void outlast(const struct contend *self)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    unsigned naps = 0;
    while (self->turn % OUTLAST_PERIOD == 1 && anybody_gives_up(self->board) && naps++ < NAPS_MOST)
        (void)nanosleep(&nap, NULL);
    if (naps > NAPS_MOST)
        board_violate(self->board, "a begin with a time-out of 1 ms waits for more than %u ms",
                      NAPS_MOST);
}

static void at_stage(struct contend *self, enum stage stage, const struct visit *visit)
{
    const struct explore_run *run = self->context;
    (void)visit;
    if (stage == STAGE_INSIDE && run->inside)
        run->inside(run);
    if (stage == STAGE_INSIDE)
        outlast(self);
    schedule_step(SCHEDULE_OTHER + stage);
}

struct workload_place explore_place(const struct exploration *what, unsigned number)
{
    struct workload_place place = what->place;
    if (what->mixed.count > 0)
        place.strategy = what->mixed.at[number % what->mixed.count];
    return place;
}

unsigned explore_first_count(const struct exploration *what)
{
    return (unsigned)(what->readers + what->writers);
}

unsigned explore_count(const struct exploration *what)
{
    return explore_first_count(what) * (unsigned)(what->processes ? what->threads : 1);
}

unsigned explore_process(const struct exploration *what, unsigned number)
{
    return what->processes ? number % explore_first_count(what) : 0;
}

static bool is_writer(const struct exploration *what, unsigned number)
{
    return number >= what->readers && number < explore_first_count(what);
}

void explore_compete(const struct explore_run *run, unsigned number, tmf_storage *storage,
                     struct oracle *oracle)
{
    static _Thread_local struct workload_place place;
    static _Thread_local struct contend self;
    place = explore_place(run->what, explore_process(run->what, number));
    self = (struct contend){
        .board = run->board,
        .place = &place,
        .storage = storage,
        .oracle = oracle,
        .number = number,
        .writes = is_writer(run->what, number),
        .turns = run->what->visits,
        .is_told = true,
        .looks_again = run->what->processes,
        .beside_writer = run->what->processes && number >= explore_first_count(run->what) &&
                         is_writer(run->what, explore_process(run->what, number)),
        .at_stage = at_stage,
        .context = (void *)(uintptr_t)run, /* which nobody changes */
    };
    here = &self;
    contend_run(&self);
}

static void *compete(void *context)
{
    const struct competitor *one = context;
    const struct explore_run run = {.what = job.what, .board = job.board};
    schedule_join(one->number);
    explore_compete(&run, one->number, one->storage, one->oracle);
    schedule_leave();
    return NULL;
}

static void compete_all(tmf_storage *storage)
{
    static struct competitor all[SCHEDULE_THREADS_MAX];
    unsigned count = explore_count(job.what);
    schedule_begin(&job.plan, count, 0);
    for (unsigned n = 0; n < count; n++) {
        all[n] = (struct competitor){n, storage,
                                     oracle_new(job.what->place.workload, job.what->place.seed), 0};
        if (!all[n].oracle || pthread_create(&all[n].thread, NULL, compete, &all[n]) != 0)
            on_stuck("a thread does not start");
    }
    schedule_go();
    for (unsigned n = 0; n < count; n++) {
        (void)pthread_join(all[n].thread, NULL);
        oracle_free(all[n].oracle);
    }
}

/* When all have left, the lock is free and nothing is lost. */
static void check_end(tmf_storage *storage)
{
    tmf_writer *writer;
    struct difference difference;
    struct oracle *oracle = oracle_new(job.what->place.workload, job.what->place.seed);
    int error = oracle ? tmf_write_begin_try(storage, &writer) : ENOMEM;
    if (error) {
        board_violate(job.board, "in the end the lock is not free: %s", tmf_strerror(error));
    } else {
        const void *root = tmf_writer_root(writer);
        uint64_t number = workload_number(root);
        uint64_t most = job.plan.dies_at ? job.board->begun : job.board->acknowledged;
        if (number < job.board->acknowledged || number > most)
            board_violate(job.board,
                          "in the end the number is %llu, must be from %llu (acknowledged) to %llu",
                          (unsigned long long)number, (unsigned long long)job.board->acknowledged,
                          (unsigned long long)most);
        else if (!oracle_verify(oracle, storage, root, &difference))
            board_violate(job.board, "wrong content in the end: %s", difference.what);
        tmf_write_end(writer);
    }
    oracle_free(oracle);
    error = tmf_close(storage);
    if (error)
        board_violate(job.board, "the storage does not close: %s", tmf_strerror(error));
}

/* Undo strategies have to apply the log that redo strategies leave. */
static bool are_of_a_kind(void)
{
    bool redo = strategy_readers_go_on(explore_place(job.what, 0).strategy);
    for (unsigned n = 1; n < job.what->mixed.count; n++) {
        if (strategy_readers_go_on(explore_place(job.what, n).strategy) != redo)
            return false;
    }
    return true;
}

/* Whoever dies meanwhile. */
static void check_waits(struct board *board)
{
    if (board->generations_max > GENERATIONS_MOST)
        board_violate(board, "a writer waited for %llu generations of readers",
                      (unsigned long long)board->generations_max);
    if (board->writers_max > WRITERS_MOST && are_of_a_kind())
        board_violate(board, "a reader waited for %llu writers",
                      (unsigned long long)board->writers_max);
}

static void count_run(void)
{
    struct explored *out = job.out;
    const struct schedule_outcome *outcome = schedule_outcome();
    out->runs++;
    out->transactions += job.board->transactions;
    out->reads += job.board->reads;
    if (outcome->steps > out->steps_max)
        out->steps_max = outcome->steps;
    if (job.board->generations_max > out->generations_max)
        out->generations_max = job.board->generations_max;
    if (job.board->writers_max > out->writers_max)
        out->writers_max = job.board->writers_max;
    size_t at = outcome->hash % SEEN_MAX;
    while (job.seen[at] && job.seen[at] != outcome->hash && out->interleavings < SEEN_MAX / 2)
        at = (at + 1) % SEEN_MAX;
    out->interleavings += job.seen[at] == 0;
    job.seen[at] = outcome->hash;
}

static void clear_board(void)
{
    struct board *board = job.board;
    memset(board, 0, sizeof(*board));
    board->contender_count = explore_count(job.what);
    for (unsigned n = 0; n < board->contender_count; n++) {
        struct contender *one = &board->contenders[n];
        unsigned process = explore_process(job.what, n);
        one->writes = is_writer(job.what, n);
        one->readers_go_on = strategy_readers_go_on(explore_place(job.what, process).strategy);
        one->process = process;
    }
}

/* An enum status of the child, or an errno. */
static int run_one(void)
{
    tmf_storage *storage = NULL;
    clear_board();
    job.plan.steps_max = STEPS_MAX;
    job.plan.on_wait = on_wait;
    job.plan.on_stuck = on_stuck;
    explore_case_format(job.what, &job.plan, job.out->name);
    alarm(LIMIT_SECONDS);
    int error = scratch_fresh(job.scratch, "run", job.folder);
    if (!error)
        error = scratch_copy(job.fresh, job.folder);
    if (!error && job.what->processes)
        explore_processes(job.what, &job.plan, job.board, job.path);
    if (!error && job.board->violations == 0)
        error = workload_open(&job.what->place, job.path, &storage);
    if (error)
        return error;
    if (!job.what->processes) {
        board_raise(&job.board->size_min, tmf_size(storage));
        compete_all(storage);
    }
    if (storage)
        check_end(storage);
    count_run();
    if (schedule_outcome()->diverged)
        board_violate(job.board, "the choices are not to be had: has the code changed since?");
    check_waits(job.board);
    if (job.board->violations == 0)
        return HELD;
    snprintf(job.out->what, sizeof(job.out->what), "%s", job.board->what);
    size_t length = strlen(job.out->what);
    schedule_tell(job.out->what + length, sizeof(job.out->what) - length);
    job.out->violated = true;
    return VIOLATED;
}

/* ---- all runs */

/* How many steps there are to draw from: a run in which nobody is ever taken off. */
static int measure(uint64_t *length)
{
    job.plan = (struct schedule_plan){.depth = 1, .length = 1};
    int status = run_one();
    *length = schedule_outcome()->steps;
    return status;
}

/* The step at which a process dies in the n-th run; 0: none. */
static uint64_t draw_death(uint64_t n, uint64_t length)
{
    if (!job.what->deaths || n % 2 == 0)
        return 0;
    return 1 + random_below(job.what->schedule + n, n, 0, length);
}

static int run_seeds(void)
{
    uint64_t length = 0;
    int status = measure(&length);
    for (uint64_t n = 0; status == HELD && n < job.what->schedules; n++) {
        progress_show("schedule %llu of %llu", (unsigned long long)n + 1,
                      (unsigned long long)job.what->schedules);
        job.plan = (struct schedule_plan){.seed = job.what->schedule + n,
                                          .depth = job.what->depth,
                                          .length = length,
                                          .dies_at = draw_death(n, length)};
        status = run_one();
    }
    return status;
}

static int run_all(void)
{
    int status = HELD;
    job.plan = (struct schedule_plan){
        .by_choice = true, .coarse = true, .depth = 1, .choices = job.choices};
    for (uint64_t n = 0; status == HELD && n < job.what->schedules && !job.out->complete; n++) {
        progress_show("interleaving %llu", (unsigned long long)n + 1);
        status = run_one();
        job.out->complete =
            status == HELD &&
            !schedule_choose_next(job.what->preemptions, job.choices, &job.plan.choice_count);
    }
    return status;
}

static int create(void)
{
    tmf_storage *storage;
    char path[PATH_MAX + 16];
    int error = scratch_fresh(job.scratch, "fresh", job.fresh);
    if (!error)
        error = scratch_fresh(job.scratch, "run", job.folder);
    if (error)
        return error;
    (void)snprintf(path, sizeof(path), "%s/storage", job.fresh);
    if ((size_t)snprintf(job.path, PATH_MAX, "%s/storage", job.folder) >= PATH_MAX)
        return ENAMETOOLONG;
    error = workload_create(&job.what->place, path, &storage);
    return error ? error : tmf_close(storage);
}

static int body_of(int (*runs)(void))
{
    job.seen = calloc(SEEN_MAX, sizeof(*job.seen));
    job.board = child_shared(sizeof(*job.board));
    schedule_locks_install();
    int error = job.seen && job.board ? create() : ENOMEM;
    if (!error && job.what->processes)
        error = schedule_share();
    if (!error && job.what->mutant)
        faults_mutant_wake(job.what->mutant);
    int status = error ? error : runs();
    if (status != HELD && !job.out->violated) {
        snprintf(job.out->what, sizeof(job.out->what), "%s", error_text(status));
        job.out->violated = true;
    }
    return job.out->violated ? VIOLATED : HELD;
}

static int body(void *context)
{
    (void)context;
    return body_of(job.what->exhaustive ? run_all : run_seeds);
}

static int replay_body(void *context)
{
    (void)context;
    return body_of(run_one);
}

static int explore_in_child(int (*runs)(void *), const struct exploration *what,
                            const struct scratch *scratch, struct explored *out)
{
    struct child_end end;
    memset(out, 0, sizeof(*out));
    job.what = what;
    job.scratch = scratch;
    job.out = out;
    int error = child_run(runs, NULL, LIMIT_SECONDS, &end);
    if (error == 0 && !out->violated && !(end.exited && end.code == HELD)) {
        out->violated = true;
        child_explain(&end, out->what, sizeof(out->what));
    }
    return error;
}

int explore(const struct exploration *what, const struct scratch *scratch, struct explored *out)
{
    return explore_in_child(body, what, scratch, out);
}

void explore_fail(struct result *result, const struct explored *explored)
{
    char replay[EXPLORE_TEXT_MAX + 32];
    snprintf(replay, sizeof(replay), "tmf replay '%s'", explored->name);
    result_fail(result, explored->name, explored->what, replay);
}

/* ---- again */

bool explore_is_case(const char *text)
{
    return strncmp(text, "threads:", strlen("threads:")) == 0 ||
           strncmp(text, "procs:", strlen("procs:")) == 0;
}

/* Whether all that contend can be had here; else `missing` says what is not there. */
static bool are_available(const struct exploration *what, char *missing, size_t size)
{
    for (unsigned n = 0; n < what->readers + what->writers; n++) {
        if (!strategy_is_available(explore_place(what, n).strategy, missing, size))
            return false;
    }
    return true;
}

int explore_replay(const struct arguments *arguments, const char *text)
{
    struct exploration what;
    struct scratch scratch;
    char missing[256];
    struct explored *out = child_shared(sizeof(*out));
    if (!explore_case_parse(text, &what, &job.plan, job.choices))
        return command_fail(arguments, STATUS_USAGE, "'%s' is no case of threads or procs", text);
    if (!are_available(&what, missing, sizeof(missing)))
        return command_fail(arguments, STATUS_CANNOT, "%s", missing);
    int error = out ? scratch_make(arguments->dir, &scratch) : ENOMEM;
    if (!error)
        error = explore_in_child(replay_body, &what, &scratch, out);
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "%s", strerror(error));
    struct result *result = result_new(arguments);
    result_add_cases(result, 1);
    if (out->violated)
        explore_fail(result, out);
    else
        fputs("it holds\n", result_text(result));
    scratch_remove(scratch.path);
    return result_finish(result);
}
