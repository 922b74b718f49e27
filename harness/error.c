/* SPDX-License-Identifier: MIT */
/*
 * tmf error: every system call of the library fails, at each of its uses, in every way that its
 * manual page allows, once and from then on; and memory is refused, and the disk is full.
 * error_case.h says what one case is; this file chooses them.
 *
 * For each (strategy, durability, index, quantum, workload), a campaign of:
 *   1. a life without faults, which counts how often each call is made; and some that die, with the
 *      recovery of what they leave, which counts likewise
 *   2. of each of these, every fault of the table at every use of its call, once and sticky, in the
 *      order of error_plan.h
 *   3. among them, errors that no failing call leads to (error_misuse.h)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "faults/points.h"
#include "harness/disk.h"
#include "harness/error_case.h"
#include "harness/error_plan.h"
#include "harness/progress.h"
#include "harness/result.h"

#define TRANSACTIONS   ((uint64_t)8) /* of a life */
#define REPORTED_MAX   5             /* violations of a campaign that are told in full, */
#define VIOLATIONS_MAX 100           /* and so many, */
#define TIMEOUTS_MAX   2             /* or so many children that hang, end it */
#define ROOM_STEP      16            /* pages, in looking for what a life needs */

/* Where lives die whose recovery is tried; in the middle of all hits. Those never hit are none. */
static const char *const deaths[] = {
    "txn/create/before-rename", "txn/fault/synced",       "txn/commit/before-mark",
    "txn/redo/appended",        "txn/settle/before-sync", "txn/grow/header-changed",
};
#define ORIGINS (1 + sizeof(deaths) / sizeof(deaths[0]))

/* A life, or a recovery, in which faults strike. */
struct origin {
    struct kill_death death;
    struct kill_life life; /* of the dead */
    struct error_uses uses;
    char saved[32]; /* folder of what the dead left */
};

struct campaign {
    struct error_stage *stage;
    struct result *result;
    struct error_case whole; /* the life without faults */
    struct origin origins[ORIGINS];
    uint64_t cases_max;   /* 0: all */
    double until_seconds; /* of the command's clock; 0: no end */
    const struct arguments *arguments;
    /* what was found */
    size_t planned;
    uint64_t calls, cases, unreached, violations, reported, timeouts;
    double seconds;
};

static uint64_t transactions = TRANSACTIONS;

static const struct faults_mutant *mutant;
static const char *only_call; /* NULL: all */
static bool one_errno;        /* of each kind of answer that a call may give */
static bool until_first;

enum {
    KEY_TRANSACTIONS = 0x200,
    KEY_MUTANT,
    KEY_CALL,
    KEY_ONE_ERRNO,
    KEY_UNTIL_FIRST,
    KEY_PATIENCE
};
static const struct argp_option options[] = {
    {"mutant", KEY_MUTANT, "NAME", 0, "wakes a bug of `tmf list mutants`, which is to be found", 0},
    {"call", KEY_CALL, "NAME", 0, "fails that call alone, as pwrite, memory or room (all)", 0},
    {"one-errno", KEY_ONE_ERRNO, NULL, 0, "one errno of each call, where others end alike", 0},
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0, "of a life, from 1 to 1000 (8)", 0},
    {"patience", KEY_PATIENCE, "SECONDS", 0, "no child may take longer (20)", 0},
    {"until-first", KEY_UNTIL_FIRST, NULL, 0, "end with the first violation, not shrunk", 0},
    {0},
};

/* NULL: no fault is of a call of that name. */
static const char *find_call(const char *name)
{
    const struct faults_row *row;
    for (size_t n = 0; (row = faults_row_at(n)); n++) {
        if (strcmp(faults_call_name(row->call), name) == 0)
            return faults_call_name(row->call);
    }
    return NULL;
}

static bool take(int key, const char *value)
{
    char *end;
    if (key == KEY_ONE_ERRNO)
        return one_errno = true;
    if (key == KEY_UNTIL_FIRST)
        return until_first = true;
    if (key == KEY_PATIENCE)
        return kill_take_patience(value);
    if (key == KEY_CALL) {
        only_call = find_call(value);
        return only_call != NULL;
    }
    if (key == KEY_MUTANT) {
        mutant = faults_mutant_find(value);
        return mutant != NULL;
    }
    transactions = strtoull(value, &end, 10);
    return *end == 0 && transactions >= 1 && transactions <= 1000;
}

