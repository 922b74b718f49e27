/* SPDX-License-Identifier: MIT */
/* See power_explore.h. */
#include "harness/power_explore.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "faults/memory_fs.h"
#include "harness/power_seen.h"
#include "harness/random.h"

#define LIFE_BYTES      ((size_t)1 << 30) /* reserved; what is not used costs nothing */
#define LIFE_EVENTS     ((size_t)1 << 20)
#define RECOVERY_BYTES  ((size_t)256 << 20)
#define RECOVERY_EVENTS ((size_t)1 << 16)
#define ROUND_FIRST     8u /* images of a state in the first round, which is always finished, */
#define ROUND_GROWTH    8u /* and so many times as many in each after it */
#define UNBORN_IMAGES   8u /* at most, while the storage is not there yet: to make one is dear */
#define NESTED_IMAGES   16u
#define NESTED_SHARE    256u /* one image in so many is nested */
#define RECOVERERS_MAX  8
#define GOING_ON_SHARE  16u /* in one in so many work goes on */
#define PROGRESS_PERIOD 256u

/* A recording, and the disk as it is after some of its events. */
struct level {
    struct disk_events events;
    struct sim_disk disk;
    const struct claim *claims; /* by mark */
    size_t memory_used;         /* of the events, before the disk took some */
    size_t applied;
    uint64_t salt;              /* of its images' hashes: that of the image whose recovery it is */
    struct claim own_claims[3]; /* of a recovery: as before, when it is open, when it went on */
};

/* Lies in memory that the processes of a life share. */
struct power_explorer {
    struct power_settings settings;
    struct power_claims claims;
    struct level levels[POWER_DEPTH_MAX];
    struct power_judge *judge;
    const char *recoverers[RECOVERERS_MAX];
    size_t recoverer_count;
    struct power_table table;
    struct power_failures *failures; /* where we are */
    struct power_counts counts;
    struct timespec started;
    bool is_over, is_first_round;
    power_violated *violated;
    power_progress *progress;
    void *context;
};

static double seconds_since(const struct timespec *started)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started->tv_sec) + (double)(now.tv_nsec - started->tv_nsec) / 1e9;
}

/* ---- making and freeing */

static bool make_levels(struct power_explorer *explorer)
{
    const struct power_settings *settings = &explorer->settings;
    for (unsigned n = 0; n < settings->depth; n++) {
        struct level *level = &explorer->levels[n];
        if (disk_events_make(&level->events, n ? RECOVERY_BYTES : LIFE_BYTES,
                             n ? RECOVERY_EVENTS : LIFE_EVENTS) != 0 ||
            sim_disk_make(&level->disk, settings->model, settings->tear, &level->events) != 0)
            return false;
        level->claims = n ? level->own_claims : explorer->claims.at;
    }
    return power_table_make(&explorer->table) == 0;
}

/* All that there may ever be, so that recoveries call them by the same numbers. */
static void name_files(struct disk_events *events)
{
    static const char *const endings[] = {".log", ".odb", ".odb.new"};
    for (size_t n = 0; n < sizeof(endings) / sizeof(endings[0]); n++) {
        char name[64];
        snprintf(name, sizeof(name), "%s%s", POWER_STORAGE, endings[n]);
        disk_events_name(events, name);
    }
}

static void choose_recoverers(struct power_explorer *explorer)
{
    const char *name;
    while (explorer->recoverer_count < RECOVERERS_MAX &&
           (name = power_recoverer(explorer->recoverer_count)))
        explorer->recoverers[explorer->recoverer_count++] = name;
}

