/* SPDX-License-Identifier: MIT */
/*
 * tmf kill: a process dies, at every point and every system call, then at random instants; what it
 * leaves is recovered and judged. kill_case.h says what one case is; this file chooses them.
 *
 * For each (strategy, index, quantum, workload), a campaign of:
 *   1. a life that nothing ends, which counts how often each point is hit
 *   2. a death at every hit of every point. They are taken in rounds, each point once in every
 *      round and its hits in a scattered order, so that a campaign cut short by --cases or --time
 *      has been everywhere
 *   3. for some of these, deaths in the recovery of what was left
 *   4. deaths at random instants, for the cases or the time that remain
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "faults/points.h"
#include "harness/engine_kill.h"
#include "harness/kill_case.h"
#include "harness/progress.h"
#include "harness/random.h"
#include "harness/result.h"
#include "harness/scatter.h"

#define TRANSACTIONS    ((uint64_t)12) /* of a life */
#define RECOVERY_PERIOD 8              /* one case in so many is tried with deaths in recovery, */
#define RECOVERY_DEATHS 6              /* so many of them */
#define RANDOM_CASES    100            /* where neither --cases nor --time says more */
#define RANDOM_SHARE    8              /* of --cases, one in so many */
#define REPORTED_MAX    5              /* violations of a campaign that are told in full, */
#define VIOLATIONS_MAX  100            /* and so many, */
#define TIMEOUTS_MAX    2              /* or so many children that hang, end it */
#define INSTANT_MIN_US  50
#define SAVED_FOLDER    "left"

struct plan {
    struct kill_death *deaths;
    size_t count;
};

struct campaign {
    struct kill_stage *stage;
    struct result *result;
    bool *seen;             /* by point: hit at least once in the whole run */
    struct kill_case whole; /* the life that nothing ends */
    uint64_t life_us;
    uint64_t cases_max;   /* 0: all */
    double until_seconds; /* of the command's clock; 0: no end */
    const struct arguments *arguments;
    /* what was found */
    size_t points, hits;
    uint64_t cases, exhaustive, violations, reported, timeouts;
    double seconds;
};

static uint64_t transactions = TRANSACTIONS;
static bool until_first;

static const char *engines;

enum { KEY_TRANSACTIONS = 0x200, KEY_UNTIL_FIRST, KEY_PATIENCE, KEY_ENGINE };
static const struct argp_option options[] = {
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0, "of a life, from 1 to 1000 (12)", 0},
    {"patience", KEY_PATIENCE, "SECONDS", 0, "no child may take longer (20)", 0},
    {"until-first", KEY_UNTIL_FIRST, NULL, 0, "end with the first violation, not shrunk", 0},
    {"engine", KEY_ENGINE, "A,B", 0, "peers in its place, see `tmf list engines`; or all", 0},
    {0},
};

