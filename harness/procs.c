/* SPDX-License-Identifier: MIT */
/*
 * tmf procs: reader and writer processes over one storage, which flock keeps apart, and of which
 * some are killed and some stopped. contend.h has the rules that each of them checks, crew.h what
 * else it does, trouble.h what befalls it. A successor takes the place of each that was killed or
 * that left; the others wait and go on, and what they waited is measured.
 *
 * With --mixed the processes take the strategies in turn, all over one storage: any may meet any,
 * but for those that survive nothing, beside which nothing can be promised.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/contest.h"
#include "harness/crew.h"
#include "harness/explore_report.h"
#include "harness/kill_case.h"
#include "harness/strategy.h"
#include "harness/trouble.h"

static uint64_t processes; /* 0: not given */
static double reader_share = 0.5;
static uint64_t transactions;
static struct trouble_goals goals;
static double patience_seconds;
static bool is_mixed, calls_fail;
static struct exploration schedules = {
    .visits = 3, .depth = 3, .preemptions = 1, .processes = true, .threads = 1, .deaths = true};
static bool is_scheduled;

enum {
    KEY_PROCESSES = 0x200,
    KEY_READERS,
    KEY_TRANSACTIONS,
    KEY_KILLS,
    KEY_STOPS,
    KEY_PATIENCE,
    KEY_MIXED,
    KEY_FAULTS,
    KEY_THREADS
};
static const struct argp_option options[] = {
    {"processes", KEY_PROCESSES, "NUMBER", 0, "that contend, from 2 to 256 (8; under a schedule 3)",
     0},
    {"readers", KEY_READERS, "SHARE", 0, "of them that read, from 0 to 1 (0.5); one writes", 0},
    {"kills", KEY_KILLS, "NUMBER", 0, "processes to be killed (12; with --time 10 a second)", 0},
    {"stops", KEY_STOPS, "NUMBER", 0, "times that one is stopped for a while (likewise)", 0},
    {"mixed", KEY_MIXED, NULL, 0, "the processes take the strategies in turn, in one contest", 0},
    {"faults", KEY_FAULTS, NULL, 0, "calls of the writers fail now and then", 0},
    {"patience", KEY_PATIENCE, "SECONDS", 0, "nobody may stand still for longer (30)", 0},
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0,
     "end after so many and all kills (1000 without --time)", 0},
    SCHEDULE_OPTIONS,
    {"threads", KEY_THREADS, "NUMBER", 0,
     "of each process under a schedule, all but a writer's first read (1)", 1},
    {0},
};

static bool take_goal(enum trouble_plan plan, const char *value)
{
    goals.given[plan] = true;
    return parse_count(value, 0, UINT64_MAX, &goals.count[plan]);
}

static bool take(int key, const char *value)
{
    switch (key) {
    case KEY_PROCESSES:
        return parse_count(value, 2, CONTENDERS_MAX, &processes);
    case KEY_PATIENCE:
        return parse_real(value, 0.01, 3600, &patience_seconds);
    case KEY_READERS:
        return parse_real(value, 0, 1, &reader_share);
    case KEY_KILLS:
        return take_goal(TROUBLE_KILLS, value);
    case KEY_STOPS:
        return take_goal(TROUBLE_STOPS, value);
    case KEY_MIXED:
        return is_mixed = true;
    case KEY_FAULTS:
        return calls_fail = true;
    case KEY_THREADS:
        is_scheduled = true;
        return parse_count(value, 1, SCHEDULE_THREADS_MAX, &schedules.threads);
    case KEY_TRANSACTIONS:
        return parse_count(value, 1, UINT64_MAX, &transactions);
    default:
        return schedules_take(key, value, &schedules, &is_scheduled);
    }
}

