/* SPDX-License-Identifier: MIT */
/*
 * For each engine and each workload over tables: a life that nothing ends, which counts the steps;
 * then a death at each of them, in an order that jumps about, so that a campaign cut short by
 * --cases has been everywhere. An engine that is wrong is told a few times and left.
 *
 * An engine that survives nothing must be caught, as any other must hold: both are told as they
 * are, and a violation is a violation.
 */
#include <inttypes.h>
#include <string.h>

#include "harness/engine_case.h"
#include "harness/engine_kill.h"
#include "harness/progress.h"
#include "harness/result.h"
#include "harness/scatter.h"

#define REPORTED_MAX    3 /* violations of an engine that are told in full; then it is left */
#define REPLAY_PATIENCE 60
#define CASE_PREFIX     "engine:"

struct campaign {
    const struct engine *engine;
    const struct table_workload *workload;
    uint64_t steps, cases, violations;
    double seconds;
};

static void report(struct result *result, const struct engine_case *one, const char *what)
{
    char name[ENGINE_TEXT_MAX], replay[ENGINE_TEXT_MAX + 32];
    engine_case_format(one, name);
    snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
    result_fail(result, name, what, replay);
}

/* False: no more of these. */
static bool run_case(struct engine_stage *stage, struct result *result, struct campaign *campaign,
                     const struct engine_case *one)
{
    struct engine_outcome outcome;
    engine_case_run(stage, one, &outcome);
    if (!outcome.possible)
        return false;
    campaign->cases++;
    result_add_cases(result, 1);
    if (outcome.holds)
        return true;
    result_demand_scratch(result, &stage->scratch);
    campaign->violations++;
    report(result, one, outcome.what);
    return campaign->violations < REPORTED_MAX;
}

static void run_campaign(const struct arguments *arguments, struct engine_stage *stage,
                         struct result *result, struct campaign *campaign, uint64_t transactions,
                         uint64_t cases_max)
{
    double started = result_seconds(result);
    struct engine_case one =
        engine_case_of(campaign->engine, campaign->workload, arguments->seed, transactions, 0);
    bool goes_on = run_case(stage, result, campaign, &one);
    campaign->steps = stage->steps;
    for (uint64_t round = arguments->shard - 1; round < campaign->steps && goes_on;
         round += arguments->shards) {
        if (cases_max && campaign->cases >= cases_max)
            break;
        progress_show("kill %s %s: case %" PRIu64 " of %" PRIu64, campaign->engine->name,
                      campaign->workload->name, campaign->cases, campaign->steps);
        one.step = scattered_hit(round, campaign->steps, arguments->seed);
        goes_on = run_case(stage, result, campaign, &one);
    }
    campaign->seconds = result_seconds(result) - started;
}

static void tell(struct result *result, const struct campaign *campaign)
{
    json_t *runs = json_object_get(result_metrics(result), "runs");
    json_array_append_new(
        runs,
        json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:f}", "engine", campaign->engine->name,
                  "workload", campaign->workload->name, "survives_kill",
                  campaign->engine->survives != TMF_SURVIVES_NOTHING, "steps",
                  (json_int_t)campaign->steps, "cases", (json_int_t)campaign->cases, "violations",
                  (json_int_t)campaign->violations, "seconds", campaign->seconds));
    fprintf(result_text(result), "%-14s %-9s %7" PRIu64 " %7" PRIu64 " %10" PRIu64 " %9.1f\n",
            campaign->engine->name, campaign->workload->name, campaign->steps, campaign->cases,
            campaign->violations, campaign->seconds);
    fflush(result_text(result));
}

/* Is the engine one of the list A,B? */
static bool is_named(const char *engines, const char *name)
{
    size_t length = strlen(name);
    if (strcmp(engines, "all") == 0)
        return true;
    for (const char *at = engines; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == 0 || at[length] == ','))
            return true;
    }
    return false;
}

