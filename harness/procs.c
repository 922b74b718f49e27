/* SPDX-License-Identifier: MIT */
/*
 * tmf procs: reader and writer processes over one storage, which flock keeps apart, and of which
 * some are killed. contend.h has the rules that each of them checks. A successor takes the place of
 * each that was killed; the others wait and go on, and what they waited is measured.
 *
 * Kinds of kills take turns. For most, a trap is laid: the first writer that comes to its place
 * says so and stands still, lock in hand; others gather before the lock; then it is killed.
 *
 *      IDLE ─ its time has come ─▶ LAID ─ a victim is known ─▶ DUE ─ after a while: SIGKILL ─▶ IDLE
 *
 * Kills are spread evenly over the contest. Some successors open the storage larger than it was,
 * which the others must follow. Who stands in a trap has borne a child, which outlives it: what the
 * child has inherited keeps nobody out (flaw D20). A reader has a companion, a second thread that
 * reads over the same open storage: so there are processes that another reader enters while one is
 * inside, and it must not see less for that.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/contest.h"
#include "harness/random.h"

#define KILLS            12 /* where neither --kills nor --time is given, */
#define KILLS_PER_SECOND 10 /* and with --time */
#define GROWTH_PERIOD    4  /* one in so many successors opens larger, */
#define GROWTH_BYTES     ((size_t)64 << 10)
#define GROWTHS_MAX      16             /* so many times */
#define GATHER_US        UINT64_C(2000) /* at most, before a victim in a trap is killed */
#define INSTANT_US       UINT64_C(1000) /* likewise for one that goes on */
#define ORPHAN_NAP_NS    5000000
#define ORPHAN_NAPS      4000
#define COMPANION_TURN   (UINT64_C(1) << 40)

enum kill_kind {
    KILL_HELD,      /* has the lock, and did nothing yet */
    KILL_WRONG,     /* made stores that were never to be committed */
    KILL_STORED,    /* made the stores of a transaction */
    KILL_COMMITTED, /* its commit has returned */
    KILL_HOLDER,    /* goes on: anywhere in a write transaction, mostly in its commit */
    KILL_ANYONE,    /* a reader or writer, wherever it is */
    KILL_KINDS
};

/* Shared with the processes. */
struct trap {
    _Atomic int laid;           /* enum kill_kind + 1; 0: none */
    _Atomic size_t caught;      /* the member's number + 1 */
    _Atomic uint64_t killed_ns; /* when a holder was killed in it; 0 once another was inside */
    _Atomic uint64_t growths;
};
static struct trap *trap;

static uint64_t processes = 8;
static double reader_share = 0.5;
static uint64_t transactions;
static uint64_t kills;
static bool kills_given;
static double patience_seconds;

enum { KEY_PROCESSES = 0x200, KEY_READERS, KEY_TRANSACTIONS, KEY_KILLS, KEY_PATIENCE };
static const struct argp_option options[] = {
    {"processes", KEY_PROCESSES, "NUMBER", 0, "that contend, from 2 to 256 (8)", 0},
    {"readers", KEY_READERS, "SHARE", 0, "of them that read, from 0 to 1 (0.5); one writes", 0},
    {"kills", KEY_KILLS, "NUMBER", 0, "processes to be killed (12; with --time 10 a second)", 0},
    {"patience", KEY_PATIENCE, "SECONDS", 0, "nobody may stand still for longer (30)", 0},
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0,
     "end after so many and all kills (1000 without --time)", 0},
    {0},
};

static bool take(int key, const char *value)
{
    switch (key) {
    case KEY_PROCESSES:
        return parse_count(value, 2, CONTENDERS_MAX, &processes);
    case KEY_PATIENCE:
        return parse_real(value, 0.01, 3600, &patience_seconds);
    case KEY_READERS:
        return parse_real(value, 0, 1, &reader_share);
    case KEY_KILLS:
        kills_given = true;
        return parse_count(value, 0, UINT64_MAX, &kills);
    default:
        return parse_count(value, 1, UINT64_MAX, &transactions);
    }
}

/* ---- a process */

