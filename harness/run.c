/* SPDX-License-Identifier: MIT */
/*
 * tmf run: the standard campaign. Each step is a command of its own in a process of its own, which
 * leaves STEP.json and STEP.txt in the folder of results; what it exits with is its verdict. The
 * control is a strategy that survives nothing: a harness that finds nothing wrong with it has found
 * out nothing about the others, so then the run itself is violated. A step that cannot run here is
 * said, and the run exits with 3 unless something was worse. The report comes last.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/program.h"
#include "harness/result.h"

#define MEMORY "/dev/shm"

struct step {
    const char *name;
    const char *words[8];
    double share; /* of the time of the run; 0: not a campaign, has neither --time nor --seed */
    enum status expected;
    bool in_memory; /* where there is no --dir: a killed process leaves the page cache as it is, so
                       a storage in memory shows the same as one on a disk, many times faster */
};

static const struct step steps[] = {
    {"kill", {"kill", "--strategy", "all", "--quantum", "32,64"}, 0.45, STATUS_HELD, true},
    {"error", {"error", "--strategy", "all"}, 0.25, STATUS_HELD, true},
    {"control", {"kill", "--strategy", "control"}, 0.1, STATUS_VIOLATION, true},
    {"threads", {"threads", "--strategy", "all"}, 0.1, STATUS_HELD, false},
    {"procs", {"procs", "--strategy", "all"}, 0.1, STATUS_HELD, false},
    {"bench", {"bench"}, 0, STATUS_HELD, false},
    {"mutants", {"mutants"}, 0.2, STATUS_HELD, false},
};
#define STEP_COUNT (sizeof(steps) / sizeof(*steps))

struct profile {
    const char *name;
    double time_seconds;    /* of the campaigns together; the benchmarks come on top */
    unsigned limit_seconds; /* of a step that hangs */
    const char *bench[6];
};

static const struct profile profiles[] = {
    {"quick",
     60,
     600,
     {"--repetitions", "3", "--min-time", "0.05", "--filter",
      "-:1000000$|:(32|128)/|crowded|lognormal|^(fragmentation|latency|trace|txn_alloc)/"}},
    {"full",
     1200,
     7200,
     {"--repetitions", "9", "--min-time", "0.3", "--filter", "-/(crowded|lognormal)/.*:1000000$"}},
};

static const struct profile *profile = &profiles[0];
static char folder[PATH_MAX - 64];

/* What became of a step. */
struct outcome {
    int code; /* it exited with; -1: it did not exit by itself */
    json_int_t cases, violations;
    double seconds;
};

enum { KEY_PROFILE = 0x200, KEY_OUT };
static const struct argp_option options[] = {
    {"profile", KEY_PROFILE, "NAME", 0, "quick (about two minutes) or full (default: quick)", 0},
    {"out", KEY_OUT, "DIR", 0, "folder of the results (default: out/DATE-TIME)", 0},
    {0}};

static bool take(int key, const char *value)
{
    if (key == KEY_OUT) {
        int length = snprintf(folder, sizeof(folder), "%s", value);
        return length > 0 && (size_t)length < sizeof(folder);
    }
    for (size_t i = 0; i < sizeof(profiles) / sizeof(*profiles); i++) {
        if (strcmp(value, profiles[i].name) == 0) {
            profile = &profiles[i];
            return true;
        }
    }
    return false;
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

/* The command line of a step, with the room for what is put together for it. */
struct line {
    const char *argv[24];
    char program[PATH_MAX], json[PATH_MAX], seed[32], time[32];
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

static void make_line(const struct arguments *arguments, const struct step *step, struct line *line)
{
    *line = (struct line){.argv = {"/proc/self/exe"}};
    add_words(line->argv, step->words, sizeof(step->words) / sizeof(*step->words));
    if (step->share > 0) {
        double total =
            arguments->time_seconds > 0 ? arguments->time_seconds : profile->time_seconds;
        snprintf(line->time, sizeof(line->time), "%.3g", total * step->share);
        snprintf(line->seed, sizeof(line->seed), "%" PRIu64, arguments->seed);
        add_option(line->argv, "--time", line->time);
        add_option(line->argv, "--seed", line->seed);
    } else {
        add_words(line->argv, profile->bench, sizeof(profile->bench) / sizeof(*profile->bench));
    }
    if (arguments->dir != NULL)
        add_option(line->argv, "--dir", arguments->dir);
    path_in_folder(line->json, step->name, "json");
    add_option(line->argv, "--json", line->json);
}

/* The line as a person types it. */
static void spell(const struct line *line, char *to, size_t size)
{
    size_t length = (size_t)snprintf(to, size, "tmf");
    for (size_t i = 1; line->argv[i] != NULL && length < size; i++)
        length += (size_t)snprintf(to + length, size - length, " %s", line->argv[i]);
}

static void read_numbers(const char *path, struct outcome *outcome)
{
    json_t *envelope = json_load_file(path, 0, NULL);
    outcome->cases = json_integer_value(json_object_get(envelope, "cases"));
    outcome->violations = json_integer_value(json_object_get(envelope, "violations"));
    outcome->seconds = json_number_value(json_object_get(envelope, "seconds"));
    json_decref(envelope);
}

static struct outcome run_program(const struct program *program, const char *json)
{
    struct child_end end = {0};
    unlink(json); /* of an earlier run into the same folder */
    int error = program_run(program, &end);
    struct outcome outcome = {.code = error == 0 && end.exited ? end.code : -1};
    read_numbers(json, &outcome);
    return outcome;
}

/* What is left in memory of a step that ended as expected is nothing that anyone looks at. */
static struct outcome run_step(const struct arguments *arguments, const struct step *step,
                               const struct line *line)
{
    char text[PATH_MAX];
    path_in_folder(text, step->name, "txt");
    struct program program = {.argv = line->argv,
                              .output = text,
                              .limit_seconds =
                                  profile->limit_seconds + (unsigned)arguments->time_seconds};
    struct scratch memory;
    if (step->in_memory && arguments->dir == NULL && scratch_make(MEMORY, &memory) == 0)
        program.tmpdir = memory.path;
    struct outcome outcome = run_program(&program, line->json);
    if (program.tmpdir != NULL && outcome.code == (int)step->expected)
        scratch_remove(memory.path);
    return outcome;
}

static const char *verdict(int code)
{
    switch (code) {
    case STATUS_HELD:
        return "held";
    case STATUS_VIOLATION:
        return "caught";
    case STATUS_CANNOT:
        return "not run";
    default:
        return "failed";
    }
}

/* A verdict other than the one expected is a violation of the run; a missing one is only missing.
 */
static void judge(struct result *result, const struct step *step, const struct line *line,
                  const struct outcome *outcome)
{
    result_add_cases(result, (uint64_t)outcome->cases);
    if (outcome->code == (int)step->expected || outcome->code == STATUS_CANNOT)
        return;
    char what[PATH_MAX], again[4096];
    snprintf(what, sizeof(what), "expected %s, found %s (exit status %d): see %s/%s.txt",
             verdict(step->expected), verdict(outcome->code), outcome->code, folder, step->name);
    spell(line, again, sizeof(again));
    result_fail(result, step->name, what, again);
}

static void record(struct result *result, const struct step *step, const struct line *line,
                   const struct outcome *outcome)
{
    json_t *rows = json_object_get(result_metrics(result), "steps");
    json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:s, s:s, s:f, s:s}", "step", step->name,
                                          "cases", outcome->cases, "violations",
                                          outcome->violations, "expected", verdict(step->expected),
                                          "verdict", verdict(outcome->code), "seconds",
                                          outcome->seconds, "json", line->json));
}

