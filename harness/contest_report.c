/* SPDX-License-Identifier: MIT */
#include "harness/contest_report.h"

#include <inttypes.h>

/* What happens among threads and processes is the kernel's choice and not the seed's. */
#define REPLAY_NOTE "the replay repeats the conditions, not the instant: run it several times"

static const char *const kind_names[WAIT_KINDS] = {
    [WAIT_ALL] = "all",
    [WAIT_READ] = "of readers",
    [WAIT_WRITE] = "of writers",
    [WAIT_KILL] = "a lock holder was killed meanwhile",
    [WAIT_STOP] = "a lock holder was stopped meanwhile",
    [WAIT_TAKEOVER] = "from its kill to the next one inside",
    [HOLD_READ] = "held by readers",
    [HOLD_WRITE] = "held by writers",
};

#define HEAD "%-14s %-10s %-9s %7s %-9s %7s %7s %12s %7s %9s %7s %9s %5s %10s %8s\n"
#define LINE                                                                                       \
    "%-14s %-10s %-9s %7zu %-9s %7zu %7zu %12" PRIu64 " %7.0f %9" PRIu64                           \
    " %7.0f %4.2f %4.2f %5" PRIu64 " %10" PRIu64 " %8.2f\n"
#define WAITS_HEAD "%-14s %-10s %-9s %-36s %9s %9s %9s %9s\n"
#define WAITS_LINE "%-14s %-10s %-9s %-36s %9" PRIu64 " %9.0f %9.0f %9.0f\n"

void report_head(struct result *result)
{
    json_object_set_new(result_metrics(result), "runs", json_array());
    json_object_set_new(result_metrics(result), "waits", json_array());
    fprintf(result_text(result), HEAD, "strategy", "durability", "index", "quantum", "workload",
            "readers", "writers", "transactions", "per s", "reads", "per s", "fairness", "kills",
            "violations", "seconds");
}

/* How a contest is called. */
static const char *strategy_of(const struct contest *contest)
{
    return contest->mixed ? "mixed" : contest->place.strategy;
}

static uint64_t cases_of(const struct board *board)
{
    return board->transactions + board->reads;
}

static void append(struct result *result, const char *list, json_t *entry)
{
    json_array_append_new(json_object_get(result_metrics(result), list), entry);
}

/* Among the contenders that write, or read: of how often they got in. */
static double fairness(const struct board *board, bool writes)
{
    uint64_t got[CONTENDERS_MAX];
    size_t count = 0;
    for (size_t n = 0; n < board->contender_count; n++) {
        if (board->contenders[n].writes == writes)
            got[count++] = board->contenders[n].entries;
    }
    return fairness_of(got, count);
}

static void append_run(struct result *result, const struct contest *contest, double seconds)
{
    const struct workload_place *place = &contest->place;
    const struct board *board = contest->board;
    const struct waits *waits = &board->waits[WAIT_ALL];
    const struct {
        const char *key;
        uint64_t count;
    } counts[] = {
        {"processes", contest->processes},     {"readers", contest->readers},
        {"writers", contest->writers},         {"cases", cases_of(board)},
        {"transactions", board->transactions}, {"reads", board->reads},
        {"refused", board->refused},           {"kills", contest->kills_made},
        {"holder_kills", board->holder_kills}, {"recoveries", board->recoveries},
        {"violations", board->violations},     {"generations_max", board->generations_max},
        {"writers_max", board->writers_max},
    };
    json_t *run = place_describe(place);
    json_object_set_new(run, "strategy", json_string(strategy_of(contest)));
    for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++)
        json_object_set_new(run, counts[n].key, json_integer((json_int_t)counts[n].count));
    json_object_set_new(run, "fairness_readers", json_real(fairness(board, false)));
    json_object_set_new(run, "fairness_writers", json_real(fairness(board, true)));
    json_object_set_new(run, "seconds", json_real(seconds));
    if (contest->describe)
        contest->describe(contest, run);
    json_object_set_new(run, "wait_p50_us", json_real(waits_quantile_us(waits, 0.5)));
    json_object_set_new(run, "wait_p99_us", json_real(waits_quantile_us(waits, 0.99)));
    json_object_set_new(run, "wait_max_us", json_real(waits_quantile_us(waits, 1)));
    append(result, "runs", run);
}