/* The kind of kill whose trap is here. */
static bool is_caught(enum stage stage, const struct visit *visit, enum kill_kind *out)
{
    static const enum stage stages[] = {
        [KILL_HELD] = STAGE_INSIDE,
        [KILL_WRONG] = STAGE_INSIDE,
        [KILL_STORED] = STAGE_STORED,
        [KILL_COMMITTED] = STAGE_COMMITTED,
    };
    int laid = atomic_load(&trap->laid);
    if (!laid || !visit->writes || stages[laid - 1] != stage)
        return false;
    *out = laid - 1;
    return atomic_compare_exchange_strong(&trap->laid, &laid, 0);
}

/* A child of a process with one thread. It lives until all is over. */
static void bear_orphan(const struct board *board)
{
    const struct timespec nap = {.tv_nsec = ORPHAN_NAP_NS};
    if (fork() != 0)
        return;
    for (int n = 0; n < ORPHAN_NAPS && !atomic_load(&board->stop); n++)
        nanosleep(&nap, NULL);
    _exit(0);
}

/* Whoever is first inside after the kill of a holder ends the time that took. */
static void note_inside(const struct contend *self)
{
    uint64_t *counted = self->context;
    uint64_t killed_ns = atomic_exchange(&trap->killed_ns, 0);
    if (killed_ns)
        waits_add(&self->board->waits[WAIT_TAKEOVER], clock_ns() - killed_ns);
    tmf_stats stats;
    tmf_stats_get(self->storage, &stats);
    atomic_fetch_add(&self->board->recoveries, stats.recoveries - *counted);
    *counted = stats.recoveries;
}

static void at_stage(struct contend *self, enum stage stage, const struct visit *visit)
{
    enum kill_kind kind;
    if (stage == STAGE_INSIDE)
        note_inside(self);
    if (!is_caught(stage, visit, &kind))
        return;
    int error = kind == KILL_WRONG ? contend_store_wrongly(self, visit) : 0;
    if (error)
        board_violate(self->board, "making a transaction failed: %s (%s)", tmf_strerror(error),
                      tmf_explain());
    bear_orphan(self->board);
    atomic_store(&trap->caught, self->number + 1);
    for (;;)
        pause();
}

/* How much larger than needed a member opens the storage. */
static size_t draw_growth(const struct member *member)
{
    uint64_t seed = member->contest->place.seed;
    if (member->life == 0 || random_below(seed, member->number, member->life, GROWTH_PERIOD) != 0)
        return 0;
    uint64_t growth = atomic_fetch_add(&trap->growths, 1) + 1;
    return growth <= GROWTHS_MAX ? growth * GROWTH_BYTES : 0;
}

struct companion {
    const struct member *member;
    tmf_storage *storage;
    pthread_t thread;
};

/* Under the number of its reader, with draws of its own. */
static void *accompany(void *context)
{
    const struct companion *companion = context;
    struct contend self = {.turn = COMPANION_TURN};
    contest_compete(companion->member, companion->member->number, companion->storage, &self);
    return NULL;
}

static void compete(const struct member *member, tmf_storage *storage)
{
    uint64_t counted = 0;
    struct contend self = {.at_stage = at_stage, .context = &counted};
    struct companion companion = {.member = member, .storage = storage};
    bool reads = member->number < member->contest->readers;
    int error = reads ? pthread_create(&companion.thread, NULL, accompany, &companion) : 0;
    if (error)
        board_violate(member->contest->board, "a thread does not start: %s", strerror(error));
    contest_compete(member, member->number, storage, &self);
    if (reads && !error)
        (void)pthread_join(companion.thread, NULL);
}

static int crew(void *context)
{
    const struct member *member = context;
    tmf_storage *storage;
    if (!contest_open(member, draw_growth(member), &storage))
        return 0;
    compete(member, storage);
    contest_close(member, storage);
    return 0;
}

/* ---- who kills */

static struct plan {
    uint64_t began_ns; /* of the contest that it is for */
    enum { PLAN_IDLE, PLAN_LAID, PLAN_DUE } state;
    enum kill_kind kind;
    struct member *victim;
    uint64_t due_ns;
} plan;

static uint64_t kill_goal(const struct contest *contest)
{
    if (kills_given)
        return kills;
    if (contest->time_seconds <= 0)
        return KILLS;
    return (uint64_t)(contest->time_seconds * KILLS_PER_SECOND) + 1;
}

