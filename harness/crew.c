/* SPDX-License-Identifier: MIT */
#include "harness/crew.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "faults/io_faults.h"
#include "faults/io_points.h"
#include "harness/random.h"
#include "harness/trials.h"
#include "harness/trouble.h"

#define GROWTH_PERIOD  4 /* one in so many openings is larger, */
#define GROWTH_BYTES   ((size_t)64 << 10)
#define GROWTHS_MAX    16 /* so many times */
#define REFUSAL_PERIOD 2
#define FORK_PERIOD    64 /* visits */
#define FAULT_PERIOD   4
#define FAULT_USES     24 /* of the call, until it fails */
#define VISITS_REOPEN  8
#define VISITS_LEAVE   64
#define ORPHAN_NAP_NS  5000000
#define ORPHAN_NAPS    4000
#define COMPANION_TURN (UINT64_C(1) << 40)

enum habit { HABIT_STAY, HABIT_REOPEN, HABIT_LEAVE };
static const enum habit habits[] = {HABIT_STAY, HABIT_STAY, HABIT_REOPEN, HABIT_LEAVE};
#define HABITS (sizeof(habits) / sizeof(habits[0]))

enum draw { DRAW_HABIT, DRAW_VISITS, DRAW_GROWTH, DRAW_REFUSAL, DRAW_FORK, DRAW_FAULT, DRAW_USE };

/* A process. */
struct life {
    const struct member *member;
    enum habit habit;
    struct contend self, companion;
    uint64_t openings;
    uint64_t counted; /* recoveries of what is open */
};

struct crew_log *crew_log;
static bool calls_fail;

int crew_init(bool with_faults)
{
    calls_fail = with_faults;
    crew_log = child_shared(sizeof(*crew_log));
    return crew_log ? 0 : ENOMEM;
}

void crew_prepare(void)
{
    memset(crew_log, 0, sizeof(*crew_log));
}

static uint64_t draw_below(const struct life *life, uint64_t number, enum draw draw, uint64_t limit)
{
    const struct member *member = life->member;
    uint64_t seed = random_bits(member->contest->place.seed, member->number, member->life);
    return random_below(seed, number, draw, limit);
}

static bool is_over(const struct life *life)
{
    return atomic_load(&life->member->contest->board->stop);
}

/* ---- calls that fail, in a writer */

static const struct faults_row *armed;

/* Not those that lose what is dirty: another process's pages would be lost too. */
static const struct faults_row *draw_row(const struct life *life, uint64_t turn)
{
    size_t count = 1;
    const struct faults_row *row;
    while (faults_row_at(count))
        count++;
    do {
        row = faults_row_at((size_t)draw_below(life, turn++, DRAW_FAULT, count));
    } while (row->kind == FAULTS_LOSE || !(row->spans & FAULTS_ONCE) ||
             row->call == FAULTS_CALL_memory || row->call == FAULTS_CALL_room);
    return row;
}

static void note_faults(void)
{
    if (armed)
        atomic_fetch_add(&crew_log->faults, faults_io_struck());
}

/* Inside: whatever the last fault has led to is over. */
static void arm(const struct life *life)
{
    uint64_t turn = life->self.turn;
    if (!calls_fail || !life->self.writes || draw_below(life, turn, DRAW_USE, FAULT_PERIOD) != 0)
        return;
    note_faults();
    armed = draw_row(life, turn);
    atomic_fetch_add(&crew_log->faults_armed, 1);
    faults_io_arm(&(struct faults_fault){
        .row = armed, .nth = 1 + draw_below(life, turn, DRAW_USE + 1, FAULT_USES)});
}

bool crew_is_excused(struct board *board, int error)
{
    (void)board;
    if (armed && armed->answer == FAULTS_MAY_FAIL && faults_io_struck() > 0)
        return true;
    return error == TMF_EPOISONED && atomic_load(&crew_log->faults_armed) > 0;
}

/* False, and a violation. */
static bool enter_trouble(const struct life *life)
{
    struct board *board = life->member->contest->board;
    trouble_enter(board, life->member->number);
    if (!calls_fail || !life->self.writes) {
        faults_io_points_install();
        return true;
    }
    int error = faults_io_init();
    if (error)
        board_violate(board, "no memory for calls that fail: %s", strerror(error));
    else
        faults_io_install();
    return error == 0;
}

/* ---- inside */

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
static void note_inside(struct life *life)
{
    struct board *board = life->self.board;
    uint64_t killed_ns = atomic_exchange(&trouble->killed_ns, 0);
    if (killed_ns)
        waits_add(&board->waits[WAIT_TAKEOVER], clock_ns() - killed_ns);
    tmf_stats stats;
    tmf_stats_get(life->self.storage, &stats);
    atomic_fetch_add(&board->recoveries, stats.recoveries - life->counted);
    life->counted = stats.recoveries;
}

