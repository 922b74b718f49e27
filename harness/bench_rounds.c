/* SPDX-License-Identifier: MIT */
#include "harness/bench_rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "harness/bench_repetitions.h"
#include "harness/bench_rows.h"
#include "harness/program.h"
#include "harness/progress.h"

#define LOOK_NS 100000000 /* whether a round has ended */

struct line {
    const char *argv[16];
    char program[PATH_MAX], results[PATH_MAX], out[PATH_MAX + 32], filter[1024], repetitions[64],
        min_time[64];
};

/* 0 or an errno. */
static int make_line(const struct rounds *rounds, struct line *line)
{
    int error = program_beside("../bench/tmf_bench", line->program);
    if (error != 0)
        return error;
    unsigned repetitions =
        rounds->warms_up ? REPETITIONS_WITH_WARM_UP(rounds->repetitions) : rounds->repetitions;
    snprintf(line->results, sizeof(line->results), "%s/benchmarks.json", rounds->folder);
    snprintf(line->out, sizeof(line->out), "--benchmark_out=%s", line->results);
    snprintf(line->filter, sizeof(line->filter), "--benchmark_filter=%s", rounds->filter);
    snprintf(line->repetitions, sizeof(line->repetitions), "--benchmark_repetitions=%u",
             repetitions);
    snprintf(line->min_time, sizeof(line->min_time), "--benchmark_min_time=%s", rounds->min_time);
    const char *const words[] = {line->program,  line->out,
                                 line->filter,   line->repetitions,
                                 line->min_time, "--benchmark_enable_random_interleaving=true"};
    size_t count = 0;
    while (rounds->tool[count] != NULL) {
        line->argv[count] = rounds->tool[count];
        count++;
    }
    memcpy(&line->argv[count], words, sizeof(words));
    return 0;
}

static void tell(const struct result *result, const struct rounds *rounds, unsigned number)
{
    double left = rounds->budget_seconds - result_seconds(result);
    if (rounds->budget_seconds > 0)
        progress_show("bench: repetition %u, %.0f s of %.0f left", number + 1, left > 0 ? left : 0,
                      rounds->budget_seconds);
    else
        progress_show("bench: %s, %.0f s so far", rounds->about, result_seconds(result));
}

/* 0 or an errno. */
static int run_program(const struct result *result, const struct rounds *rounds, unsigned number,
                       const struct line *line, struct child_end *end)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};
    siginfo_t about = {0};
    pid_t pid;
    int error = program_start(&(struct program){.argv = line->argv}, &pid);
    if (error != 0)
        return error;
    while (waitid(P_PID, (id_t)pid, &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           about.si_pid != pid) {
        tell(result, rounds, number);
        nanosleep(&look, NULL);
    }
    child_wait(pid, end);
    progress_clear();
    return 0;
}

/* Runs a round; its results are in a file then. */
static int run_round(const struct arguments *arguments, struct result *result,
                     const struct rounds *rounds, unsigned number, const struct line *line)
{
    char seed[32], how[128];
    struct child_end end = {0};
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)arguments->seed + number);
    int error = setenv("TMF_BENCH_SEED", seed, 1) != 0
                    ? errno
                    : run_program(result, rounds, number, line, &end);
    if (error != 0)
        return command_fail(arguments, STATUS_CANNOT, "tmf_bench: %s", strerror(error));
    if (end.exited) /* of the same meaning as ours; it has said why */
        return end.code < STATUS_CANNOT ? end.code : STATUS_CANNOT;
    child_explain(&end, how, sizeof(how));
    result_fail(result, "tmf_bench", how, "tmf bench");
    return STATUS_VIOLATION;
}

static int load_round(const struct arguments *arguments, const struct rounds *rounds,
                      const struct line *line, struct repetitions *all, json_t **context)
{
    json_error_t flaw;
    json_t *found = json_load_file(line->results, 0, &flaw);
    if (found == NULL)
        return command_fail(arguments, STATUS_CANNOT, "the results of tmf_bench: %s", flaw.text);
    unsigned asked = rounds->warms_up ? rounds->repetitions : UINT32_MAX;
    repetitions_add(all, json_object_get(found, "benchmarks"), asked);
    if (*context == NULL)
        *context = json_incref(json_object_get(found, "context"));
    json_decref(found);
    return STATUS_HELD;
}

/* Is there time for one more that takes as long as the longest so far? */
static bool has_time(const struct rounds *rounds, double now, double longest)
{
    return now + longest <= rounds->budget_seconds;
}

int rounds_run(const struct arguments *arguments, struct result *result,
               const struct rounds *rounds, json_t **out)
{
    struct line line = {0};
    if (make_line(rounds, &line) != 0)
        return command_fail(arguments, STATUS_CANNOT, "tmf_bench was not built (TMF_BENCH is off)");
    struct repetitions all = repetitions_new();
    json_t *context = NULL;
    unsigned number = 0;
    int status = STATUS_HELD;
    double longest = 0;
    do {
        double begun = result_seconds(result);
        status = run_round(arguments, result, rounds, number++, &line);
        if (status == STATUS_HELD)
            status = load_round(arguments, rounds, &line, &all, &context);
        double took = result_seconds(result) - begun;
        longest = took > longest ? took : longest;
    } while (status == STATUS_HELD && has_time(rounds, result_seconds(result), longest));
    json_t *rows = repetitions_finish(&all);
    rows_sort(rows);
    json_t *found = json_pack("{s:o*, s:o, s:I}", "context", context, "benchmarks", rows, "rounds",
                              (json_int_t)number);
    *out = status == STATUS_HELD ? found : NULL;
    if (status != STATUS_HELD)
        json_decref(found);
    return status;
}
