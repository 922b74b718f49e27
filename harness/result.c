/* SPDX-License-Identifier: MIT */
#include "harness/result.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/environment.h"
#include "harness/progress.h"
#include "harness/strategy.h"

struct result {
    const struct arguments *arguments;
    uint64_t cases, violations;
    json_t *failures, *metrics, *environment;
    json_t *disturbances, *again; /* NULL: it does not measure */
    struct timespec started;
    FILE *text;
    FILE *nowhere; /* where text goes with --quiet */
};

struct result *result_new(const struct arguments *arguments)
{
    struct result *result = calloc(1, sizeof(*result));
    json_t *failures = json_array(), *metrics = json_object();
    json_t *environment = environment_describe(arguments->dir);
    if (!result || !failures || !metrics || !environment) {
        fputs("tmf: no memory for a result\n", stderr);
        exit(STATUS_CANNOT);
    }
    result->arguments = arguments;
    result->failures = failures;
    result->metrics = metrics;
    result->environment = environment;
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

json_t *result_environment(struct result *result)
{
    return result->environment;
}

void result_disturb(struct result *result, json_t *disturbances)
{
    json_decref(result->disturbances);
    result->disturbances = disturbances;
}

/* As a shell reads it. */
static void append_word(char *line, size_t size, const char *word)
{
    static const char *const plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/.,:@%+";
    size_t length = strlen(line);
    if (*word && word[strspn(word, plain)] == 0) {
        snprintf(line + length, size - length, " %s", word);
        return;
    }
    snprintf(line + length, size - length, " '");
    for (; *word; word++) {
        length = strlen(line);
        snprintf(line + length, size - length, *word == '\'' ? "'\\''" : "%c", *word);
    }
    length = strlen(line);
    snprintf(line + length, size - length, "'");
}

void result_again(struct result *result, const char *const words[])
{
    char line[4096];
    snprintf(line, sizeof(line), "tmf %s", result->arguments->command);
    for (size_t n = 0; words[n] != NULL; n++)
        append_word(line, sizeof(line), words[n]);
    json_decref(result->again);
    result->again = json_string(line);
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
    environment_end(result->environment);
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:O, s:I, s:I, s:O, s:O, s:f, s:O*, s:O*}",
                     "schema", "tmf/1", "command", arguments->command, "arguments",
                     list_given(arguments), "skipped", list_skipped(arguments), "seed",
                     (json_int_t)arguments->seed, "environment", result->environment, "cases",
                     (json_int_t)result->cases, "violations", (json_int_t)result->violations,
                     "failures", result->failures, "metrics", result->metrics, "seconds",
                     result_seconds(result), "again", result->again, "disturbances",
                     result->disturbances);
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
    result_drop(result);
    return status;
}

void result_drop(struct result *result)
{
    json_decref(result->failures);
    json_decref(result->metrics);
    json_decref(result->environment);
    json_decref(result->disturbances);
    json_decref(result->again);
    if (result->nowhere)
        fclose(result->nowhere);
    free(result);
}
