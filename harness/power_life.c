/* SPDX-License-Identifier: MIT */
/* See power_life.h. */
#include "harness/power_life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "faults/disk_watch.h"
#include "harness/kill_case.h"
#include "harness/power_procs.h"
#include "harness/strategy.h"

#define REDO_LOG ((size_t)16 << 10) /* a few transactions, and then a checkpoint */
#define UNDO_LOG ((size_t)40 << 10) /* most transactions, but not all */

/* Beside what a workload's model holds, for what it allocates and the heap's own use. */
#define ARENA_SPARE ((size_t)28 << 10)

void power_size(struct workload_place *place)
{
    size_t needed = place->workload->model_size / 2 * 3 + ARENA_SPARE;
    bool is_known = !workload_is_trace(place->workload->name);
    place->size = is_known ? needed : place->workload->arena_size;
    place->log_size = strategy_readers_go_on(place->strategy) ? REDO_LOG : UNDO_LOG;
}

bool power_failed(const struct power_life *life, const char *doing, uint64_t k, int error)
{
    return differs(life->what, "%s %" PRIu64 " failed: %s", doing, k, error_text(error));
}

struct claim power_known(const struct power_life *life)
{
    const struct power_claims *claims = life->recording->claims;
    return claims->at[claims->count];
}

/* From here on the recording is about another claim. */
static void claim(struct power_life *life, const struct claim *now)
{
    struct power_claims *claims = life->recording->claims;
    claims->at[++claims->count] = *now;
    disk_events_mark(life->recording->events, claims->count);
}

static bool acknowledge(struct power_life *life, uint64_t k)
{
    struct claim now = power_known(life);
    if (now.acknowledged >= k) /* somebody else, who came later, has waited for it too */
        return true;
    now.acknowledged = k;
    claim(life, &now);
    return true;
}

bool power_open(struct power_life *life, size_t size, uint64_t k, tmf_storage **out)
{
    struct workload_place place = *life->place;
    place.size = size;
    int error = workload_create(&place, life->path, out);
    if (error == TMF_EWRONGSIZE) /* another process has made it larger already */
        error = workload_open(&place, life->path, out);
    if (error)
        return power_failed(life, "opening before transaction", k, error);
    struct claim now = power_known(life);
    if (now.created && now.size_min >= size)
        return true;
    now.created = true;
    now.size_min = size;
    claim(life, &now);
    return true;
}

bool power_transact(struct power_life *life, tmf_writer *writer, uint64_t k, uint64_t *ticket)
{
    struct claim now = power_known(life);
    if (now.begun < k) { /* who began it before has died */
        now.begun = k;
        claim(life, &now);
    }
    int error = workload_step(life->place, writer, k);
    if (error == 0 && life->pause)
        life->pause(life->context);
    if (error == 0)
        error = workload_commit(life->place, writer, ticket);
    if (error)
        return power_failed(life, "transaction", k, error);
    return life->place->durability == TMF_DURABILITY_GROUP || acknowledge(life, k);
}

bool power_rest(struct power_life *life, tmf_storage *storage, tmf_writer *writer, uint64_t k,
                uint64_t ticket)
{
    tmf_write_end(writer);
    int error = tmf_wait(storage, ticket);
    if (error)
        return power_failed(life, "waiting for transaction", k, error);
    return life->place->durability != TMF_DURABILITY_GROUP || acknowledge(life, k);
}

static bool transact_all(struct power_life *life, tmf_storage *storage, uint64_t first,
                         uint64_t last)
{
    tmf_writer *writer = NULL;
    uint64_t ticket = 0;
    for (uint64_t k = first; k <= last; k++) {
        int error = writer ? 0 : tmf_write_begin(storage, &writer);
        if (error)
            return power_failed(life, "beginning transaction", k, error);
        bool done = power_transact(life, writer, k, &ticket);
        if (done && k % KILL_HOLD_PERIOD != 0 && k < last)
            continue;
        done = power_rest(life, storage, writer, k, ticket) && done;
        writer = NULL;
        if (!done)
            return false;
    }
    return true;
}

bool power_abandon(const struct power_life *life, tmf_storage *storage, uint64_t k)
{
    tmf_writer *writer;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return power_failed(life, "beginning abandoned transaction", k, error);
    error = workload_step_wrongly(life->place, writer, k);
    tmf_write_end(writer);
    return !error || power_failed(life, "abandoned transaction", k, error);
}

bool power_close(const struct power_life *life, tmf_storage *storage, uint64_t k)
{
    int error = tmf_close(storage);
    return !error || power_failed(life, "closing after transaction", k, error);
}

static bool live_session(struct power_life *life, size_t size, uint64_t first, uint64_t last)
{
    tmf_storage *storage;
    if (!power_open(life, size, first, &storage))
        return false;
    bool lived = transact_all(life, storage, first, last);
    if (lived && workload_may_roll_back(life->place))
        lived = power_abandon(life, storage, last + 1);
    return power_close(life, storage, last) && lived;
}

static bool live_alone(struct power_life *life)
{
    uint64_t transactions = life->transactions;
    uint64_t half = (transactions + 1) / 2;
    size_t size = life->place->size;
    int error = kill_give_up_creation(life->place, life->path);
    if (error != ECANCELED)
        return power_failed(life, "giving up creation", 0, error);
    return live_session(life, size, 1, half) &&
           (half == transactions ||
            live_session(life, size + POWER_GROWTH, half + 1, transactions));
}

bool power_live(const struct workload_place *place, uint64_t transactions,
                const struct power_procs *procs, const char *folder, struct power_recording *out,
                struct difference *what)
{
    struct power_life life = {
        .place = place, .transactions = transactions, .recording = out, .what = what};
    int length = snprintf(life.path, sizeof(life.path), "%s/%s", folder, POWER_STORAGE);
    if (length < 0 || (size_t)length >= sizeof(life.path))
        return differs(what, "the path of the folder is too long");
    memset(out->claims, 0, sizeof(*out->claims));
    disk_events_clear(out->events);
    int error = disk_watch_start(out->events, folder, place->seed);
    if (error)
        return differs(what, "recording failed: %s", strerror(error));
    bool lived = procs->count ? power_live_together(&life, procs) : live_alone(&life);
    out->steps = disk_watch_end();
    if (lived && out->events->is_full)
        return differs(what, "the life is too long to be recorded: fewer transactions");
    return lived;
}
