/* SPDX-License-Identifier: MIT */
/*
 * tmf bench: runs tmf_bench, the benchmarks linked to the libraries as they ship, in an order that
 * --seed draws, several times over, and shows the medians. Its list of results goes into the
 * envelope as it is. A benchmark that found its work not done is a violation.
 *
 * With --instructions those that work without system calls run a second time, once and under
 * callgrind, and what that counts is put into the rows of the first time; its times are worth
 * nothing and are thrown away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_rows.h"
#include "harness/bench_trace.h"
#include "harness/command.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/result.h"

enum { KEY_FILTER = 0x200, KEY_REPETITIONS, KEY_MIN_TIME, KEY_INSTRUCTIONS, KEY_LARGE };
static const char *filter = ".";
static const char *repetitions = "9";
static const char *min_time = "0.2";
static bool counts_instructions;
static bool is_large;

static const struct argp_option options[] = {
    {"filter", KEY_FILTER, "REGEX", 0, "only benchmarks whose name it matches; -REGEX: the others",
     0},
    {"repetitions", KEY_REPETITIONS, "N", 0, "of each benchmark (default: 9)", 0},
    {"min-time", KEY_MIN_TIME, "SECONDS", 0,
     "of each repetition, where the work is not fixed (default: 0.2)", 0},
    {"instructions", KEY_INSTRUCTIONS, NULL, 0,
     "count instructions too, with valgrind's callgrind: exact, and slow", 0},
    {"large", KEY_LARGE, NULL, 0,
     "benchmarks of 10^7 free blocks too, which take minutes and half of 24 GiB of memory; and all "
     "combinations of the strategy study, which take an hour and 10 GiB of disk",
     0},
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
    case KEY_INSTRUCTIONS:
        counts_instructions = true;
        return true;
    case KEY_LARGE:
        is_large = true;
        return true;
    default:
        min_time = value;
        return is_positive(value);
    }
}

static void print_counters(FILE *to, const json_t *row)
{
    static const char *const counters[] = {"free_blocks",
                                           "nodes_visited",
                                           "pages_dirtied",
                                           "pages_dirtied_100",
                                           "instructions",
                                           "log_bytes",
                                           "syncs",
                                           "locks_us",
                                           "stores_us",
                                           "find_us",
                                           "log_us",
                                           "sync_us",
                                           "protect_us",
                                           "rest_us",
                                           "calls",
                                           "written_bytes",
                                           "dirtied_bytes",
                                           "peak_memory_bytes",
                                           "private_memory_bytes",
                                           "read_ns",
                                           "write_ns",
                                           "bytes_per_second",
                                           "p90_us",
                                           "p99_us",
                                           "p99_9_us",
                                           "per_second",
                                           "fault_us",
                                           "copy_us",
                                           "publish_us",
                                           "p50_ns",
                                           "p99_ns",
                                           "p99_9_ns",
                                           "p99_99_ns",
                                           "max_ns",
                                           "p99_99_nodes",
                                           "max_nodes",
                                           "high_water_bytes",
                                           "external_100"};
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        if (json_object_get(row, counters[i]) != NULL)
            fprintf(to, "  %s=%.7g", counters[i], row_number(row, counters[i]));
    }
}

/* The name of the limit that a row is judged by: limit/pages:K of commit/STRATEGY/pages:K, and
 * strategy/limit/DURABILITY/pages:K of strategy/STRATEGY/DURABILITY/... False: by none. */
static bool name_limit(const char *name, char *out, size_t size)
{
    const char *pages = strstr(name, "/pages:");
    if (pages == NULL)
        return false;
    char durability[16];
    if (sscanf(name, "strategy/%*[^/]/%15[^/]", durability) == 1)
        snprintf(out, size, "strategy/limit/%s%s", durability, pages);
    else if (strncmp(name, "commit/", strlen("commit/")) == 0)
        snprintf(out, size, "limit%s", pages);
    else
        return false;
    return true;
}

/* How many times the limit of as many pages in the same run; 0: there is none. */
static double multiple_of_limit(const json_t *rows, const json_t *row)
{
    char limit_name[96];
    if (!name_limit(row_text(row, "run_name"), limit_name, sizeof(limit_name)))
        return 0;
    const json_t *limit = rows_find(rows, limit_name, row_text(row, "aggregate_name"));
    return limit != NULL ? row_number(row, "real_time") / row_number(limit, "real_time") : 0;
}

