/* SPDX-License-Identifier: MIT */
/* See contend.h for the rules, whose numbers stand below. */
#include "harness/contend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "harness/random.h"

#define TIMEOUT_NS  UINT64_C(1000000)
#define PAUSE_NS    UINT64_C(500000000) /* between two looks: the watch was kept from it */
#define COMMITS_MAX 3                   /* transactions of one visit */

/* One in so many visits begins without waiting, is checked against a second begin, is dropped. */
#define MANNER_PERIOD 4
#define SECOND_PERIOD 8
#define DROP_PERIOD   8

enum draw { DRAW_MANNER, DRAW_SECOND, DRAW_COMMITS, DRAW_DROP, DRAW_COUNT };

const int manner_refusal[MANNER_COUNT] = {0, EBUSY, ETIMEDOUT};

void board_violate(struct board *board, const char *format, ...)
{
    if (atomic_fetch_add(&board->violations, 1) == 0) {
        va_list list;
        va_start(list, format);
        vsnprintf(board->what, sizeof(board->what), format, list);
        va_end(list);
    }
    atomic_store(&board->stop, true);
}

bool board_excuses(struct board *board, int error)
{
    bool excused = board->is_excused && board->is_excused(board, error);
    if (excused)
        atomic_fetch_add(&board->excused, 1);
    return excused;
}

void board_raise(_Atomic uint64_t *number, uint64_t least)
{
    uint64_t is = atomic_load(number);
    while (is < least && !atomic_compare_exchange_weak(number, &is, least))
        ;
}

/* ---- the library's begins and ends, by visit */

static int begin_reading(tmf_storage *storage, enum manner manner, tmf_reader **out)
{
    switch (manner) {
    case MANNER_TRY:
        return tmf_read_begin_try(storage, out);
    case MANNER_TIMED:
        return tmf_read_begin_timed(storage, TIMEOUT_NS, out);
    default:
        return tmf_read_begin(storage, out);
    }
}

static int begin_writing(tmf_storage *storage, enum manner manner, tmf_writer **out)
{
    switch (manner) {
    case MANNER_TRY:
        return tmf_write_begin_try(storage, out);
    case MANNER_TIMED:
        return tmf_write_begin_timed(storage, TIMEOUT_NS, out);
    default:
        return tmf_write_begin(storage, out);
    }
}

int visit_begin(tmf_storage *storage, struct visit *visit, enum manner manner)
{
    return visit->writes ? begin_writing(storage, manner, &visit->writer)
                         : begin_reading(storage, manner, &visit->reader);
}

void visit_end(struct visit *visit)
{
    if (visit->writes)
        tmf_write_end(visit->writer);
    else
        tmf_read_end(visit->reader);
}

static const void *visit_root(const struct visit *visit)
{
    return visit->writes ? tmf_writer_root(visit->writer) : tmf_reader_root(visit->reader);
}

/* ---- one contender */

static uint64_t draw_below(const struct contend *self, enum draw draw, uint64_t limit)
{
    uint64_t seed = random_bits(self->place->seed, self->number, self->life);
    return random_below(seed, self->turn, draw, limit);
}

static struct contender *entry(const struct contend *self)
{
    return &self->board->contenders[self->number];
}

static void step(const struct contend *self)
{
    atomic_fetch_add(&entry(self)->steps, 1);
}

static bool go_on(const struct contend *self)
{
    return atomic_load(&self->board->violations) == 0;
}

/* False, for who returns it. */
static bool violate(struct contend *self, const char *rule, const char *what)
{
    board_violate(self->board, "%s %zu, visit %" PRIu64 ": %s: %s",
                  self->writes ? "writer" : "reader", self->number, self->turn, rule, what);
    return false;
}

static bool violate_error(struct contend *self, const char *call, int error)
{
    char what[640];
    if (board_excuses(self->board, error)) {
        self->must_reopen |= error == TMF_EPOISONED;
        return false;
    }
    snprintf(what, sizeof(what), "%s (%s)", tmf_strerror(error), tmf_explain());
    return violate(self, call, what);
}

/* Lock holders that had been killed, and stopped, when a wait began. */
struct mishaps {
    uint64_t kills, stops;
};

