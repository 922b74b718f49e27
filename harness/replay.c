/* SPDX-License-Identifier: MIT */
/*
 * tmf replay: runs one case again. A death at a point comes at the same instant every time; one at
 * a random instant does not, and is tried often.
 */
#include <errno.h>
#include <string.h>

#include "harness/engine_kill.h"
#include "harness/error_case.h"
#include "harness/explore.h"
#include "harness/power_campaign.h"
#include "harness/progress.h"
#include "harness/result.h"
#include "harness/strategy.h"

#define TRIES_AT_RANDOM 300

/* A case of either kind. */
struct replayed {
    bool is_error;
    struct kill_case kill;
    struct error_case error;
    struct kill_stage *stage;
    struct error_stage errors;
};

static bool parse(const char *name, struct replayed *out)
{
    *out = (struct replayed){.is_error = false};
    out->is_error = error_case_parse(name, &out->error);
    return out->is_error || kill_case_parse(name, &out->kill);
}

static int make_stage(const char *dir, struct replayed *replayed, struct kill_stage *kill)
{
    if (!replayed->is_error)
        return kill_stage_make(dir, kill);
    int error = error_stage_make(dir, &replayed->errors);
    *kill = replayed->errors.kill;
    return error;
}

static bool try_once(struct replayed *replayed, struct kill_outcome *outcome)
{
    return replayed->is_error ? error_case_run(&replayed->errors, &replayed->error, outcome)
                              : kill_case_run(replayed->stage, &replayed->kill, outcome);
}

static void run_case(struct replayed *replayed, const char *name, struct result *result)
{
    struct kill_outcome outcome;
    const struct kill_case *one = &replayed->kill;
    bool at_random = !one->death.hit && one->after_us;
    int tries = at_random ? TRIES_AT_RANDOM : 1;
    bool holds = true;
    for (int n = 0; n < tries && holds; n++) {
        progress_show("try %d of %d", n + 1, tries);
        holds = try_once(replayed, &outcome);
        result_add_cases(result, 1);
    }
    char replay[KILL_TEXT_MAX + 32];
    snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
    bool may_miss = replayed->is_error ? replayed->error.fault.row != NULL : one->death.hit > 0;
    if (!holds)
        result_fail(result, name, outcome.what, replay);
    else if (at_random)
        fprintf(result_text(result), "it held %d times; a random instant is not hit for certain\n",
                tries);
    else if (!outcome.reached && may_miss)
        fputs("it holds, but the point was not reached: has the code changed since?\n",
              result_text(result));
    else
        fputs("it holds\n", result_text(result));
}

static void clear_up(struct replayed *replayed, struct result *result)
{
    bool keep = result_violations(result) > 0;
    if (replayed->is_error)
        error_stage_remove(&replayed->errors, keep);
    else if (keep)
        scratch_keep(&replayed->stage->scratch);
    else
        scratch_remove(replayed->stage->scratch.path);
    if (keep)
        fprintf(result_text(result), "the storage, after recovery: %s/case/storage.odb\n",
                replayed->stage->scratch.path);
}

/* ---- of the power model */

static void run_power_case(struct power_campaign *campaign, const struct power_case *one,
                           const char *name, struct result *result)
{
    const struct power_board *board = campaign->board;
    char replay[POWER_TEXT_MAX + 32];
    bool found = false;
    int error = power_campaign_replay(campaign, one, &found);
    result_add_cases(result, 1);
    if (board->report_count > 0) {
        snprintf(replay, sizeof(replay), "tmf replay '%s'", name);
        result_fail(result, name, board->reports[0].what, replay);
    } else if (error || !found) {
        fprintf(result_text(result), "not to be had: %s; has the code changed since?\n",
                error ? strerror(error) : board->what.what);
    } else {
        fputs("it holds\n", result_text(result));
    }
}

static int replay_power(const struct arguments *arguments, const struct power_case *one)
{
    struct scratch scratch;
    struct power_board *board = child_shared(sizeof(*board));
    int error =
        board ? scratch_make(arguments->dir ? arguments->dir : "/dev/shm", &scratch) : ENOMEM;
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "making a folder to work in failed: %s",
                            strerror(error));
    struct power_campaign campaign = {.scratch = &scratch, .board = board};
    struct result *result = result_new(arguments);
    run_power_case(&campaign, one, arguments->words[0], result);
    scratch_remove(scratch.path);
    return result_finish(result);
}

static int replay_run(const struct arguments *arguments)
{
    const char *name = arguments->words[0];
    static struct power_case power;
    struct replayed replayed;
    struct kill_stage kill;
    if (kill_switch_on(arguments) != STATUS_HELD)
        return STATUS_CANNOT;
    if (power_case_parse(name, &power))
        return replay_power(arguments, &power);
    if (engine_kill_is_case(name))
        return engine_kill_replay(arguments, name);
    if (explore_is_case(name))
        return explore_replay(arguments, name);
    if (!parse(name, &replayed))
        return command_fail(arguments, STATUS_USAGE,
                            "'%s' is no case; take the line that reported it, as "
                            "kill:undo-fsync:rb-twin:64:bank:seed=7:txns=12:point=P:hit=3",
                            name);
    const char *strategy =
        replayed.is_error ? replayed.error.life.place.strategy : replayed.kill.place.strategy;
    char missing[256];
    if (!strategy_is_available(strategy, missing, sizeof(missing)))
        return command_fail(arguments, STATUS_CANNOT, "%s", missing);
    int error = make_stage(arguments->dir, &replayed, &kill);
    if (error)
        return command_fail(arguments, STATUS_CANNOT,
                            "making a folder to work in failed: %s; choose another by --dir",
                            strerror(error));
    replayed.stage = &kill;
    if (replayed.is_error && replayed.error.fault.row &&
        !error_can_run(&replayed.errors, replayed.error.fault.row))
        return command_fail(arguments, STATUS_CANNOT, "no disk of its own can be mounted here: %s",
                            strerror(replayed.errors.disk_error));
    struct result *result = result_new(arguments);
    run_case(&replayed, name, result);
    clear_up(&replayed, result);
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