/* The time `key` of a row, in the unit that reads best. */
static void print_time(FILE *to, const json_t *row, const char *key)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    while (unit < 3 && strcmp(units[unit], row_text(row, "time_unit")) != 0)
        unit++;
    double time = row_number(row, key);
    for (; time >= 1000 && unit < 3; unit++)
        time /= 1000;
    fprintf(to, "%10.4g %-2s", time, units[unit]);
}

static void print_row(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = row_text(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, row_time_key(row));
    const json_t *variation = rows_find(rows, name, "cv");
    if (variation != NULL)
        fprintf(to, " %6.1f %%", 100 * row_number(variation, row_time_key(row)));
    else
        fprintf(to, " %8s", "-");
    double multiple = multiple_of_limit(rows, row);
    if (multiple > 0)
        fprintf(to, " %6.1f x", multiple);
    else
        fprintf(to, " %8s", "-");
    print_counters(to, row);
    if (row_text(row, "label")[0] != '\0')
        fprintf(to, "  %s", row_text(row, "label"));
    fputc('\n', to);
}

static void print_complexity(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = row_text(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, "cpu_coefficient");
    fprintf(to, " x log2(free blocks), RMS error %.1f %% of the mean\n",
            100 * row_number(rows_find(rows, name, "RMS"), "rms"));
}

static void print_table(FILE *to, const json_t *rows)
{
    bool is_first = true;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!row_stands_for_benchmark(row) || bench_is_trace(row))
            continue;
        if (is_first)
            fprintf(to, "%-48s %13s %8s %8s  %s\n", "benchmark", "median time", "spread",
                    "of limit", "counters, per pair or transaction");
        is_first = false;
        print_row(to, rows, row);
    }
    json_array_foreach(rows, i, row)
    {
        if (strcmp(row_text(row, "aggregate_name"), "BigO") == 0)
            print_complexity(to, rows, row);
    }
    bench_print_traces(to, rows, row_stands_for_benchmark);
}

static void report_failure(struct result *result, const json_t *row)
{
    char again[256];
    snprintf(again, sizeof(again), "tmf bench --filter '%s$'", row_text(row, "run_name"));
    result_fail(result, row_text(row, "run_name"), row_text(row, "error_message"), again);
}

/* Every run is a case. */
static void judge(struct result *result, const json_t *rows)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(row_text(row, "run_type"), "iteration") != 0)
            continue;
        result_add_cases(result, 1);
        if (json_is_true(json_object_get(row, "error_occurred")))
            report_failure(result, row);
    }
}

/* How tmf_bench is run. */
struct plan {
    const char *tool[8]; /* what runs it, with its options; {NULL}: nothing */
    const char *repetitions;
    const char *out; /* it writes its results there */
    const char *about;
};

struct bench_line {
    const char *argv[16];
    char program[PATH_MAX], out[PATH_MAX + 32], filter[1024], repetitions[64], min_time[64];
};

/* 0 or an errno. */
static int make_line(const struct plan *plan, struct bench_line *line)
{
    int error = program_beside("../bench/tmf_bench", line->program);
    if (error != 0)
        return error;
    snprintf(line->out, sizeof(line->out), "--benchmark_out=%s", plan->out);
    snprintf(line->filter, sizeof(line->filter), "--benchmark_filter=%s", filter);
    snprintf(line->repetitions, sizeof(line->repetitions), "--benchmark_repetitions=%s",
             plan->repetitions);
    snprintf(line->min_time, sizeof(line->min_time), "--benchmark_min_time=%s", min_time);
    const char *const words[] = {line->program,  line->out,
                                 line->filter,   line->repetitions,
                                 line->min_time, "--benchmark_enable_random_interleaving=true"};
    size_t count = 0;
    while (plan->tool[count] != NULL) {
        line->argv[count] = plan->tool[count];
        count++;
    }
    memcpy(&line->argv[count], words, sizeof(words));
    return 0;
}

static int run_benchmarks(const struct arguments *arguments, struct result *result,
                          const struct plan *plan)
{
    struct bench_line line = {0};
    if (make_line(plan, &line) != 0)
        return command_fail(arguments, STATUS_CANNOT, "tmf_bench was not built (TMF_BENCH is off)");
    struct child_end end = {0};
    progress_show("bench: %s", plan->about);
    int error = program_run(&(struct program){.argv = line.argv}, &end);
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

/* What tmf_bench and what it loads read from the environment; 0 or an errno. */
static int set_environment(const struct arguments *arguments, const char *folder)
{
    const char *durability = durability_name(arguments->durabilities[0]);
    char seed[32];
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)arguments->seed);
    if (setenv("TMF_BENCH_SEED", seed, 1) != 0)
        return errno;
    if (setenv("TMF_BENCH_DIR", folder, 1) != 0 ||
        setenv("TMF_BENCH_DURABILITY", durability, 1) != 0 ||
        setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=8192", 0) != 0)
        return errno;
    return is_large && setenv("TMF_BENCH_LARGE", "1", 1) != 0 ? errno : 0;
}

