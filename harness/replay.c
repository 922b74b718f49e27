/* SPDX-License-Identifier: MIT */
/*
 * tmf replay: runs one case again. A death at a point comes at the same instant every time; one at
 * a random instant does not, and is tried often.
 */
#include <errno.h>
#include <string.h>

#include "harness/kill_case.h"
#include "harness/progress.h"
#include "harness/result.h"
#include "harness/strategy.h"

#define TRIES_AT_RANDOM 300

static void run_case(struct kill_stage *stage, const struct kill_case *one, const char *name,
                     struct result *result)
{
    struct kill_outcome outcome;
    bool at_random = !one->death.hit && one->after_us;
    int tries = at_random ? TRIES_AT_RANDOM : 1;
    bool holds = true;
    for (int n = 0; n < tries && holds; n++) {
        progress_show("try %d of %d", n + 1, tries);
        holds = kill_case_run(stage, one, &outcome);
        result_add_cases(result, 1);
    }
    char replay[KILL_TEXT_MAX + 32];
    snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
    if (!holds)
        result_fail(result, name, outcome.what, replay);
    else if (at_random)
        fprintf(result_text(result), "it held %d times; a random instant is not hit for certain\n",
                tries);
    else if (!outcome.reached && one->death.hit)
        fputs("it holds, but the point was not reached: has the code changed since?\n",
              result_text(result));
    else
        fputs("it holds\n", result_text(result));
}

static int replay_run(const struct arguments *arguments)
{
    const char *name = arguments->words[0];
    struct kill_case one;
    struct kill_stage stage;
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    if (!kill_case_parse(name, &one))
        return command_fail(arguments, STATUS_USAGE,
                            "'%s' is no case; take the line that reported it, as "
                            "kill:undo-fsync:rb-twin:64:bank:seed=7:txns=12:point=P:hit=3",
                            name);
    char missing[256];
    if (!strategy_is_available(one.place.strategy, missing, sizeof(missing)))
        return command_fail(arguments, STATUS_CANNOT, "%s", missing);
    int error = kill_stage_make(arguments->dir, &stage);
    if (error)
        return command_fail(arguments, STATUS_CANNOT,
                            "making a folder to work in failed: %s; choose another by --dir",
                            strerror(error));
    struct result *result = result_new(arguments);
    run_case(&stage, &one, name, result);
    if (result_violations(result) == 0)
        scratch_remove(stage.scratch.path);
    else
        fprintf(result_text(result), "the storage, after recovery: %s/case/storage.odb\n",
                stage.scratch.path);
    return result_finish(result);
}

const struct command command_replay = {
    .name = "replay",
    .about = "runs one failing case again, from the line that reported it",
    .text = "Exit status 1: it still fails; 0: it holds now.",
    .words = "CASE",
    .word_count_min = 1,
    .word_count_max = 1,
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET,
    .run = replay_run,
};
