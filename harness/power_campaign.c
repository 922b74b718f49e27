/* SPDX-License-Identifier: MIT */
/* See power_campaign.h. */
#include "harness/power_campaign.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "faults/memory_fs.h"
#include "faults/points.h"
#include "harness/power_procs.h"
#include "harness/progress.h"

#define HANG_SECONDS  10  /* of work without any progress; a recovery takes some 100 us, */
#define IDLE_SECONDS  300 /* and of no work */
#define LIFE_FOLDER   "life"
#define PLAN_FOLDER   "plan"
#define SHRINK_IMAGES 64    /* of a state, in looking for a shorter life; */
#define SHRINK_CASES  10000 /* in all, of each number of transactions, */
#define CUT_CASES     2000  /* of each operation that is left out */

enum { DONE = 0, NOT_DONE = 1 };

struct job {
    struct power_campaign *campaign;
    const struct power_case *one;
    struct power_failures found[POWER_REPORTS];
};

/* ---- in the child */

/* Until the next progress. The processor's time tells a hang, whoever else uses the machine or
 * stops us; where nothing runs at all, the clock. */
static void go_on(void)
{
    struct itimerval busy = {.it_value.tv_sec = HANG_SECONDS};
    (void)setitimer(ITIMER_PROF, &busy, NULL);
    alarm(IDLE_SECONDS);
}

static bool make_folder(const struct power_campaign *campaign, const char *name,
                        char folder[PATH_MAX], struct difference *what)
{
    int error = scratch_fresh(campaign->scratch, name, folder);
    return !error || differs(what, "making a folder to live in failed: %s", strerror(error));
}

/* The schedule of processes, where there are some and no case has told it. */
static bool plan(const struct power_campaign *campaign, struct power_settings *settings,
                 struct difference *what)
{
    char folder[PATH_MAX];
    if (!settings->procs.count || settings->procs.length)
        return true;
    return make_folder(campaign, PLAN_FOLDER, folder, what) &&
           power_plan(&settings->place, settings->transactions, folder, &settings->procs, what);
}

static struct power_explorer *new_explorer(const struct power_campaign *campaign,
                                           const struct power_settings *settings,
                                           struct power_failures *failures, struct difference *what)
{
    char folder[PATH_MAX];
    if (!make_folder(campaign, LIFE_FOLDER, folder, what))
        return NULL;
    return power_explorer_new(settings, folder, failures, what);
}

/* Memory that every recovery asks for and frees stays with us: to give it back and get it again is
 * dearer than the recovery. */
static void keep_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
}

/* The library installs its handlers with a process's first storage, and whoever is forked from
 * there on has them: no life shall have steps that another one, or its replay, has not. */
static bool open_one(const struct power_campaign *campaign, struct difference *what)
{
    const tmf_options options = {.size = POWER_GROWTH,
                                 .strategy = tmf_strategy_name(0),
                                 .durability = TMF_DURABILITY_PROCESS};
    char folder[PATH_MAX], path[PATH_MAX];
    tmf_storage *storage;
    if (!make_folder(campaign, PLAN_FOLDER, folder, what))
        return false;
    snprintf(path, sizeof(path), "%.*s/first", PATH_MAX - 16, folder);
    int error = tmf_open(path, &options, &storage);
    if (!error)
        error = tmf_close(storage);
    return !error || differs(what, "a first storage: %s", tmf_explain());
}

static bool start(struct power_campaign *campaign)
{
    struct difference *what = &campaign->board->what;
    go_on();
    keep_memory();
    if (!open_one(campaign, what))
        return false;
    if (campaign->mutant)
        faults_mutant_wake(campaign->mutant);
    int error = memory_fs_make();
    if (!error)
        error = schedule_share();
    return !error || differs(what, "no memory: %s", strerror(error));
}

static unsigned count_arrived(const struct power_failures *failures)
{
    unsigned count = 0;
    for (unsigned n = 0; n < failures->count; n++) {
        const struct power_choice *choice = &failures->at[n].choice;
        for (uint32_t variable = 0; variable < choice->count; variable++)
            count += choice->alternative[variable] > 0;
    }
    return count;
}

/* Everything about a violation, in its shortest form. */
static void write_report(struct power_campaign *campaign, const struct power_settings *settings,
                         struct power_explorer *explorer, struct power_failures *failures)
{
    struct power_board *board = campaign->board;
    struct power_report *report = &board->reports[board->report_count];
    go_on();
    power_shrink(explorer, failures);
    power_tell(explorer, failures, report->what);
    power_case_format_failures(explorer, settings, failures, campaign->mutant, report->name);
    report->transactions = settings->transactions;
    report->arrived = count_arrived(failures);
    board->report_count++;
}