/* ---- counting */

static void show_progress(const struct campaign *campaign)
{
    const struct workload_place *place = &campaign->whole.life.place;
    progress_show("error %s %s %zu %s: case %" PRIu64 " of %zu, %" PRIu64 " violations",
                  place->strategy, place->index, place->quantum, place->workload->name,
                  campaign->cases, campaign->planned, campaign->violations);
}

/* Leaves the storage of a case beside the others, for a person to look at. */
static void keep_storage(struct campaign *campaign, const struct error_case *one, char *name,
                         size_t size)
{
    const struct error_stage *stage = campaign->stage;
    bool on_disk = one->fault.row && one->fault.row->call == FAULTS_CALL_room;
    snprintf(name, size, "failure-%" PRIu64, result_violations(campaign->result) + 1);
    if (!on_disk)
        kill_save(&stage->kill, name);
}

static void report(struct campaign *campaign, const struct error_case *one,
                   struct kill_outcome *outcome)
{
    struct error_case shortest = *one;
    struct kill_outcome again;
    if (!outcome->timed_out && !until_first) /* every try would take as long */
        error_shrink(campaign->stage, &shortest);
    if (!until_first && !error_case_run(campaign->stage, &shortest, &again))
        *outcome = again;
    char name[KILL_TEXT_MAX], replay[KILL_TEXT_MAX + 32], folder[32], what[2048 + PATH_MAX];
    error_case_format(&shortest, name);
    snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
    keep_storage(campaign, &shortest, folder, sizeof(folder));
    snprintf(what, sizeof(what), "%s\nthe fault: %s%s\nthe storage as it is now: %s/%s",
             outcome->what, shortest.fault.row ? shortest.fault.row->reason : "none",
             shortest.fault.sticky ? ", from then on" : "", campaign->stage->kill.scratch.path,
             folder);
    result_fail(campaign->result, name, what, replay);
}

static void count_case(struct campaign *campaign, const struct error_case *one,
                       struct kill_outcome *outcome)
{
    if (!outcome->holds)
        result_demand_scratch(campaign->result, &campaign->stage->kill.scratch);
    campaign->cases++;
    result_add_cases(campaign->result, 1);
    campaign->timeouts += outcome->timed_out;
    show_progress(campaign);
    if (outcome->holds) {
        campaign->unreached += one->fault.row && !outcome->reached;
        return;
    }
    campaign->violations++;
    if (campaign->reported == REPORTED_MAX) {
        result_count_violation(campaign->result);
        return;
    }
    campaign->reported++;
    report(campaign, one, outcome);
}

/* A mutant is found or not. */
static uint64_t violations_max(void)
{
    return mutant || until_first ? 1 : VIOLATIONS_MAX;
}

static bool is_over(const struct campaign *campaign)
{
    return campaign->violations >= violations_max() || campaign->timeouts >= TIMEOUTS_MAX ||
           (campaign->cases_max && campaign->cases >= campaign->cases_max) ||
           (campaign->until_seconds > 0 &&
            result_seconds(campaign->result) >= campaign->until_seconds);
}

/* ---- where faults strike */

static struct error_case case_of(const struct campaign *campaign, const struct origin *origin,
                                 const struct faults_fault *fault)
{
    struct error_case one = campaign->whole;
    one.life.death = origin->death;
    if (fault)
        one.fault = *fault;
    return one;
}

/* Whether nothing is reported by a life on a disk of so many pages. */
static bool is_room(struct campaign *campaign, uint64_t pages)
{
    struct error_case one = campaign->whole;
    struct kill_outcome outcome = {.holds = true};
    one.fault = (struct faults_fault){faults_row_find("room", "ENOSPC"), pages, true};
    return error_fault(campaign->stage, &one, &outcome) && !outcome.reached;
}

/* How many pages a life needs. */
static uint64_t find_room(struct campaign *campaign)
{
    uint64_t too_few = 0;
    uint64_t enough = ROOM_STEP;
    if (!error_can_run(campaign->stage, faults_row_find("room", "ENOSPC")))
        return 0;
    while (enough < DISK_AMPLE && !is_room(campaign, enough)) {
        too_few = enough;
        enough *= 2;
    }
    while (enough - too_few > 1) {
        uint64_t pages = (too_few + enough) / 2;
        if (is_room(campaign, pages))
            enough = pages;
        else
            too_few = pages;
    }
    return enough;
}

