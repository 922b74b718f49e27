/* SPDX-License-Identifier: MIT */
#include "harness/kill_case.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "faults/io_points.h"
#include "faults/points.h"
#include "harness/command.h"

#define SHRINK_TRIES 120
#define CASE_FOLDER  "case"

unsigned kill_patience = 20;

bool kill_take_patience(const char *value)
{
    char *end;
    unsigned long seconds = strtoul(value, &end, 10);
    kill_patience = (unsigned)seconds;
    return *end == 0 && seconds >= 1 && seconds <= 3600;
}

void kill_case_format(const struct kill_case *one, char *to)
{
    const struct workload_place *place = &one->place;
    int length = snprintf(to, KILL_TEXT_MAX, "kill:%s:%s:%zu:%s:seed=%" PRIu64 ":txns=%" PRIu64,
                          place->strategy, place->index, place->quantum, place->workload->name,
                          place->seed, one->transactions);
    size_t at = (size_t)length;
    if (place->durability != TMF_DURABILITY_SYNC)
        at += (size_t)snprintf(to + at, KILL_TEXT_MAX - at, ":durability=%s",
                               durability_name(place->durability));
    at += workload_cut_format(&place->cut, to + at, KILL_TEXT_MAX - at);
    if (one->death.hit)
        at += (size_t)snprintf(to + at, KILL_TEXT_MAX - at, ":point=%s:hit=%" PRIu64,
                               one->death.point, one->death.hit);
    else if (one->after_us)
        at += (size_t)snprintf(to + at, KILL_TEXT_MAX - at, ":after=%" PRIu64 "us", one->after_us);
    if (one->then.hit)
        snprintf(to + at, KILL_TEXT_MAX - at, ":then=%s:then-hit=%" PRIu64, one->then.point,
                 one->then.hit);
}

static bool parse_number(const char *text, const char *unit, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return end != text && strcmp(end, unit) == 0;
}

static bool parse_point(const char *text, const char **out)
{
    size_t n;
    if (faults_point_find(text, &n) != 0)
        return false;
    *out = faults_point_at(n)->name;
    return true;
}

/* One KEY=VALUE of a case. */
static bool parse_pair(char *pair, struct kill_case *out)
{
    char *value = strchr(pair, '=');
    if (!value)
        return false;
    *value++ = 0;
    if (strcmp(pair, "seed") == 0)
        return parse_number(value, "", &out->place.seed);
    if (strcmp(pair, "txns") == 0)
        return parse_number(value, "", &out->transactions);
    if (strcmp(pair, "without") == 0)
        return workload_cut_parse(value, &out->place.cut);
    if (strcmp(pair, "durability") == 0)
        return durability_parse(value, &out->place.durability);
    if (strcmp(pair, "point") == 0)
        return parse_point(value, &out->death.point);
    if (strcmp(pair, "hit") == 0)
        return parse_number(value, "", &out->death.hit);
    if (strcmp(pair, "after") == 0)
        return parse_number(value, "us", &out->after_us);
    if (strcmp(pair, "then") == 0)
        return parse_point(value, &out->then.point);
    if (strcmp(pair, "then-hit") == 0)
        return parse_number(value, "", &out->then.hit);
    return false;
}

/* The next word, or two of them, as trace:FILE. */
static const struct workload *parse_workload(char **rest)
{
    char name[KILL_TEXT_MAX];
    const char *word = strtok_r(NULL, ":", rest);
    if (!word)
        return NULL;
    snprintf(name, sizeof(name), "%s:", word);
    if (!workload_is_trace(name))
        return workload_find(word);
    const char *file = strtok_r(NULL, ":", rest);
    struct difference why;
    snprintf(name, sizeof(name), "%s%s", WORKLOAD_TRACE, file ? file : "");
    const struct workload *trace = workload_trace(name, &why);
    if (!trace)
        fprintf(stderr, "%s\n", why.what);
    return trace;
}

/* STRATEGY:INDEX:QUANTUM:WORKLOAD. */
static bool parse_place(char **rest, struct workload_place *out)
{
    uint64_t quantum;
    char *words[3];
    for (size_t n = 0; n < 3; n++) {
        words[n] = strtok_r(NULL, ":", rest);
        if (!words[n])
            return false;
    }
    out->strategy = name_find(tmf_strategy_name, words[0]);
    out->index = name_find(tmf_index_name, words[1]);
    out->workload = parse_workload(rest);
    if (!out->strategy || !out->index || !out->workload || !parse_number(words[2], "", &quantum))
        return false;
    out->quantum = quantum;
    return true;
}

