/* SPDX-License-Identifier: MIT */
/*
 * tmf threads: readers and writers over one storage in one process. contend.h has the rules that
 * each of them checks. Before they start, the rules for begins are tried one by one: what a thread
 * is told that may not enter, because another is inside or because it is inside itself; and what a
 * contest meets too seldom (trials.h).
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "harness/contest.h"
#include "harness/explore_report.h"
#include "harness/trials.h"

static uint64_t readers = 4;
static uint64_t writers = 2;
static uint64_t transactions;
static double patience_seconds;

static struct exploration schedules = {.threads = 1, .visits = 3, .depth = 3, .preemptions = 2};
static bool is_scheduled;

enum { KEY_READERS = 0x200, KEY_WRITERS, KEY_TRANSACTIONS, KEY_PATIENCE };
static const struct argp_option options[] = {
    {"readers", KEY_READERS, "NUMBER", 0, "threads that read, from 0 to 128 (4)", 0},
    {"writers", KEY_WRITERS, "NUMBER", 0, "threads that write, from 0 to 128 (2)", 0},
    {"patience", KEY_PATIENCE, "SECONDS", 0, "nobody may stand still for longer (30)", 0},
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0,
     "end after so many, or so many reads where nobody writes (1000 without --time)", 0},
    SCHEDULE_OPTIONS,
    {0},
};

static bool take(int key, const char *value)
{
    switch (key) {
    case KEY_READERS:
        return parse_count(value, 0, CONTENDERS_MAX / 2, &readers);
    case KEY_PATIENCE:
        return parse_real(value, 0.01, 3600, &patience_seconds);
    case KEY_WRITERS:
        return parse_count(value, 0, CONTENDERS_MAX / 2, &writers);
    case KEY_TRANSACTIONS:
        return parse_count(value, 1, UINT64_MAX, &transactions);
    default:
        return schedules_take(key, value, &schedules, &is_scheduled);
    }
}

/* ---- the rules for begins */

