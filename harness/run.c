/* SPDX-License-Identifier: MIT */
/*
 * tmf run: the standard campaign. Each step is a command of its own in a process of its own, which
 * leaves STEP.json and STEP.txt in the folder of results; what it exits with is its verdict. The
 * control is a strategy that survives nothing: a harness that finds nothing wrong with it has found
 * out nothing about the others, so then the run itself is violated. A step that cannot run here is
 * said, and the run exits with 3 unless something was worse. The report comes last.
 *
 * A long step is cut into parts of some minutes (--shard I/N of its command; the benchmarks, family
 * by family), each with its own STEP-I.json, which are added up once the last is there. A run that
 * was cut off goes on where it stopped: of a part whose JSON is whole, and of the same command line
 * and revision, nothing is run again. run.json is written last: where it is, all begins anew.
 *
 * The files of a part, on the disk or in memory, are in a folder of its own, which goes with it,
 * however it ends; one that grows beyond --max-disk, or whose processes need more than
 * --max-memory, is ended, and cannot run here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/environment.h"
#include "harness/merge.h"
#include "harness/program.h"
#include "harness/result.h"
#include "harness/run_outcome.h"
#include "harness/run_plan.h"

#define MEMORY         "/dev/shm"
#define PART_SECONDS   120 /* at most so much is lost with a run that is cut off */
#define PARTS_MAX      10000
#define DISK_MAX_MIB   4096
#define MEMORY_MAX_MIB 4096
#define MIB            ((uint64_t)1 << 20)

static const struct profile *profile = &run_profiles[0];
static char folder[PATH_MAX - 64];
static const char *only_steps; /* NULL: all */
static double part_seconds = PART_SECONDS;
static uint64_t disk_max = DISK_MAX_MIB * MIB;
static uint64_t memory_max = MEMORY_MAX_MIB * MIB;
static bool goes_on; /* an earlier run, which was cut off */

enum { KEY_PROFILE = 0x200, KEY_OUT, KEY_STEPS, KEY_PART, KEY_MAX_DISK, KEY_MAX_MEMORY };
static const struct argp_option options[] = {
    {"profile", KEY_PROFILE, "NAME", 0,
     "quick (about two minutes) or full (hours; --time says how many) (default: quick)", 0},
    {"out", KEY_OUT, "DIR", 0,
     "folder of the results (default: out/DATE-TIME); a run there that was cut off goes on", 0},
    {"steps", KEY_STEPS, "A,B", 0, "only these, named as in the table at its end", 0},
    {"part", KEY_PART, "SECONDS", 0, "of a part of a step, in the profile full (120)", 0},
    {"max-disk", KEY_MAX_DISK, "MIB", 0, "what a step may need for its files (4096)", 0},
    {"max-memory", KEY_MAX_MEMORY, "MIB", 0, "what its processes may need together (4096)", 0},
    {0}};