static bool take(int key, const char *value)
{
    char *end;
    if (key == KEY_UNTIL_FIRST)
        return until_first = true;
    if (key == KEY_ENGINE)
        return *(engines = value) != 0;
    if (key == KEY_PATIENCE)
        return kill_take_patience(value);
    transactions = strtoull(value, &end, 10);
    return *end == 0 && transactions >= 1 && transactions <= 1000;
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A death for every hit counted since the last reset, in rounds. false: no memory. */
static bool make_plan(uint64_t seed, struct plan *out)
{
    uint64_t total = 0, most = 0;
    for (size_t n = 0; faults_point_at(n); n++) {
        total += faults_point_hits(n);
        most = faults_point_hits(n) > most ? faults_point_hits(n) : most;
    }
    *out = (struct plan){calloc(total + 1, sizeof(*out->deaths)), 0};
    if (!out->deaths)
        return false;
    for (uint64_t round = 0; round < most; round++) {
        for (size_t n = 0; faults_point_at(n); n++) {
            uint64_t hits = faults_point_hits(n);
            if (round < hits)
                out->deaths[out->count++] = (struct kill_death){
                    faults_point_at(n)->name, scattered_hit(round, hits, seed + n)};
        }
    }
    return true;
}

static void note_points(struct campaign *campaign)
{
    for (size_t n = 0; faults_point_at(n); n++)
        campaign->seen[n] = campaign->seen[n] || faults_point_hits(n) > 0;
}

static void show_progress(const struct campaign *campaign)
{
    const struct workload_place *place = &campaign->whole.place;
    progress_show("kill %s %s %zu %s: case %" PRIu64 " of some %zu, %" PRIu64 " violations",
                  place->strategy, place->index, place->quantum, place->workload->name,
                  campaign->cases, campaign->hits, campaign->violations);
}

/* Leaves the storage of a shrunk case beside the others, for a person to look at. */
static void keep_storage(struct campaign *campaign, const struct kill_case *one, char *name,
                         size_t size)
{
    struct kill_outcome ignored;
    snprintf(name, size, "failure-%" PRIu64, result_violations(campaign->result) + 1);
    if (one->death.hit && kill_leave(campaign->stage, one, &ignored) && one->then.hit)
        kill_recover(campaign->stage, one, &ignored);
    kill_save(campaign->stage, name);
}

static void report(struct campaign *campaign, const struct kill_case *one,
                   struct kill_outcome *outcome)
{
    struct kill_case shortest = *one;
    struct kill_outcome again;
    if (!outcome->timed_out && !until_first) /* every try would take as long */
        kill_shrink(campaign->stage, &shortest);
    if (shortest.transactions < one->transactions &&
        !kill_case_run(campaign->stage, &shortest, &again))
        *outcome = again;

    char name[KILL_TEXT_MAX], replay[KILL_TEXT_MAX + 32], folder[32], what[2048 + PATH_MAX];
    kill_case_format(&shortest, name);
    snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
    keep_storage(campaign, &shortest, folder, sizeof(folder));
    snprintf(what, sizeof(what), "%s\nthe storage as it was left: %s/%s/storage.odb", outcome->what,
             campaign->stage->scratch.path, folder);
    result_fail(campaign->result, name, what, replay);
}

static void count_case(struct campaign *campaign, const struct kill_case *one,
                       struct kill_outcome *outcome)
{
    if (!outcome->holds)
        result_demand_scratch(campaign->result, &campaign->stage->scratch);
    campaign->cases++;
    result_add_cases(campaign->result, 1);
    campaign->timeouts += outcome->timed_out;
    show_progress(campaign);
    if (outcome->holds)
        return;
    campaign->violations++;
    if (campaign->reported == REPORTED_MAX) {
        result_count_violation(campaign->result);
        return;
    }
    campaign->reported++;
    report(campaign, one, outcome);
}

static uint64_t violations_max(void)
{
    return until_first ? 1 : VIOLATIONS_MAX;
}

static bool is_over(const struct campaign *campaign)
{
    return campaign->violations >= violations_max() || campaign->timeouts >= TIMEOUTS_MAX ||
           (campaign->cases_max && campaign->cases >= campaign->cases_max) ||
           (campaign->until_seconds > 0 &&
            result_seconds(campaign->result) >= campaign->until_seconds);
}

/* Deaths in the recovery of the storage that was saved. */
static void kill_recoveries(struct campaign *campaign, const struct kill_case *one)
{
    struct kill_stage *stage = campaign->stage;
    struct kill_outcome outcome = {.holds = true};
    struct kill_case twice = *one;
    struct plan plan;
    struct kill_life life = *stage->life;
    life.verdict.recovered = VERDICT_UNKNOWN;
    if (kill_restore(stage, SAVED_FOLDER) != 0 || !kill_recover(stage, &twice, &outcome))
        return; /* the judge has said so already */
    note_points(campaign);
    if (!make_plan(campaign->cases, &plan))
        return;
    for (size_t n = 0; n < plan.count && n < RECOVERY_DEATHS && !is_over(campaign); n++) {
        *stage->life = life;
        twice.then = plan.deaths[n];
        outcome = (struct kill_outcome){.holds = true};
        if (kill_restore(stage, SAVED_FOLDER) == 0 && kill_recover(stage, &twice, &outcome))
            kill_judge(stage, &twice, &outcome);
        count_case(campaign, &twice, &outcome);
    }
    free(plan.deaths);
}

static void kill_once(struct campaign *campaign, const struct kill_case *one, bool and_recovery)
{
    struct kill_outcome outcome;
    bool left = kill_leave(campaign->stage, one, &outcome);
    note_points(campaign);
    bool saved = left && and_recovery && kill_save(campaign->stage, SAVED_FOLDER) == 0;
    if (left)
        kill_judge(campaign->stage, one, &outcome);
    bool held = outcome.holds;
    count_case(campaign, one, &outcome);
    if (held && saved)
        kill_recoveries(campaign, one);
}

static void kill_everywhere(struct campaign *campaign, const struct plan *plan)
{
    const struct arguments *arguments = campaign->arguments;
    uint64_t taken = 0;
    uint64_t random = campaign->cases_max / RANDOM_SHARE;
    for (size_t n = arguments->shard - 1; n < plan->count; n += arguments->shards) {
        if (is_over(campaign) ||
            (campaign->cases_max && campaign->cases >= campaign->cases_max - random))
            return;
        struct kill_case one = campaign->whole;
        one.death = plan->deaths[n];
        kill_once(campaign, &one, taken++ % RECOVERY_PERIOD == 0);
        campaign->exhaustive++;
    }
}

static void kill_at_random(struct campaign *campaign)
{
    const struct arguments *arguments = campaign->arguments;
    bool bounded = campaign->cases_max || campaign->until_seconds > 0;
    uint64_t share = (RANDOM_CASES + arguments->shards - 1) / arguments->shards;
    for (uint64_t n = 0; (bounded || n < share) && !is_over(campaign); n++) {
        struct kill_case one = campaign->whole;
        uint64_t number = n * arguments->shards + arguments->shard;
        one.after_us = INSTANT_MIN_US +
                       random_below(arguments->seed, number, 0, campaign->life_us + INSTANT_MIN_US);
        kill_once(campaign, &one, false);
    }
}

static json_t *metrics_of(const struct campaign *campaign)
{
    const struct workload_place *place = &campaign->whole.place;
    json_t *metrics = place_describe(place);
    json_t *own =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "points", (json_int_t)campaign->points, "hits",
                  (json_int_t)campaign->hits, "hits_killed", (json_int_t)campaign->exhaustive,
                  "cases", (json_int_t)campaign->cases, "violations",
                  (json_int_t)campaign->violations, "seconds", campaign->seconds);
    json_object_update(metrics, own);
    json_decref(own);
    return metrics;
}