bool kill_case_parse(const char *text, struct kill_case *out)
{
    char copy[KILL_TEXT_MAX];
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return false;
    *out = (struct kill_case){.place.durability = TMF_DURABILITY_SYNC,
                              .place.log_size = KILL_LOG_SIZE};
    char *rest = NULL;
    char *engine = strtok_r(copy, ":", &rest);
    if (!engine || strcmp(engine, "kill") != 0)
        return false;
    if (!parse_place(&rest, &out->place))
        return false;
    for (char *pair = strtok_r(NULL, ":", &rest); pair; pair = strtok_r(NULL, ":", &rest)) {
        if (!parse_pair(pair, out))
            return false;
    }
    bool complete = !out->death.point == !out->death.hit && !out->then.point == !out->then.hit;
    return complete && out->transactions > 0;
}

int kill_switch_on(const struct arguments *arguments)
{
    int error = faults_points_init();
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "switching the fault points on failed: %s",
                            strerror(error));
    faults_io_points_install();
    return STATUS_HELD;
}

int kill_stage_make(const char *dir, struct kill_stage *out)
{
    out->life = child_shared(sizeof(*out->life));
    if (!out->life)
        return ENOMEM;
    return scratch_make(dir, &out->scratch);
}

/* What a child works with. */
struct job {
    const struct kill_case *one;
    struct kill_life *life;
    char path[KILL_PATH_MAX];
};

static int failed(struct kill_life *life, const char *doing, uint64_t k, int error)
{
    snprintf(life->what, sizeof(life->what), "%s %" PRIu64 " failed: %s", doing, k,
             error_text(error));
    return FAILED;
}

/* Leaves stores of a transaction that nobody commits. */
static int abandon(const struct job *job, tmf_storage *storage, uint64_t k)
{
    tmf_writer *writer;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return failed(job->life, "beginning transaction", k, error);
    error = workload_step_wrongly(&job->one->place, writer, k);
    tmf_write_end(writer);
    return error ? failed(job->life, "abandoned transaction", k, error) : LIVED;
}

/* A commit that returned survives the death of the process, whether it was waited for or not. */
static int transact(const struct job *job, tmf_writer *writer, uint64_t k, uint64_t *ticket)
{
    volatile struct claim *claim = &job->life->claim;
    claim->begun = k;
    int error = workload_step(&job->one->place, writer, k);
    if (error == 0)
        error = workload_commit(&job->one->place, writer, ticket);
    if (error)
        return failed(job->life, "transaction", k, error);
    claim->acknowledged = k;
    return LIVED;
}

/* Transactions [first, last], letting go of the lock now and then. */
static int transact_all(const struct job *job, tmf_storage *storage, uint64_t first, uint64_t last)
{
    tmf_writer *writer = NULL;
    uint64_t ticket = 0;
    int status = LIVED;
    for (uint64_t k = first; k <= last && status == LIVED; k++) {
        int error = writer ? 0 : tmf_write_begin(storage, &writer);
        status = error ? failed(job->life, "beginning transaction", k, error)
                       : transact(job, writer, k, &ticket);
        if (k % KILL_HOLD_PERIOD == 0 || k == last || status != LIVED) {
            tmf_write_end(writer);
            writer = NULL;
            error = tmf_wait(storage, ticket);
            if (status == LIVED && error)
                status = failed(job->life, "waiting for transaction", k, error);
        }
    }
    return status;
}

/* Opens the storage with `size` bytes, makes the transactions, and closes it. */
static int live_session(const struct job *job, size_t size, uint64_t first, uint64_t last)
{
    struct workload_place place = job->one->place;
    place.size = size;
    tmf_storage *storage;
    int error = workload_create(&place, job->path, &storage);
    if (error)
        return failed(job->life, "opening before transaction", first, error);
    volatile struct claim *claim = &job->life->claim;
    claim->size_min = size;
    claim->created = true;
    int status = transact_all(job, storage, first, last);
    if (status == LIVED && workload_may_roll_back(&place))
        status = abandon(job, storage, last + 1);
    error = tmf_close(storage);
    if (status == LIVED && error)
        status = failed(job->life, "closing after transaction", last, error);
    return status;
}

static int refuse(tmf_writer *writer, void *root, uint64_t seed)
{
    (void)writer, (void)root, (void)seed;
    return ECANCELED;
}

int kill_give_up_creation(const struct workload_place *place, const char *path)
{
    struct workload refusing = *place->workload;
    struct workload_place refused = *place;
    tmf_storage *storage;
    refusing.init = refuse;
    refused.workload = &refusing;
    return workload_create(&refused, path, &storage);
}

