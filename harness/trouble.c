/* SPDX-License-Identifier: MIT */
#include "harness/trouble.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults/points.h"
#include "harness/random.h"

#define DEFAULT_GOAL    12              /* where neither a goal nor --time is given, */
#define GOAL_PER_SECOND 10              /* and with --time */
#define GATHER_US       UINT64_C(2000)  /* at most, before a victim in a trap is killed */
#define INSTANT_US      UINT64_C(1000)  /* likewise for one that goes on */
#define STOP_US         UINT64_C(20000) /* at most, of a stop */
#define GIVE_UP_NS      UINT64_C(500000000)
#define POINT_TRIES     64

struct trouble *trouble;

static const struct mishap kills[] = {
    {.way = BY_TRAP, .stage = STAGE_INSIDE, .writes = true},
    {.way = BY_TRAP, .stage = STAGE_INSIDE, .writes = true, .wrongly = true},
    {.way = BY_TRAP, .stage = STAGE_STORED, .writes = true},
    {.way = BY_TRAP, .stage = STAGE_COMMITTED, .writes = true},
    {.way = BY_POINT},
    {.way = BY_STATE, .state = CONTENDER_WRITING}, /* mostly in its commit */
    {.way = BY_STATE, .state = CONTENDER_WAITING}, /* some with the gate in hand */
    {.way = BY_STATE, .state = CONTENDER_DONE},
};

static const struct mishap stops[] = {
    {.way = BY_TRAP, .stage = STAGE_STORED, .writes = true},
    {.way = BY_STATE, .state = CONTENDER_WRITING},
    {.way = BY_TRAP, .stage = STAGE_INSIDE, .writes = false},
    {.way = BY_STATE, .state = CONTENDER_WAITING},
    {.way = BY_TRAP, .stage = STAGE_COMMITTED, .writes = true},
};

static const struct {
    const struct mishap *at;
    size_t count;
} mishaps[] = {
    [TROUBLE_KILLS] = {kills, sizeof(kills) / sizeof(kills[0])},
    [TROUBLE_STOPS] = {stops, sizeof(stops) / sizeof(stops[0])},
};

static struct trouble_goals goals;

static struct plan {
    enum { PLAN_IDLE, PLAN_LAID, PLAN_DUE, PLAN_STOPPED } state;
    enum trouble_plan which;
    const struct mishap *mishap;
    struct member *victim;
    uint64_t life;        /* of the victim */
    uint64_t due_ns;      /* when DUE strikes, STOPPED ends, LAID gives up */
    uint64_t laid, made;  /* so many so far */
    uint64_t point_kills; /* so many of those at points were counted */
} plans[TROUBLE_PLANS];

int trouble_init(const struct trouble_goals *wanted)
{
    goals = *wanted;
    trouble = child_shared(sizeof(*trouble));
    return trouble ? 0 : ENOMEM;
}

uint64_t trouble_stops(void)
{
    return plans[TROUBLE_STOPS].made;
}

/* ---- in a process */

static struct {
    struct contender *contender;
    struct board *board;
    pid_t pid; /* not that of a child that it bears */
} self;

static bool is_inside(int state)
{
    return state == CONTENDER_WRITING || state == CONTENDER_READING;
}

/* [signal] */
static void at_point(size_t n)
{
    size_t deadly = n + 1;
    if (atomic_load(&trouble->deadly_point) != deadly || getpid() != self.pid)
        return;
    atomic_store(&self.contender->dying, true);
    if (!atomic_compare_exchange_strong(&trouble->deadly_point, &deadly, 0)) {
        atomic_store(&self.contender->dying, false);
        return;
    }
    if (is_inside(atomic_load(&self.contender->state)))
        atomic_fetch_add(&self.board->holder_kills, 1);
    atomic_fetch_add(&trouble->point_kills, 1);
    kill(self.pid, SIGKILL);
}

void trouble_enter(struct board *board, size_t number)
{
    self.board = board;
    self.contender = &board->contenders[number];
    self.pid = getpid();
    faults_points_watch(at_point);
}