/* [[the longest that a bucket may hold, how many it holds], ...] */
static json_t *buckets_of(const struct waits *waits)
{
    json_t *buckets = json_array();
    uint64_t count, most_ns;
    for (size_t bucket = 0; waits_next(waits, &bucket, &count, &most_ns);)
        json_array_append_new(buckets,
                              json_pack("[f, I]", (double)most_ns / 1e3, (json_int_t)count));
    return buckets;
}

static json_t *describe_waits(const struct contest *contest, size_t kind)
{
    const struct waits *waits = &contest->board->waits[kind];
    const struct workload_place *place = &contest->place;
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:o}", "strategy",
                     strategy_of(contest), "durability", durability_name(place->durability),
                     "workload", place->workload->name, "kind", kind_names[kind], "count",
                     (json_int_t)waits_count(waits), "p50_us", waits_quantile_us(waits, 0.5),
                     "p99_us", waits_quantile_us(waits, 0.99), "max_us",
                     waits_quantile_us(waits, 1), "buckets_us", buckets_of(waits));
}

static void append_waits(struct result *result, const struct contest *contest)
{
    for (size_t kind = 0; kind < WAIT_KINDS; kind++) {
        if (waits_count(&contest->board->waits[kind]) > 0)
            append(result, "waits", describe_waits(contest, kind));
    }
}

static void fail(struct result *result, const struct contest *contest)
{
    const struct workload_place *place = &contest->place;
    char name[256], end[64], replay[768], what[2048 + PATH_MAX];
    snprintf(name, sizeof(name), "%s:%s:%s:%zu:%s:seed=%" PRIu64, contest->command,
             strategy_of(contest), place->index, place->quantum, place->workload->name,
             place->seed);
    if (contest->transactions)
        snprintf(end, sizeof(end), "--transactions %" PRIu64, contest->transactions);
    else
        snprintf(end, sizeof(end), "--time %.3g", contest->time_seconds);
    snprintf(replay, sizeof(replay),
             "tmf %s --strategy %s --index %s --quantum %zu --workload %s --durability %s --seed "
             "%" PRIu64 " %s %s",
             contest->command, contest->strategies, place->index, place->quantum,
             place->workload->name, durability_name(place->durability), place->seed,
             contest->options, end);
    snprintf(what, sizeof(what), "%s\n" REPLAY_NOTE "\nthe storage as it was left: %s.odb",
             contest->board->what, contest->path);
    result_fail(result, name, what, replay);
    for (uint64_t more = contest->board->violations - 1; more > 0; more--)
        result_count_violation(result);
}

void report_contest(struct result *result, const struct contest *contest, double seconds)
{
    const struct workload_place *place = &contest->place;
    const struct board *board = contest->board;
    append_run(result, contest, seconds);
    append_waits(result, contest);
    result_add_cases(result, cases_of(board));
    FILE *to = result_text(result);
    fprintf(to, LINE, strategy_of(contest), durability_name(place->durability), place->index,
            place->quantum, place->workload->name, contest->readers, contest->writers,
            board->transactions, (double)board->transactions / seconds, board->reads,
            (double)board->reads / seconds, fairness(board, false), fairness(board, true),
            contest->kills_made, board->violations, seconds);
    fflush(to);
    if (board->violations > 0)
        fail(result, contest);
}

static const char *text_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static double number_of(const json_t *entry, const char *key)
{
    return json_number_value(json_object_get(entry, key));
}

void report_waits(struct result *result)
{
    size_t n;
    const json_t *entry;
    FILE *to = result_text(result);
    fprintf(to, "\n" WAITS_HEAD, "strategy", "durability", "workload", "waits for the lock, holds",
            "count", "p50, us", "p99, us", "max, us");
    json_array_foreach(json_object_get(result_metrics(result), "waits"), n, entry)
    {
        fprintf(to, WAITS_LINE, text_of(entry, "strategy"), text_of(entry, "durability"),
                text_of(entry, "workload"), text_of(entry, "kind"),
                (uint64_t)number_of(entry, "count"), number_of(entry, "p50_us"),
                number_of(entry, "p99_us"), number_of(entry, "max_us"));
    }
}