/* The life that nothing disturbs must hold too. */
static bool make_first_origin(struct campaign *campaign)
{
    struct origin *origin = &campaign->origins[0];
    struct error_case one = case_of(campaign, origin, NULL);
    struct kill_outcome outcome = {.holds = true};
    bool lived = error_fault(campaign->stage, &one, &outcome);
    error_uses_count(&origin->uses, campaign->arguments->seed);
    for (size_t call = 0; call < FAULTS_CALLS; call++)
        campaign->calls += origin->uses.made[call];
    if (lived)
        error_judge(campaign->stage, &one, &outcome);
    bool holds = outcome.holds;
    count_case(campaign, &one, &outcome);
    if (holds && (!only_call || strcmp(only_call, "room") == 0))
        origin->uses.made[FAULTS_CALL_room] = find_room(campaign);
    return holds;
}

static uint64_t middle_hit(const char *point)
{
    size_t n;
    return faults_point_find(point, &n) == 0 ? (faults_point_hits(n) + 1) / 2 : 0;
}

/* A life that dies is one of the kill model; `hit` of its points were counted there. */
static void make_origin(struct campaign *campaign, size_t number, uint64_t hit)
{
    struct origin *origin = &campaign->origins[number];
    struct error_stage *stage = campaign->stage;
    struct kill_outcome outcome;
    origin->death = (struct kill_death){deaths[number - 1], hit};
    struct error_case one = case_of(campaign, origin, NULL);
    snprintf(origin->saved, sizeof(origin->saved), "left-%zu", number);
    if (!hit || !error_leave(stage, &one, &outcome) || !outcome.reached)
        return;
    origin->life = *stage->kill.life;
    origin->life.verdict.recovered = VERDICT_UNKNOWN;
    if (kill_save(&stage->kill, origin->saved) != 0)
        return;
    bool held = error_fault(stage, &one, &outcome);
    error_uses_count(&origin->uses, campaign->arguments->seed);
    if (held)
        error_judge(stage, &one, &outcome);
    count_case(campaign, &one, &outcome);
}

static void make_origins(struct campaign *campaign)
{
    struct kill_case life = campaign->whole.life;
    struct kill_outcome outcome;
    uint64_t hits[ORIGINS] = {0};
    faults_io_arm(&(struct faults_fault){.row = NULL});
    if (!kill_leave(&campaign->stage->kill, &life, &outcome))
        return; /* tmf kill says more about it */
    for (size_t n = 1; n < ORIGINS; n++)
        hits[n] = middle_hit(deaths[n - 1]);
    for (size_t n = 1; n < ORIGINS; n++)
        make_origin(campaign, n, hits[n]);
}

/* ---- the campaign */

static void misuse_once(struct campaign *campaign, const struct error_misuse *misuse)
{
    struct error_case one = campaign->whole;
    struct kill_outcome outcome;
    one.misuse = misuse;
    error_misuse_run(campaign->stage, &one, &outcome);
    count_case(campaign, &one, &outcome);
}

static void fail_once(struct campaign *campaign, const struct error_item *item)
{
    const struct origin *origin = &campaign->origins[item->origin];
    struct error_stage *stage = campaign->stage;
    struct error_case one = case_of(campaign, origin, &item->fault);
    struct kill_outcome outcome = {.holds = true};
    if (origin->death.hit) {
        *stage->kill.life = origin->life;
        stage->record->durable = origin->life.claim.acknowledged;
        int error = kill_restore(&stage->kill, origin->saved);
        if (error)
            kill_violated(stage->kill.life, &outcome, "restoring failed: %s", strerror(error));
    }
    if (outcome.holds && error_fault(stage, &one, &outcome))
        error_judge(stage, &one, &outcome);
    count_case(campaign, &one, &outcome);
}

static void try_item(struct campaign *campaign, const struct error_item *item)
{
    if (item->misuse)
        misuse_once(campaign, item->misuse);
    else
        fail_once(campaign, item);
}