static struct mishaps mishaps_of(struct board *board)
{
    return (struct mishaps){atomic_load(&board->holder_kills), atomic_load(&board->holder_stops)};
}

static void count_wait(struct contend *self, uint64_t wait_ns, struct mishaps before)
{
    struct waits *waits = self->board->waits;
    struct mishaps now = mishaps_of(self->board);
    waits_add(&waits[WAIT_ALL], wait_ns);
    waits_add(&waits[self->writes ? WAIT_WRITE : WAIT_READ], wait_ns);
    if (now.kills != before.kills)
        waits_add(&waits[WAIT_KILL], wait_ns);
    if (now.stops != before.stops)
        waits_add(&waits[WAIT_STOP], wait_ns);
}

/* How many of the writers that it counts got in while it waited behind one of its process. */
static uint64_t before_own_writer(const struct contend *self, uint64_t by_writers)
{
    const struct board *board = self->board;
    uint64_t until = 0;
    for (size_t n = 0; self->beside_writer && n < board->contender_count; n++) {
        const struct contender *other = &board->contenders[n];
        if (!other->writes || other->process != entry(self)->process)
            continue;
        bool waits = atomic_load(&other->state) == CONTENDER_WAITING;
        until = atomic_load(waits ? &board->writer_entries : &other->waited_until);
    }
    uint64_t before = until > self->writers_before ? until - self->writers_before : 0;
    return before < by_writers ? before : by_writers;
}

static void count_overtaking(struct contend *self)
{
    struct board *board = self->board;
    uint64_t generations = 0, by_writers = 0;
    for (size_t n = 0; n < board->contender_count; n++) {
        uint64_t entries = atomic_load(&board->contenders[n].entries) - self->entries_before[n];
        if (board->contenders[n].writes)
            by_writers += entries;
        else if (entries > generations)
            generations = entries;
    }
    if (self->writes)
        board_raise(&board->generations_max, (generations + by_writers) / (1 + by_writers));
    else
        board_raise(&board->writers_max, by_writers - before_own_writer(self, by_writers));
}

/* Whether two may not be inside at a time. */
static bool clash(const struct contender *one, const struct contender *other)
{
    if (one->writes == other->writes)
        return one->writes;
    const struct contender *writer = one->writes ? one : other;
    return one->process == other->process || !writer->readers_go_on;
}

/* Whether it counts only since a wait for other processes began. */
static bool counts_outside(const struct contend *self, const struct contender *other)
{
    bool is_outside = other->process != entry(self)->process;
    return is_outside && (self->writes || (other->writes && !clash(entry(self), other)));
}

/* Whether a writer waits for one that is inside already, and readers do not. */
static bool goes_before(const struct contend *self, const struct contender *other)
{
    return self->writes && other->process != entry(self)->process && other->readers_go_on &&
           atomic_load(&other->state) == CONTENDER_WRITING;
}

void contend_waits(struct contend *self, bool outside)
{
    const struct board *board = self->board;
    bool begins = !self->waits, steps_out = outside && !self->waits_outside;
    self->waits = true;
    self->waits_outside |= outside;
    for (size_t n = 0; n < board->contender_count; n++) {
        const struct contender *other = &board->contenders[n];
        if (begins || (counts_outside(self, other) && (steps_out || !outside)))
            self->entries_before[n] = atomic_load(&other->entries) - goes_before(self, other);
    }
    if (begins)
        self->writers_before = atomic_load(&board->writer_entries);
    if (!begins && self->looks_again)
        count_overtaking(self);
}