/* Where "--kills 7" or the like was given it is said again. */
static void format_options(struct contest *contest)
{
    static const char *const names[] = {[TROUBLE_KILLS] = "kills", [TROUBLE_STOPS] = "stops"};
    char *to = contest->options;
    size_t room = sizeof(contest->options);
    int length = snprintf(to, room, "--processes %" PRIu64 " --readers %g%s%s", processes,
                          reader_share, is_mixed ? " --mixed" : "", calls_fail ? " --faults" : "");
    for (enum trouble_plan plan = 0; plan < TROUBLE_PLANS; plan++) {
        if (goals.given[plan])
            length += snprintf(to + length, room - (size_t)length, " --%s %" PRIu64, names[plan],
                               goals.count[plan]);
    }
}

static void describe(const struct contest *contest, json_t *run)
{
    const struct {
        const char *key;
        uint64_t count;
    } counts[] = {
        {"stops", trouble_stops()},
        {"holder_stops", contest->board->holder_stops},
        {"point_kills", trouble->point_kills},
        {"growths", crew_log->growths},
        {"reopenings", crew_log->reopenings},
        {"leavings", crew_log->leavings},
        {"refusals", crew_log->refusals},
        {"forks", crew_log->forks},
        {"faults", crew_log->faults},
        {"errors_told", contest->board->excused},
    };
    for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++)
        json_object_set_new(run, counts[n].key, json_integer((json_int_t)counts[n].count));
}

static void prepare(void)
{
    trouble_prepare();
    crew_prepare();
}

static bool may_mix(const struct arguments *arguments)
{
    for (size_t n = 0; n < arguments->strategies.count; n++) {
        if (strategy_survives(arguments->strategies.at[n]) == TMF_SURVIVES_NOTHING)
            return false;
    }
    return true;
}

/* Whether something was given that a schedule has no use for. */
static bool is_of_contest(void)
{
    return goals.given[TROUBLE_KILLS] || goals.given[TROUBLE_STOPS] || calls_fail ||
           transactions > 0 || patience_seconds > 0;
}

static int run(const struct arguments *arguments)
{
    static struct contest contest;
    if (is_mixed && !may_mix(arguments))
        return command_fail(arguments, STATUS_USAGE,
                            "beside a strategy that survives nothing no other can keep its word: "
                            "leave it out of --mixed");
    if (processes == 0)
        processes = is_scheduled ? 3 : 8;
    size_t reading = (size_t)((double)processes * reader_share + 0.5);
    if (reading >= processes)
        reading = processes - 1;
    if (is_scheduled && is_of_contest())
        return command_fail(arguments, STATUS_USAGE,
                            "a schedule draws who dies, and --visits is its length: it has no "
                            "--kills, --stops, --faults, --patience and --transactions");
    if (is_scheduled) {
        if (is_mixed)
            schedules.mixed = arguments->strategies;
        schedules.readers = reading;
        schedules.writers = processes - reading;
        return schedules_run(arguments, &schedules);
    }
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    if (trouble_init(&goals) != 0 || crew_init(calls_fail) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    contest = (struct contest){
        .readers = reading,
        .processes = processes,
        .transactions = transactions,
        .patience_seconds = patience_seconds,
        .crew = crew_live,
        .prepare = prepare,
        .tend = trouble_tend,
        .is_excused = crew_is_excused,
        .mixed = is_mixed ? &arguments->strategies : NULL,
        .describe = describe,
    };
    contest.writers = processes - contest.readers;
    format_options(&contest);
    return contest_run_all(arguments, &contest);
}

const struct command command_procs = {
    .name = "procs",
    .about = "readers and writers in many processes over flock, lock holders killed",
    .text = "Each reader verifies that it sees one committed state in full, none older than what "
            "was acknowledged before it began. Writers are killed with the lock in hand, anybody "
            "at named points and random instants, or stopped for a while; some come and go, open "
            "again and larger, fork; the others wait and go on. --time is shared by all "
            "combinations.",
    .takes = TAKES_CAMPAIGN & ~TAKES_CASES,
    .options = options,
    .take = take,
    .run = run,
};