/* Runs tmf_bench by `plan` and reads what it wrote: `out` is the caller's, NULL without a result.
 */
static int load_benchmarks(const struct arguments *arguments, struct result *result,
                           const struct plan *plan, json_t **out)
{
    int status = run_benchmarks(arguments, result, plan);
    if (status != STATUS_HELD)
        return status;
    json_error_t flaw;
    *out = json_load_file(plan->out, 0, &flaw);
    if (*out == NULL)
        return command_fail(arguments, STATUS_CANNOT, "the results of tmf_bench: %s", flaw.text);
    return STATUS_HELD;
}

/* Puts the counted instructions into the rows of the same benchmarks. */
static void merge_instructions(json_t *rows, const json_t *counted)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const json_t *found = rows_find_benchmark(counted, row_text(row, "run_name"));
        json_t *count = json_object_get(found, "instructions");
        if (count != NULL && row_has_counters(row))
            json_object_set(row, "instructions", count);
    }
}

static int count_instructions(const struct arguments *arguments, struct result *result,
                              const char *folder, json_t *rows)
{
    char out[PATH_MAX], files[PATH_MAX], files_option[PATH_MAX + 32];
    snprintf(out, sizeof(out), "%s/counted.json", folder);
    snprintf(files, sizeof(files), "%s/callgrind", folder);
    snprintf(files_option, sizeof(files_option), "--callgrind-out-file=%s", files);
    if (setenv("TMF_BENCH_CALLGRIND", files, 1) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    const struct plan plan = {.tool = {"/usr/bin/env", "valgrind", "-q", "--tool=callgrind",
                                       "--instr-atstart=no", files_option},
                              .repetitions = "1",
                              .out = out,
                              .about = "counting instructions"};
    json_t *counted = NULL;
    int status = load_benchmarks(arguments, result, &plan, &counted);
    if (status == STATUS_HELD)
        merge_instructions(rows, json_object_get(counted, "benchmarks"));
    json_decref(counted);
    return status;
}

/* Fills the result, or returns why there is none. */
static int measure(const struct arguments *arguments, struct result *result, const char *folder)
{
    char path[PATH_MAX], about[64];
    snprintf(path, sizeof(path), "%s/benchmarks.json", folder);
    snprintf(about, sizeof(about), "%s repetitions in random order", repetitions);
    if (set_environment(arguments, folder) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    const struct plan plan = {.repetitions = repetitions, .out = path, .about = about};
    json_t *found = NULL;
    int status = load_benchmarks(arguments, result, &plan, &found);
    json_t *rows = json_object_get(found, "benchmarks");
    if (status == STATUS_HELD && counts_instructions)
        status = count_instructions(arguments, result, folder, rows);
    if (status == STATUS_HELD) {
        rows_sort(rows);
        judge(result, rows);
        print_table(result_text(result), rows);
        rows_summarize(result_text(result), rows);
        rows_compare_engines(result_text(result), rows);
        json_object_update(result_metrics(result), found);
    }
    json_decref(found);
    return status;
}

static int run(const struct arguments *arguments)
{
    struct arguments own = *arguments;
    if (own.durability_count != 1)
        return command_fail(&own, STATUS_USAGE, "one --durability at a time");
    command_skip_missing(&own);
    return result_of_measuring(&own, measure);
}

const struct command command_bench = {
    .name = "bench",
    .about = "the benchmarks",
    .text =
        "Measures in --dir (default: the current directory, which should be on a disk). The\n"
        "spread is the standard deviation over the repetitions, by their mean; \"of limit\" is\n"
        "the multiple of what the disk takes for one write and one sync of as many pages. Where\n"
        "indexes were measured at 10^5 free blocks, a table at the end compares them; so does one\n"
        "engines, where they were.\n"
        "Of traces: time, nodes and pages are those of one operation, \"malloc\" is the multiple\n"
        "of its time, \"of 100\" are the pages that 100 operations dirty together; rounding,\n"
        "metadata and their sum, lost, are shares of the bytes asked for at the peak, frag of\n"
        "what lies below the highest byte used.",
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET | TAKES_DURABILITY | TAKES_SEED,
    .options = options,
    .take = take,
    .run = run,
};