static void keep_first(void *context, struct power_explorer *explorer,
                       const struct power_failures *failures, const char *what)
{
    struct power_failures *kept = context;
    (void)explorer, (void)what;
    if (kept->count == 0)
        *kept = *failures;
}

/* ---- a shorter life */

struct shrink {
    struct power_campaign *campaign;
    struct power_settings shorter; /* that is tried */
    struct power_failures *failures;
};

/* Looks for a violation in the life; `tells`: and reports it. */
static bool find_violation(struct shrink *shrink, bool tells)
{
    struct power_failures where = {0};
    struct power_counts counts;
    struct difference what;
    go_on();
    if (!plan(shrink->campaign, &shrink->shorter, &what))
        return false;
    struct power_explorer *explorer =
        new_explorer(shrink->campaign, &shrink->shorter, &where, &what);
    if (!explorer)
        return false;
    go_on();
    shrink->failures->count = 0;
    power_explore(explorer, keep_first, NULL, shrink->failures, &counts);
    bool found = shrink->failures->count > 0;
    if (found && tells)
        write_report(shrink->campaign, &shrink->shorter, explorer, shrink->failures);
    power_explorer_free(explorer);
    return found;
}

static bool still_fails(void *context)
{
    return find_violation(context, false);
}

static unsigned most_processes(const struct power_campaign *campaign)
{
    return campaign->settings.procs.count ? campaign->settings.procs.count : 1;
}

/* The fewest transactions that so many processes take. */
static bool find_shortest(struct shrink *shrink, unsigned processes)
{
    const struct power_settings *whole = &shrink->campaign->settings;
    struct power_settings *shorter = &shrink->shorter;
    for (uint64_t n = 1; n <= whole->transactions; n++) {
        shorter->transactions = n;
        shorter->procs = (struct power_procs){0};
        if (processes > 1)
            shorter->procs = (struct power_procs){.count = processes,
                                                  .is_mixed = whole->procs.is_mixed,
                                                  .may_die = whole->procs.dies_at > 0,
                                                  .dies_before = whole->procs.dies_before,
                                                  .schedule = whole->procs.schedule};
        if (find_violation(shrink, false))
            return true;
    }
    return false;
}

/* The fewest processes, then the fewest transactions, then the fewest operations in them. */
static bool report_shorter(struct power_campaign *campaign, struct power_failures *failures)
{
    struct shrink shrink = {campaign, campaign->settings, failures};
    struct power_settings *shorter = &shrink.shorter;
    bool found = false;
    shorter->until_first = true;
    shorter->shard = shorter->shards = 1;
    shorter->images = SHRINK_IMAGES;
    shorter->seconds = 0;
    shorter->cases = SHRINK_CASES;
    for (unsigned count = 1; !found && count <= most_processes(campaign); count++)
        found = find_shortest(&shrink, count);
    if (!found)
        return false;
    shorter->cases = CUT_CASES;
    if (!campaign->settings.until_first) /* whoever wants the first does not want to wait */
        workload_cut_shrink(&shorter->place, shorter->transactions, still_fails, &shrink);
    shorter->cases = SHRINK_CASES;
    return find_violation(&shrink, true);
}

static void keep(void *context, struct power_explorer *explorer,
                 const struct power_failures *failures, const char *what)
{
    struct job *job = context;
    unsigned n = 0;
    (void)explorer, (void)what;
    while (n < POWER_REPORTS && job->found[n].count)
        n++;
    if (n < POWER_REPORTS)
        job->found[n] = *failures;
}

static void show_progress(void *context, const struct power_counts *counts)
{
    const struct job *job = context;
    const struct workload_place *place = &job->campaign->settings.place;
    go_on();
    job->campaign->board->counts = *counts;
    progress_show("power %s %s: %" PRIu64 " images, %" PRIu64 " violations, %.0f s",
                  place->strategy, place->workload->name, counts->executed, counts->violations,
                  counts->seconds);
}

/* The first violation by a shorter life if there is one; the others as they are. */
static void report_all(struct job *job, struct power_explorer *explorer)
{
    struct power_campaign *campaign = job->campaign;
    const struct power_settings *settings = &campaign->settings;
    struct power_failures shorter = {0};
    if (job->found[0].count > 0)
        (void)report_shorter(campaign, &shorter);
    workload_cut_use(&settings->place.cut);
    for (unsigned n = campaign->board->report_count; n < POWER_REPORTS && job->found[n].count; n++)
        write_report(campaign, settings, explorer, &job->found[n]);
}

