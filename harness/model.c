/* SPDX-License-Identifier: MIT */
/*
 * tmf model: the heap beside a model of it (alloc/test_model.h), under every workload that drives
 * the two (alloc/test_workloads.h). A case is an index, a quantum, a workload and a seed, in a
 * child of its own: a crash and a hang are violations too. The tests of alloc/ do the same with the
 * library as it ships; this is for the one with mutants, and for more seeds.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc/test_workloads.h"
#include "harness/child.h"
#include "harness/progress.h"
#include "harness/result.h"

#define LIMIT_SECONDS 120 /* for a case; it takes some */

/* Shared with the child. */
struct model_report {
    uint64_t operations;
    bool failed;
    char what[512];
};

struct model_case {
    const char *index;
    size_t quantum;
    const struct model_workload *workload;
    uint64_t seed;
};

static struct model_report *report;
static struct names workloads;
static bool until_first;

static const char *workload_name(size_t n)
{
    return model_workload_at(n) ? model_workload_at(n)->name : NULL;
}

static const struct model_workload *workload_of(const char *name)
{
    size_t n = 0;
    while (strcmp(model_workload_at(n)->name, name) != 0)
        n++;
    return model_workload_at(n);
}

enum { KEY_WORKLOAD = 0x200, KEY_UNTIL_FIRST };
static const struct argp_option options[] = {
    {"workload", KEY_WORKLOAD, "A,B", 0,
     "random, equal, sawtooth, checkerboard, growth, tiny, far (all)", 0},
    {"until-first", KEY_UNTIL_FIRST, NULL, 0, "end with the first violation", 0},
    {0},
};

static bool take(int key, const char *value)
{
    char words[256];
    char *rest = NULL;
    if (key == KEY_UNTIL_FIRST)
        return until_first = true;
    if ((size_t)snprintf(words, sizeof(words), "%s", value) >= sizeof(words))
        return false;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        const char *name = name_find(workload_name, word);
        if (!name || workloads.count == NAMES_MAX)
            return false;
        workloads.at[workloads.count++] = name;
    }
    return workloads.count > 0;
}

/* ---- a case */

/* In the child. */
void round_fail(const struct round_failure *failure)
{
    report->failed = true;
    report->operations = round_operations();
    snprintf(report->what, sizeof(report->what), "it does not hold that %s (operation %zu)",
             failure->what, failure->operation);
    _exit(EXIT_FAILURE);
}

static int run_case(void *context)
{
    const struct model_case *one = context;
    tmf_heap_config config = {.quantum = one->quantum, .index = one->index};
    model_workload_run(one->workload, config, one->seed);
    report->operations = round_operations();
    return 0;
}

/* False: violated, and report->what says how. */
static bool hold(struct model_case *one)
{
    struct child_end end = {0};
    *report = (struct model_report){0};
    int error = child_run(run_case, one, LIMIT_SECONDS, &end);
    if (error)
        snprintf(report->what, sizeof(report->what), "starting a child failed: %s",
                 strerror(error));
    else if (!report->failed && !(end.exited && end.code == 0))
        child_explain(&end, report->what, sizeof(report->what));
    return report->what[0] == 0;
}

static void violate(struct result *result, const struct model_case *one)
{
    char name[256];
    char replay[512];
    snprintf(name, sizeof(name), "model:%s:%zu:%s:seed=%" PRIu64, one->index, one->quantum,
             one->workload->name, one->seed);
    snprintf(replay, sizeof(replay),
             "tmf model --index %s --quantum %zu --workload %s --seed %" PRIu64, one->index,
             one->quantum, one->workload->name, one->seed);
    result_fail(result, name, report->what, replay);
}

/* ---- the campaign */

struct campaign {
    struct model_case one;
    uint64_t rounds, operations, violations;
    double seconds;
};

#define TABLE_HEAD "%-10s %8s %-13s %8s %12s %10s %9s\n"
#define TABLE_LINE "%-10s %8zu %-13s %8" PRIu64 " %12" PRIu64 " %10" PRIu64 " %9.1f\n"