const struct mishap *trouble_caught(enum trouble_plan plan, enum stage stage, bool writes)
{
    int laid = atomic_load(&trouble->traps[plan].laid);
    if (!laid)
        return NULL;
    const struct mishap *mishap = &mishaps[plan].at[laid - 1];
    if (mishap->stage != stage || mishap->writes != writes)
        return NULL;
    return atomic_compare_exchange_strong(&trouble->traps[plan].laid, &laid, 0) ? mishap : NULL;
}

void trouble_stand(enum trouble_plan plan, size_t number)
{
    atomic_store(&trouble->traps[plan].caught, number + 1);
    if (plan == TROUBLE_STOPS) {
        (void)raise(SIGSTOP);
        return;
    }
    for (;;)
        pause();
}

/* ---- from outside */

static uint64_t goal_of(const struct contest *contest, enum trouble_plan plan)
{
    if (goals.given[plan])
        return goals.count[plan];
    if (contest->time_seconds <= 0)
        return DEFAULT_GOAL;
    return (uint64_t)(contest->time_seconds * GOAL_PER_SECOND) + 1;
}

static uint64_t draw_below(const struct contest *contest, const struct plan *plan, uint64_t draw,
                           uint64_t limit)
{
    return random_below(contest->place.seed + plan->which, plan->laid, draw, limit);
}

static void set_due(const struct contest *contest, struct plan *plan, uint64_t within_us)
{
    plan->due_ns = clock_ns() + draw_below(contest, plan, 1, within_us * 1000);
}

static void set_victim(struct plan *plan, struct member *victim)
{
    plan->victim = victim;
    plan->life = victim->life;
    plan->state = PLAN_DUE;
}

/* One that was hit in this contest; 0: not found. */
static size_t draw_point(const struct contest *contest, const struct plan *plan)
{
    for (uint64_t n = 0; n < POINT_TRIES; n++) {
        size_t point = (size_t)draw_below(contest, plan, n + 2, faults_point_count());
        if (faults_point_hits(point) > 0)
            return point + 1;
    }
    return 0;
}

static void lay(const struct contest *contest, struct plan *plan)
{
    uint64_t turn = contest->place.seed + plan->laid++;
    size_t n = (size_t)(turn % mishaps[plan->which].count);
    plan->mishap = &mishaps[plan->which].at[n];
    plan->state = PLAN_LAID;
    plan->due_ns = clock_ns() + GIVE_UP_NS;
    if (plan->mishap->way == BY_TRAP)
        atomic_store(&trouble->traps[plan->which].laid, (int)n + 1);
    else if (plan->mishap->way == BY_POINT)
        atomic_store(&trouble->deadly_point, draw_point(contest, plan));
}

static int state_of(const struct member *member)
{
    return atomic_load(&member->contest->board->contenders[member->number].state);
}

static void look_for_state(struct contest *contest, struct plan *plan)
{
    size_t first = (size_t)draw_below(contest, plan, 0, contest->processes);
    for (size_t n = 0; n < contest->processes; n++) {
        struct member *member = &contest->members[(first + n) % contest->processes];
        int wanted = plan->mishap->state;
        if (!member->pid || (wanted != CONTENDER_DONE && state_of(member) != wanted))
            continue;
        set_victim(plan, member);
        set_due(contest, plan, INSTANT_US);
        return;
    }
}

static void look_into_trap(struct contest *contest, struct plan *plan)
{
    size_t caught = atomic_exchange(&trouble->traps[plan->which].caught, 0);
    if (!caught)
        return;
    set_victim(plan, &contest->members[caught - 1]);
    if (plan->which == TROUBLE_STOPS)
        plan->state = PLAN_STOPPED; /* it sees to that itself */
    set_due(contest, plan, plan->which == TROUBLE_STOPS ? STOP_US : GATHER_US);
}