struct power_explorer *power_explorer_new(const struct power_settings *settings, const char *folder,
                                          struct power_failures *failures, struct difference *what)
{
    struct power_explorer *explorer =
        mmap(NULL, sizeof(*explorer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (explorer == MAP_FAILED) {
        differs(what, "no memory");
        return NULL;
    }
    workload_cut_use(&settings->place.cut);
    explorer->settings = *settings;
    explorer->failures = failures;
    choose_recoverers(explorer);
    explorer->judge = power_judge_new(&settings->place, settings->transactions);
    struct level *life = &explorer->levels[0];
    struct power_recording recording = {.events = &life->events, .claims = &explorer->claims};
    if (!explorer->judge || !make_levels(explorer)) {
        differs(what, "no memory");
    } else if (power_live(&settings->place, settings->transactions, &settings->procs, folder,
                          &recording, what)) {
        explorer->counts.steps = recording.steps;
        name_files(&life->events);
        life->memory_used = life->events.memory_used;
        return explorer;
    }
    power_explorer_free(explorer);
    return NULL;
}

void power_explorer_free(struct power_explorer *explorer)
{
    for (unsigned n = 0; n < explorer->settings.depth; n++) {
        sim_disk_free(&explorer->levels[n].disk);
        disk_events_free(&explorer->levels[n].events);
    }
    power_table_free(&explorer->table);
    if (explorer->judge)
        power_judge_free(explorer->judge);
    (void)munmap(explorer, sizeof(*explorer));
}

/* ---- going through a recording */

/* The disk before the first event. */
static void rewind_level(struct power_explorer *explorer, unsigned depth)
{
    struct level *level = &explorer->levels[depth];
    level->events.memory_used = level->memory_used;
    level->applied = 0;
    memory_fs_forget();
    if (depth)
        sim_disk_start(&level->disk, &explorer->levels[depth - 1].disk);
    else
        sim_disk_clear(&level->disk);
}

/* To the next state: past all events of one time. */
static bool advance(struct level *level)
{
    const struct disk_events *events = &level->events;
    if (level->applied == events->count)
        return false;
    uint64_t time = events->at[level->applied].time;
    while (level->applied < events->count && events->at[level->applied].time == time)
        sim_disk_apply(&level->disk, &events->at[level->applied++]);
    return true;
}

/* An image that a recovery leaves is one of that recovery, so that the parts of a campaign that is
 * divided add up. */
static uint64_t hash_of(const struct level *level)
{
    uint64_t hash = sim_disk_hash(&level->disk);
    return level->salt ? random_mix(hash + random_mix(level->salt)) : hash;
}

static const struct claim *claim_of(const struct level *level)
{
    return &level->claims[level->applied ? level->events.at[level->applied - 1].mark : 0];
}

/* ---- one image */

static void recover(struct power_explorer *explorer, unsigned depth, uint64_t hash,
                    const struct power_recovery *how, struct power_outcome *outcome,
                    struct difference *what)
{
    struct power_recovery recovery = *how;
    recovery.by = explorer->recoverers[hash / 2 % explorer->recoverer_count];
    memory_fs_load(&explorer->levels[depth].disk);
    memory_fs_use(true);
    power_recover(explorer->judge, &recovery, outcome, what);
    memory_fs_use(false);
}

static bool goes_on(uint64_t hash)
{
    return random_mix(hash) % GOING_ON_SHARE == 0;
}

static void count_execution(struct power_explorer *explorer, unsigned depth,
                            const struct power_outcome *outcome)
{
    struct power_counts *counts = &explorer->counts;
    const struct power_settings *settings = &explorer->settings;
    counts->executed++;
    counts->nested += depth > 0;
    counts->went_on += outcome->went_on;
    if (counts->executed % PROGRESS_PERIOD == 0) {
        counts->seconds = seconds_since(&explorer->started);
        if (explorer->progress)
            explorer->progress(explorer->context, counts);
        counts->is_cut_short |= !explorer->is_first_round && settings->seconds > 0 &&
                                counts->seconds >= settings->seconds;
    }
    counts->is_cut_short |= settings->cases && counts->executed >= settings->cases;
    explorer->is_over |= counts->is_cut_short;
}

/* Of the processor: whoever else uses the machine is not our business. */
static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void execute(struct power_explorer *explorer, unsigned depth, uint64_t hash,
                    struct power_outcome *outcome, struct difference *what)
{
    double began = processor_seconds();
    recover(explorer, depth, hash, &(struct power_recovery){.goes_on = goes_on(hash)}, outcome,
            what);
    explorer->counts.recovering_seconds += processor_seconds() - began;
    count_execution(explorer, depth, outcome);
}

static void report(struct power_explorer *explorer, struct power_seen *seen,
                   const struct difference *what)
{
    if (seen->is_reported)
        return;
    seen->is_reported = true;
    explorer->counts.violations++;
    explorer->violated(explorer->context, explorer, explorer->failures, what->what);
    explorer->is_over |= explorer->settings.until_first;
}

static void explore_recovery(struct power_explorer *explorer, unsigned depth, uint64_t hash);

static bool is_nested(const struct power_explorer *explorer, unsigned depth, uint64_t hash,
                      const struct power_outcome *outcome)
{
    return depth + 1 < explorer->settings.depth && outcome->holds &&
           (outcome->changes > 0 || outcome->is_absent) &&
           random_mix(hash ^ explorer->settings.place.seed) % NESTED_SHARE == 0;
}

/* The image that is chosen. */
static void look_at(struct power_explorer *explorer, unsigned depth)
{
    struct level *level = &explorer->levels[depth];
    uint64_t hash = hash_of(level);
    bool is_new;
    struct difference what = {"as the image that was reported"};
    const struct power_settings *settings = &explorer->settings;
    if (depth == 0 && random_mix(hash) % settings->shards != settings->shard - 1)
        return;
    struct power_seen *seen = power_table_find(&explorer->table, hash, &is_new);
    if (!seen)
        return;
    explorer->counts.distinct += is_new;
    struct power_outcome outcome;
    if (is_new) {
        execute(explorer, depth, hash, &outcome, &what);
        power_seen_set(seen, &outcome);
    } else {
        outcome = power_seen_get(seen);
    }
    if (!outcome.holds || !power_within(claim_of(level), &outcome, &what))
        report(explorer, seen, &what);
    else if (is_new && is_nested(explorer, depth, hash, &outcome))
        explore_recovery(explorer, depth + 1, hash);
}

/* ---- one state */

static void add_legal(struct power_counts *counts, double log)
{
    double high = counts->legal_log10 > log ? counts->legal_log10 : log;
    double low = counts->legal_log10 > log ? log : counts->legal_log10;
    counts->legal_log10 = counts->states ? high + log10(1 + pow(10, low - high)) : log;
}

void power_counts_add(struct power_counts *to, const struct power_counts *from)
{
    if (from->states)
        add_legal(to, from->legal_log10);
    to->steps += from->steps;
    to->states += from->states;
    to->distinct += from->distinct;
    to->executed += from->executed;
    to->nested += from->nested;
    to->went_on += from->went_on;
    to->unsampled_states += from->unsampled_states;
    to->is_cut_short |= from->is_cut_short;
    to->violations += from->violations;
    to->seconds += from->seconds;
    to->recovering_seconds += from->recovering_seconds;
}

static void count_state(struct power_explorer *explorer, const struct level *level)
{
    if (level != &explorer->levels[0] || !explorer->is_first_round)
        return;
    struct power_counts *counts = &explorer->counts;
    uint64_t most = explorer->settings.images;
    add_legal(counts, power_legal_log10(&level->disk));
    counts->states++;
    uint64_t looked_at = power_choice_count(&level->disk, most, true);
    counts->unsampled_states += log10((double)looked_at) < power_legal_log10(&level->disk) - 1e-9;
}

static void explore_state(struct power_explorer *explorer, unsigned depth, uint64_t limit,
                          bool is_last_round)
{
    struct level *level = &explorer->levels[depth];
    sim_disk_vary(&level->disk);
    count_state(explorer, level);
    if (!claim_of(level)->created && limit > UNBORN_IMAGES)
        limit = UNBORN_IMAGES;
    uint64_t count = power_choice_count(&level->disk, limit, is_last_round);
    explorer->failures->count = depth + 1;
    explorer->failures->at[depth].event = level->applied;
    struct power_choice *choice = &explorer->failures->at[depth].choice;
    uint64_t seed = explorer->settings.place.seed + level->disk.generation;
    for (uint64_t n = 0; n < count && !explorer->is_over; n++) {
        power_choose_nth(&level->disk, n, count, seed, choice);
        power_choice_apply(&level->disk, choice);
        look_at(explorer, depth);
        explorer->failures->count = depth + 1;
    }
}

/* Where neither the disk nor what is known has changed, there is nothing new. */
static void explore_level(struct power_explorer *explorer, unsigned depth, uint64_t limit,
                          bool is_last_round)
{
    struct level *level = &explorer->levels[depth];
    uint64_t generation = UINT64_MAX;
    const struct claim *known = NULL;
    rewind_level(explorer, depth);
    do {
        if (level->disk.generation != generation || claim_of(level) != known)
            explore_state(explorer, depth, limit, is_last_round);
        generation = level->disk.generation;
        known = claim_of(level);
    } while (!explorer->is_over && advance(level));
}

/* ---- recoveries */

static void note_recovered(void *context, const struct power_outcome *outcome)
{
    struct level *level = context;
    struct claim *claims = level->own_claims;
    claims[1] = (struct claim){.created = true,
                               .acknowledged = outcome->recovered,
                               .begun = outcome->recovered + 1,
                               .size_min = outcome->size};
    disk_events_mark(&level->events, 1);
}

/* Recovers the image that is chosen at the depth before, and records it. */
static bool record_recovery(struct power_explorer *explorer, unsigned depth, uint64_t hash)
{
    struct level *level = &explorer->levels[depth];
    struct level *before = &explorer->levels[depth - 1];
    struct power_outcome outcome;
    struct difference what;
    disk_events_clear(&level->events);
    memcpy(level->events.names, before->events.names, sizeof(level->events.names));
    level->events.name_count = before->events.name_count;
    level->own_claims[0] = *claim_of(before);
    level->salt = hash;
    memory_fs_record(&level->events);
    recover(
        explorer, depth - 1, hash,
        &(struct power_recovery){.goes_on = true, .recovered = note_recovered, .context = level},
        &outcome, &what);
    memory_fs_record(NULL);
    level->memory_used = level->events.memory_used;
    return outcome.holds && !level->events.is_full;
}

static void explore_recovery(struct power_explorer *explorer, unsigned depth, uint64_t hash)
{
    if (record_recovery(explorer, depth, hash))
        explore_level(explorer, depth, NESTED_IMAGES, false);
    memory_fs_forget();
}

/* ---- all */

void power_explore(struct power_explorer *explorer, power_violated *violated,
                   power_progress *progress, void *context, struct power_counts *counts)
{
    uint64_t most = explorer->settings.images;
    explorer->violated = violated;
    explorer->progress = progress;
    explorer->context = context;
    explorer->is_first_round = true;
    clock_gettime(CLOCK_MONOTONIC, &explorer->started);
    for (uint64_t limit = ROUND_FIRST; !explorer->is_over; limit *= ROUND_GROWTH) {
        bool is_last = limit >= most;
        explore_level(explorer, 0, is_last ? most : limit, is_last);
        explorer->is_first_round = false;
        if (is_last)
            break;
    }
    explorer->counts.seconds = seconds_since(&explorer->started);
    *counts = explorer->counts;
}

/* ---- one image again */

static bool go_to(struct power_explorer *explorer, unsigned depth, uint64_t event)
{
    struct level *level = &explorer->levels[depth];
    rewind_level(explorer, depth);
    while (level->applied < event && advance(level))
        ;
    sim_disk_vary(&level->disk);
    return level->applied == event;
}

static void show(struct power_explorer *explorer, unsigned depth,
                 const struct power_failures *failures)
{
    power_choice_apply(&explorer->levels[depth].disk, &failures->at[depth].choice);
}

/* As far as the last disk, with its variables known and nothing chosen. */
bool power_go_to(struct power_explorer *explorer, const struct power_failures *failures)
{
    bool found = go_to(explorer, 0, failures->at[0].event);
    for (unsigned depth = 1; found && depth < failures->count; depth++) {
        show(explorer, depth - 1, failures);
        uint64_t hash = hash_of(&explorer->levels[depth - 1]);
        found = record_recovery(explorer, depth, hash) &&
                go_to(explorer, depth, failures->at[depth].event);
    }
    return found;
}

bool power_try(struct power_explorer *explorer, const struct power_failures *failures, FILE *trace,
               struct power_outcome *outcome, struct difference *what)
{
    unsigned last = failures->count - 1;
    const struct level *level = &explorer->levels[last];
    if (!power_go_to(explorer, failures))
        return differs(what, "the way there is another one now");
    show(explorer, last, failures);
    uint64_t hash = hash_of(level);
    memory_fs_trace(trace);
    recover(explorer, last, hash, &(struct power_recovery){.goes_on = goes_on(hash)}, outcome,
            what);
    memory_fs_trace(NULL);
    return outcome->holds && power_within(claim_of(level), outcome, what);
}

bool power_resolve(struct power_explorer *explorer, unsigned count, const uint64_t *events,
                   const char *const *texts, struct power_failures *out)
{
    out->count = 0;
    for (unsigned depth = 0; depth < count; depth++) {
        out->count = depth + 1;
        out->at[depth].event = events[depth];
        if (!power_go_to(explorer, out) ||
            !power_choice_parse(&explorer->levels[depth].disk, texts[depth],
                                &out->at[depth].choice))
            return false;
    }
    return true;
}

const struct sim_disk *power_disk_at(struct power_explorer *explorer, unsigned depth)
{
    return &explorer->levels[depth].disk;
}

const struct disk_events *power_events_at(struct power_explorer *explorer, unsigned depth)
{
    return &explorer->levels[depth].events;
}

const struct claim *power_claim_at(struct power_explorer *explorer, unsigned depth, uint64_t mark)
{
    return &explorer->levels[depth].claims[mark];
}

const struct claim *power_claim_of(struct power_explorer *explorer,
                                   const struct power_failures *failures)
{
    return claim_of(&explorer->levels[failures->count - 1]);
}