static void tell(struct result *result, const struct campaign *campaign)
{
    const struct model_case *one = &campaign->one;
    json_t *runs = json_object_get(result_metrics(result), "runs");
    json_array_append_new(
        runs,
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:f}", "index", one->index, "quantum",
                  (json_int_t)one->quantum, "workload", one->workload->name, "rounds",
                  (json_int_t)campaign->rounds, "operations", (json_int_t)campaign->operations,
                  "violations", (json_int_t)campaign->violations, "seconds", campaign->seconds));
    fprintf(result_text(result), TABLE_LINE, one->index, one->quantum, one->workload->name,
            campaign->rounds, campaign->operations, campaign->violations, campaign->seconds);
    fflush(result_text(result));
}

/* Seeds one after another: one, or --cases, or until it is time. */
static void run_campaign(const struct arguments *arguments, struct result *result,
                         struct campaign *campaign, double until_seconds)
{
    double started = result_seconds(result);
    uint64_t most = arguments->cases ? arguments->cases : until_seconds > 0 ? UINT64_MAX : 1;
    for (uint64_t n = 0; n < most; n++) {
        struct model_case *one = &campaign->one;
        one->seed = arguments->seed + n;
        progress_show("model %s %zu %s: seed %" PRIu64, one->index, one->quantum,
                      one->workload->name, one->seed);
        bool held = hold(one);
        campaign->rounds++;
        campaign->operations += report->operations;
        result_add_cases(result, report->operations ? report->operations : 1);
        if (!held) {
            campaign->violations++;
            violate(result, one);
            break;
        }
        if (until_seconds > 0 && result_seconds(result) >= until_seconds)
            break;
    }
    campaign->seconds = result_seconds(result) - started;
}

/* The n-th combination; false past the last. One that the index does not allow has no quantum. */
static bool pick(const struct arguments *arguments, size_t n, struct model_case *out)
{
    out->workload = workload_of(workloads.at[n % workloads.count]);
    n /= workloads.count;
    out->quantum = arguments->quanta[n % arguments->quantum_count];
    n /= arguments->quantum_count;
    if (n >= arguments->indexes.count)
        return false;
    out->index = arguments->indexes.at[n];
    if (tmf_index_find(out->index)->link_bits(out->quantum) == 0)
        out->quantum = 0;
    return true;
}

static size_t run_all(const struct arguments *arguments, struct result *result)
{
    size_t count = 0;
    size_t held = 0;
    struct model_case one = {0};
    while (pick(arguments, count, &one))
        count++;
    for (size_t n = arguments->shard - 1; n < count; n += arguments->shards) {
        double until = arguments->time_seconds * (double)(n + 1) / (double)count;
        pick(arguments, n, &one);
        if (one.quantum == 0 || (until_first && result_violations(result) > 0))
            continue;
        struct campaign campaign = {.one = one};
        run_campaign(arguments, result, &campaign, until);
        tell(result, &campaign);
        held++;
    }
    return held;
}

static int run(const struct arguments *arguments)
{
    report = child_shared(sizeof(*report));
    if (!report)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    bool all = workloads.count == 0;
    for (size_t n = 0; all && workload_name(n); n++)
        workloads.at[workloads.count++] = workload_name(n);
    struct result *result = result_new(arguments);
    json_object_set_new(result_metrics(result), "runs", json_array());
    fprintf(result_text(result), TABLE_HEAD, "index", "quantum", "workload", "rounds", "operations",
            "violations", "seconds");
    size_t held = run_all(arguments, result);
    int status = result_finish(result);
    return held == 0 && status == STATUS_HELD ? STATUS_CANNOT : status;
}

const struct command command_model = {
    .name = "model",
    .about = "the heap beside a brute-force model of it, under adversarial traces",
    .text = "Every operation is made on both, and each must return the same, at the same address; "
            "every block keeps its content, every invariant holds, and nothing behind the arena is "
            "touched. --cases is the number of seeds of each combination.",
    .takes = TAKES_JSON | TAKES_SEED | TAKES_INDEX | TAKES_QUANTUM | TAKES_CASES | TAKES_TIME |
             TAKES_SHARD | TAKES_QUIET,
    .options = options,
    .take = take,
    .run = run,
};
