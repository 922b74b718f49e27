/* SPDX-License-Identifier: MIT */
/* See power_recover.h. */
#include "harness/power_recover.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "faults/memory_fs.h"
#include "harness/strategy.h"

#define KNOWN_STATES   4 /* of one R */
#define GOINGS_ON_MOST 5 /* one after each of POWER_DEPTH_MAX recoveries, and one to spare */
#define PATH           "/power/" POWER_STORAGE

const char *power_recoverer(size_t n)
{
    const char *name;
    for (size_t i = 0; (name = tmf_strategy_name(i)); i++) {
        bool needs_no_fault = strategy_must_touch(name) || !strategy_readers_go_on(name);
        if (needs_no_fault && strategy_survives(name) == TMF_SURVIVES_POWER && n-- == 0)
            return name;
    }
    return NULL;
}

struct known {
    uint64_t hashes[KNOWN_STATES];
    size_t count;
};

struct power_judge {
    struct workload_place place;
    struct oracle **oracles; /* one for each R, so that none has to go back */
    struct known *known;
    uint64_t states; /* R from 0 to states - 1 */
};

struct power_judge *power_judge_new(const struct workload_place *place, uint64_t transactions)
{
    struct power_judge *judge = calloc(1, sizeof(*judge));
    if (!judge)
        return NULL;
    judge->place = *place;
    judge->place.durability = TMF_DURABILITY_SYNC;
    judge->states = transactions + 1 + GOINGS_ON_MOST;
    judge->oracles = calloc(judge->states, sizeof(struct oracle *));
    judge->known = calloc(judge->states, sizeof(*judge->known));
    bool made = judge->oracles && judge->known;
    for (uint64_t n = 0; made && n < judge->states; n++) {
        judge->oracles[n] = oracle_new(place->workload, place->seed);
        made = judge->oracles[n] != NULL;
    }
    if (made)
        return judge;
    power_judge_free(judge);
    return NULL;
}

void power_judge_free(struct power_judge *judge)
{
    for (uint64_t n = 0; judge->oracles && n < judge->states; n++)
        oracle_free(judge->oracles[n]);
    free(judge->oracles);
    free(judge->known);
    free(judge);
}

/* ---- content */

static bool is_known(const struct known *known, uint64_t hash)
{
    for (size_t n = 0; n < known->count; n++) {
        if (known->hashes[n] == hash)
            return true;
    }
    return false;
}

static bool judge_content(struct power_judge *judge, tmf_storage *storage, const void *root,
                          uint64_t *recovered, struct difference *what)
{
    uint64_t number = workload_number(root);
    *recovered = number;
    if (number >= judge->states)
        return differs(what, "transaction %" PRIu64 " is there, which was never begun", number);
    const void *arena = tmf_address(storage);
    uint64_t hash = XXH3_64bits_withSeed(arena, tmf_size(storage), (uintptr_t)arena);
    struct known *known = &judge->known[number];
    if (is_known(known, hash))
        return true;
    if (!oracle_verify(judge->oracles[number], storage, root, what))
        return false;
    if (known->count < KNOWN_STATES)
        known->hashes[known->count++] = hash;
    return true;
}

/* ---- going on */

static bool close_storage(tmf_storage *storage, struct difference *what)
{
    int error = tmf_close(storage);
    unsigned left = memory_fs_open_descriptors();
    if (error)
        return differs(what, "closing failed: %s", error_text(error));
    return left == 0 || differs(what, "%u descriptors are left open", left);
}

static bool go_on(struct power_judge *judge, const struct workload_place *place,
                  tmf_storage *storage, tmf_writer *writer, struct power_outcome *out,
                  struct difference *what)
{
    uint64_t k = out->recovered + 1;
    uint64_t now;
    int error = tmf_touch(writer, tmf_address(storage), tmf_size(storage));
    if (error == 0)
        error = workload_step_straight(place, writer, k);
    if (error == 0)
        error = tmf_commit(writer);
    if (error)
        return differs(what, "transaction %" PRIu64 " after recovery failed: %s", k,
                       error_text(error));
    out->went_on = true;
    return judge_content(judge, storage, tmf_writer_root(writer), &now, what) &&
           (now == k || differs(what, "transaction %" PRIu64 " is not there", k));
}

static bool judge_again(struct power_judge *judge, const struct workload_place *place, uint64_t k,
                        struct difference *what)
{
    tmf_storage *storage;
    tmf_reader *reader;
    uint64_t now = 0;
    int error = workload_open(place, PATH, &storage);
    if (error)
        return differs(what, "it does not open again: %s", error_text(error));
    error = tmf_read_begin_try(storage, &reader);
    bool holds = error == 0 || differs(what, "reading it again failed: %s", error_text(error));
    if (!error) {
        holds = judge_content(judge, storage, tmf_reader_root(reader), &now, what) &&
                (now == k ||
                 differs(what, "opened again, it holds transaction %" PRIu64 ", must hold %" PRIu64,
                         now, k));
        tmf_read_end(reader);
    }
    return close_storage(storage, what) && holds;
}

/* ---- one image */

static int open_image(const struct workload_place *place, tmf_storage **storage, bool *is_absent)
{
    int error = workload_open(place, PATH, storage);
    *is_absent = error == ENOENT;
    return *is_absent ? workload_create(place, PATH, storage) : error;
}

static bool judge_open(struct power_judge *judge, const struct workload_place *place,
                       const struct power_recovery *how, tmf_storage *storage,
                       struct power_outcome *out, struct difference *what)
{
    tmf_writer *writer;
    int error = tmf_write_begin_try(storage, &writer);
    if (error)
        return differs(what, "it opens, but a transaction does not begin: %s", error_text(error));
    out->size = tmf_size(storage);
    out->changes = memory_fs_changes();
    bool holds = judge_content(judge, storage, tmf_writer_root(writer), &out->recovered, what);
    if (holds && how->recovered)
        how->recovered(how->context, out);
    if (holds && how->goes_on)
        holds = go_on(judge, place, storage, writer, out, what);
    tmf_write_end(writer);
    return holds;
}

void power_recover(struct power_judge *judge, const struct power_recovery *how,
                   struct power_outcome *out, struct difference *what)
{
    struct workload_place place = judge->place;
    tmf_storage *storage;
    *out = (struct power_outcome){.recovered = VERDICT_UNKNOWN};
    place.strategy = how->by;
    int error = open_image(&place, &storage, &out->is_absent);
    if (error) {
        differs(what, "it does not open: %s", error_text(error));
        return;
    }
    out->holds = judge_open(judge, &place, how, storage, out, what);
    out->holds = close_storage(storage, what) && out->holds;
    if (out->holds && how->goes_on)
        out->holds = judge_again(judge, &place, out->recovered + 1, what);
}

bool power_within(const struct claim *claim, const struct power_outcome *outcome,
                  struct difference *what)
{
    if (outcome->is_absent)
        return !claim->created || differs(what, "the storage is not there, though it was created");
    if (outcome->recovered < claim->acknowledged)
        return differs(what, "an acknowledged transaction is lost");
    if (outcome->recovered > claim->begun)
        return differs(what, "a transaction is there that was never begun");
    return outcome->size >= claim->size_min ||
           differs(what, "the arena has %zu bytes, must have %zu or more", outcome->size,
                   claim->size_min);
}