/* As many engines as there are words. */
static bool all_known(const char *engines)
{
    size_t words = 1, known = 0;
    for (const char *at = engines; *at; at++)
        words += *at == ',';
    for (size_t n = 0; engine_at(n); n++)
        known += is_named(engines, engine_at(n)->name);
    return strcmp(engines, "all") == 0 || known == words;
}

static int run_all(const struct arguments *arguments, struct engine_stage *stage,
                   struct result *result, const char *engines, uint64_t transactions)
{
    size_t workloads = 0, count = 0;
    while (table_workload_at(workloads))
        workloads++;
    for (size_t n = 0; engine_at(n); n++)
        count += is_named(engines, engine_at(n)->name) ? workloads : 0;
    uint64_t cases_max = count ? (arguments->cases + count - 1) / count : 0;
    json_object_set_new(result_metrics(result), "runs", json_array());
    fprintf(result_text(result), "%-14s %-9s %7s %7s %10s %9s\n", "engine", "workload", "steps",
            "cases", "violations", "seconds");
    for (size_t n = 0; engine_at(n); n++) {
        for (size_t w = 0; is_named(engines, engine_at(n)->name) && w < workloads; w++) {
            struct campaign campaign = {engine_at(n), table_workload_at(w), 0, 0, 0, 0};
            run_campaign(arguments, stage, result, &campaign, transactions, cases_max);
            if (campaign.cases == 0)
                return command_fail(arguments, STATUS_CANNOT, "children cannot be traced here");
            tell(result, &campaign);
        }
    }
    return STATUS_HELD;
}

static int finish(struct engine_stage *stage, struct result *result, int status)
{
    if (result_violations(result) > 0)
        scratch_keep(&stage->scratch);
    else
        scratch_remove(stage->scratch.path);
    int judged = result_finish(result);
    return status == STATUS_HELD ? judged : status;
}

static int make_stage(const struct arguments *arguments, unsigned patience,
                      struct engine_stage *stage)
{
    int error = engine_stage_make(arguments->dir, patience, stage);
    return error ? command_fail(arguments, STATUS_CANNOT,
                                "making a folder to work in failed: %s; choose another by --dir",
                                strerror(error))
                 : STATUS_HELD;
}

int engine_kill_run(const struct arguments *arguments, const char *engines, uint64_t transactions,
                    unsigned patience)
{
    struct engine_stage stage;
    if (!all_known(engines))
        return command_fail(arguments, STATUS_USAGE,
                            "'%s' names an engine that is none: `tmf list engines` names them all",
                            engines);
    int status = make_stage(arguments, patience, &stage);
    if (status != STATUS_HELD)
        return status;
    struct result *result = result_new(arguments);
    status = run_all(arguments, &stage, result, engines, transactions);
    return finish(&stage, result, status);
}

bool engine_kill_is_case(const char *name)
{
    return strncmp(name, CASE_PREFIX, strlen(CASE_PREFIX)) == 0;
}

int engine_kill_replay(const struct arguments *arguments, const char *name)
{
    struct engine_stage stage;
    struct engine_case one;
    struct engine_outcome outcome;
    if (!engine_case_parse(name, &one))
        return command_fail(arguments, STATUS_USAGE, "'%s' is no case of an engine", name);
    int status = make_stage(arguments, REPLAY_PATIENCE, &stage);
    if (status != STATUS_HELD)
        return status;
    struct result *result = result_new(arguments);
    engine_case_run(&stage, &one, &outcome);
    result_add_cases(result, 1);
    if (!outcome.possible)
        status = command_fail(arguments, STATUS_CANNOT, "%s", outcome.what);
    else if (!outcome.holds)
        report(result, &one, outcome.what);
    else
        fputs(one.step && !outcome.reached ? "it holds, but the step was not reached\n"
                                           : "it holds\n",
              result_text(result));
    return finish(&stage, result, status);
}