static uint64_t draw_below(const struct contest *contest, uint64_t draw, uint64_t limit)
{
    return random_below(contest->place.seed, contest->kills_made, draw, limit);
}

static void set_due(const struct contest *contest, struct member *victim, uint64_t within_us)
{
    plan.victim = victim;
    plan.due_ns = clock_ns() + draw_below(contest, 1, within_us * 1000);
    plan.state = PLAN_DUE;
}

static void lay(struct contest *contest)
{
    plan.kind = (contest->place.seed + contest->kills_made) % KILL_KINDS;
    plan.state = PLAN_LAID;
    if (plan.kind == KILL_ANYONE)
        set_due(contest, &contest->members[draw_below(contest, 0, contest->processes)], INSTANT_US);
    else if (plan.kind != KILL_HOLDER)
        atomic_store(&trap->laid, (int)plan.kind + 1);
}

static int state_of(const struct member *member)
{
    return atomic_load(&member->contest->board->contenders[member->number].state);
}

static void look_for_victim(struct contest *contest)
{
    size_t caught = atomic_exchange(&trap->caught, 0);
    if (caught)
        set_due(contest, &contest->members[caught - 1], GATHER_US);
    for (size_t n = 0; plan.kind == KILL_HOLDER && n < contest->processes; n++) {
        if (state_of(&contest->members[n]) == CONTENDER_WRITING)
            set_due(contest, &contest->members[n], INSTANT_US); /* of several, the last */
    }
}

static void strike(const struct contest *contest)
{
    struct member *victim = plan.victim;
    plan.state = PLAN_IDLE;
    if (!victim->pid)
        return;
    if (state_of(victim) == CONTENDER_WRITING) {
        atomic_fetch_add(&contest->board->holder_kills, 1);
        if (plan.kind <= KILL_COMMITTED) /* it stands still, so nobody is inside before the kill */
            atomic_store(&trap->killed_ns, clock_ns());
    }
    contest_strike(victim);
}

static bool tend(struct contest *contest)
{
    uint64_t goal = kill_goal(contest);
    double progress = contest_progress(contest);
    bool ends = progress >= 1 && !contest->transactions; /* its time is over */
    if (plan.began_ns != contest->began_ns) {
        plan = (struct plan){.began_ns = contest->began_ns};
        *trap = (struct trap){0};
    }
    double due = (double)(contest->kills_made + 1) / (double)(goal + 1);
    if (plan.state == PLAN_IDLE && contest->kills_made < goal && progress >= due && !ends)
        lay(contest);
    if (plan.state == PLAN_LAID)
        look_for_victim(contest);
    if (plan.state == PLAN_DUE && clock_ns() >= plan.due_ns)
        strike(contest);
    return plan.state != PLAN_IDLE || (contest->kills_made < goal && !ends);
}

static int run(const struct arguments *arguments)
{
    static struct contest contest;
    trap = child_shared(sizeof(*trap));
    if (!trap)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    size_t reading = (size_t)((double)processes * reader_share + 0.5);
    contest = (struct contest){
        .readers = reading < processes ? reading : processes - 1,
        .processes = processes,
        .transactions = transactions,
        .patience_seconds = patience_seconds,
        .crew = crew,
        .tend = tend,
    };
    contest.writers = processes - contest.readers;
    int length = snprintf(contest.options, sizeof(contest.options),
                          "--processes %" PRIu64 " --readers %g", processes, reader_share);
    if (kills_given)
        snprintf(contest.options + length, sizeof(contest.options) - (size_t)length,
                 " --kills %" PRIu64, kills);
    return contest_run_all(arguments, &contest);
}

const struct command command_procs = {
    .name = "procs",
    .about = "readers and writers in many processes over flock, lock holders killed",
    .text = "Each reader verifies that it sees one committed state in full, none older than what "
            "was acknowledged before it began. Writers are killed with the lock in hand, anybody "
            "at random instants; the others wait and go on. --time is shared by all combinations.",
    .takes = TAKES_CAMPAIGN & ~TAKES_CASES,
    .options = options,
    .take = take,
    .run = run,
};