/* Nothing that a creation has made is left where it was given up. */
static int look_for_remains(const struct job *job)
{
    static const char *const endings[] = {".odb", ".log", ".odb.new"};
    for (size_t n = 0; n < sizeof(endings) / sizeof(endings[0]); n++) {
        char file[KILL_PATH_MAX + 16];
        snprintf(file, sizeof(file), "%s%s", job->path, endings[n]);
        if (access(file, F_OK) == 0) {
            snprintf(job->life->what, sizeof(job->life->what),
                     "a creation that was given up has left its %s", endings[n]);
            return FAILED;
        }
    }
    return LIVED;
}

static int fail_to_create(const struct job *job)
{
    int error = kill_give_up_creation(&job->one->place, job->path);
    return error == ECANCELED ? look_for_remains(job)
                              : failed(job->life, "giving up creation", 0, error);
}

static int live(void *context)
{
    const struct job *job = context;
    uint64_t half = (job->one->transactions + 1) / 2;
    size_t size = job->one->place.workload->arena_size;
    int status = fail_to_create(job);
    if (status == LIVED)
        status = live_session(job, size, 1, half);
    if (status == LIVED)
        status = live_session(job, size + KILL_GROWTH, half + 1, job->one->transactions);
    return status;
}

static int recover(void *context)
{
    const struct job *job = context;
    tmf_storage *storage;
    int error = job->life->claim.created ? workload_open(&job->one->place, job->path, &storage)
                                         : workload_create(&job->one->place, job->path, &storage);
    if (error == 0)
        error = tmf_close(storage);
    return error ? failed(job->life, "recovery, begun", job->life->claim.begun, error) : LIVED;
}

static int judge(void *context)
{
    const struct job *job = context;
    oracle_judge(&job->one->place, job->path, &job->life->claim, &job->life->verdict);
    return LIVED;
}

bool kill_violated(const struct kill_life *life, struct kill_outcome *out, const char *format, ...)
{
    char recovered[32] = "nothing";
    if (life->verdict.recovered != VERDICT_UNKNOWN)
        snprintf(recovered, sizeof(recovered), "%" PRIu64, life->verdict.recovered);
    size_t at = (size_t)snprintf(out->what, sizeof(out->what),
                                 "%sacknowledged %" PRIu64 ", begun %" PRIu64 ", recovered %s\n",
                                 life->claim.created ? "" : "creation was not acknowledged; ",
                                 life->claim.acknowledged, life->claim.begun, recovered);
    va_list list;
    va_start(list, format);
    vsnprintf(out->what + at, sizeof(out->what) - at, format, list);
    va_end(list);
    out->holds = false;
    return false;
}

static int case_path(const struct kill_stage *stage, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/%s", stage->scratch.path, CASE_FOLDER);
    return length < PATH_MAX ? 0 : ENAMETOOLONG;
}

int kill_fresh(const struct kill_stage *stage)
{
    char folder[PATH_MAX];
    return scratch_fresh(&stage->scratch, CASE_FOLDER, folder);
}

void kill_path(const struct kill_stage *stage, char path[KILL_PATH_MAX])
{
    snprintf(path, KILL_PATH_MAX, "%s/%s/storage", stage->scratch.path, CASE_FOLDER);
}

static void prepare(const struct kill_stage *stage, const struct kill_case *one, struct job *out)
{
    *out = (struct job){.one = one, .life = stage->life};
    kill_path(stage, out->path);
}

static void sleep_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

bool kill_run_child(struct kill_stage *stage, int (*body)(void *), void *context, const char *who,
                    uint64_t after_us, struct kill_outcome *out)
{
    pid_t pid;
    struct child_end end;
    char how[128];
    int error = child_start(body, context, kill_patience, &pid);
    if (error)
        return kill_violated(stage->life, out, "starting a child failed: %s", strerror(error));
    if (after_us) {
        sleep_us(after_us);
        kill(pid, SIGKILL);
    }
    child_wait(pid, &end);
    out->timed_out = end.timed_out;
    out->reached = !end.exited && end.signal == SIGKILL;
    if (out->reached || (end.exited && end.code == LIVED))
        return true;
    child_explain(&end, how, sizeof(how));
    bool told = end.exited && end.code == FAILED;
    return kill_violated(stage->life, out, "%s %s", who, told ? stage->life->what : how);
}

