/* SPDX-License-Identifier: MIT */
#include "harness/contest.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "harness/contest_report.h"
#include "harness/progress.h"
#include "harness/strategy.h"

#define NS_PER_S         1000000000u
#define LOOK_NS          500000               /* between two looks at the crew */
#define GRACE_NS         UINT64_C(2000000000) /* to end after the first violation */
#define PATIENCE_S       30
#define TRANSACTIONS     1000
#define CONTEST_LOG_SIZE ((size_t)24 << 10) /* so small that there are checkpoints */
#define CHILD_SECONDS    120u               /* for creating and judging */

bool parse_count(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(value, &end, 10);
    return errno == 0 && end != value && *end == '\0' && *value != '-' && *out >= min &&
           *out <= max;
}

bool parse_real(const char *value, double min, double max, double *out)
{
    char *end;
    *out = strtod(value, &end);
    return end != value && *end == '\0' && *out >= min && *out <= max;
}

/* ---- in a process of the crew */

static void violate(const struct member *member, const char *call, int error)
{
    if (!board_excuses(member->contest->board, error))
        board_violate(member->contest->board, "process %zu: %s: %s (%s)", member->number, call,
                      tmf_strerror(error), tmf_explain());
}

bool contest_open(const struct member *member, size_t extra, tmf_storage **out)
{
    struct contest *contest = member->contest;
    struct workload_place larger = member->place;
    larger.size = larger.workload->arena_size + extra;
    int error = extra ? workload_create(&larger, contest->path, out) : TMF_EWRONGSIZE;
    if (error == TMF_EWRONGSIZE) /* it is larger already */
        error = workload_open(&member->place, contest->path, out);
    if (error)
        violate(member, "the storage does not open", error);
    else
        board_raise(&contest->board->size_min, tmf_size(*out));
    return error == 0;
}

void contest_close(const struct member *member, tmf_storage *storage)
{
    int error = tmf_close(storage);
    if (error)
        violate(member, "the storage does not close", error);
}

bool contest_join(const struct member *member, size_t number, struct contend *self)
{
    struct contest *contest = member->contest;
    self->board = contest->board;
    self->place = &member->place;
    self->number = number;
    self->writes = number >= contest->readers;
    self->life = member->life;
    self->oracle = oracle_copy(contest->oracle);
    if (!self->oracle)
        board_violate(contest->board, "no memory for a model");
    return self->oracle != NULL;
}

void contest_part(struct contend *self)
{
    oracle_free(self->oracle);
    atomic_store(&self->board->contenders[self->number].state, CONTENDER_DONE);
}

/* ---- the crew from outside */

static double seconds_of(const struct contest *contest)
{
    return (double)(clock_ns() - contest->began_ns) / NS_PER_S;
}

double contest_progress(const struct contest *contest)
{
    const struct board *board = contest->board;
    uint64_t made =
        contest->writers ? atomic_load(&board->transactions) : atomic_load(&board->reads);
    double goal = contest->transactions ? (double)made / (double)contest->transactions : 0;
    double time = contest->time_seconds > 0 ? seconds_of(contest) / contest->time_seconds : 0;
    return goal > time ? goal : time;
}

static void start(struct member *member)
{
    const struct contest *contest = member->contest;
    oracle_move(contest->oracle, atomic_load(&contest->board->acknowledged));
    int error = child_start(contest->crew, member, 0, &member->pid);
    if (error) {
        member->pid = 0;
        board_violate(member->contest->board, "starting a process failed: %s", strerror(error));
    }
}

static void strike(struct member *member)
{
    atomic_store(&member->contest->board->contenders[member->number].dying, true);
    kill(member->pid, SIGKILL);
}

void contest_strike(struct member *member)
{
    strike(member);
    member->contest->kills_made++;
}

static void end_member(struct member *member)
{
    struct child_end end;
    struct contest *contest = member->contest;
    /* One that may be killed has one contender, of the same number. */
    struct contender *contender = &contest->board->contenders[member->number];
    child_wait(member->pid, &end);
    member->pid = 0;
    if (!atomic_load(&contender->dying) && (!end.exited || end.code != 0)) {
        char how[128];
        child_explain(&end, how, sizeof(how));
        board_violate(contest->board, "process %zu %s", member->number, how);
    }
    bool goes_on = !atomic_load(&contest->board->stop);
    atomic_store(&contender->state, goes_on ? CONTENDER_STARTING : CONTENDER_DONE);
    if (!goes_on)
        return;
    atomic_store(&contender->dying, false);
    member->life++;
    start(member);
}

