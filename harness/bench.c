/* SPDX-License-Identifier: MIT */
/*
 * tmf bench: runs tmf_bench, the benchmarks linked to the libraries as they ship, in an order that
 * --seed draws, several times over (bench_rounds.h), and shows the medians. Its list of results
 * goes into the envelope, without the warm-ups (bench_repetitions.h). A benchmark that found its
 * work not done is a violation.
 *
 * With --instructions those that work without system calls run a second time, once and under
 * callgrind, and what that counts is put into the rows of the first time; its times are worth
 * nothing and are thrown away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_rounds.h"
#include "harness/bench_rows.h"
#include "harness/command.h"
#include "harness/measuring.h"
#include "harness/result.h"

#define REPETITIONS      "9"
#define DISK_BYTES       ((json_int_t)3 << 30)
#define DISK_BYTES_LARGE ((json_int_t)12 << 30)

enum { KEY_FILTER = 0x200, KEY_REPETITIONS, KEY_MIN_TIME, KEY_INSTRUCTIONS, KEY_LARGE };
static const char *filter = ".";
static const char *repetitions; /* NULL: not given */
static const char *min_time = "0.2";
static bool counts_instructions;
static bool is_large;

static const struct argp_option options[] = {
    {"filter", KEY_FILTER, "REGEX", 0, "only benchmarks whose name it matches; -REGEX: the others",
     0},
    {"repetitions", KEY_REPETITIONS, "N", 0,
     "of each benchmark (default: 9), and one before to warm up", 0},
    {"min-time", KEY_MIN_TIME, "SECONDS", 0,
     "of each repetition, where the work is not fixed (default: 0.2)", 0},
    {"instructions", KEY_INSTRUCTIONS, NULL, 0,
     "count instructions too, with valgrind's callgrind: exact, and slow", 0},
    {"large", KEY_LARGE, NULL, 0,
     "benchmarks of 10^7 free blocks too, which take minutes and half of 24 GiB of memory; and all "
     "combinations of the strategy study, which take half an hour and 10 GiB of disk",
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

/* What tmf_bench and what it loads read from the environment; 0 or an errno. */
static int set_environment(const struct arguments *arguments, const char *folder)
{
    const char *durability = durability_name(arguments->durabilities[0]);
    if (setenv("TMF_BENCH_DIR", folder, 1) != 0 ||
        setenv("TMF_BENCH_DURABILITY", durability, 1) != 0)
        return errno;
    return is_large && setenv("TMF_BENCH_LARGE", "1", 1) != 0 ? errno : 0;
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
    char files[PATH_MAX], files_option[PATH_MAX + 32];
    snprintf(files, sizeof(files), "%s/callgrind", folder);
    snprintf(files_option, sizeof(files_option), "--callgrind-out-file=%s", files);
    if (setenv("TMF_BENCH_CALLGRIND", files, 1) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    const struct rounds rounds = {.filter = filter,
                                  .min_time = min_time,
                                  .repetitions = 1,
                                  .tool = {"/usr/bin/env", "valgrind", "-q", "--tool=callgrind",
                                           "--instr-atstart=no", files_option},
                                  .about = "counting instructions",
                                  .folder = folder};
    json_t *counted = NULL;
    int status = rounds_run(arguments, result, &rounds, &counted);
    if (status == STATUS_HELD)
        merge_instructions(rows, json_object_get(counted, "benchmarks"));
    json_decref(counted);
    return status;
}

/* The line that measures the same again. */
static void say_again(const struct arguments *arguments, struct result *result)
{
    char seed[32], seconds[32];
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)arguments->seed);
    snprintf(seconds, sizeof(seconds), "%.10g", arguments->time_seconds);
    bool in_time = arguments->time_seconds > 0;
    const char *words[20] = {"--filter",
                             filter,
                             in_time ? "--time" : "--repetitions",
                             in_time ? seconds : repetitions,
                             "--min-time",
                             min_time,
                             "--seed",
                             seed,
                             "--durability",
                             durability_name(arguments->durabilities[0])};
    size_t count = 10;
    if (counts_instructions)
        words[count++] = "--instructions";
    if (is_large)
        words[count++] = "--large";
    if (arguments->no_pin)
        words[count++] = "--no-pin";
    if (arguments->pin) {
        words[count++] = "--pin";
        words[count++] = arguments->pin;
    }
    result_again(result, words);
}

static void print(FILE *to, const struct arguments *arguments, const json_t *found)
{
    const json_t *rows = json_object_get(found, "benchmarks");
    rows_print(to, rows);
    if (arguments->time_seconds > 0)
        fprintf(to, "\n%" JSON_INTEGER_FORMAT " repetitions in %.10g s\n",
                json_integer_value(json_object_get(found, "rounds")), arguments->time_seconds);
    rows_summarize(to, rows);
    rows_compare_engines(to, rows);
}

/* Fills the result, or returns why there is none. */
static int measure(const struct arguments *arguments, struct result *result, const char *folder)
{
    char about[64];
    bool in_time = arguments->time_seconds > 0;
    snprintf(about, sizeof(about), "%s repetitions in random order", repetitions);
    if (set_environment(arguments, folder) != 0)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    const struct rounds rounds = {.filter = filter,
                                  .min_time = min_time,
                                  .repetitions =
                                      in_time ? 1 : (unsigned)strtoul(repetitions, NULL, 10),
                                  .budget_seconds = arguments->time_seconds,
                                  .warms_up = true,
                                  .about = about,
                                  .folder = folder};
    json_t *found = NULL;
    say_again(arguments, result);
    int status = rounds_run(arguments, result, &rounds, &found);
    json_t *rows = json_object_get(found, "benchmarks");
    if (status == STATUS_HELD && counts_instructions)
        status = count_instructions(arguments, result, folder, rows);
    if (status == STATUS_HELD) {
        judge(result, rows);
        print(result_text(result), arguments, found);
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
    if (own.time_seconds > 0 && repetitions != NULL)
        return command_fail(&own, STATUS_USAGE,
                            "--time says how many repetitions there are, or --repetitions does");
    if (repetitions == NULL)
        repetitions = REPETITIONS;
    command_skip_missing(&own);
    const struct measuring how = {.program = "../bench/tmf_bench",
                                  .disk_bytes = is_large ? DISK_BYTES_LARGE : DISK_BYTES,
                                  .measure = measure};
    return measuring_run(&own, &how);
}

const struct command command_bench = {
    .name = "bench",
    .about = "the benchmarks",
    .text = "Measures in --dir (default: the current directory, which should be on a disk), all "
            "benchmarks in an order that --seed draws over all repetitions. The first repetition "
            "of each is a warm-up and thrown away. With --time there are as many repetitions as "
            "it has room for, each in a process and an order of its own, at least one. What is "
            "not spread over the cores of --pin by its threads runs on the first of them. What "
            "will disturb it is said first, and kept in the JSON. The spread is the standard "
            "deviation over the repetitions, by their mean; \"of limit\" is the multiple of what "
            "the disk takes for one write and one sync of as many pages. Where indexes were "
            "measured at 10^5 free blocks, a table at the end compares them; so does one engines, "
            "where they were. Of traces: time, nodes and pages are those of one operation, "
            "\"malloc\" is the multiple of its time, \"of 100\" are the pages that 100 operations "
            "dirty together; rounding, metadata and their sum, lost, are shares of the bytes "
            "asked for at the peak, frag of what lies below the highest byte used.",
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET | TAKES_DURABILITY | TAKES_SEED | TAKES_TIME |
             TAKES_MEASURING,
    .options = options,
    .take = take,
    .run = run,
};