bool kill_leave(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out)
{
    *out = (struct kill_outcome){.holds = true};
    *stage->life = (struct kill_life){.verdict.recovered = VERDICT_UNKNOWN};
    int error = kill_fresh(stage);
    if (error)
        return kill_violated(stage->life, out, "making a folder for the case failed: %s",
                             strerror(error));
    workload_cut_use(&one->place.cut);
    faults_points_reset();
    if (one->death.hit)
        faults_die_at(one->death.point, one->death.hit);
    struct job job;
    prepare(stage, one, &job);
    uint64_t after_us = one->death.hit ? 0 : one->after_us;
    bool held = kill_run_child(stage, live, &job, "the life before the failure:", after_us, out);
    /* A death that no one asked for is a crash, or somebody else's kill. */
    if (held && out->reached && !one->death.hit && !after_us)
        return kill_violated(stage->life, out, "the life was killed from outside");
    return held;
}

bool kill_recover(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out)
{
    faults_points_reset();
    if (one->then.hit)
        faults_die_at(one->then.point, one->then.hit);
    struct job job;
    prepare(stage, one, &job);
    bool reached = out->reached;
    bool held = kill_run_child(stage, recover, &job, "recovery:", 0, out);
    out->reached = reached;
    return held;
}

bool kill_judge(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out)
{
    faults_points_reset();
    struct job job;
    prepare(stage, one, &job);
    struct child_end end;
    int error = child_run(judge, &job, kill_patience, &end);
    if (error)
        return kill_violated(stage->life, out, "starting a child failed: %s", strerror(error));
    if (!end.exited || end.code != LIVED) {
        char how[128];
        child_explain(&end, how, sizeof(how));
        out->timed_out = end.timed_out;
        return kill_violated(stage->life, out, "what opened the storage afterwards %s", how);
    }
    const struct verdict *verdict = &stage->life->verdict;
    return verdict->holds || kill_violated(stage->life, out, "%s", verdict->difference.what);
}

bool kill_case_run(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out)
{
    return kill_leave(stage, one, out) && (!one->then.hit || kill_recover(stage, one, out)) &&
           kill_judge(stage, one, out);
}

int kill_save(const struct kill_stage *stage, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    int error = case_path(stage, from);
    if (error == 0)
        error = scratch_fresh(&stage->scratch, name, to);
    return error ? error : scratch_copy(from, to);
}

int kill_restore(const struct kill_stage *stage, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    int length = snprintf(from, sizeof(from), "%s/%s", stage->scratch.path, name);
    if (length >= PATH_MAX)
        return ENAMETOOLONG;
    int error = scratch_fresh(&stage->scratch, CASE_FOLDER, to);
    return error ? error : scratch_copy(from, to);
}

/* ---- the shortest */

struct shrink {
    struct kill_stage *stage;
    struct kill_case shorter; /* that is tried */
    uint64_t hits_max;        /* a death that takes more hits than this is no simpler */
    int tries;
};

/* How often the point is hit in a life that nothing ends. */
static uint64_t count_hits(struct kill_stage *stage, const struct kill_case *one)
{
    struct kill_case whole = *one;
    struct kill_outcome outcome;
    size_t point;
    whole.death.hit = whole.after_us = whole.then.hit = 0;
    if (!kill_leave(stage, &whole, &outcome) || faults_point_find(one->death.point, &point) != 0)
        return 0;
    return faults_point_hits(point);
}

/* Whether it fails with its death at any hit; then that is the first one. A life that fails though
 * nothing ends it has no hits, and is tried once. */
static bool still_fails(void *context)
{
    struct shrink *shrink = context;
    struct kill_case *shorter = &shrink->shorter;
    struct kill_outcome outcome;
    uint64_t before = shorter->death.hit;
    uint64_t hits = before ? count_hits(shrink->stage, shorter) : 0;
    hits = hits < shrink->hits_max ? hits : shrink->hits_max;
    for (shorter->death.hit = before ? 1 : 0; shorter->death.hit <= hits; shorter->death.hit++) {
        if (shrink->tries++ >= SHRINK_TRIES)
            break;
        if (!kill_case_run(shrink->stage, shorter, &outcome))
            return true;
    }
    shorter->death.hit = before;
    return false;
}

/* Fewer transactions, then fewer operations in them. */
void kill_shrink(struct kill_stage *stage, struct kill_case *one)
{
    if (!one->death.hit && one->after_us)
        return; /* an instant says nothing about a shorter life */
    struct shrink shrink = {.stage = stage, .shorter = *one, .hits_max = UINT64_MAX};
    bool found = false;
    for (uint64_t n = 1; !found && n < one->transactions; n++) {
        shrink.shorter.transactions = n;
        found = still_fails(&shrink);
    }
    if (!found)
        shrink.shorter = *one;
    shrink.hits_max = shrink.shorter.death.hit;
    shrink.tries = 0;
    workload_cut_shrink(&shrink.shorter.place, shrink.shorter.transactions, still_fails, &shrink);
    *one = shrink.shorter;
}
