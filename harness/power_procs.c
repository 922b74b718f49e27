/* SPDX-License-Identifier: MIT */
/* See power_procs.h. */
#include "harness/power_procs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults/disk_watch.h"
#include "faults/points.h"
#include "harness/child.h"
#include "harness/kill_case.h"
#include "harness/led.h"
#include "harness/random.h"
#include "harness/strategy.h"

#define SCHEDULE_DEPTH 8 /* a life has many places where orderings matter */
#define STEPS_MAX      UINT64_C(2000000)
#define POINTS_MAX     64
#define ANYWHERE_SHARE 4 /* one death in so many is at any step */
#define MEASURE_BYTES  ((size_t)1 << 30)
#define MEASURE_EVENTS ((size_t)1 << 20)

enum { OWN_VIOLATION = 1 };

/* Shared by the processes: what went wrong first. */
static struct difference *first_wrong;

static bool share(void)
{
    if (!first_wrong)
        first_wrong = child_shared(sizeof(*first_wrong));
    if (first_wrong)
        first_wrong->what[0] = 0;
    return first_wrong != NULL;
}

struct company {
    struct power_life life; /* each has its copy */
    const struct power_procs *procs;
    struct oracle *oracle;
};

/* One of them, as it sees itself. */
struct member {
    struct power_life *life;
    const struct power_procs *procs;
    struct oracle *oracle;
    unsigned number;
    uint64_t draws;
    struct workload_place place;
    struct difference what;
};

/* ---- giving way */

static uint64_t draw_below(struct member *self, uint64_t limit)
{
    return random_below(self->procs->schedule, self->number, self->draws++, limit);
}

/* Mostly, all others go first until they wait. */
static void give_way(void *context)
{
    schedule_step(draw_below(context, 3) == 0 ? SCHEDULE_OTHER : SCHEDULE_YIELD);
}

static void on_stuck(const char *what) __attribute__((noreturn));
static void on_stuck(const char *what)
{
    size_t length = (size_t)snprintf(first_wrong->what, sizeof(first_wrong->what), "%s", what);
    schedule_tell(first_wrong->what + length, sizeof(first_wrong->what) - length);
    _exit(OWN_VIOLATION);
}

/* ---- readers */

/* One committed state, none older than what was acknowledged before, the same throughout. */
static bool look(struct member *self, tmf_storage *storage, const void *root, uint64_t acknowledged)
{
    struct power_life *life = self->life;
    struct view view = {root, tmf_address(storage), tmf_size(storage)};
    uint64_t number = workload_number(root);
    uint64_t begun = power_known(life).begun;
    if (number < acknowledged || number > begun)
        return differs(life->what,
                       "a reader sees transaction %" PRIu64 ", must see %" PRIu64 " to %" PRIu64,
                       number, acknowledged, begun);
    if (!oracle_verify(self->oracle, storage, root, life->what))
        return false;
    give_way(self);
    give_way(self);
    return oracle_equal(self->oracle, &view, number, life->what);
}

static bool read_once(struct member *self, tmf_storage *storage)
{
    tmf_reader *reader;
    uint64_t acknowledged = power_known(self->life).acknowledged;
    int error = tmf_read_begin(storage, &reader);
    if (error)
        return power_failed(self->life, "reading after transaction", acknowledged, error);
    bool held = look(self, storage, tmf_reader_root(reader), acknowledged);
    tmf_read_end(reader);
    give_way(self);
    return held;
}

static bool read_some(struct member *self, tmf_storage *storage, uint64_t visits)
{
    bool held = true;
    for (uint64_t n = 0; held && n < visits; n++)
        held = read_once(self, storage);
    return held;
}

/* ---- writers */

static bool write_visit(struct member *self, tmf_storage *storage, uint64_t count)
{
    tmf_writer *writer;
    uint64_t ticket = 0, k = 0;
    bool done = true;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return power_failed(self->life, "beginning a transaction after",
                            power_known(self->life).begun, error);
    for (uint64_t n = 0; done && n < count; n++) {
        k = workload_number(tmf_writer_root(writer)) + 1;
        done = power_transact(self->life, writer, k, &ticket);
    }
    done = power_rest(self->life, storage, writer, k, ticket) && done;
    give_way(self);
    return done;
}

static bool write_some(struct member *self, tmf_storage *storage, uint64_t transactions)
{
    bool done = true;
    for (uint64_t left = transactions, count; done && left > 0; left -= count) {
        count = 1 + draw_below(self, KILL_HOLD_PERIOD);
        count = count < left ? count : left;
        done = write_visit(self, storage, count);
    }
    if (done && transactions > 0 && workload_may_roll_back(self->life->place))
        done = power_abandon(self->life, storage, power_known(self->life).begun + 1);
    return done;
}

/* ---- a process */

static unsigned reader_count(const struct power_procs *procs)
{
    return procs->count / 2;
}

/* Of readers visits, of writers transactions. */
static uint64_t share_of(const struct member *self)
{
    unsigned readers = reader_count(self->procs);
    unsigned writers = self->procs->count - readers;
    uint64_t all = self->life->transactions;
    if (self->number < readers || writers == 0)
        return all;
    return all / writers + (self->number - readers < all % writers);
}

