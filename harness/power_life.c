/* SPDX-License-Identifier: MIT */
/* See power_life.h. */
#include "harness/power_life.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "faults/disk_watch.h"
#include "harness/kill_case.h"
#include "harness/strategy.h"

#define REDO_LOG ((size_t)16 << 10) /* a few transactions, and then a checkpoint */
#define UNDO_LOG ((size_t)40 << 10) /* most transactions, but not all */

/* Beside what a workload's model holds, for what it allocates and the heap's own use. */
#define ARENA_SPARE ((size_t)28 << 10)

struct life {
    const struct workload_place *place;
    char path[PATH_MAX];
    struct disk_events *events;
    struct power_claims *claims;
    struct difference *what;
};

void power_size(struct workload_place *place)
{
    size_t needed = place->workload->model_size / 2 * 3 + ARENA_SPARE;
    bool is_known = !workload_is_trace(place->workload->name);
    place->size = is_known ? needed : place->workload->arena_size;
    place->log_size = strategy_readers_go_on(place->strategy) ? REDO_LOG : UNDO_LOG;
}

static bool failed(const struct life *life, const char *doing, uint64_t k, int error)
{
    return differs(life->what, "%s %" PRIu64 " failed: %s", doing, k, error_text(error));
}

/* From here on the recording is about another claim. */
static void claim(struct life *life, const struct claim *now)
{
    life->claims->at[++life->claims->count] = *now;
    disk_events_mark(life->events, life->claims->count);
}

static struct claim known(const struct life *life)
{
    return life->claims->at[life->claims->count];
}

static bool acknowledge(struct life *life, uint64_t k)
{
    struct claim now = known(life);
    now.acknowledged = k;
    claim(life, &now);
    return true;
}

static bool transact(struct life *life, tmf_writer *writer, uint64_t k, uint64_t *ticket)
{
    struct claim now = known(life);
    now.begun = k;
    claim(life, &now);
    int error = workload_step(life->place, writer, k);
    if (error == 0)
        error = workload_commit(life->place, writer, ticket);
    if (error)
        return failed(life, "transaction", k, error);
    return life->place->durability == TMF_DURABILITY_GROUP || acknowledge(life, k);
}

/* Lets go of the lock, and waits for what nobody has waited for. */
static bool rest(struct life *life, tmf_storage *storage, tmf_writer *writer, uint64_t k,
                 uint64_t ticket)
{
    tmf_write_end(writer);
    int error = tmf_wait(storage, ticket);
    if (error)
        return failed(life, "waiting for transaction", k, error);
    return life->place->durability != TMF_DURABILITY_GROUP || acknowledge(life, k);
}

static bool transact_all(struct life *life, tmf_storage *storage, uint64_t first, uint64_t last)
{
    tmf_writer *writer = NULL;
    uint64_t ticket = 0;
    for (uint64_t k = first; k <= last; k++) {
        int error = writer ? 0 : tmf_write_begin(storage, &writer);
        if (error)
            return failed(life, "beginning transaction", k, error);
        bool done = transact(life, writer, k, &ticket);
        if (done && k % KILL_HOLD_PERIOD != 0 && k < last)
            continue;
        done = rest(life, storage, writer, k, ticket) && done;
        writer = NULL;
        if (!done)
            return false;
    }
    return true;
}

/* Makes stores, and drops them. */
static bool abandon(const struct life *life, tmf_storage *storage, uint64_t k)
{
    tmf_writer *writer;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return failed(life, "beginning abandoned transaction", k, error);
    error = workload_step_wrongly(life->place, writer, k);
    tmf_write_end(writer);
    return !error || failed(life, "abandoned transaction", k, error);
}

static bool live_session(struct life *life, size_t size, uint64_t first, uint64_t last)
{
    struct workload_place place = *life->place;
    tmf_storage *storage;
    place.size = size;
    int error = workload_create(&place, life->path, &storage);
    if (error)
        return failed(life, "opening before transaction", first, error);
    struct claim now = known(life);
    now.created = true;
    now.size_min = size;
    claim(life, &now);
    bool lived = transact_all(life, storage, first, last);
    if (lived && workload_may_roll_back(life->place))
        lived = abandon(life, storage, last + 1);
    error = tmf_close(storage);
    return lived && (!error || failed(life, "closing after transaction", last, error));
}

static bool live(struct life *life, uint64_t transactions)
{
    uint64_t half = (transactions + 1) / 2;
    size_t size = life->place->size;
    int error = kill_give_up_creation(life->place, life->path);
    if (error != ECANCELED)
        return failed(life, "giving up creation", 0, error);
    return live_session(life, size, 1, half) &&
           (half == transactions ||
            live_session(life, size + POWER_GROWTH, half + 1, transactions));
}

bool power_live(const struct workload_place *place, uint64_t transactions, const char *folder,
                struct disk_events *events, struct power_claims *claims, uint64_t *steps,
                struct difference *what)
{
    struct life life = {.place = place, .events = events, .claims = claims, .what = what};
    int length = snprintf(life.path, sizeof(life.path), "%s/%s", folder, POWER_STORAGE);
    if (length < 0 || (size_t)length >= sizeof(life.path))
        return differs(what, "the path of the folder is too long");
    memset(claims, 0, sizeof(*claims));
    disk_events_clear(events);
    int error = disk_watch_start(events, folder, place->seed);
    if (error)
        return differs(what, "recording failed: %s", strerror(error));
    bool lived = live(&life, transactions);
    *steps = disk_watch_end();
    if (lived && events->is_full)
        return differs(what, "the life is too long to be recorded: fewer transactions");
    return lived;
}
