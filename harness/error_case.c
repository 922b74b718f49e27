/* SPDX-License-Identifier: MIT */
#include "harness/error_case.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/medium.h"
#include "harness/disk.h"
#include "harness/error_life.h"
#include "harness/strategy.h"

#define SHRINK_TRIES 60
#define CACHE_FOLDER "cache"
#define DISK_FOLDER  "disk"

/* ---- as text */

void error_case_format(const struct error_case *one, char *to)
{
    char life[KILL_TEXT_MAX];
    const struct faults_row *row = one->fault.row;
    kill_case_format(&one->life, life);
    size_t length = (size_t)snprintf(to, KILL_TEXT_MAX, "error%s", life + strlen("kill"));
    if (row && length < KILL_TEXT_MAX)
        length +=
            (size_t)snprintf(to + length, KILL_TEXT_MAX - length,
                             ":call=%s:n=%" PRIu64 ":errno=%s:%s", faults_call_name(row->call),
                             one->fault.nth, row->name, one->fault.sticky ? "sticky" : "once");
    if (one->misuse && length < KILL_TEXT_MAX)
        length +=
            (size_t)snprintf(to + length, KILL_TEXT_MAX - length, ":misuse=%s", one->misuse->name);
    if (one->mutant && length < KILL_TEXT_MAX)
        snprintf(to + length, KILL_TEXT_MAX - length, ":mutant=%s", one->mutant->name);
}

static bool parse_fault(const char *text, struct faults_fault *out)
{
    char call[32], name[32], span[32];
    int end = 0;
    if (sscanf(text, ":call=%31[a-z_]:n=%" SCNu64 ":errno=%31[A-Za-z]:%31[a-z]%n", call, &out->nth,
               name, span, &end) != 4 ||
        text[end] != 0)
        return false;
    out->row = faults_row_find(call, name);
    out->sticky = strcmp(span, "sticky") == 0;
    return out->row && out->nth > 0 && (out->sticky || strcmp(span, "once") == 0);
}

bool error_case_parse(const char *text, struct error_case *out)
{
    char copy[KILL_TEXT_MAX], life[KILL_TEXT_MAX + 8];
    *out = (struct error_case){.fault = {.row = NULL}};
    if (strncmp(text, "error:", strlen("error:")) != 0 ||
        (size_t)snprintf(copy, sizeof(copy), "%s", strchr(text, ':')) >= sizeof(copy))
        return false;
    char *mutant = strstr(copy, ":mutant=");
    if (mutant) {
        out->mutant = faults_mutant_find(mutant + strlen(":mutant="));
        *mutant = 0;
    }
    char *misuse = strstr(copy, ":misuse=");
    if (misuse) {
        out->misuse = error_misuse_find(misuse + strlen(":misuse="));
        *misuse = 0;
        if (!out->misuse)
            return false;
    }
    char *fault = strstr(copy, ":call=");
    if ((mutant && !out->mutant) || (fault && !parse_fault(fault, &out->fault)))
        return false;
    if (fault)
        *fault = 0;
    snprintf(life, sizeof(life), "kill%s", copy);
    return kill_case_parse(life, &out->life) && !out->life.after_us && !out->life.then.hit;
}

/* ---- where cases are run */

static int make_disk(struct error_stage *stage)
{
    char folder[PATH_MAX];
    int error = scratch_fresh(&stage->kill.scratch, DISK_FOLDER, folder);
    if (!error && strlen(folder) >= sizeof(stage->disk.scratch.path))
        error = ENAMETOOLONG;
    if (!error)
        error = disk_mount(folder);
    if (!error)
        memcpy(stage->disk.scratch.path, folder, strlen(folder) + 1);
    return error;
}

int error_stage_make(const char *dir, struct error_stage *out)
{
    *out = (struct error_stage){.record = child_shared(sizeof(*out->record))};
    if (!out->record)
        return ENOMEM;
    int error = faults_io_init();
    if (!error)
        error = kill_stage_make(dir, &out->kill);
    if (error)
        return error;
    faults_io_install();
    out->disk.life = out->kill.life;
    out->disk_error = make_disk(out);
    return 0;
}

void error_stage_remove(struct error_stage *stage, bool keep)
{
    if (!stage->disk_error)
        disk_unmount(stage->disk.scratch.path);
    if (keep)
        scratch_keep(&stage->kill.scratch);
    else
        scratch_remove(stage->kill.scratch.path);
}

bool error_can_run(const struct error_stage *stage, const struct faults_row *row)
{
    return row->call != FAULTS_CALL_room || !stage->disk_error;
}

/* ---- the steps */

