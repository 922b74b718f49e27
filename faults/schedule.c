/* SPDX-License-Identifier: MIT */
/*
 * See schedule.h. Only the thread whose turn it is looks at what is here, and the semaphore that
 * gives the turn on orders that. Two threads of a process may have a turn of another process
 * between theirs, whose semaphores ThreadSanitizer does not see: it is told of the order.
 */
#include "faults/schedule.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults/points.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define TURN_BEGINS(what) __tsan_acquire(what)
#define TURN_ENDS(what)   __tsan_release(what)
#else
#define TURN_BEGINS(what) ((void)(what))
#define TURN_ENDS(what)   ((void)(what))
#endif

#define STEP_NS       UINT64_C(10000) /* that a step takes */
#define CHANGES_KEPT  24
#define NOBODY        SCHEDULE_THREADS_MAX
#define HASH_MULTIPLY UINT64_C(0x9e3779b97f4a7c15)

enum state { READY, WAITING, LEFT, NOT_YET };

struct thread {
    sem_t turn;
    enum state state;
    pid_t process;     /* that it is one of */
    const void *thing; /* waited for */
    uint64_t until_ns;
    bool timed_out;
    int64_t priority;
};

struct change {
    unsigned thread, what;
};

static struct world {
    const struct schedule_plan *plan;
    struct schedule_outcome outcome;
    struct thread threads[SCHEDULE_THREADS_MAX];
    unsigned count, current;
    unsigned what[SCHEDULE_THREADS_MAX]; /* the step that each is about to make */
    uint64_t now_ns;
    int64_t lowest;  /* priority */
    uint64_t deadly; /* steps that count for plan->dies_at */
    uint64_t changes_at[SCHEDULE_DEPTH_MAX];
    struct change changes[CHANGES_KEPT];
    uint64_t change_count;
} of_threads, *world = &of_threads; /* or, of processes, memory that they share */

static char turns; /* stands for the order of those of this process */

static _Thread_local unsigned me; /* the thread's number, plus one; 0: takes no part */

const char schedule_file_locks;

/* ---- numbers that the seed draws */