/* Whether it is one of the words that commas separate. */
static bool is_in_list(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

static bool is_wanted(const struct step *step)
{
    return !only_steps || is_in_list(only_steps, step->name);
}

static bool take_steps(const char *value)
{
    only_steps = value;
    for (size_t i = 0; i < RUN_STEPS; i++) {
        if (is_wanted(&run_steps[i]))
            return true;
    }
    return false;
}

static bool take_number(const char *value, double most, double *out)
{
    char *end;
    *out = strtod(value, &end);
    return end != value && *end == '\0' && *out >= 1 && *out <= most;
}

static bool take_profile(const char *value)
{
    for (size_t i = 0; i < RUN_PROFILES; i++) {
        if (strcmp(value, run_profiles[i].name) == 0) {
            profile = &run_profiles[i];
            return true;
        }
    }
    return false;
}

static bool take(int key, const char *value)
{
    double number = 0;
    bool good = true;
    switch (key) {
    case KEY_OUT:
        return (size_t)snprintf(folder, sizeof(folder), "%s", value) < sizeof(folder) && *folder;
    case KEY_STEPS:
        return take_steps(value);
    case KEY_PART:
        return take_number(value, 1e6, &part_seconds);
    case KEY_MAX_DISK:
    case KEY_MAX_MEMORY:
        good = take_number(value, 1e9, &number);
        *(key == KEY_MAX_DISK ? &disk_max : &memory_max) = (uint64_t)number * MIB;
        return good;
    default:
        return take_profile(value);
    }
}

/* 0 or an errno. */
static int make_folder(void)
{
    if (folder[0] == '\0') {
        time_t now = time(NULL);
        struct tm local;
        localtime_r(&now, &local);
        strftime(folder, sizeof(folder), "out/%Y-%m-%d-%H%M%S", &local);
        if (mkdir("out", 0777) != 0 && errno != EEXIST)
            return errno;
    }
    return mkdir(folder, 0777) == 0 || errno == EEXIST ? 0 : errno;
}

static void path_in_folder(char path[PATH_MAX], const char *name, const char *extension)
{
    snprintf(path, PATH_MAX, "%s/%s.%s", folder, name, extension);
}

/* ---- parts */

static double seconds_of(const struct arguments *arguments, const struct step *step)
{
    double total = arguments->time_seconds > 0 ? arguments->time_seconds : profile->time_seconds;
    return total * step->share;
}

/* So many, however long they take: then the counts are the same on every machine. */
static bool goes_by_cases(const struct arguments *arguments, const struct step *step)
{
    return arguments->cases > 0 && step->weight > 0;
}

/* Into how many a step is cut. */
static unsigned count_parts(const struct arguments *arguments, const struct step *step)
{
    unsigned count = 0;
    if (step->share <= 0) {
        while (count < FILTERS_MAX && profile->filters[count])
            count++;
        return count;
    }
    if (!profile->in_parts || goes_by_cases(arguments, step))
        return 1;
    double parts = seconds_of(arguments, step) / part_seconds;
    count = parts < PARTS_MAX ? (unsigned)parts : PARTS_MAX;
    return count + (count < parts && count < PARTS_MAX);
}

/* A part of a step, with its command line and the room for what is put together for it. */
struct part {
    const struct step *step;
    unsigned number, count; /* from 1 on */
    const char *argv[28];
    size_t told; /* words of argv that say what is run; the others say where */
    char name[32], json[PATH_MAX], seed[32], bound[32], shard[32];
};

static void add_words(const char **argv, const char *const *words, size_t count)
{
    while (*argv != NULL)
        argv++;
    for (size_t i = 0; i < count && words[i] != NULL; i++)
        *argv++ = words[i];
}

static void add_option(const char **argv, const char *option, const char *value)
{
    add_words(argv, (const char *const[]){option, value}, 2);
}

static void add_campaign(const struct arguments *arguments, struct part *part)
{
    double seconds = seconds_of(arguments, part->step) / part->count;
    bool by_cases = goes_by_cases(arguments, part->step);
    if (by_cases)
        snprintf(part->bound, sizeof(part->bound), "%" PRIu64,
                 arguments->cases * part->step->weight);
    else
        snprintf(part->bound, sizeof(part->bound), "%.3g", seconds);
    snprintf(part->seed, sizeof(part->seed), "%" PRIu64, arguments->seed);
    snprintf(part->shard, sizeof(part->shard), "%u/%u", part->number, part->count);
    add_option(part->argv, by_cases ? "--cases" : "--time", part->bound);
    add_option(part->argv, "--seed", part->seed);
    if (part->count > 1)
        add_option(part->argv, "--shard", part->shard);
}

/* Their order is drawn by the seed too; they are pinned, and checked, as the run was told. */
static void add_benchmarks(const struct arguments *arguments, struct part *part)
{
    add_words(part->argv, profile->bench, sizeof(profile->bench) / sizeof(*profile->bench));
    add_option(part->argv, "--filter", profile->filters[part->number - 1]);
    snprintf(part->seed, sizeof(part->seed), "%" PRIu64, arguments->seed);
    add_option(part->argv, "--seed", part->seed);
    if (arguments->pin)
        add_option(part->argv, "--pin", arguments->pin);
    if (arguments->no_pin)
        add_option(part->argv, "--no-pin", NULL);
    if (arguments->strict)
        add_option(part->argv, "--strict", NULL);
}

static void make_part(const struct arguments *arguments, const struct step *step, unsigned number,
                      struct part *part)
{
    *part = (struct part){.step = step, .number = number, .argv = {"/proc/self/exe"}};
    part->count = count_parts(arguments, step);
    add_words(part->argv, step->words, sizeof(step->words) / sizeof(*step->words));
    if (step->share > 0) {
        add_campaign(arguments, part);
    } else {
        add_benchmarks(arguments, part);
    }
    while (part->argv[part->told] != NULL)
        part->told++;
    if (part->count > 1)
        snprintf(part->name, sizeof(part->name), "%s-%u", step->name, number);
    else
        snprintf(part->name, sizeof(part->name), "%s", step->name);
    path_in_folder(part->json, part->name, "json");
    add_option(part->argv, "--json", part->json);
}

static void spell(const struct part *part, char *to, size_t size)
{
    size_t length = (size_t)snprintf(to, size, "tmf");
    for (size_t i = 1; part->argv[i] != NULL && length < size; i++)
        length += (size_t)snprintf(to + length, size - length, " %s", part->argv[i]);
}

/* ---- what an earlier run has left */

static bool is_of_part(const json_t *envelope, const struct part *part)
{
    const json_t *words = json_object_get(envelope, "arguments");
    const char *revision =
        json_string_value(json_object_get(json_object_get(envelope, "environment"), "revision"));
    bool same = revision && strcmp(revision, environment_revision()) == 0;
    for (size_t i = 2; same && i < part->told; i++) {
        const char *word = json_string_value(json_array_get(words, i - 2));
        same = word && strcmp(word, part->argv[i]) == 0;
    }
    return same;
}

/* Whether the part was finished; a JSON that a kill has cut off is none. */
static bool is_finished(const struct part *part, struct outcome *outcome)
{
    json_t *envelope = goes_on ? json_load_file(part->json, 0, NULL) : NULL;
    bool finished = envelope && is_of_part(envelope, part);
    if (finished) {
        outcome_read(envelope, outcome);
        outcome->code = outcome->violations ? STATUS_VIOLATION : STATUS_HELD;
    }
    json_decref(envelope);
    return finished;
}

/* ---- running one */

static int run_program(const struct arguments *arguments, const struct part *part,
                       const struct scratch *scratch)
{
    char text[PATH_MAX];
    struct child_end end = {0};
    pid_t pid = 0;
    path_in_folder(text, part->name, "txt");
    const struct program program = {.argv = part->argv,
                                    .output = text,
                                    .tmpdir = scratch->path,
                                    .limit_seconds =
                                        profile->limit_seconds + (unsigned)arguments->time_seconds};
    if (program_start(&program, &pid) != 0)
        return -1;
    const struct program_bounds bounds = {scratch->path, disk_max, memory_max};
    const char *passed = program_oversee(pid, &bounds, &end);
    if (passed)
        return command_fail(
            arguments, STATUS_CANNOT, "%s needs more than %" PRIu64 " MiB of the %s: see --max-%s",
            part->name, (*passed == 'd' ? disk_max : memory_max) / MIB, passed, passed);
    return end.exited ? end.code : -1;
}

/* Where its folder is made. NULL: where --dir says by itself. */
static const char *place_of(const struct arguments *arguments, const struct step *step)
{
    if (arguments->dir != NULL)
        return arguments->dir;
    if (step->in_memory && access(MEMORY, W_OK) == 0)
        return MEMORY;
    return step->share > 0 ? NULL : "."; /* /tmp may be memory, where syncs cost nothing */
}

/* Its folder goes, unless it did not end as expected: then a person looks at it. */
static struct outcome run_part(const struct arguments *arguments, const struct part *part)
{
    const char *place = place_of(arguments, part->step);
    struct outcome outcome = {.code = STATUS_CANNOT};
    struct part here = *part;
    struct scratch scratch;
    unlink(part->json); /* of an earlier run into the same folder */
    int error = scratch_make(place, &scratch);
    if (error) {
        command_fail(arguments, STATUS_CANNOT, "making a folder in %s failed: %s",
                     place ? place : "$TMPDIR, or /tmp", strerror(error));
        return outcome;
    }
    add_option(here.argv, "--dir", scratch.path);
    outcome.code = run_program(arguments, &here, &scratch);
    json_t *envelope = json_load_file(part->json, 0, NULL);
    outcome_read(envelope, &outcome);
    json_decref(envelope);
    if (outcome.code == (int)part->step->expected || outcome.code == STATUS_CANNOT)
        scratch_remove(scratch.path);
    else
        scratch_keep(&scratch);
    return outcome;
}

/* One line gives all parts of a step again, and no part's own does. */
static void say_again(const struct arguments *arguments, const struct step *step, json_t *whole)
{
    char cases[48] = "", seconds[48] = "", part[48] = "";
    if (arguments->cases > 0)
        snprintf(cases, sizeof(cases), " --cases %" PRIu64, arguments->cases);
    if (arguments->time_seconds > 0)
        snprintf(seconds, sizeof(seconds), " --time %.10g", arguments->time_seconds);
    if (part_seconds < PART_SECONDS || part_seconds > PART_SECONDS)
        snprintf(part, sizeof(part), " --part %.10g", part_seconds);
    json_object_set_new(whole, "again",
                        json_sprintf("tmf run --profile %s --steps %s%s%s%s --seed %" PRIu64,
                                     profile->name, step->name, cases, seconds, part,
                                     arguments->seed));
}

/* All of its parts that there are, as STEP.json. */
static void merge_parts(const struct arguments *arguments, const struct step *step)
{
    char path[PATH_MAX];
    struct part part;
    json_t *whole = NULL;
    make_part(arguments, step, 1, &part);
    if (part.count == 1)
        return;
    for (unsigned n = 1; n <= part.count; n++) {
        make_part(arguments, step, n, &part);
        json_t *envelope = json_load_file(part.json, 0, NULL);
        if (whole && envelope)
            merge_envelope(whole, envelope);
        else if (envelope)
            whole = merge_start(envelope);
        json_decref(envelope);
    }
    path_in_folder(path, step->name, "json");
    if (whole) {
        say_again(arguments, step, whole);
        json_dump_file(whole, path, JSON_INDENT(2));
    }
    json_decref(whole);
}

/* A verdict other than the one expected is a violation of the run; a missing one is only missing.
 * Of the parts of the control, one that finds something is enough. */
static void judge(struct result *result, const struct part *part, const struct outcome *outcome)
{
    const struct step *step = part->step;
    if (outcome->code == (int)step->expected || outcome->code == STATUS_CANNOT)
        return;
    char what[PATH_MAX + 128], again[4096];
    snprintf(what, sizeof(what), "expected %s, found %s (exit status %d): see %s/%s.txt",
             outcome_word(step->expected), outcome_word(outcome->code), outcome->code, folder,
             part->name);
    spell(part, again, sizeof(again));
    result_fail(result, part->name, what, again);
}

static void record(struct result *result, const struct step *step, const struct outcome *outcome)
{
    char json[PATH_MAX];
    path_in_folder(json, step->name, "json");
    json_t *rows = json_object_get(result_metrics(result), "steps");
    json_array_append_new(
        rows, json_pack("{s:s, s:I, s:I, s:s, s:s, s:f, s:s}", "step", step->name, "cases",
                        outcome->cases, "violations", outcome->violations, "expected",
                        outcome_word(step->expected), "verdict", outcome_word(outcome->code),
                        "seconds", outcome->seconds, "json", json));
}

/* Says which of all the parts comes now, and how long that has taken. */
static void announce(struct result *result, const struct part *part, unsigned number,
                     unsigned count, bool is_there)
{
    char spelled[4096];
    unsigned minutes = (unsigned)(result_seconds(result) / 60);
    spell(part, spelled, sizeof(spelled));
    fprintf(result_text(result), "[%u/%u, %u:%02u] %s%s\n", number, count, minutes / 60,
            minutes % 60, spelled, is_there ? ": is there already" : "");
    fflush(result_text(result));
}

static struct outcome run_step(const struct arguments *arguments, struct result *result,
                               const struct step *step, unsigned *number, unsigned count)
{
    struct outcome whole = {.code = STATUS_HELD};
    struct part part = {.step = step};
    unsigned parts = count_parts(arguments, step);
    for (unsigned n = 1; n <= parts; n++) {
        struct outcome outcome = {0};
        make_part(arguments, step, n, &part);
        bool is_there = is_finished(&part, &outcome);
        announce(result, &part, ++*number, count, is_there);
        if (!is_there)
            outcome = run_part(arguments, &part);
        if (step->expected == STATUS_HELD)
            judge(result, &part, &outcome);
        outcome_add(&whole, &outcome);
    }
    if (step->expected != STATUS_HELD)
        judge(result, &part, &whole);
    merge_parts(arguments, step);
    result_add_cases(result, (uint64_t)whole.cases);
    record(result, step, &whole);
    return whole;
}

static void run_all(const struct arguments *arguments, struct result *result,
                    struct outcome outcomes[RUN_STEPS])
{
    unsigned number = 0;
    unsigned count = 0;
    json_object_set_new(result_metrics(result), "steps", json_array());
    for (size_t i = 0; i < RUN_STEPS; i++)
        count += is_wanted(&run_steps[i]) ? count_parts(arguments, &run_steps[i]) : 0;
    for (size_t i = 0; i < RUN_STEPS; i++) {
        if (is_wanted(&run_steps[i]))
            outcomes[i] = run_step(arguments, result, &run_steps[i], &number, count);
    }
}

static void print_verdicts(FILE *to, const struct outcome outcomes[RUN_STEPS])
{
    fprintf(to, "\n%-10s %10s %11s  %-9s %-8s %8s\n", "step", "cases", "violations", "expected",
            "verdict", "seconds");
    for (size_t i = 0; i < RUN_STEPS; i++) {
        if (is_wanted(&run_steps[i]))
            outcome_print(to, run_steps[i].name, run_steps[i].expected, &outcomes[i]);
    }
}

static void copy_text(FILE *to, const char *path)
{
    char line[4096];
    FILE *from = fopen(path, "r");
    fputc('\n', to);
    while (from && fgets(line, sizeof(line), from))
        fputs(line, to);
    if (from)
        fclose(from);
    fputc('\n', to);
}

/* Of whatever was left by the steps: the page, and the verdicts by strategy and model.
 * STATUS_CANNOT where nothing was left, or no page can be made here. */
static int make_report(FILE *to)
{
    char page[PATH_MAX], text[PATH_MAX], jsons[RUN_STEPS][PATH_MAX];
    path_in_folder(page, "report", "html");
    path_in_folder(text, "verdicts", "txt");
    const char *argv[RUN_STEPS + 5] = {"/proc/self/exe", "report", "--out", page};
    for (size_t i = 0; i < RUN_STEPS; i++) {
        path_in_folder(jsons[i], run_steps[i].name, "json");
        if (is_wanted(&run_steps[i]) && access(jsons[i], R_OK) == 0)
            add_words(argv, (const char *const[]){jsons[i]}, 1);
    }
    struct child_end end = {0};
    const struct program program = {
        .argv = argv, .output = text, .limit_seconds = profile->limit_seconds};
    if (program_run(&program, &end) != 0 || !end.exited || end.code != 0) {
        fprintf(to, "report: not made\n");
        return STATUS_CANNOT;
    }
    copy_text(to, text);
    fprintf(to, "report: %s\n", page);
    return STATUS_HELD;
}

static int run(const struct arguments *arguments)
{
    char json[PATH_MAX];
    int error = make_folder();
    if (error != 0)
        return command_fail(arguments, STATUS_CANNOT, "%s: %s", folder, strerror(error));
    path_in_folder(json, "run", "json");
    goes_on = unlink(json) != 0;
    struct arguments own = *arguments;
    if (own.json == NULL)
        own.json = json;
    struct result *result = result_new(&own);
    struct outcome outcomes[RUN_STEPS] = {0};
    run_all(&own, result, outcomes);
    print_verdicts(result_text(result), outcomes);
    int missing = make_report(result_text(result));
    for (size_t i = 0; i < RUN_STEPS; i++)
        missing = outcomes[i].code == STATUS_CANNOT ? STATUS_CANNOT : missing;
    int status = result_finish(result);
    return status == STATUS_HELD ? missing : status;
}

const struct command command_run = {
    .name = "run",
    .about = "the standard campaign, and its report",
    .text =
        "Exits 0 only if every verdict is the expected one: the control has to be caught. --time\n"
        "bounds the campaigns together; the benchmarks come on top. With --cases the steps kill,\n"
        "error and control take so many cases, and power a hundred times as many, however long "
        "that\n"
        "is: what is counted is then the same everywhere. --pin, --no-pin and --strict are for\n"
        "the benchmarks. A run that was cut off, by Ctrl-C say,\n"
        "goes on where it stopped when it is given the same --out and the same words.",
    .takes = TAKES_JSON | TAKES_SEED | TAKES_CASES | TAKES_TIME | TAKES_DIR | TAKES_QUIET |
             TAKES_MEASURING,
    .options = options,
    .take = take,
    .run = run,
};