static bool is_on_disk(const struct error_case *one)
{
    return one->fault.row && one->fault.row->call == FAULTS_CALL_room;
}

static struct kill_stage *stage_of(struct error_stage *stage, const struct error_case *one)
{
    return is_on_disk(one) ? &stage->disk : &stage->kill;
}

bool error_leave(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out)
{
    *out = (struct kill_outcome){.holds = true};
    if (!one->life.death.hit)
        return true;
    struct kill_stage *kill = stage_of(stage, one);
    faults_io_arm(&(struct faults_fault){.row = NULL});
    if (!kill_leave(kill, &one->life, out))
        return false;
    stage->record->durable = kill->life->claim.acknowledged;
    return true;
}

#define FILES 3
static void file_of(const struct kill_stage *kill, size_t n, char file[KILL_PATH_MAX + 16])
{
    static const char *const endings[FILES] = {".odb", ".log", ".odb.new"};
    char path[KILL_PATH_MAX];
    kill_path(kill, path);
    snprintf(file, KILL_PATH_MAX + 16, "%s%s", path, endings[n]);
}

/* What a dead process left is taken to be on the medium by now. */
static void know_medium(const struct kill_stage *kill)
{
    char file[KILL_PATH_MAX + 16];
    for (size_t n = 0; n < FILES; n++) {
        file_of(kill, n, file);
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        medium_synced(fd);
        close(fd);
    }
}

static int prepare(struct error_stage *stage, const struct error_case *one)
{
    struct kill_stage *kill = stage_of(stage, one);
    workload_cut_use(&one->life.place.cut);
    if (is_on_disk(one))
        disk_resize(kill->scratch.path, DISK_AMPLE);
    if (!one->life.death.hit) {
        *kill->life = (struct kill_life){.verdict.recovered = VERDICT_UNKNOWN};
        *stage->record = (struct error_record){.durable = 0};
        int error = kill_fresh(kill);
        if (error)
            return error;
    }
    stage->record->reported = 0;
    stage->record->first[0] = 0;
    faults_io_arm(&one->fault);
    if (one->life.death.hit)
        know_medium(kill);
    return is_on_disk(one)
               ? disk_resize(kill->scratch.path, disk_used(kill->scratch.path) + one->fault.nth)
               : 0;
}

bool error_fault(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out)
{
    struct kill_stage *kill = stage_of(stage, one);
    int error = prepare(stage, one);
    if (error)
        return kill_violated(kill->life, out, "preparing the case failed: %s", strerror(error));
    struct error_job job = {
        one, kill->life, stage->record, is_on_disk(one) ? kill->scratch.path : NULL, {0}};
    kill_path(kill, job.path);
    bool recovers = one->life.death.hit > 0;
    bool held = kill_run_child(kill, recovers ? error_recover : error_live, &job,
                               recovers ? "recovering:" : "under the fault:", 0, out);
    if (is_on_disk(one))
        disk_resize(kill->scratch.path, DISK_AMPLE);
    bool killed = held && out->reached;
    out->reached = is_on_disk(one) ? stage->record->reported > 0 : faults_io_struck() > 0;
    return killed ? kill_violated(kill->life, out, "the life was killed from outside") : held;
}

/* Gives the files of the case the content that the medium has. */
static int show_medium(const struct kill_stage *kill)
{
    char file[KILL_PATH_MAX + 16];
    int error = 0;
    for (size_t n = 0; !error && n < FILES; n++) {
        struct stat status;
        file_of(kill, n, file);
        if (stat(file, &status) == 0)
            error = medium_show(file, status.st_dev, status.st_ino);
    }
    return error;
}

/* What was acknowledged as durable must be on the medium; all else on it must hold as well. */
static bool judge_medium(struct error_stage *stage, const struct error_case *one,
                         struct kill_outcome *out)
{
    struct kill_stage *kill = &stage->kill;
    struct kill_life life = *kill->life;
    int error = kill_save(kill, CACHE_FOLDER);
    if (!error)
        error = show_medium(kill);
    if (error)
        return kill_violated(kill->life, out, "finding out what the medium has failed: %s",
                             strerror(error));
    kill->life->claim.acknowledged = stage->record->durable;
    if (!kill_judge(kill, &one->life, out)) {
        char what[sizeof(out->what)];
        snprintf(what, sizeof(what), "%s", out->what);
        snprintf(out->what, sizeof(out->what), "on the medium, after the failed sync: %.*s",
                 (int)sizeof(out->what) - 64, what);
        return false;
    }
    *kill->life = life;
    error = kill_restore(kill, CACHE_FOLDER);
    return !error || kill_violated(kill->life, out, "putting the page cache back failed: %s",
                                   strerror(error));
}