/* A life that nothing ends must hold too. */
static bool count_points(struct campaign *campaign, struct plan *plan)
{
    struct kill_outcome outcome;
    uint64_t started_us = now_us();
    bool lived = kill_leave(campaign->stage, &campaign->whole, &outcome);
    campaign->life_us = now_us() - started_us;
    note_points(campaign);
    bool planned = make_plan(campaign->arguments->seed, plan);
    campaign->hits = plan->count;
    for (size_t n = 0; faults_point_at(n); n++)
        campaign->points += faults_point_hits(n) > 0;
    if (lived)
        kill_judge(campaign->stage, &campaign->whole, &outcome);
    bool holds = outcome.holds;
    count_case(campaign, &campaign->whole, &outcome);
    return holds && planned;
}

static void run_campaign(struct campaign *campaign)
{
    double started = result_seconds(campaign->result);
    struct plan plan = {0};
    if (count_points(campaign, &plan)) {
        kill_everywhere(campaign, &plan);
        kill_at_random(campaign);
    }
    free(plan.deaths);
    campaign->seconds = result_seconds(campaign->result) - started;
    json_t *runs = json_object_get(result_metrics(campaign->result), "runs");
    json_array_append_new(runs, metrics_of(campaign));
}

#define TABLE_HEAD "%-14s %-10s %-10s %8s %-9s %7s %7s %7s %7s %10s %9s\n"
#define TABLE_LINE                                                                                 \
    "%-14s %-10s %-10s %8zu %-9s %7zu %7zu %7" PRIu64 " %7" PRIu64 " %10" PRIu64 " %9.1f\n"