/* While `held` is inside, a begin of another thread. 0: it gets in. */
static const struct rule {
    bool held_writes, writes;
    enum manner manner;
    int told;
} rules[] = {
    {true, false, MANNER_TRY, EBUSY}, {true, false, MANNER_TIMED, ETIMEDOUT},
    {true, true, MANNER_TRY, EBUSY},  {true, true, MANNER_TIMED, ETIMEDOUT},
    {false, true, MANNER_TRY, EBUSY}, {false, true, MANNER_TIMED, ETIMEDOUT},
    {false, false, MANNER_TRY, 0},    {false, false, MANNER_TIMED, 0},
    {false, false, MANNER_WAIT, 0},
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static const char *const manner_name[MANNER_COUNT] = {"", "_try", "_timed"};

struct trial {
    struct board *board;
    tmf_storage *storage;
    struct visit *held;
    const struct rule *rule;
};

static void expect(const struct trial *trial, const char *call, const char *manner, int told,
                   int must)
{
    if (told != must)
        board_violate(trial->board, "beside a %s, %s%s says \"%s\", must say \"%s\"",
                      trial->held->writes ? "writer" : "reader", call, manner, tmf_strerror(told),
                      tmf_strerror(must));
}

static const char *begin_name(bool writes)
{
    return writes ? "tmf_write_begin" : "tmf_read_begin";
}

static void *try_beside(void *context)
{
    const struct trial *trial = context;
    struct visit visit = {.writes = trial->rule->writes};
    int told = visit_begin(trial->storage, &visit, trial->rule->manner);
    if (told == 0)
        visit_end(&visit);
    expect(trial, begin_name(visit.writes), manner_name[trial->rule->manner], told,
           trial->rule->told);
    if (trial->held->writes)
        expect(trial, "tmf_commit of another thread", "", tmf_commit(trial->held->writer),
               TMF_ENOTOWNER);
    return NULL;
}

static void try_inside(const struct trial *trial)
{
    for (int writes = 0; writes < 2; writes++) {
        for (enum manner manner = 0; manner < MANNER_COUNT; manner++) {
            struct visit second = {.writes = writes};
            expect(trial, begin_name(writes), manner_name[manner],
                   visit_begin(trial->storage, &second, manner), EDEADLK);
        }
    }
    expect(trial, "tmf_close", "", tmf_close(trial->storage), EBUSY);
}

static void try_rule(struct board *board, tmf_storage *storage, const struct rule *rule)
{
    pthread_t other;
    struct visit held = {.writes = rule->held_writes};
    struct trial trial = {board, storage, &held, rule};
    int error = visit_begin(storage, &held, MANNER_WAIT);
    expect(&trial, begin_name(held.writes), "", error, 0);
    if (error)
        return;
    if (pthread_create(&other, NULL, try_beside, &trial) == 0)
        (void)pthread_join(other, NULL);
    else
        board_violate(board, "a thread does not start");
    try_inside(&trial);
    visit_end(&held);
}

/* ---- the contest */

struct competitor {
    const struct member *member;
    size_t number;
    tmf_storage *storage;
    pthread_t thread;
};

static void *compete(void *context)
{
    const struct competitor *one = context;
    struct contend self = {.storage = one->storage};
    if (!contest_join(one->member, one->number, &self))
        return NULL;
    contend_run(&self);
    contest_part(&self);
    return NULL;
}

static void compete_all(const struct member *member, tmf_storage *storage)
{
    static struct competitor all[CONTENDERS_MAX];
    struct board *board = member->contest->board;
    size_t started = 0;
    for (; started < board->contender_count; started++) {
        struct competitor *one = &all[started];
        *one = (struct competitor){member, started, storage, 0};
        int error = pthread_create(&one->thread, NULL, compete, one);
        if (error) {
            board_violate(board, "thread %zu does not start: %s", started, strerror(error));
            break;
        }
    }
    for (size_t n = 0; n < started; n++)
        (void)pthread_join(all[n].thread, NULL);
}

static int crew(void *context)
{
    const struct member *member = context;
    struct board *board = member->contest->board;
    tmf_storage *storage;
    if (!contest_open(member, 0, &storage))
        return 0;
    for (size_t n = 0; n < RULE_COUNT && atomic_load(&board->violations) == 0; n++)
        try_rule(board, storage, &rules[n]);
    if (atomic_load(&board->violations) == 0)
        try_fork(board, storage);
    if (atomic_load(&board->violations) == 0)
        try_two_stores(board, &member->contest->place, storage);
    if (atomic_load(&board->violations) == 0)
        compete_all(member, storage);
    if (atomic_load(&board->violations) == 0)
        contest_close(member, storage);
    return 0;
}

static int run(const struct arguments *arguments)
{
    static struct contest contest;
    if (readers + writers == 0)
        return command_fail(arguments, STATUS_USAGE,
                            "neither readers nor writers: there is no work");
    if (is_scheduled && (transactions > 0 || patience_seconds > 0))
        return command_fail(arguments, STATUS_USAGE,
                            "--visits is the length of a schedule: it has no --patience and "
                            "--transactions");
    if (is_scheduled) {
        schedules.readers = readers;
        schedules.writers = writers;
        return schedules_run(arguments, &schedules);
    }
    contest = (struct contest){
        .readers = readers,
        .writers = writers,
        .processes = 1,
        .transactions = transactions,
        .patience_seconds = patience_seconds,
        .crew = crew,
    };
    snprintf(contest.options, sizeof(contest.options), "--readers %zu --writers %zu",
             contest.readers, contest.writers);
    return contest_run_all(arguments, &contest);
}

const struct command command_threads = {
    .name = "threads",
    .about = "readers and writers in one process",
    .text = "Each reader verifies that it sees one committed state in full, none older than what "
            "was acknowledged before it began, and that nothing changes while it reads; each "
            "writer, that nobody else is inside. --time is shared by all combinations.",
    .takes = TAKES_CAMPAIGN & ~TAKES_CASES,
    .options = options,
    .take = take,
    .run = run,
};