/* False: not inside. */
static bool enter(struct contend *self, struct visit *visit)
{
    struct board *board = self->board;
    enum manner manner = MANNER_WAIT;
    if (draw_below(self, DRAW_MANNER, MANNER_PERIOD) == 0)
        manner = self->turn % 2 ? MANNER_TRY : MANNER_TIMED;
    atomic_store(&entry(self)->gives_up, manner == MANNER_TIMED);
    atomic_store(&entry(self)->state, CONTENDER_WAITING);
    struct mishaps before = mishaps_of(board);
    self->waits = self->waits_outside = false;
    if (!self->is_told)
        contend_waits(self, true);
    uint64_t began_ns = clock_ns();
    int error = visit_begin(self->storage, visit, manner);
    self->inside_ns = clock_ns();
    atomic_store(&entry(self)->waited_until, atomic_load(&board->writer_entries));
    step(self);
    if (error) {
        atomic_store(&entry(self)->state, CONTENDER_OUTSIDE);
        if (error == manner_refusal[manner])
            atomic_fetch_add(&board->refused, 1);
        else
            violate_error(self, "begin failed", error); /* rule 5 */
        return false;
    }
    atomic_store(&entry(self)->state, self->writes ? CONTENDER_WRITING : CONTENDER_READING);
    if (manner == MANNER_WAIT) {
        count_wait(self, self->inside_ns - began_ns, before);
        if (self->waits && !self->looks_again)
            count_overtaking(self);
    }
    atomic_fetch_add(&entry(self)->entries, 1);
    if (self->writes)
        atomic_fetch_add(&board->writer_entries, 1);
    return true;
}

static void leave(struct contend *self, struct visit *visit)
{
    atomic_store(&entry(self)->state, CONTENDER_OUTSIDE);
    visit_end(visit);
    waits_add(&self->board->waits[self->writes ? HOLD_WRITE : HOLD_READ],
              clock_ns() - self->inside_ns);
    step(self);
    int error = tmf_wait(self->storage, self->ticket);
    if (error)
        violate_error(self, "waiting for a commit failed", error);
}

/* Rule 4. Each says that it is inside before it looks for others, so of two that overlap at least
 * one sees the other. The last words of the dead are taken back before `dying` is, hence the order
 * of the two loads. */
static void check_alone(struct contend *self)
{
    for (size_t n = 0; n < self->board->contender_count; n++) {
        const struct contender *other = &self->board->contenders[n];
        bool dying = atomic_load(&other->dying);
        int state = atomic_load(&other->state);
        bool inside = state == CONTENDER_WRITING || state == CONTENDER_READING;
        if (n == self->number || dying || !inside || !clash(entry(self), other))
            continue;
        char what[64];
        snprintf(what, sizeof(what), "%s %zu is inside too",
                 state == CONTENDER_WRITING ? "writer" : "reader", n);
        violate(self, "not alone", what);
    }
}

/* Rule 1, and the size. */
static void check_number(struct contend *self, uint64_t number, uint64_t acknowledged,
                         uint64_t size_min)
{
    char what[160];
    uint64_t begun = atomic_load(&self->board->begun);
    if (number < acknowledged || number > begun) {
        snprintf(what, sizeof(what),
                 "the number is %" PRIu64 ", must be from %" PRIu64
                 " (acknowledged, or seen) to %" PRIu64 " (begun)",
                 number, acknowledged, begun);
        violate(self, "another transaction", what);
    }
    if (tmf_size(self->storage) < size_min) {
        snprintf(what, sizeof(what), "%zu bytes, must be %" PRIu64 " or more",
                 tmf_size(self->storage), size_min);
        violate(self, "the arena's growth is not seen", what);
    }
}

/* Rule 5. */
static void check_second_begin(struct contend *self)
{
    for (int writes = 0; writes < 2; writes++) {
        for (enum manner manner = 0; manner < MANNER_COUNT; manner++) {
            struct visit second = {.writes = writes};
            int error = visit_begin(self->storage, &second, manner);
            if (error != EDEADLK)
                violate_error(self, "a second begin of the same thread is not EDEADLK", error);
        }
    }
}

static void at_stage(struct contend *self, enum stage stage, const struct visit *visit)
{
    step(self);
    if (self->at_stage)
        self->at_stage(self, stage, visit);
}

/*
 * By a sleep, as short as it can be. Readers who call sched_yield() in a loop were seen to keep all
 * others, also of other programs, from two processors for half a minute (Linux 6.18).
 */
static void give_way(void)
{
    const struct timespec nap = {.tv_nsec = 1};
    (void)nanosleep(&nap, NULL);
}