/* With the life recorded; NULL, and the board says why: there is none. */
static struct power_explorer *begin(struct power_campaign *campaign,
                                    struct power_settings *settings)
{
    struct power_board *board = campaign->board;
    if (!start(campaign) || !plan(campaign, settings, &board->what))
        return NULL;
    board->procs = settings->procs;
    struct power_explorer *explorer =
        new_explorer(campaign, settings, &board->failures, &board->what);
    board->lived = explorer != NULL;
    go_on();
    return explorer;
}

static int explore(void *context)
{
    struct job *job = context;
    struct power_campaign *campaign = job->campaign;
    struct power_board *board = campaign->board;
    struct power_explorer *explorer = begin(campaign, &campaign->settings);
    if (!explorer)
        return NOT_DONE;
    faults_points_reset();
    power_explore(explorer, keep, show_progress, job, &board->counts);
    report_all(job, explorer);
    power_explorer_free(explorer);
    progress_clear();
    return DONE;
}

static int replay(void *context)
{
    struct job *job = context;
    struct power_campaign *campaign = job->campaign;
    struct power_board *board = campaign->board;
    const struct power_case *one = job->one;
    struct power_failures failures = {0};
    struct power_outcome outcome;
    struct power_settings settings = one->settings;
    struct power_explorer *explorer = begin(campaign, &settings);
    if (!explorer)
        return NOT_DONE;
    if (one->count == 0) {
        power_explorer_free(explorer);
        return DONE;
    }
    if (!power_resolve(explorer, one->count, one->events, one->images, &failures)) {
        differs(&board->what, "the life has no such image");
    } else if (!power_try(explorer, &failures, NULL, &outcome, &board->what)) {
        struct power_report *report = &board->reports[board->report_count++];
        power_tell(explorer, &failures, report->what);
        power_case_format_failures(explorer, &one->settings, &failures, one->mutant, report->name);
    }
    power_explorer_free(explorer);
    return DONE;
}

/* Only says how the image is called that somebody died of. */
static int name_image(void *context)
{
    struct job *job = context;
    struct power_campaign *campaign = job->campaign;
    struct power_failures where = {0};
    struct difference what;
    if (!start(campaign))
        return NOT_DONE;
    struct power_explorer *explorer = new_explorer(campaign, &campaign->settings, &where, &what);
    if (!explorer)
        return NOT_DONE;
    (void)power_go_to(explorer, &campaign->board->failures);
    power_case_format_failures(explorer, &campaign->settings, &campaign->board->failures,
                               campaign->mutant, campaign->board->reports[0].name);
    power_explorer_free(explorer);
    return DONE;
}

/* ---- in the parent */

static void report_death(struct job *job, const struct child_end *end)
{
    struct power_board *board = job->campaign->board;
    struct power_report *report = &board->reports[0];
    struct child_end other;
    char how[128];
    if (board->report_count == 0) {
        power_case_format(&job->campaign->settings, report->name);
        (void)child_run(name_image, job, IDLE_SECONDS, &other);
    }
    board->report_count = 1;
    child_explain(end, how, sizeof(how));
    snprintf(report->what, sizeof(report->what), "%s %s",
             board->lived ? "what recovered it" : "the life before the failure", how);
    board->counts.violations++;
}

/* Without a life there is nothing to look at; it failed though nothing disturbed it. */
static void report_life(struct job *job)
{
    struct power_board *board = job->campaign->board;
    if (board->lived || board->report_count)
        return;
    struct power_report *report = &board->reports[board->report_count++];
    power_case_format(&job->campaign->settings, report->name);
    snprintf(report->what, sizeof(report->what), "the life before the failure: %s",
             board->what.what);
    board->counts.violations++;
}

static int run(struct job *job, int body(void *))
{
    struct child_end end;
    struct power_board *board = job->campaign->board;
    memset(board, 0, sizeof(*board));
    int error = child_run(body, job, 0, &end);
    if (error)
        return error;
    if (board->procs.count)
        job->campaign->settings.procs = board->procs;
    if (!end.exited || (end.code != DONE && end.code != NOT_DONE))
        report_death(job, &end);
    return 0;
}

int power_campaign_run(struct power_campaign *campaign)
{
    struct job job = {.campaign = campaign};
    int error = run(&job, explore);
    if (!error)
        report_life(&job);
    return error;
}

int power_campaign_replay(struct power_campaign *campaign, const struct power_case *one,
                          bool *found)
{
    struct job job = {.campaign = campaign, .one = one};
    campaign->settings = one->settings;
    campaign->mutant = one->mutant;
    int error = run(&job, replay);
    if (!error)
        report_life(&job);
    *found = campaign->board->what.what[0] == 0 || campaign->board->report_count > 0;
    return error;
}