/* What only outlives the process (undo-mlock) says itself that a failed sync may lose its log. */
bool error_judge(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out)
{
    const struct workload_place *place = &one->life.place;
    bool promised = place->durability != TMF_DURABILITY_PROCESS &&
                    strategy_survives(place->strategy) != TMF_SURVIVES_KILL;
    bool lost = promised && medium_has_lost();
    faults_io_suspend(true);
    medium_follow(false);
    bool held = (!lost || judge_medium(stage, one, out)) &&
                kill_judge(stage_of(stage, one), &one->life, out);
    faults_io_suspend(false);
    return held;
}

bool error_misuse_run(struct error_stage *stage, const struct error_case *one,
                      struct kill_outcome *out)
{
    struct kill_stage *kill = &stage->kill;
    int error = prepare(stage, one);
    *out = (struct kill_outcome){.holds = true};
    if (error)
        return kill_violated(kill->life, out, "preparing the case failed: %s", strerror(error));
    struct misuse_job job = {one->misuse, &one->life.place, one->mutant, kill->life, {0}};
    kill_path(kill, job.path);
    bool held = kill_run_child(kill, error_misuse_live, &job, "what is done wrongly:", 0, out);
    if (held && out->reached)
        return kill_violated(kill->life, out, "it was killed from outside");
    out->reached = true;
    return held && (one->misuse->damages || error_judge(stage, one, out));
}

bool error_case_run(struct error_stage *stage, const struct error_case *one,
                    struct kill_outcome *out)
{
    if (one->misuse)
        return error_misuse_run(stage, one, out);
    return error_leave(stage, one, out) && error_fault(stage, one, out) &&
           error_judge(stage, one, out);
}

/* ---- the shortest */

struct shrink {
    struct error_stage *stage;
    struct error_case shorter; /* that is tried */
    uint64_t uses_max;         /* a fault that comes later than this is no simpler */
    int tries;
};

/* How often the call is made where nothing fails, in a life, or in the recovery of one; of the
 * disk, the pages it needs. */
static uint64_t count_uses(struct error_stage *stage, const struct error_case *one)
{
    struct error_case whole = *one;
    struct kill_outcome outcome = {.holds = true};
    if (is_on_disk(one))
        return SHRINK_TRIES;
    whole.fault = (struct faults_fault){.row = NULL};
    if (!error_leave(stage, &whole, &outcome) || (one->life.death.hit && !outcome.reached))
        return 0;
    return error_fault(stage, &whole, &outcome) ? faults_io_made(one->fault.row->call) : 0;
}

/* Whether it fails with the fault at any use of its call; then that is the first one. */
static bool fails_at_some_use(struct shrink *shrink)
{
    struct error_case *shorter = &shrink->shorter;
    struct kill_outcome outcome;
    uint64_t before = shorter->fault.nth;
    uint64_t uses = count_uses(shrink->stage, shorter);
    uses = uses < shrink->uses_max ? uses : shrink->uses_max;
    for (shorter->fault.nth = 1; shorter->fault.nth <= uses; shorter->fault.nth++) {
        if (shrink->tries++ >= SHRINK_TRIES)
            break;
        if (!error_case_run(shrink->stage, shorter, &outcome))
            return true;
    }
    shorter->fault.nth = before;
    return false;
}

/* Where a dead one is recovered from, whether it does after a death at the same point, there or
 * before: a shorter life comes by it less often. */
static bool still_fails(void *context)
{
    struct shrink *shrink = context;
    uint64_t *hit = &shrink->shorter.life.death.hit;
    uint64_t before = *hit;
    if (before == 0)
        return fails_at_some_use(shrink);
    for (*hit = 1; *hit <= before; ++*hit) {
        if (fails_at_some_use(shrink))
            return true;
    }
    *hit = before;
    return false;
}

void error_shrink(struct error_stage *stage, struct error_case *one)
{
    if (!one->fault.row)
        return;
    struct shrink shrink = {.stage = stage, .shorter = *one, .uses_max = UINT64_MAX};
    bool found = false;
    for (uint64_t n = 1; !found && n <= one->life.transactions; n++) {
        shrink.shorter.life.transactions = n;
        shrink.uses_max = n < one->life.transactions ? UINT64_MAX : one->fault.nth - 1;
        found = still_fails(&shrink);
    }
    if (!found)
        shrink.shorter = *one;
    shrink.uses_max = shrink.shorter.fault.nth;
    shrink.tries = 0;
    workload_cut_shrink(&shrink.shorter.life.place, shrink.shorter.life.transactions + 3,
                        still_fails, &shrink);
    *one = shrink.shorter;
}
