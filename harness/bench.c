/* SPDX-License-Identifier: MIT */
/*
 * tmf bench: runs tmf_bench, the benchmarks linked to the libraries as they ship, in random order,
 * several times over, and shows the medians. Its list of results goes into the envelope as it is.
 * A benchmark that found its work not done is a violation.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/bench_trace.h"
#include "harness/command.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/result.h"

enum { KEY_FILTER = 0x200, KEY_REPETITIONS, KEY_MIN_TIME };
static const char *filter = ".";
static const char *repetitions = "9";
static const char *min_time = "0.2";

static const struct argp_option options[] = {
    {"filter", KEY_FILTER, "REGEX", 0, "only benchmarks whose name it matches; -REGEX: the others",
     0},
    {"repetitions", KEY_REPETITIONS, "N", 0, "of each benchmark (default: 9)", 0},
    {"min-time", KEY_MIN_TIME, "SECONDS", 0,
     "of each repetition, where the work is not fixed (default: 0.2)", 0},
    {0}};

static bool is_positive(const char *value)
{
    char *end;
    return strtod(value, &end) > 0 && *end == '\0';
}

static bool take(int key, const char *value)
{
    switch (key) {
    case KEY_FILTER:
        filter = value;
        return *value != '\0';
    case KEY_REPETITIONS:
        repetitions = value;
        return is_positive(value) && strspn(value, "0123456789") == strlen(value);
    default:
        min_time = value;
        return is_positive(value);
    }
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *value = json_string_value(json_object_get(row, key));
    return value != NULL ? value : "";
}

static double number_of(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

/* Does `left` stand before `right` where everything is in the order of its registration? */
static bool is_before(const json_t *left, const json_t *right)
{
    static const char *const keys[] = {"family_index", "per_family_instance_index",
                                       "repetition_index"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        double difference = number_of(left, keys[i]) - number_of(right, keys[i]);
        if (difference != 0)
            return difference < 0;
    }
    return false;
}

/* Rows were measured, and written, in random order. */
static void sort_rows(json_t *rows)
{
    for (size_t i = 1; i < json_array_size(rows); i++) {
        json_t *row = json_incref(json_array_get(rows, i));
        size_t to = i;
        while (to > 0 && is_before(row, json_array_get(rows, to - 1)))
            to--;
        json_array_remove(rows, i);
        json_array_insert_new(rows, to, row);
    }
}

/* The row of `aggregate` of the benchmark `name`, or NULL. */
static const json_t *find_row(const json_t *rows, const char *name, const char *aggregate)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_of(row, "run_name"), name) == 0 &&
            strcmp(text_of(row, "aggregate_name"), aggregate) == 0)
            return row;
    }
    return NULL;
}

/* A row stands for its benchmark: the median, or the only run where there is no median. */
static bool stands_for_benchmark(const json_t *row)
{
    if (json_is_true(json_object_get(row, "error_occurred")))
        return false;
    return strcmp(text_of(row, "aggregate_name"), "median") == 0 ||
           (strcmp(text_of(row, "run_type"), "iteration") == 0 &&
            number_of(row, "repetitions") == 1);
}

static void print_counters(FILE *to, const json_t *row)
{
    static const char *const counters[] = {"free_blocks", "nodes_visited", "pages_dirtied",
                                           "log_bytes", "syncs"};
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        if (json_object_get(row, counters[i]) != NULL)
            fprintf(to, "  %s=%.7g", counters[i], number_of(row, counters[i]));
    }
}

/* How many times the limit of as many pages in the same run; 0: there is none. */
static double multiple_of_limit(const json_t *rows, const json_t *row)
{
    const char *name = text_of(row, "run_name");
    const char *pages = strstr(name, "/pages:");
    if (strncmp(name, "commit/", 7) != 0 || pages == NULL)
        return 0;
    char limit_name[64];
    snprintf(limit_name, sizeof(limit_name), "limit%s", pages);
    const json_t *limit = find_row(rows, limit_name, text_of(row, "aggregate_name"));
    return limit != NULL ? number_of(row, "real_time") / number_of(limit, "real_time") : 0;
}

/* The time `key` of a row, in the unit that reads best. */
static void print_time(FILE *to, const json_t *row, const char *key)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    while (unit < 3 && strcmp(units[unit], text_of(row, "time_unit")) != 0)
        unit++;
    double time = number_of(row, key);
    for (; time >= 1000 && unit < 3; unit++)
        time /= 1000;
    fprintf(to, "%10.4g %-2s", time, units[unit]);
}

/* What runs without a system call is judged by the processor's time, which others take less of;
 * Google Benchmark's RMS error is that of the processor's time too. */
static const char *time_key(const json_t *row)
{
    return strncmp(text_of(row, "run_name"), "alloc_free/", 11) == 0 ? "cpu_time" : "real_time";
}

static void print_row(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = text_of(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, time_key(row));
    const json_t *variation = find_row(rows, name, "cv");
    if (variation != NULL)
        fprintf(to, " %6.1f %%", 100 * number_of(variation, time_key(row)));
    else
        fprintf(to, " %8s", "-");
    double multiple = multiple_of_limit(rows, row);
    if (multiple > 0)
        fprintf(to, " %6.1f x", multiple);
    else
        fprintf(to, " %8s", "-");
    print_counters(to, row);
    fputc('\n', to);
}