static bool live_session(struct member *self, size_t size, uint64_t share)
{
    tmf_storage *storage;
    uint64_t begun = power_known(self->life).begun;
    if (!power_open(self->life, size, begun, &storage))
        return false;
    give_way(self);
    bool lived = self->number < reader_count(self->procs) ? read_some(self, storage, share)
                                                          : write_some(self, storage, share);
    return power_close(self->life, storage, begun) && lived;
}

/* The n-th from that of the life on, of those that survive power loss and can be had. */
static const char *strategy_in_turn(const char *first, unsigned n)
{
    size_t at = 0;
    char missing[256];
    while (strcmp(tmf_strategy_name(at), first) != 0)
        at++;
    for (;; at = tmf_strategy_name(at + 1) ? at + 1 : 0) {
        const char *name = tmf_strategy_name(at);
        if (strategy_survives(name) == TMF_SURVIVES_POWER &&
            strategy_is_available(name, missing, sizeof(missing)) && n-- == 0)
            return name;
    }
}

static void live(void *context, unsigned number)
{
    struct company *company = context;
    struct power_life *life = &company->life;
    struct member self = {.life = life,
                          .procs = company->procs,
                          .oracle = company->oracle,
                          .number = number,
                          .place = *life->place};
    if (self.procs->is_mixed) {
        self.place.strategy = strategy_in_turn(life->place->strategy, number);
        power_size(&self.place);
    }
    life->place = &self.place;
    life->what = &self.what;
    life->pause = give_way;
    life->context = &self;
    disk_watch_as(number + 1);
    size_t size = self.place.size;
    uint64_t share = share_of(&self);
    bool lived = live_session(&self, size, (share + 1) / 2) &&
                 live_session(&self, size + POWER_GROWTH, share / 2);
    if (!lived && !first_wrong->what[0])
        differs(first_wrong, "process %u (%s): %s", number + 1, self.place.strategy,
                self.what.what);
}

/* ---- all */

/* As a schedule has it. */
static unsigned step_at(const char *point)
{
    size_t n;
    return point && faults_point_find(point, &n) == 0 ? SCHEDULE_POINT + (unsigned)n : 0;
}

bool power_live_together(struct power_life *life, const struct power_procs *procs)
{
    struct difference ended = {""};
    struct company company = {.life = *life, .procs = procs};
    struct schedule_plan plan = {.seed = procs->schedule,
                                 .depth = procs->length ? SCHEDULE_DEPTH : 1,
                                 .length = procs->length,
                                 .steps_max = STEPS_MAX,
                                 .dies_at = procs->dies_at,
                                 .dies_before = step_at(procs->dies_before),
                                 .on_step = disk_watch_step,
                                 .on_stuck = on_stuck};
    struct led led = {.plan = &plan, .count = procs->count, .live = live, .context = &company};
    company.oracle = oracle_new(life->place->workload, life->place->seed);
    if (!share() || !company.oracle)
        return differs(life->what, "no memory");
    bool lived = led_run(&led, &ended);
    oracle_free(company.oracle);
    if (first_wrong->what[0])
        return differs(life->what, "%s", first_wrong->what);
    return lived || differs(life->what, "%s", ended.what);
}

/* How many steps there are to draw from: a life in which nobody is ever taken off. */
static bool measure(const struct workload_place *place, uint64_t transactions, const char *folder,
                    struct power_procs *procs, struct difference *what)
{
    static struct {
        struct disk_events events;
        struct power_claims claims;
    } * shared;
    if (!shared)
        shared = child_shared(sizeof(*shared));
    if (!shared || disk_events_make(&shared->events, MEASURE_BYTES, MEASURE_EVENTS) != 0)
        return differs(what, "no memory");
    faults_points_reset();
    struct power_recording recording = {.events = &shared->events, .claims = &shared->claims};
    bool lived = power_live(place, transactions, procs, folder, &recording, what);
    procs->length = lived ? schedule_outcome()->steps : 0;
    disk_events_free(&shared->events);
    return lived;
}

/* The points of the library that the measured life came by; returns how many. */
static size_t points_met(size_t out[POINTS_MAX])
{
    size_t count = 0;
    for (size_t n = 0; faults_point_at(n) && count < POINTS_MAX; n++) {
        if (strncmp(faults_point_at(n)->name, "txn/", strlen("txn/")) == 0 && faults_point_hits(n))
            out[count++] = n;
    }
    return count;
}

/* Each point is as likely as any other, however often it is met. */
static void draw_death(struct power_procs *procs)
{
    size_t points[POINTS_MAX];
    size_t count = points_met(points);
    uint64_t hits = procs->length;
    bool is_anywhere = random_below(procs->schedule, 0, 0, ANYWHERE_SHARE) == 0;
    size_t point;
    if (!procs->dies_before && count > 0 && !is_anywhere)
        procs->dies_before =
            faults_point_at(points[random_below(procs->schedule, 0, 1, count)])->name;
    if (procs->dies_before && faults_point_find(procs->dies_before, &point) == 0)
        hits = faults_point_hits(point);
    if (hits)
        procs->dies_at = 1 + random_below(procs->schedule, 0, 2, hits);
    else
        procs->dies_before = NULL;
}

bool power_plan(const struct workload_place *place, uint64_t transactions, const char *folder,
                struct power_procs *procs, struct difference *what)
{
    procs->dies_at = 0;
    if (!measure(place, transactions, folder, procs, what))
        return false;
    if (procs->may_die && strategy_survives(place->strategy) != TMF_SURVIVES_NOTHING)
        draw_death(procs);
    else
        procs->dies_before = NULL;
    return true;
}