/* Rules 2 and 3. */
static void read_all(struct contend *self, const void *root)
{
    struct difference difference;
    struct view view = {root, tmf_address(self->storage), tmf_size(self->storage)};
    uint64_t number = workload_number(root);
    if (!oracle_verify(self->oracle, self->storage, root, &difference)) {
        violate(self, "wrong content", difference.what);
        return;
    }
    board_raise(&self->board->acknowledged, number);
    step(self);
    give_way();
    if (workload_number(root) != number)
        violate(self, "the content changed while it was read", "the number did");
    else if (!oracle_equal(self->oracle, &view, number, &difference))
        violate(self, "the content changed while it was read", difference.what);
    else
        atomic_fetch_add(&self->board->reads, 1);
}

/* Makes the next transaction and commits it. False: violated. */
static bool write_one(struct contend *self, const struct visit *visit)
{
    struct board *board = self->board;
    uint64_t k = workload_number(visit_root(visit)) + 1;
    board_raise(&board->begun, k);
    int error = workload_step(self->place, visit->writer, k);
    if (error)
        return violate_error(self, "making a transaction failed", error);
    at_stage(self, STAGE_STORED, visit);
    error = workload_commit(self->place, visit->writer, &self->ticket);
    if (error)
        return violate_error(self, "a commit failed", error);
    at_stage(self, STAGE_COMMITTED, visit);
    board_raise(&board->acknowledged, k);
    atomic_fetch_add(&board->transactions, 1);
    return true;
}

int contend_store_wrongly(struct contend *self, const struct visit *visit)
{
    uint64_t k = workload_number(visit_root(visit)) + 1;
    return workload_step_wrongly(self->place, visit->writer, k);
}

static void write_some(struct contend *self, const struct visit *visit)
{
    for (uint64_t n = draw_below(self, DRAW_COMMITS, COMMITS_MAX) + 1; n > 0; n--) {
        if (!write_one(self, visit))
            return;
    }
    if (workload_may_roll_back(self->place) && draw_below(self, DRAW_DROP, DROP_PERIOD) == 0) {
        int error = contend_store_wrongly(self, visit); /* which its end takes back */
        if (error)
            violate_error(self, "making a transaction failed", error);
    }
}

static void take_turn(struct contend *self)
{
    struct visit visit = {.writes = self->writes};
    uint64_t acknowledged = atomic_load(&self->board->acknowledged);
    uint64_t size_min = atomic_load(&self->board->size_min);
    if (!enter(self, &visit)) {
        give_way();
        return;
    }
    check_alone(self);
    check_number(self, workload_number(visit_root(&visit)), acknowledged, size_min);
    if (go_on(self))
        at_stage(self, STAGE_INSIDE, &visit);
    if (go_on(self) && draw_below(self, DRAW_SECOND, SECOND_PERIOD) == 0)
        check_second_begin(self);
    if (go_on(self) && self->writes)
        write_some(self, &visit);
    else if (go_on(self))
        read_all(self, visit_root(&visit));
    check_alone(self);
    leave(self, &visit);
}

void contend_run(struct contend *self)
{
    do {
        take_turn(self);
        self->turn++;
    } while (!atomic_load(&self->board->stop) && self->turn != self->turns && !self->must_reopen);
}

/* ---- the watch */

static const char *state_name(int state)
{
    static const char *const names[] = {"not at work yet",      "outside the lock",
                                        "waiting for the lock", "inside, reading",
                                        "inside, writing",      "done"};
    return names[state];
}

void watch_look(struct watch *watch, struct board *board, uint64_t patience_ns)
{
    uint64_t now_ns = clock_ns();
    uint64_t pause_ns = watch->looked_ns ? now_ns - watch->looked_ns : 0;
    watch->looked_ns = now_ns;
    for (size_t n = 0; n < board->contender_count; n++) {
        const struct contender *one = &board->contenders[n];
        if (pause_ns > PAUSE_NS && watch->since_ns[n])
            watch->since_ns[n] += pause_ns;
        uint64_t steps = atomic_load(&one->steps);
        int state = atomic_load(&one->state);
        if (watch->since_ns[n] == 0 || steps != watch->steps[n] || state == CONTENDER_DONE) {
            watch->steps[n] = steps;
            watch->since_ns[n] = now_ns;
        } else if (now_ns - watch->since_ns[n] > patience_ns) {
            watch->since_ns[n] = now_ns;
            board_violate(board, "contender %zu stood still for %.0f s: %s", n,
                          (double)patience_ns / 1e9, state_name(state));
        }
    }
}