/* Whoever hit the point has died. */
static void look_at_point(struct contest *contest, struct plan *plan)
{
    uint64_t died = atomic_load(&trouble->point_kills) - plan->point_kills;
    if (died == 0)
        return;
    plan->point_kills += died;
    contest->kills_made += died;
    plan->made += died;
    plan->state = PLAN_IDLE;
}

/* Who was about to be caught meanwhile is found by a later look, or was killed on the way. */
static void give_up(struct plan *plan)
{
    atomic_store(&trouble->traps[plan->which].laid, 0);
    if (plan->mishap->way == BY_POINT)
        atomic_store(&trouble->deadly_point, 0);
    plan->state = PLAN_IDLE;
}

static void look_for_victim(struct contest *contest, struct plan *plan)
{
    if (plan->mishap->way == BY_POINT)
        look_at_point(contest, plan);
    else if (plan->mishap->way == BY_STATE)
        look_for_state(contest, plan);
    if (plan->state == PLAN_LAID && clock_ns() >= plan->due_ns)
        give_up(plan);
}

static bool is_gone(const struct plan *plan)
{
    return !plan->victim->pid || plan->victim->life != plan->life;
}

static void strike(const struct contest *contest, struct plan *plan)
{
    struct member *victim = plan->victim;
    plan->state = PLAN_IDLE;
    if (is_gone(plan))
        return;
    if (plan->which == TROUBLE_STOPS) {
        kill(victim->pid, SIGSTOP);
        plan->state = PLAN_STOPPED;
        set_due(contest, plan, STOP_US);
        return;
    }
    if (state_of(victim) == CONTENDER_WRITING) {
        atomic_fetch_add(&contest->board->holder_kills, 1);
        if (plan->mishap->way == BY_TRAP) /* it stands still: nobody is inside before the kill */
            atomic_store(&trouble->killed_ns, clock_ns());
    }
    contest_strike(victim);
    plan->made++;
}

static bool has_stopped(const struct member *member)
{
    siginfo_t about = {0};
    return waitid(P_PID, (id_t)member->pid, &about, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           about.si_pid == member->pid;
}

/* Who has not stopped yet would not hear that it may go on. */
static void let_go_on(const struct contest *contest, struct plan *plan)
{
    if (is_gone(plan)) {
        plan->state = PLAN_IDLE;
    } else if (has_stopped(plan->victim)) {
        if (is_inside(state_of(plan->victim)))
            atomic_fetch_add(&contest->board->holder_stops, 1);
        kill(plan->victim->pid, SIGCONT);
        plan->state = PLAN_IDLE;
        plan->made++;
    }
}

/* False: there is nothing left to be done. */
static bool pursue(struct contest *contest, struct plan *plan)
{
    uint64_t goal = goal_of(contest, plan->which);
    double progress = contest_progress(contest);
    bool ends = progress >= 1 && !contest->transactions; /* its time is over */
    double due = (double)(plan->made + 1) / (double)(goal + 1);
    if (plan->state == PLAN_IDLE && plan->made < goal && progress >= due && !ends)
        lay(contest, plan);
    if (plan->state == PLAN_IDLE || plan->state == PLAN_LAID)
        look_into_trap(contest, plan);
    if (plan->state == PLAN_LAID)
        look_for_victim(contest, plan);
    if (plan->state == PLAN_DUE && clock_ns() >= plan->due_ns)
        strike(contest, plan);
    if (plan->state == PLAN_STOPPED && clock_ns() >= plan->due_ns)
        let_go_on(contest, plan);
    return plan->state != PLAN_IDLE || (plan->made < goal && !ends);
}

void trouble_prepare(void)
{
    memset(trouble, 0, sizeof(*trouble));
    for (enum trouble_plan which = 0; which < TROUBLE_PLANS; which++)
        plans[which] = (struct plan){.which = which};
    faults_points_reset();
}

bool trouble_tend(struct contest *contest)
{
    bool busy = false;
    for (enum trouble_plan which = 0; which < TROUBLE_PLANS; which++)
        busy = pursue(contest, &plans[which]) || busy;
    return busy;
}
