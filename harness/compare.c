/* SPDX-License-Identifier: MIT */
/*
 * tmf compare: results/compare.py measures and judges; this puts what it found into the envelope,
 * and every regression is a violation of it.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/measuring.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/result.h"

#define PYTHON    "/usr/bin/python3"
#define WORDS_MAX ((size_t)40)

enum { KEY_FIRST = 0x200 };
enum own {
    REVISIONS,
    SELF_TEST,
    FILTER,
    TOLERANCE,
    REPETITIONS,
    COMPARISONS,
    JUNIT,
    MARKDOWN,
    OWN
};

static const char *given[OWN] = {
    [FILTER] = "commit/", [TOLERANCE] = "5", [REPETITIONS] = "32", [COMPARISONS] = "200"};
#define DISK_BYTES ((json_int_t)3 << 30)

static const struct argp_option options[] = {
    {"revisions", KEY_FIRST + REVISIONS, NULL, 0, "OLD and NEW are revisions: build, run in turns",
     0},
    {"self-test", KEY_FIRST + SELF_TEST, NULL, 0, "how often is the verdict wrong?", 0},
    {"filter", KEY_FIRST + FILTER, "REGEX", 0, "of revisions: only these benchmarks (commit/)", 0},
    {"tolerance", KEY_FIRST + TOLERANCE, "PERCENT", 0, "what counts as the same (5)", 0},
    {"repetitions", KEY_FIRST + REPETITIONS, "N", 0,
     "of revisions: at most so many pairs (64); or --time", 0},
    {"comparisons", KEY_FIRST + COMPARISONS, "N", 0, "of the self-test: of either kind (200)", 0},
    {"junit", KEY_FIRST + JUNIT, "FILE", 0, "the verdicts as JUnit's XML", 0},
    {"markdown", KEY_FIRST + MARKDOWN, "FILE", 0, "the table in Markdown", 0},
    {0}};

static bool is_number(const char *value, double least)
{
    char *end;
    double number = strtod(value, &end);
    return *value != '\0' && *end == '\0' && number >= least && number <= 1e6;
}

static bool take(int key, const char *value)
{
    enum own own = (enum own)(key - KEY_FIRST);
    given[own] = value != NULL ? value : "";
    if (value == NULL) /* a flag */
        return true;
    if (own == TOLERANCE)
        return is_number(value, 0.01);
    if (own == REPETITIONS || own == COMPARISONS)
        return is_number(value, 1) && strspn(value, "0123456789") == strlen(value);
    return *value != '\0';
}

struct line {
    const char *argv[WORDS_MAX];
    size_t count;
    char script[PATH_MAX], program[PATH_MAX], metrics[PATH_MAX + 32], seed[32], seconds[32];
};

static void add(struct line *line, const char *option, const char *value)
{
    line->argv[line->count++] = option;
    if (value != NULL)
        line->argv[line->count++] = value;
}

static void add_given(struct line *line)
{
    for (size_t n = 0; n < OWN; n++) {
        static char names[OWN][32];
        snprintf(names[n], sizeof(names[n]), "--%s", options[n].name);
        if (given[n] != NULL)
            add(line, names[n], options[n].arg != NULL ? given[n] : NULL);
    }
}

static int make_line(const struct arguments *arguments, const char *scratch, struct line *line)
{
    int error = program_beside("../bench/tmf_bench_points", line->program);
    if (error != 0 && given[SELF_TEST] != NULL)
        return error;
    snprintf(line->script, sizeof(line->script), "%s/compare.py", TMF_RESULTS_DIR);
    snprintf(line->metrics, sizeof(line->metrics), "%s/metrics.json", scratch);
    snprintf(line->seed, sizeof(line->seed), "%llu", (unsigned long long)arguments->seed);
    add(line, PYTHON, "-B");
    add(line, line->script, NULL);
    add_given(line);
    add(line, "--metrics", line->metrics);
    add(line, "--scratch", scratch);
    add(line, "--source", TMF_RESULTS_DIR "/..");
    add(line, "--program", line->program);
    add(line, "--seed", line->seed);
    if (arguments->time_seconds > 0) {
        snprintf(line->seconds, sizeof(line->seconds), "%.10g", arguments->time_seconds);
        add(line, "--time", line->seconds);
    }
    add(line, "--", NULL);
    for (size_t n = 0; n < arguments->word_count; n++)
        add(line, arguments->words[n], NULL);
    return 0;
}

/* The line that does the same again: of what was measured, and how it was judged. Names of
 * revisions move on, so it has their commits. */