static void meet_trouble(struct life *life, enum stage stage, const struct visit *visit)
{
    struct contend *self = &life->self;
    const struct mishap *kill = trouble_caught(TROUBLE_KILLS, stage, visit->writes);
    if (kill) {
        int error = kill->wrongly ? contend_store_wrongly(self, visit) : 0;
        if (error && !board_excuses(self->board, error))
            board_violate(self->board, "making a transaction failed: %s (%s)", tmf_strerror(error),
                          tmf_explain());
        bear_orphan(self->board);
        trouble_stand(TROUBLE_KILLS, self->number);
    }
    if (trouble_caught(TROUBLE_STOPS, stage, visit->writes))
        trouble_stand(TROUBLE_STOPS, self->number);
}

static void at_stage(struct contend *self, enum stage stage, const struct visit *visit)
{
    struct life *life = self->context;
    if (stage == STAGE_INSIDE) {
        note_inside(life);
        arm(life);
    }
    if (stage == STAGE_STORED && draw_below(life, self->turn, DRAW_FORK, FORK_PERIOD) == 0) {
        atomic_fetch_add(&crew_log->forks, 1);
        try_fork_inside(self->board, self->storage, visit->writer);
    }
    meet_trouble(life, stage, visit);
}

/* ---- opening and closing */

/* How much larger than needed it opens the storage. */
static size_t draw_growth(const struct life *life)
{
    if (life->member->life + life->openings == 0 ||
        draw_below(life, life->openings, DRAW_GROWTH, GROWTH_PERIOD) != 0)
        return 0;
    uint64_t growth = atomic_fetch_add(&crew_log->growths, 1) + 1;
    return growth <= GROWTHS_MAX ? growth * GROWTH_BYTES : 0;
}

/* What is not as it is stored. */
static void try_refusals(const struct life *life)
{
    const struct contest *contest = life->member->contest;
    size_t other_quantum = contest->place.quantum == 64 ? 128 : 64;
    const struct {
        tmf_options options;
        int told;
    } refusals[] = {
        {{.quantum = other_quantum}, EINVAL},
        {{.magic = 1}, TMF_EWRONGMAGIC},
        {{.root_size = 1}, TMF_EWRONGSIZE},
        {{.strategy = "no such strategy"}, EINVAL},
    };
    for (size_t n = 0; n < sizeof(refusals) / sizeof(refusals[0]); n++) {
        tmf_storage *storage;
        int told = tmf_open(contest->path, &refusals[n].options, &storage);
        if (told != refusals[n].told && !board_excuses(contest->board, told))
            board_violate(contest->board,
                          "opening with what is not stored (%zu) says \"%s\", must "
                          "say \"%s\"",
                          n, tmf_strerror(told), tmf_strerror(refusals[n].told));
        atomic_fetch_add(&crew_log->refusals, 1);
    }
}

static void *accompany(void *context)
{
    contend_run(context);
    return NULL;
}

/* So many visits to what is open; 0: until the end. */
static uint64_t draw_visits(const struct life *life)
{
    uint64_t most = life->habit == HABIT_REOPEN ? VISITS_REOPEN : VISITS_LEAVE;
    return life->habit == HABIT_STAY ? 0 : 1 + draw_below(life, life->openings, DRAW_VISITS, most);
}

static void begin_run(struct contend *self, tmf_storage *storage, uint64_t visits)
{
    self->storage = storage;
    self->turns = visits ? self->turn + visits : 0;
    self->must_reopen = false;
}

static void compete(struct life *life, tmf_storage *storage)
{
    pthread_t thread;
    uint64_t visits = draw_visits(life);
    bool reads = !life->self.writes;
    life->counted = 0;
    begin_run(&life->self, storage, visits);
    begin_run(&life->companion, storage, visits);
    int error = reads ? pthread_create(&thread, NULL, accompany, &life->companion) : 0;
    if (error)
        board_violate(life->self.board, "a thread does not start: %s", strerror(error));
    contend_run(&life->self);
    if (reads && !error)
        (void)pthread_join(thread, NULL);
}

/* Whether it opens again. */
static bool open_and_compete(struct life *life)
{
    tmf_storage *storage;
    size_t growth = draw_growth(life);
    if (life->openings++ > 0 && draw_below(life, life->openings, DRAW_REFUSAL, REFUSAL_PERIOD) == 0)
        try_refusals(life);
    if (!contest_open(life->member, growth, &storage))
        return !is_over(life);
    compete(life, storage);
    contest_close(life->member, storage);
    bool again = life->habit == HABIT_REOPEN || life->self.must_reopen;
    if (!is_over(life))
        atomic_fetch_add(again ? &crew_log->reopenings : &crew_log->leavings, 1);
    return again && !is_over(life);
}

int crew_live(void *context)
{
    static struct life life;
    const struct member *member = context;
    life = (struct life){.member = member};
    life.self = (struct contend){.at_stage = at_stage, .context = &life};
    life.companion = (struct contend){.turn = COMPANION_TURN};
    life.habit = habits[draw_below(&life, 0, DRAW_HABIT, HABITS)];
    if (!contest_join(member, member->number, &life.self) ||
        !contest_join(member, member->number, &life.companion) || !enter_trouble(&life))
        return 0;
    while (open_and_compete(&life))
        ;
    note_faults();
    oracle_free(life.companion.oracle);
    contest_part(&life.self);
    return 0;
}