/* The processes that live. */
static size_t end_dead(struct contest *contest)
{
    size_t living = 0;
    for (size_t n = 0; n < contest->processes; n++) {
        struct member *member = &contest->members[n];
        siginfo_t about = {0};
        if (member->pid &&
            waitid(P_PID, (id_t)member->pid, &about, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            about.si_pid == member->pid)
            end_member(member);
        living += member->pid != 0;
    }
    return living;
}

static void kill_all(struct contest *contest)
{
    for (size_t n = 0; n < contest->processes; n++) {
        if (contest->members[n].pid)
            strike(&contest->members[n]);
    }
}

static void show_progress(const struct contest *contest)
{
    const struct board *board = contest->board;
    progress_show(
        "%s %s %s %zu %s: %" PRIu64 " transactions, %" PRIu64 " reads, %" PRIu64 " kills, %.0f %%",
        contest->place.strategy, durability_name(contest->place.durability), contest->place.index,
        contest->place.quantum, contest->place.workload->name, atomic_load(&board->transactions),
        atomic_load(&board->reads), contest->kills_made, 100 * contest_progress(contest));
}

static void oversee(struct contest *contest)
{
    struct board *board = contest->board;
    struct watch watch = {0};
    uint64_t grace_ns = GRACE_NS;
    double patience = contest->patience_seconds > 0 ? contest->patience_seconds : PATIENCE_S;
    uint64_t violated_ns = 0;
    const struct timespec look = {.tv_nsec = LOOK_NS};
    if (patience * NS_PER_S < GRACE_NS)
        grace_ns = (uint64_t)(patience * NS_PER_S);
    for (size_t n = 0; n < contest->processes; n++)
        start(&contest->members[n]);
    while (end_dead(contest) > 0) {
        bool violated = atomic_load(&board->violations) > 0;
        bool busy = !violated && contest->tend && contest->tend(contest);
        if (contest_progress(contest) >= 1 && !busy)
            atomic_store(&board->stop, true);
        watch_look(&watch, board, (uint64_t)(patience * NS_PER_S));
        if (violated && violated_ns == 0)
            violated_ns = clock_ns();
        else if (violated && clock_ns() - violated_ns > grace_ns)
            kill_all(contest);
        show_progress(contest);
        nanosleep(&look, NULL);
    }
}

/* ---- one contest from its beginning to its end */

/* Shared with the children that create and judge. */
struct affair {
    struct board board;
    int create_error;
    char create_what[512];
    struct verdict verdict;
    struct contest *contest;
};

static int create(void *context)
{
    struct affair *affair = context;
    tmf_storage *storage;
    affair->create_error =
        workload_create(&affair->contest->place, affair->contest->path, &storage);
    if (affair->create_error == 0)
        affair->create_error = tmf_close(storage);
    if (affair->create_error)
        snprintf(affair->create_what, sizeof(affair->create_what), "%s (%s)",
                 tmf_strerror(affair->create_error), tmf_explain());
    return 0;
}

static int judge(void *context)
{
    struct affair *affair = context;
    struct claim claim = {
        .created = true,
        .acknowledged = affair->board.acknowledged,
        .begun = affair->board.begun,
        .size_min = affair->board.size_min,
    };
    oracle_judge(&affair->contest->place, affair->contest->path, &claim, &affair->verdict);
    return 0;
}

/* False and a violation: the child did not end as it must. */
static bool run_child(struct affair *affair, int (*body)(void *context), const char *what)
{
    struct child_end end;
    char how[128];
    int error = child_run(body, affair, CHILD_SECONDS, &end);
    if (error == 0 && end.exited && end.code == 0)
        return true;
    if (error)
        snprintf(how, sizeof(how), "did not start: %s", strerror(error));
    else
        child_explain(&end, how, sizeof(how));
    board_violate(&affair->board, "the process that %s %s", what, how);
    return false;
}

static void judge_end(struct affair *affair)
{
    if (atomic_load(&affair->board.violations) == 0 && run_child(affair, judge, "judges the end") &&
        !affair->verdict.holds)
        board_violate(&affair->board, "at the end: transaction %" PRIu64 " of %" PRIu64 ": %s",
                      affair->verdict.recovered, affair->board.acknowledged,
                      affair->verdict.difference.what);
}

static void enlist(struct contest *contest, size_t n)
{
    struct member *member = &contest->members[n];
    *member = (struct member){.number = n, .contest = contest, .place = contest->place};
    if (contest->mixed)
        member->place.strategy = contest->mixed->at[n % contest->mixed->count];
}

static void seat(struct contest *contest, size_t n)
{
    struct contender *contender = &contest->board->contenders[n];
    contender->writes = n >= contest->readers;
    contender->process = contest->processes > 1 ? n : 0;
    contender->readers_go_on =
        strategy_readers_go_on(contest->members[contender->process].place.strategy);
}

static void hold(struct affair *affair)
{
    struct contest *contest = affair->contest;
    affair->board.contender_count = contest->readers + contest->writers;
    affair->board.is_excused = contest->is_excused;
    for (size_t n = 0; n < contest->processes; n++)
        enlist(contest, n);
    for (size_t n = 0; n < contest->board->contender_count; n++)
        seat(contest, n);
    contest->kills_made = 0;
    if (contest->prepare)
        contest->prepare();
    contest->oracle = oracle_new(contest->place.workload, contest->place.seed);
    if (contest->oracle)
        oversee(contest);
    else
        board_violate(contest->board, "no memory for a model");
    oracle_free(contest->oracle);
}

static void name_strategies(struct contest *contest)
{
    size_t room = sizeof(contest->strategies), length = 0;
    const struct names one = {{contest->place.strategy}, 1};
    const struct names *all = contest->mixed ? contest->mixed : &one;
    for (size_t n = 0; n < all->count && length < room; n++)
        length += (size_t)snprintf(contest->strategies + length, room - length, "%s%s",
                                   n > 0 ? "," : "", all->at[n]);
}

/* The n-th that was asked for. STATUS_CANNOT: the strategy is not to be had here, or the index not
 * with this quantum. */
static int run_one(struct affair *affair, size_t n, const struct scratch *scratch,
                   struct result *result)
{
    struct contest *contest = affair->contest;
    char name[32], folder[PATH_MAX];
    memset(&affair->board, 0, sizeof(affair->board));
    name_strategies(contest);
    contest->board = &affair->board;
    contest->began_ns = clock_ns();
    snprintf(name, sizeof(name), "contest-%zu", n);
    int error = scratch_fresh(scratch, name, folder);
    if (error || snprintf(contest->path, PATH_MAX, "%s/storage", folder) >= PATH_MAX)
        board_violate(contest->board, "making %s failed: %s", name, strerror(error));
    else if (run_child(affair, create, "creates the storage")) {
        if (affair->create_error == TMF_ENOTSUPPORTED || affair->create_error == EINVAL) {
            fprintf(result_text(result), "%s %s %zu: %s\n", contest->place.strategy,
                    contest->place.index, contest->place.quantum, affair->create_what);
            return STATUS_CANNOT;
        }
        if (affair->create_error)
            board_violate(contest->board, "creating the storage: %s", affair->create_what);
        else
            hold(affair);
    }
    double seconds = seconds_of(contest);
    judge_end(affair);
    if (atomic_load(&affair->board.violations) > 0)
        result_demand_scratch(result, scratch);
    report_contest(result, contest, seconds);
    if (atomic_load(&affair->board.violations) == 0)
        scratch_remove(folder);
    return STATUS_HELD;
}

/* Every shard takes every so many-th. The number of those held here. */
static size_t run_each(const struct arguments *arguments, struct affair *affair,
                       const struct scratch *scratch, struct result *result)
{
    struct contest *contest = affair->contest;
    size_t count = 0, held = 0;
    while (workload_pick(arguments, count, &contest->place))
        count++;
    if (contest->mixed)
        count /= arguments->strategies.count; /* those with the first */
    size_t of_shard = (count + arguments->shards - 1) / arguments->shards;
    contest->time_seconds = arguments->time_seconds / (double)of_shard;
    for (size_t n = arguments->shard - 1; n < count; n += arguments->shards) {
        workload_pick(arguments, n, &contest->place);
        contest->place.log_size = CONTEST_LOG_SIZE;
        held += run_one(affair, n, scratch, result) == STATUS_HELD;
    }
    return held;
}

int contest_run_all(const struct arguments *arguments, struct contest *contest)
{
    struct scratch scratch;
    struct affair *affair = child_shared(sizeof(*affair));
    int error = affair ? scratch_make(arguments->dir, &scratch) : ENOMEM;
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "making a folder to work in failed: %s",
                            strerror(error));
    affair->contest = contest;
    contest->command = arguments->command;
    if (contest->transactions == 0 && arguments->time_seconds <= 0)
        contest->transactions = TRANSACTIONS;
    struct result *result = result_new(arguments);
    report_head(result);
    size_t held = run_each(arguments, affair, &scratch, result);
    report_waits(result);
    if (result_violations(result) == 0)
        scratch_remove(scratch.path);
    else
        scratch_keep(&scratch);
    int status = result_finish(result);
    return held == 0 && status == STATUS_HELD ? STATUS_CANNOT : status;
}