static void say_again(const struct arguments *arguments, struct result *result)
{
    const json_t *commits = json_object_get(result_metrics(result), "commits");
    char seed[32], seconds[32];
    bool in_turns = given[REVISIONS] != NULL, in_time = arguments->time_seconds > 0;
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)arguments->seed);
    snprintf(seconds, sizeof(seconds), "%.10g", arguments->time_seconds);
    struct line line = {0};
    if (given[SELF_TEST] != NULL) {
        add(&line, "--self-test", NULL);
        add(&line, "--comparisons", given[COMPARISONS]);
    }
    if (in_turns) {
        add(&line, "--revisions", NULL);
        add(&line, "--filter", given[FILTER]);
        add(&line, in_time ? "--time" : "--repetitions", in_time ? seconds : given[REPETITIONS]);
    }
    add(&line, "--tolerance", given[TOLERANCE]);
    add(&line, "--seed", seed);
    if (arguments->pin != NULL)
        add(&line, "--pin", arguments->pin);
    if (arguments->no_pin)
        add(&line, "--no-pin", NULL);
    for (size_t n = 0; n < arguments->word_count; n++) {
        const char *commit = json_string_value(json_array_get(commits, n));
        add(&line, commit != NULL ? commit : arguments->words[n], NULL);
    }
    result_again(result, line.argv);
}

static void report(struct result *result, json_t *found)
{
    const char *again =
        given[SELF_TEST] != NULL ? "tmf compare --self-test" : "tmf compare OLD NEW";
    fputs(json_string_value(json_object_get(found, "text")), result_text(result));
    result_add_cases(result, (uint64_t)json_integer_value(json_object_get(found, "cases")));
    size_t i;
    const json_t *failure;
    json_array_foreach(json_object_get(found, "failures"), i, failure)
        result_fail(result, json_string_value(json_object_get(failure, "case")),
                    json_string_value(json_object_get(failure, "what")), again);
    static const char *const moved[] = {"text", "cases", "failures"};
    for (size_t n = 0; n < sizeof(moved) / sizeof(*moved); n++)
        json_object_del(found, moved[n]);
    json_object_update(result_metrics(result), found);
}

static int measure(const struct arguments *arguments, struct result *result, const char *scratch)
{
    struct line line = {0};
    int error = make_line(arguments, scratch, &line);
    if (error != 0)
        return command_fail(arguments, STATUS_CANNOT,
                            "tmf_bench_points was not built (TMF_BENCH is off)");
    struct child_end end = {0};
    error = program_run(&(struct program){.argv = line.argv}, &end);
    progress_clear();
    if (error != 0 || !end.exited)
        return command_fail(arguments, STATUS_CANNOT, "%s did not end by itself", line.script);
    if (end.code != STATUS_HELD) /* it has said why */
        return end.code == STATUS_USAGE ? STATUS_USAGE : STATUS_CANNOT;
    json_error_t flaw;
    json_t *found = json_load_file(line.metrics, 0, &flaw);
    if (found == NULL)
        return command_fail(arguments, STATUS_CANNOT, "%s: %s", line.metrics, flaw.text);
    report(result, found);
    say_again(arguments, result);
    if (json_is_false(json_object_get(result_metrics(result), "pinned")))
        json_object_set_new(result_environment(result), "pinned_cores", json_string("none"));
    json_decref(found);
    return STATUS_HELD;
}

static int run(const struct arguments *arguments)
{
    if (arguments->word_count != (given[SELF_TEST] != NULL ? 0 : 2))
        return command_fail(arguments, STATUS_USAGE, "it takes OLD and NEW, or --self-test alone");
    if (arguments->time_seconds > 0 && given[REVISIONS] == NULL)
        return command_fail(arguments, STATUS_USAGE, "--time is for --revisions");
    bool measures = given[REVISIONS] != NULL || given[SELF_TEST] != NULL;
    const struct measuring how = {.program = given[REVISIONS] ? "../bench/tmf_bench" : NULL,
                                  .disk_bytes = measures ? DISK_BYTES : 0,
                                  .measure = measure};
    return measuring_run(arguments, &how);
}

const struct command command_compare = {
    .name = "compare",
    .about = "two results of bench, or two revisions: which is slower?",
    .text = "OLD and NEW are what bench --json wrote, or with --revisions two revisions of the "
            "source, which are built in --dir (default: the current directory) and measured in "
            "turns. The ratio of the times has an interval; all intervals hold at once with a "
            "probability of 95 %. The verdict is slower, faster, same (within the tolerance) or "
            "cannot tell. Counters that do not vary compare exactly. With --time there are as "
            "many pairs as that has room for. What will disturb a measurement is said first. "
            "Exits 1 where something is slower, or a counter has risen.",
    .words = "[OLD NEW]",
    .word_count_max = 2,
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET | TAKES_SEED | TAKES_TIME | TAKES_MEASURING,
    .options = options,
    .take = take,
    .run = run,
};