static void print_head(FILE *to)
{
    fprintf(to, TABLE_HEAD, "strategy", "durability", "index", "quantum", "workload", "points",
            "hits", "killed", "cases", "violations", "seconds");
}

static void print_campaign(FILE *to, const struct campaign *campaign)
{
    const struct workload_place *place = &campaign->whole.place;
    fprintf(to, TABLE_LINE, place->strategy, durability_name(place->durability), place->index,
            place->quantum, place->workload->name, campaign->points, campaign->hits,
            campaign->exhaustive, campaign->cases, campaign->violations, campaign->seconds);
    if (campaign->violations >= violations_max() || campaign->timeouts >= TIMEOUTS_MAX)
        fputs("  given up: that is enough to know\n", to);
    fflush(to);
}

static bool pick(const struct arguments *arguments, size_t n, struct workload_place *out)
{
    bool picked = workload_pick(arguments, n, out);
    out->log_size = KILL_LOG_SIZE;
    return picked;
}

static void list_unseen(struct result *result, const bool *seen)
{
    json_t *names = json_array();
    FILE *to = result_text(result);
    for (size_t n = 0; faults_point_at(n); n++) {
        if (!seen[n]) {
            fprintf(to, "%s %s",
                    json_array_size(names) ? "," : "points never hit:", faults_point_at(n)->name);
            json_array_append_new(names, json_string(faults_point_at(n)->name));
        }
    }
    fputs(json_array_size(names) ? "\n" : "every point was hit\n", to);
    json_object_set_new(result_metrics(result), "points_never_hit", names);
}

static void run_all(const struct arguments *arguments, struct kill_stage *stage,
                    struct result *result, bool *seen)
{
    struct workload_place place;
    size_t count = 0;
    while (pick(arguments, count, &place))
        count++;
    json_object_set_new(result_metrics(result), "runs", json_array());
    print_head(result_text(result));
    for (size_t n = 0; n < count; n++) {
        pick(arguments, n, &place);
        struct campaign campaign = {
            .stage = stage,
            .result = result,
            .seen = seen,
            .whole = {.place = place, .transactions = transactions},
            .cases_max = arguments->cases ? (arguments->cases + count - 1) / count : 0,
            .until_seconds = arguments->time_seconds * (double)(n + 1) / (double)count,
            .arguments = arguments,
        };
        run_campaign(&campaign);
        print_campaign(result_text(result), &campaign);
    }
    list_unseen(result, seen);
}

static int kill_run(const struct arguments *arguments)
{
    struct kill_stage stage;
    if (engines)
        return engine_kill_run(arguments, engines, transactions, kill_patience);
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    int error = kill_stage_make(arguments->dir, &stage);
    if (error)
        return command_fail(arguments, STATUS_CANNOT,
                            "making a folder to work in failed (%s): %s; choose another by --dir",
                            arguments->dir ? arguments->dir : "$TMPDIR, or /tmp", strerror(error));
    bool *seen = calloc(faults_point_count(), sizeof(*seen));
    if (!seen)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    struct result *result = result_new(arguments);
    run_all(arguments, &stage, result, seen);
    free(seen);
    if (result_violations(result) == 0)
        scratch_remove(stage.scratch.path);
    else
        scratch_keep(&stage.scratch);
    return result_finish(result);
}

const struct command command_kill = {
    .name = "kill",
    .about = "dies at every point and every call, then at random; recovers; verifies",
    .text = "A child works on a storage and is killed: at every hit of every point (`tmf list "
            "points`), in recovery, and at random instants. What it left must hold exactly what "
            "was committed. --cases bounds the cases, --time the seconds, of all combinations "
            "together; without either every hit is tried once, and 100 random instants. With "
            "--engine the work is that on tables of records (ycsb, bank, pages, turnover), by that "
            "engine; a death is at one of its system calls, or between two operations.",
    .takes = TAKES_CAMPAIGN,
    .options = options,
    .take = take,
    .run = kill_run,
};