static void fail_everywhere(struct campaign *campaign)
{
    const struct arguments *arguments = campaign->arguments;
    struct error_plan plan;
    const struct error_wish wish = {.origin_count = ORIGINS,
                                    .only_call = only_call,
                                    .one_errno = one_errno,
                                    .misuses = workload_may_roll_back(&campaign->whole.life.place),
                                    .seed = arguments->seed};
    const struct error_uses *uses[ORIGINS];
    for (size_t n = 0; n < ORIGINS; n++)
        uses[n] = &campaign->origins[n].uses;
    if (error_plan_make(&wish, uses, &plan)) {
        campaign->planned = plan.count;
        for (size_t n = arguments->shard - 1; n < plan.count && !is_over(campaign);
             n += arguments->shards)
            try_item(campaign, &plan.items[n]);
    }
    free(plan.items);
}

static json_t *metrics_of(const struct campaign *campaign)
{
    json_t *metrics = place_describe(&campaign->whole.life.place);
    json_t *own =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "calls", (json_int_t)campaign->calls, "faults",
                  (json_int_t)campaign->planned, "cases", (json_int_t)campaign->cases,
                  "not_reached", (json_int_t)campaign->unreached, "violations",
                  (json_int_t)campaign->violations, "seconds", campaign->seconds);
    json_object_update(metrics, own);
    json_decref(own);
    return metrics;
}

static void run_campaign(struct campaign *campaign)
{
    double started = result_seconds(campaign->result);
    if (make_first_origin(campaign)) {
        make_origins(campaign);
        fail_everywhere(campaign);
    }
    for (size_t n = 0; n < ORIGINS; n++)
        error_uses_free(&campaign->origins[n].uses);
    campaign->seconds = result_seconds(campaign->result) - started;
    json_t *runs = json_object_get(result_metrics(campaign->result), "runs");
    json_array_append_new(runs, metrics_of(campaign));
}

#define TABLE_HEAD "%-14s %-10s %-10s %8s %-9s %7s %8s %8s %11s %10s %9s\n"
#define TABLE_LINE                                                                                 \
    "%-14s %-10s %-10s %8zu %-9s %7" PRIu64 " %8zu %8" PRIu64 " %11" PRIu64 " %10" PRIu64 " %9."   \
    "1f\n"

static void print_head(FILE *to)
{
    fprintf(to, TABLE_HEAD, "strategy", "durability", "index", "quantum", "workload", "calls",
            "faults", "cases", "not reached", "violations", "seconds");
}

static void print_campaign(FILE *to, const struct campaign *campaign)
{
    const struct workload_place *place = &campaign->whole.life.place;
    fprintf(to, TABLE_LINE, place->strategy, durability_name(place->durability), place->index,
            place->quantum, place->workload->name, campaign->calls, campaign->planned,
            campaign->cases, campaign->unreached, campaign->violations, campaign->seconds);
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

static void run_all(const struct arguments *arguments, struct error_stage *stage,
                    struct result *result)
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
            .whole = {{.place = place, .transactions = transactions}, .mutant = mutant},
            .cases_max = arguments->cases ? (arguments->cases + count - 1) / count : 0,
            .until_seconds = arguments->time_seconds * (double)(n + 1) / (double)count,
            .arguments = arguments,
        };
        run_campaign(&campaign);
        print_campaign(result_text(result), &campaign);
    }
    if (stage->disk_error)
        fprintf(result_text(result), "not tried: a full disk; none can be mounted here (%s)\n",
                strerror(stage->disk_error));
}

static int error_run(const struct arguments *arguments)
{
    struct error_stage stage;
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    int error = error_stage_make(arguments->dir, &stage);
    if (error)
        return command_fail(arguments, STATUS_CANNOT,
                            "making a folder to work in failed (%s): %s; choose another by --dir",
                            arguments->dir ? arguments->dir : "$TMPDIR, or /tmp", strerror(error));
    struct result *result = result_new(arguments);
    run_all(arguments, &stage, result);
    error_stage_remove(&stage, result_violations(result) > 0);
    return result_finish(result);
}

const struct command command_error = {
    .name = "error",
    .about = "fails every call in turn with every errno, once and sticky; verifies",
    .text = "A child works on a storage while one use of one system call fails, or that and every "
            "later one, in every way that the call may; so does the recovery of storages that were "
            "left by a kill. Memory is refused too, and the disk is full. The error is reported, "
            "what is committed stays, and with the fault the trouble is over. --cases bounds the "
            "cases, --time the seconds, of all combinations together; without either every fault "
            "is tried at every use of its call.",
    .takes = TAKES_CAMPAIGN,
    .options = options,
    .take = take,
    .run = error_run,
};
