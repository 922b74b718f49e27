/* SPDX-License-Identifier: MIT */
#include "harness/explore_report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "harness/contest.h"
#include "harness/kill_case.h"
#include "harness/wait.h"

#define HEAD "%-14s %-10s %-9s %7s %-9s %7s %7s %9s %13s %6s %11s %7s %10s %8s\n"
#define LINE                                                                                       \
    "%-14s %-10s %-9s %7zu %-9s %7" PRIu64 " %7" PRIu64 " %9" PRIu64 " %12" PRIu64 "%s %6" PRIu64  \
    " %11" PRIu64 " %7" PRIu64 " %10d %8.2f\n"

bool schedules_take(int key, const char *value, struct exploration *what, bool *is_asked)
{
    uint64_t number;
    *is_asked = true;
    switch (key) {
    case KEY_SCHEDULE:
        return parse_count(value, 0, UINT64_MAX, &what->schedule);
    case KEY_SCHEDULES:
        return parse_count(value, 1, UINT64_MAX, &what->schedules);
    case KEY_EXHAUSTIVE:
        return what->exhaustive = true;
    case KEY_VISITS:
        return parse_count(value, 1, UINT32_MAX, &what->visits);
    case KEY_DEPTH:
        if (!parse_count(value, 1, SCHEDULE_DEPTH_MAX, &number))
            return false;
        what->depth = (unsigned)number;
        return true;
    case KEY_PREEMPTIONS:
        if (!parse_count(value, 0, UINT32_MAX, &number))
            return false;
        what->preemptions = (unsigned)number;
        return true;
    default:
        what->mutant = faults_mutant_find(value);
        return what->mutant != NULL;
    }
}

static void report_head(struct result *result)
{
    json_object_set_new(result_metrics(result), "schedules", json_array());
    fprintf(result_text(result), HEAD, "strategy", "durability", "index", "quantum", "workload",
            "readers", "writers", "schedules", "interleavings", "steps", "generations", "writers",
            "violations", "seconds");
}

/* How an exploration is called. */
static const char *strategy_of(const struct exploration *what)
{
    return what->mixed.count > 0 ? "mixed" : what->place.strategy;
}

static void append(struct result *result, const struct exploration *what,
                   const struct explored *out, double seconds)
{
    const struct {
        const char *key;
        uint64_t count;
    } counts[] = {
        {"readers", what->readers},
        {"writers", what->writers},
        {"threads", what->threads},
        {"visits", what->visits},
        {"schedules", out->runs},
        {"interleavings", out->interleavings},
        {"steps_max", out->steps_max},
        {"transactions", out->transactions},
        {"reads", out->reads},
        {"generations_max", out->generations_max},
        {"writers_max", out->writers_max},
        {"violations", out->violated},
    };
    json_t *run = place_describe(&what->place);
    json_object_set_new(run, "strategy", json_string(strategy_of(what)));
    for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++)
        json_object_set_new(run, counts[n].key, json_integer((json_int_t)counts[n].count));
    json_object_set_new(run, "complete", json_boolean(out->complete));
    json_object_set_new(run, "seconds", json_real(seconds));
    json_array_append_new(json_object_get(result_metrics(result), "schedules"), run);
}

static void report_one(struct result *result, const struct exploration *what,
                       const struct explored *out, double seconds)
{
    const struct workload_place *place = &what->place;
    append(result, what, out, seconds);
    result_add_cases(result, out->runs);
    fprintf(result_text(result), LINE, strategy_of(what), durability_name(place->durability),
            place->index, place->quantum, place->workload->name, what->readers, what->writers,
            out->runs, out->interleavings, out->complete ? "." : "+", out->steps_max,
            out->generations_max, out->writers_max, out->violated, seconds);
    fflush(result_text(result));
    if (out->violated)
        explore_fail(result, out);
}

static int run_one(struct exploration *what, const struct scratch *scratch, struct explored *out,
                   struct result *result)
{
    uint64_t began_ns = clock_ns();
    what->place.log_size = KILL_LOG_SIZE;
    int error = explore(what, scratch, out);
    if (!error)
        report_one(result, what, out, (double)(clock_ns() - began_ns) / 1e9);
    return error;
}

/* Of mixed strategies, which workload_pick() takes one after the other, the first stands for all.
 */
static bool pick(const struct arguments *arguments, size_t n, struct exploration *what)
{
    return workload_pick(arguments, n, &what->place) &&
           (what->mixed.count == 0 || what->place.strategy == what->mixed.at[0]);
}

int schedules_run(const struct arguments *arguments, struct exploration *what)
{
    struct scratch scratch;
    if (what->readers + what->writers > SCHEDULE_THREADS_MAX / what->threads)
        return command_fail(arguments, STATUS_USAGE, "a schedule has %u threads at most",
                            SCHEDULE_THREADS_MAX);
    if (arguments->time_seconds > 0)
        return command_fail(arguments, STATUS_USAGE,
                            "a schedule knows no time: --schedules says how many there are");
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    if (what->schedules == 0)
        what->schedules = what->exhaustive ? UINT64_MAX : 1;
    struct explored *out = child_shared(sizeof(*out));
    int error = out ? scratch_make(arguments->dir, &scratch) : ENOMEM;
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "making a folder to work in failed: %s",
                            strerror(error));
    struct result *result = result_new(arguments);
    report_head(result);
    for (size_t n = arguments->shard - 1; !error && pick(arguments, n, what);
         n += arguments->shards)
        error = run_one(what, &scratch, out, result);
    scratch_remove(scratch.path);
    int status = result_finish(result);
    return error ? command_fail(arguments, STATUS_CANNOT, "starting a process failed: %s",
                                strerror(error))
                 : status;
}