static void print_complexity(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = text_of(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, "cpu_coefficient");
    fprintf(to, " x log2(free blocks), RMS error %.1f %% of the mean\n",
            100 * number_of(find_row(rows, name, "RMS"), "rms"));
}

static void print_table(FILE *to, const json_t *rows)
{
    bool is_first = true;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!stands_for_benchmark(row) || bench_is_trace(row))
            continue;
        if (is_first)
            fprintf(to, "%-48s %13s %8s %8s  %s\n", "benchmark", "median time", "spread",
                    "of limit", "counters, per pair or transaction");
        is_first = false;
        print_row(to, rows, row);
    }
    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_of(row, "aggregate_name"), "BigO") == 0)
            print_complexity(to, rows, row);
    }
    bench_print_traces(to, rows, stands_for_benchmark);
}

static void report_failure(struct result *result, const json_t *row)
{
    char again[256];
    snprintf(again, sizeof(again), "tmf bench --filter '%s$'", text_of(row, "run_name"));
    result_fail(result, text_of(row, "run_name"), text_of(row, "error_message"), again);
}

/* Every run is a case. */
static void judge(struct result *result, const json_t *rows)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_of(row, "run_type"), "iteration") != 0)
            continue;
        result_add_cases(result, 1);
        if (json_is_true(json_object_get(row, "error_occurred")))
            report_failure(result, row);
    }
}

/* Runs tmf_bench, which writes its results to `out`. */
static int run_benchmarks(const struct arguments *arguments, struct result *result, const char *out)
{
    char program[PATH_MAX], out_word[PATH_MAX + 32], filter_word[1024];
    char repetitions_word[64], min_time_word[64];
    if (program_beside("../bench/tmf_bench", program) != 0)
        return command_fail(arguments, STATUS_CANNOT, "tmf_bench was not built (TMF_BENCH is off)");
    snprintf(out_word, sizeof(out_word), "--benchmark_out=%s", out);
    snprintf(filter_word, sizeof(filter_word), "--benchmark_filter=%s", filter);
    snprintf(repetitions_word, sizeof(repetitions_word), "--benchmark_repetitions=%s", repetitions);
    snprintf(min_time_word, sizeof(min_time_word), "--benchmark_min_time=%s", min_time);
    const char *argv[] = {program,       out_word,
                          filter_word,   repetitions_word,
                          min_time_word, "--benchmark_enable_random_interleaving=true",
                          NULL};
    struct child_end end = {0};
    progress_show("bench: %s repetitions in random order", repetitions);
    int error = program_run(&(struct program){.argv = argv}, &end);
    progress_clear();
    if (error != 0)
        return command_fail(arguments, STATUS_CANNOT, "tmf_bench: %s", strerror(error));
    if (end.exited) /* of the same meaning as ours; it has said why */
        return end.code < STATUS_CANNOT ? end.code : STATUS_CANNOT;
    char how[128];
    child_explain(&end, how, sizeof(how));
    result_fail(result, "tmf_bench", how, "tmf bench");
    return STATUS_VIOLATION;
}

/* Fills the result, or returns why there is none. */
static int measure(const struct arguments *arguments, struct result *result, const char *folder)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/benchmarks.json", folder);
    const char *durability = durability_name(arguments->durabilities[0]);
    if (setenv("TMF_BENCH_DIR", folder, 1) != 0 ||
        setenv("TMF_BENCH_DURABILITY", durability, 1) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    int status = run_benchmarks(arguments, result, path);
    if (status != STATUS_HELD)
        return status;
    json_error_t flaw;
    json_t *found = json_load_file(path, 0, &flaw);
    if (found == NULL)
        return command_fail(arguments, STATUS_CANNOT, "the results of tmf_bench: %s", flaw.text);
    json_t *rows = json_object_get(found, "benchmarks");
    sort_rows(rows);
    judge(result, rows);
    print_table(result_text(result), rows);
    json_object_update(result_metrics(result), found);
    json_decref(found);
    return STATUS_HELD;
}

static int run(const struct arguments *arguments)
{
    struct arguments own = *arguments; /* /tmp may be memory: syncs cost nothing there */
    if (own.dir == NULL)
        own.dir = ".";
    if (own.durability_count != 1)
        return command_fail(&own, STATUS_USAGE, "one --durability at a time");
    command_skip_missing(&own);
    struct scratch scratch;
    int error = scratch_make(own.dir, &scratch);
    if (error != 0)
        return command_fail(&own, STATUS_CANNOT, "%s: %s", own.dir, strerror(error));
    struct result *result = result_new(&own);
    int status = measure(&own, result, scratch.path);
    scratch_remove(scratch.path);
    int judged = result_finish(result);
    return status == STATUS_HELD ? judged : status;
}

const struct command command_bench = {
    .name = "bench",
    .about = "the benchmarks",
    .text =
        "Measures in --dir (default: the current directory, which should be on a disk). The\n"
        "spread is the standard deviation over the repetitions, by their mean; \"of limit\" is\n"
        "the multiple of what the disk takes for one write and one sync of as many pages.\n"
        "Of traces: time, nodes and pages are those of one operation, \"malloc\" is the multiple\n"
        "of its time, \"of 100\" are the pages that 100 operations dirty together; rounding,\n"
        "metadata and their sum, lost, are shares of the bytes asked for at the peak, frag of\n"
        "what lies below the highest byte used.",
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET | TAKES_DURABILITY,
    .options = options,
    .take = take,
    .run = run,
};