static void run_steps(const struct arguments *arguments, struct result *result,
                      struct outcome outcomes[STEP_COUNT])
{
    json_object_set_new(result_metrics(result), "steps", json_array());
    for (size_t i = 0; i < STEP_COUNT; i++) {
        struct line line;
        char spelled[4096];
        make_line(arguments, &steps[i], &line);
        spell(&line, spelled, sizeof(spelled));
        fprintf(result_text(result), "[%zu/%zu] %s\n", i + 1, STEP_COUNT, spelled);
        fflush(result_text(result));
        outcomes[i] = run_step(arguments, &steps[i], &line);
        judge(result, &steps[i], &line, &outcomes[i]);
        record(result, &steps[i], &line, &outcomes[i]);
    }
}

static void print_verdicts(FILE *to, const struct outcome outcomes[STEP_COUNT])
{
    fprintf(to, "\n%-10s %10s %11s  %-9s %-8s %8s\n", "step", "cases", "violations", "expected",
            "verdict", "seconds");
    for (size_t i = 0; i < STEP_COUNT; i++) {
        const struct outcome *outcome = &outcomes[i];
        bool as_expected = outcome->code == (int)steps[i].expected;
        fprintf(
            to, "%-10s %10" JSON_INTEGER_FORMAT " %11" JSON_INTEGER_FORMAT "  %-9s %-8s %8.1f%s\n",
            steps[i].name, outcome->cases, outcome->violations, verdict(steps[i].expected),
            verdict(outcome->code), outcome->seconds, as_expected ? "" : "  <- not as expected");
    }
}

/* Whatever was left by the steps; STATUS_CANNOT where nothing was, or no page can be made here. */
static int make_report(FILE *to)
{
    char page[PATH_MAX], jsons[STEP_COUNT][PATH_MAX];
    path_in_folder(page, "report", "html");
    const char *argv[STEP_COUNT + 5] = {"/proc/self/exe", "report", "--out", page};
    for (size_t i = 0; i < STEP_COUNT; i++) {
        path_in_folder(jsons[i], steps[i].name, "json");
        if (access(jsons[i], R_OK) == 0)
            add_words(argv, (const char *const[]){jsons[i]}, 1);
    }
    struct child_end end = {0};
    const struct program program = {.argv = argv, .limit_seconds = profile->limit_seconds};
    if (program_run(&program, &end) != 0 || !end.exited || end.code != 0) {
        fprintf(to, "report: not made\n");
        return STATUS_CANNOT;
    }
    fprintf(to, "report: %s\n", page);
    return STATUS_HELD;
}

static int run(const struct arguments *arguments)
{
    int error = make_folder();
    if (error != 0)
        return command_fail(arguments, STATUS_CANNOT, "%s: %s", folder, strerror(error));
    char json[PATH_MAX];
    path_in_folder(json, "run", "json");
    struct arguments own = *arguments;
    if (own.json == NULL)
        own.json = json;
    struct result *result = result_new(&own);
    struct outcome outcomes[STEP_COUNT];
    run_steps(&own, result, outcomes);
    print_verdicts(result_text(result), outcomes);
    int missing = make_report(result_text(result));
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (outcomes[i].code == STATUS_CANNOT)
            missing = STATUS_CANNOT;
    int status = result_finish(result);
    return status == STATUS_HELD ? missing : status;
}

const struct command command_run = {
    .name = "run",
    .about = "the standard campaign, and its report",
    .text =
        "Exits 0 only if every verdict is the expected one: the control has to be caught. --time\n"
        "bounds the campaigns together; the benchmarks come on top.",
    .takes = TAKES_JSON | TAKES_SEED | TAKES_TIME | TAKES_DIR | TAKES_QUIET,
    .options = options,
    .take = take,
    .run = run,
};