static uint64_t draw(uint64_t number)
{
    uint64_t x = (world->plan->seed + 1) * HASH_MULTIPLY + number;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Priorities are a permutation, above those of the changes. */
static void draw_priorities(void)
{
    for (unsigned n = 0; n < world->count; n++) {
        unsigned other = (unsigned)(draw(n) % (n + 1));
        world->threads[n].priority = world->threads[other].priority;
        world->threads[other].priority = (int64_t)SCHEDULE_DEPTH_MAX + n;
    }
    for (unsigned n = 0; n + 1 < world->plan->depth; n++)
        world->changes_at[n] = 1 + draw(SCHEDULE_THREADS_MAX + n) % (world->plan->length + 1);
}

/* ---- who goes on */

static bool can_go_on(struct thread *thread)
{
    if (thread->state == WAITING && thread->until_ns <= world->now_ns) {
        thread->state = READY;
        thread->timed_out = true;
    }
    return thread->state == READY;
}

static bool pass_time(void)
{
    uint64_t first = SCHEDULE_FOREVER;
    for (unsigned n = 0; n < world->count; n++) {
        const struct thread *thread = &world->threads[n];
        if (thread->state == WAITING && thread->until_ns < first)
            first = thread->until_ns;
    }
    world->now_ns = first;
    return first != SCHEDULE_FOREVER;
}

static unsigned pick_by_priority(void)
{
    unsigned best = NOBODY;
    for (unsigned n = 0; n < world->count; n++) {
        if (can_go_on(&world->threads[n]) &&
            (best == NOBODY || world->threads[n].priority > world->threads[best].priority))
            best = n;
    }
    return best;
}

static unsigned choose(const unsigned *from, unsigned count, bool is_free)
{
    struct schedule_outcome *out = &world->outcome;
    const struct schedule_plan *plan = world->plan;
    if (count < 2 || out->decision_count == SCHEDULE_DECISIONS_MAX)
        return count ? from[0] : NOBODY;
    size_t n = out->decision_count++;
    unsigned chosen = n < plan->choice_count ? plan->choices[n].chosen : 0;
    if (chosen >= count) {
        out->diverged = true;
        chosen = 0;
    }
    out->decisions[n] = (struct schedule_decision){(uint8_t)chosen, (uint8_t)count, is_free};
    return from[chosen];
}

/* First comes the current one, or last if it gives way; the others in a circle from it. */
static unsigned pick_by_choice(bool gives_way)
{
    unsigned all[SCHEDULE_THREADS_MAX];
    unsigned count = 0;
    bool is_first = world->change_count == 0;
    bool is_free = is_first || gives_way || !can_go_on(&world->threads[world->current]);
    for (unsigned n = gives_way ? 1 : 0; n < world->count + (gives_way ? 1 : 0); n++) {
        unsigned thread = (world->current + n) % world->count;
        if (can_go_on(&world->threads[thread]))
            all[count++] = thread;
    }
    return choose(all, count, is_free);
}

static unsigned pick(bool gives_way)
{
    return world->plan->by_choice ? pick_by_choice(gives_way) : pick_by_priority();
}

/* Who is not there yet comes only with one that is. */
static bool all_left(void)
{
    for (unsigned n = 0; n < world->count; n++) {
        if (world->threads[n].state == READY || world->threads[n].state == WAITING)
            return false;
    }
    return true;
}

/* ---- turns */

static void note_turn(unsigned next)
{
    uint64_t *hash = &world->outcome.hash;
    *hash = (*hash ^ (world->what[next] * SCHEDULE_THREADS_MAX + next + 1)) * HASH_MULTIPLY;
    *hash ^= *hash >> 32;
    if (next == world->current && world->change_count > 0)
        return;
    world->changes[world->change_count++ % CHANGES_KEPT] = (struct change){next, world->what[next]};
    world->current = next;
}

/* Gives the turn on; NOBODY is left to take it when all have left. */
static unsigned next_turn(bool gives_way)
{
    unsigned next = pick(gives_way);
    if (next == NOBODY && !all_left()) {
        if (!pass_time())
            world->plan->on_stuck("all threads wait for each other");
        next = pick(gives_way);
    }
    if (next != NOBODY)
        note_turn(next);
    return next;
}

static void post_turn(unsigned next)
{
    TURN_ENDS(&turns);
    (void)sem_post(&world->threads[next].turn);
}

static void await_turn(struct thread *self)
{
    while (sem_wait(&self->turn) != 0 && errno == EINTR)
        ;
    TURN_BEGINS(&turns);
}

static void give_turn(bool gives_way)
{
    unsigned self = me - 1;
    unsigned next = next_turn(gives_way);
    if (next == self)
        return;
    post_turn(next);
    await_turn(&world->threads[self]);
}

static bool is_deadly(unsigned what)
{
    const struct schedule_plan *plan = world->plan;
    if (plan->dies_before && plan->dies_before != what)
        return false;
    return ++world->deadly == plan->dies_at;
}

static void count_step(unsigned what)
{
    struct schedule_outcome *out = &world->outcome;
    const struct schedule_plan *plan = world->plan;
    struct thread *self = &world->threads[me - 1];
    out->steps++;
    world->what[me - 1] = what;
    world->now_ns += STEP_NS;
    if (out->steps > plan->steps_max)
        plan->on_stuck("there is no end");
    for (unsigned n = 0; n + 1 < plan->depth; n++) {
        if (world->changes_at[n] == out->steps)
            self->priority = (int64_t)n;
    }
    if (what == SCHEDULE_YIELD)
        self->priority = --world->lowest;
    if (is_deadly(what))
        kill(getpid(), SIGKILL);
}

static const char *what_name(unsigned what)
{
    static const char *const names[] = {"taking a mutex", "a yield"};
    if (what >= SCHEDULE_POINT)
        return faults_point_at(what - SCHEDULE_POINT)->name;
    return what < SCHEDULE_OTHER ? names[what] : "a step of its own";
}

static void tell_step(const char *where)
{
    if (world->plan->on_step)
        world->plan->on_step(where);
}

void schedule_step(unsigned what)
{
    if (!me)
        return;
    tell_step(what_name(what));
    if (what >= SCHEDULE_POINT && world->plan->coarse)
        return;
    count_step(what);
    give_turn(what == SCHEDULE_YIELD);
}

static void on_point(size_t point)
{
    schedule_step(SCHEDULE_POINT + (unsigned)point);
}

bool schedule_wait(const void *thing, uint64_t until_ns)
{
    struct thread *self = &world->threads[me - 1];
    tell_step("a wait");
    self->state = WAITING;
    self->thing = thing;
    self->until_ns = until_ns;
    self->timed_out = false;
    give_turn(false);
    return self->timed_out;
}

void schedule_wake(const void *thing)
{
    for (unsigned n = 0; n < world->count; n++) {
        struct thread *thread = &world->threads[n];
        bool is_same =
            thing == &schedule_file_locks || thread->process == world->threads[me - 1].process;
        if (thread->state == WAITING && thread->thing == thing && is_same)
            thread->state = READY;
    }
}

void schedule_will_wait(const void *thing)
{
    if (world->plan->on_wait)
        world->plan->on_wait(thing);
}

uint64_t schedule_now_ns(void)
{
    return world->now_ns;
}

bool schedule_choose_next(unsigned preemptions, struct schedule_decision *choices, size_t *count)
{
    const struct schedule_outcome *outcome = &world->outcome;
    unsigned taken_off = 0;
    size_t next = SIZE_MAX;
    for (size_t n = 0; n < outcome->decision_count; n++) {
        const struct schedule_decision *made = &outcome->decisions[n];
        bool may_change = made->is_free || made->chosen > 0 || taken_off < preemptions;
        if (made->chosen + 1 < made->alternatives && may_change)
            next = n;
        taken_off += !made->is_free && made->chosen > 0;
    }
    if (next == SIZE_MAX)
        return false;
    memcpy(choices, outcome->decisions, (next + 1) * sizeof(*choices));
    choices[next].chosen++;
    *count = next + 1;
    return true;
}

/* ---- taking part */

void schedule_begin(const struct schedule_plan *plan, unsigned threads, unsigned later)
{
    faults_points_watch(on_point);
    memset(&world->threads, 0, sizeof(world->threads));
    memset(&world->what, 0, sizeof(world->what));
    world->plan = plan;
    world->count = threads + later;
    world->current = 0;
    world->now_ns = STEP_NS;
    world->lowest = 0;
    world->deadly = 0;
    world->change_count = 0;
    world->outcome.steps = world->outcome.hash = world->outcome.decision_count = 0;
    world->outcome.diverged = false;
    for (unsigned n = 0; n < world->count; n++) {
        world->threads[n].state = n < threads ? READY : NOT_YET;
        (void)sem_init(&world->threads[n].turn, world != &of_threads, 0);
    }
    draw_priorities();
}

int schedule_share(void)
{
    void *shared =
        mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    world = shared;
    return 0;
}

void schedule_go(void)
{
    post_turn(next_turn(false));
}

const struct schedule_outcome *schedule_outcome(void)
{
    return &world->outcome;
}

void schedule_join(unsigned thread)
{
    struct thread *self = &world->threads[thread];
    await_turn(self);
    self->process = getpid();
    me = thread + 1;
}

void schedule_come(unsigned thread)
{
    world->threads[thread].process = getpid(); /* which may die before that has its first turn */
    world->threads[thread].state = READY;
}

void schedule_await(unsigned thread)
{
    const struct thread *other = &world->threads[thread];
    while (other->state != LEFT)
        (void)schedule_wait(other, SCHEDULE_FOREVER);
}

pid_t schedule_fork(void)
{
    unsigned self = me;
    me = 0; /* what fork() calls in either is no step */
    pid_t pid = fork();
    if (pid != 0)
        me = self;
    return pid;
}

void schedule_leave(void)
{
    tell_step("the end");
    struct thread *self = &world->threads[me - 1];
    self->state = LEFT;
    schedule_wake(self);
    unsigned next = next_turn(false);
    me = 0;
    if (next != NOBODY)
        post_turn(next);
}

void schedule_bury(pid_t process)
{
    for (unsigned n = 0; n < world->count; n++) {
        struct thread *thread = &world->threads[n];
        if (thread->process == process)
            thread->state = LEFT;
        else if (thread->state == WAITING)
            thread->state = READY; /* for what the dead had: let them look */
    }
    unsigned next = next_turn(false);
    if (next != NOBODY)
        post_turn(next);
}

bool schedule_takes_part(void)
{
    return me != 0;
}

/* ---- for people */

void schedule_tell(char *to, size_t size)
{
    uint64_t count = world->change_count;
    size_t length = 0;
    for (uint64_t n = count > CHANGES_KEPT ? count - CHANGES_KEPT : 0; n < count; n++) {
        const struct change *change = &world->changes[n % CHANGES_KEPT];
        if (length < size)
            length += (size_t)snprintf(to + length, size - length, "\n%u goes on, before %s",
                                       change->thread, what_name(change->what));
    }
}
