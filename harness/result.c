/* SPDX-License-Identifier: MIT */
#include "harness/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/progress.h"
#include "harness/strategy.h"

struct result {
    const struct arguments *arguments;
    uint64_t cases, violations;
    json_t *failures, *metrics;
    struct timespec started;
    FILE *text;
    FILE *nowhere; /* where text goes with --quiet */
};

struct result *result_new(const struct arguments *arguments)
{
    struct result *result = calloc(1, sizeof(*result));
    json_t *failures = json_array(), *metrics = json_object();
    if (!result || !failures || !metrics) {
        fputs("tmf: no memory for a result\n", stderr);
        exit(STATUS_CANNOT);
    }
    result->arguments = arguments;
    result->failures = failures;
    result->metrics = metrics;
    clock_gettime(CLOCK_MONOTONIC, &result->started);
    bool json_takes_stdout = arguments->json && strcmp(arguments->json, "-") == 0;
    result->text = json_takes_stdout ? stderr : stdout;
    if (arguments->quiet) {
        result->nowhere = fopen("/dev/null", "w");
        if (result->nowhere)
            result->text = result->nowhere;
    }
    progress_enable(!arguments->quiet);
    for (size_t n = 0; n < arguments->skipped_count; n++)
        fprintf(result->text, "not run: %s\n", arguments->skipped[n].missing);
    return result;
}

void result_add_cases(struct result *result, uint64_t count)
{
    result->cases += count;
}

void result_fail(struct result *result, const char *name, const char *what, const char *replay)
{
    result->violations++;
    json_array_append_new(result->failures, json_pack("{s:s, s:s, s:s}", "case", name, "what", what,
                                                      "replay", replay));
    progress_clear();
    bool json_takes_stdout = result->arguments->json && strcmp(result->arguments->json, "-") == 0;
    FILE *to = json_takes_stdout ? stderr : stdout;
    fprintf(to, "VIOLATION %s\n", name);
    for (const char *line = what; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(to, "  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    fprintf(to, "  replay: %s\n", replay);
    fflush(to);
}

void result_count_violation(struct result *result)
{
    result->violations++;
}

void result_demand_scratch(struct result *result, const struct scratch *scratch)
{
    int error = scratch_check(scratch);
    if (!error)
        return;
    progress_clear();
    scratch_remove(scratch->path);
    exit(command_fail(result->arguments, STATUS_CANNOT,
                      "working in %s failed: %s; choose another folder by --dir", scratch->path,
                      strerror(error)));
}

uint64_t result_cases(const struct result *result)
{
    return result->cases;
}

uint64_t result_violations(const struct result *result)
{
    return result->violations;
}

double result_seconds(const struct result *result)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - result->started.tv_sec) +
           (double)(now.tv_nsec - result->started.tv_nsec) / 1e9;
}

json_t *result_metrics(struct result *result)
{
    return result->metrics;
}

json_t *place_describe(const struct workload_place *place)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "strategy", place->strategy, "survives",
                     strategy_survives_text(place->strategy), "durability",
                     durability_name(place->durability), "index", place->index, "quantum",
                     (json_int_t)place->quantum, "workload", place->workload->name);
}

FILE *result_text(struct result *result)
{
    progress_clear();
    return result->text;
}

static json_t *list_given(const struct arguments *arguments)
{
    json_t *given = json_array();
    for (size_t n = 0; n < arguments->given_count; n++)
        json_array_append_new(given, json_string(arguments->given[n]));
    return given;
}

static json_t *list_skipped(const struct arguments *arguments)
{
    json_t *list = json_array();
    for (size_t n = 0; n < arguments->skipped_count; n++) {
        const struct skipped *skipped = &arguments->skipped[n];
        json_array_append_new(list, json_pack("{s:s, s:s}", "strategy", skipped->strategy,
                                              "missing", skipped->missing));
    }
    return list;
}

static json_t *envelope(const struct result *result)
{
    const struct arguments *arguments = result->arguments;
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o, s:I, s:I, s:O, s:O, s:f}", "schema", "tmf/1",
                     "command", arguments->command, "arguments", list_given(arguments), "skipped",
                     list_skipped(arguments), "seed", (json_int_t)arguments->seed, "environment",
                     environment_describe(arguments->dir), "cases", (json_int_t)result->cases,
                     "violations", (json_int_t)result->violations, "failures", result->failures,
                     "metrics", result->metrics, "seconds", result_seconds(result));
}

static int write_json(const struct result *result)
{
    const char *path = result->arguments->json;
    json_t *all = envelope(result);
    size_t flags = JSON_INDENT(2);
    int failed = strcmp(path, "-") == 0
                     ? json_dumpf(all, stdout, flags) || putchar('\n') == EOF || fflush(stdout) != 0
                     : json_dump_file(all, path, flags);
    int error = errno;
    json_decref(all);
    if (!failed)
        return 0;
    return command_fail(result->arguments, STATUS_CANNOT,
                        "writing the result to %s failed: %s; is the folder there, and writable?",
                        path, strerror(error));
}

int result_finish(struct result *result)
{
    progress_clear();
    int status = result->violations ? STATUS_VIOLATION : STATUS_HELD;
    if (result->arguments->json && write_json(result) != 0 && status == STATUS_HELD)
        status = STATUS_CANNOT;
    json_decref(result->failures);
    json_decref(result->metrics);
    if (result->nowhere)
        fclose(result->nowhere);
    free(result);
    return status;
}

int result_of_measuring(const struct arguments *arguments, result_measure *measure)
{
    struct arguments own = *arguments;
    if (own.dir == NULL)
        own.dir = ".";
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
