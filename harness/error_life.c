/* SPDX-License-Identifier: MIT */
#include "harness/error_life.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <dirent.h>

#include "harness/disk.h"
#include "harness/witness.h"

#define FALLS_MAX       6  /* how often it gets up again */
#define VISIT_SECONDS   10 /* for another process that comes in */
#define VISIT_GROWTH    ((size_t)64 << 10)
#define RECOVERED_EXTRA 2 /* transactions after a recovery under faults */

/* How a step ended: well; with an error that it may report; against what the case demands. */
enum step { WELL, FELL, WRONG };

struct run {
    const struct error_job *job;
    const struct workload_place *place;
    const struct faults_fault *fault;
    struct oracle *oracle;
    tmf_storage *storage; /* NULL: not open */
    tmf_writer *writer;   /* NULL: none */
    uint64_t next;        /* transaction */
    uint64_t ticket;
    uint64_t struck_at_open;
    struct witness witness; /* of syncs that fail */
    bool exclusive;         /* the storage is opened for this process alone */
    unsigned falls;
};

/* What strikes on a full disk is not seen but by its report. */
static uint64_t struck(const struct run *run)
{
    return run->job->disk ? run->job->record->reported : faults_io_struck();
}

static enum step wrong(const struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum step wrong(const struct run *run, const char *format, ...)
{
    struct kill_life *life = run->job->life;
    const char *first = run->job->record->first;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(life->what, sizeof(life->what), format, list);
    va_end(list);
    if (first[0] && length > 0 && (size_t)length < sizeof(life->what))
        snprintf(life->what + length, sizeof(life->what) - (size_t)length,
                 "\nthe first error reported was: %s", first);
    return WRONG;
}

/* ---- errors of the library */

static bool is_told(const struct faults_row *row, int error)
{
    return error == row->error || error == TMF_EPOISONED || error == TMF_ENOTSUPPORTED;
}

static void note(const struct run *run, const char *doing, int error)
{
    struct error_record *record = run->job->record;
    if (record->reported++ == 0)
        snprintf(record->first, sizeof(record->first), "%s: %s", doing, error_text(error));
    if (run->job->disk && !run->fault->sticky)
        disk_resize(run->job->disk, DISK_AMPLE);
}

/* Whether another could come in, where we hold nothing. An open file of its own asks as another
 * process would. */
static bool is_lock_free(const struct run *run)
{
    if (run->writer || (run->storage && run->exclusive))
        return true;
    char file[KILL_PATH_MAX + 16];
    struct flock bytes = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(file, sizeof(file), "%s.log", run->job->path);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    bool is_free =
        fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_OFD_SETLK, &bytes) == 0);
    if (fd >= 0)
        close(fd);
    return is_free;
}

/* What a call returned that began when `before` faults had struck. */
static enum step took(const struct run *run, const char *doing, int error, uint64_t before)
{
    const struct faults_row *row = run->fault->row;
    if (!error)
        return WELL;
    const char *text = error_text(error);
    if (!row || (!run->job->disk && struck(run) == 0))
        return wrong(run, "%s %" PRIu64 " failed, though no call has: %s", doing, run->next, text);
    if (row->answer == FAULTS_MUST_GO_ON)
        return wrong(run, "%s %" PRIu64 " failed, though the fault can be borne: %s", doing,
                     run->next, text);
    bool is_over = !run->fault->sticky && before > 0 && before == struck(run);
    if (is_over && error != TMF_EPOISONED)
        return wrong(run, "%s %" PRIu64 " failed, though the fault is over: %s", doing, run->next,
                     text);
    if (!is_told(row, error))
        return wrong(run, "%s %" PRIu64 " failed with another error than the one there was: %s",
                     doing, run->next, text);
    if (!is_lock_free(run))
        return wrong(run, "%s %" PRIu64 " failed, and a lock is kept: %s", doing, run->next, text);
    note(run, doing, error);
    return FELL;
}

/* ---- what can be seen in the process */

/* On a full tmpfs even reading a hole takes a block, so there only the number is looked at. */
static enum step look(struct run *run, const void *root)
{
    const struct claim *claim = &run->job->life->claim;
    uint64_t number = workload_number(root);
    struct view view = {root, tmf_address(run->storage), tmf_size(run->storage)};
    struct difference difference;
    if (number < claim->acknowledged || number > claim->begun)
        return wrong(run,
                     "the process itself sees transaction %" PRIu64 ", acknowledged %" PRIu64
                     ", begun %" PRIu64,
                     number, claim->acknowledged, claim->begun);
    run->next = number + 1;
    if (run->job->disk)
        return WELL;
    faults_io_suspend(true);
    bool equal = oracle_equal(run->oracle, &view, number, &difference);
    faults_io_suspend(false);
    return equal ? WELL : wrong(run, "the process itself sees: %s", difference.what);
}

static enum step read_back(struct run *run)
{
    tmf_reader *reader;
    uint64_t before = struck(run);
    int error = tmf_read_begin(run->storage, &reader);
    if (error)
        return took(run, "reading after transaction", error, before);
    enum step status = look(run, tmf_reader_root(reader));
    tmf_read_end(reader);
    return status;
}

/* ---- a transaction */

static bool loses_syncs(const struct run *run)
{
    const struct faults_row *row = run->fault->row;
    return row && row->call == FAULTS_CALL_fdatasync && row->kind == FAULTS_LOSE;
}

static bool has_lost_sync(const struct run *run)
{
    return loses_syncs(run) && struck(run) > run->struck_at_open;
}

/* Another process that had the storage open before may not go on either. */
static enum step ask_witness(struct run *run)
{
    int seen = 0;
    if (!run->witness.pid)
        return FELL;
    int error = witness_ask(&run->witness, &seen);
    witness_end(&run->witness);
    if (error)
        return wrong(run, "another process was to read, and is gone: %s", strerror(error));
    if (seen == TMF_EPOISONED)
        return FELL;
    return wrong(run, "a sync failed, and what another process hears of it is: %s",
                 tmf_strerror(seen));
}

static enum step begin(struct run *run)
{
    uint64_t before = struck(run);
    bool is_poisoned = has_lost_sync(run);
    int error = tmf_write_begin(run->storage, &run->writer);
    if (error) {
        run->writer = NULL;
        enum step step = took(run, "beginning transaction", error, before);
        return step == FELL && is_poisoned ? ask_witness(run) : step;
    }
    if (is_poisoned)
        return wrong(run, "a sync failed, and transaction %" PRIu64 " may begin", run->next);
    return look(run, tmf_writer_root(run->writer));
}

/* `status`, or what is worse. */
static enum step end(struct run *run, enum step status)
{
    if (!run->writer)
        return status;
    tmf_write_end(run->writer);
    run->writer = NULL;
    return is_lock_free(run) ? status
                             : wrong(run,
                                     "transaction %" PRIu64 " has ended, and its lock "
                                     "is kept",
                                     run->next);
}

/* A store that fails is told of at the commit. */
static enum step transact(struct run *run)
{
    volatile struct claim *claim = &run->job->life->claim;
    uint64_t k = run->next;
    uint64_t before = struck(run);
    if (claim->begun < k)
        claim->begun = k;
    int error = workload_step(run->place, run->writer, k);
    if (!error)
        error = workload_commit(run->place, run->writer, &run->ticket);
    if (error)
        return took(run, "transaction", error, before);
    claim->acknowledged = k;
    if (run->place->durability == TMF_DURABILITY_SYNC)
        run->job->record->durable = k;
    run->next = k + 1;
    return WELL;
}

/*
 * A program may roll back after an error, or end the transaction at once: every other case. Until
 * then it may go on, and what it stores reaches nothing.
 */
static enum step roll_back(struct run *run)
{
    if (run->falls % 3 == 0)
        (void)workload_step_wrongly(run->place, run->writer, run->next);
    if (++run->falls % 2 == run->fault->nth % 2)
        return FELL;
    uint64_t before = struck(run);
    int error = tmf_rollback(run->writer);
    if (error)
        return took(run, "rolling back transaction", error, before);
    return run->falls > FALLS_MAX ? FELL : look(run, tmf_writer_root(run->writer));
}

static enum step wait_for_durability(struct run *run)
{
    uint64_t before = struck(run);
    uint64_t acknowledged = run->job->life->claim.acknowledged;
    int error = tmf_wait(run->storage, run->ticket);
    if (!error && run->place->durability == TMF_DURABILITY_GROUP)
        run->job->record->durable = acknowledged;
    run->ticket = 0;
    return took(run, "waiting for transaction", error, before);
}

/* Transactions as long as the lock is held. */
static enum step hold(struct run *run, uint64_t last)
{
    enum step status = begin(run);
    bool goes_on = status == WELL;
    while (goes_on) {
        uint64_t k = run->next;
        status = transact(run);
        if (status == FELL)
            status = roll_back(run);
        goes_on = status == WELL && k % KILL_HOLD_PERIOD != 0 && run->next <= last;
    }
    status = end(run, status);
    if (status == WELL)
        status = wait_for_durability(run);
    return status == WELL ? read_back(run) : status;
}

/* ---- open and close */

static enum step call_witness(struct run *run)
{
    witness_end(&run->witness);
    if (!loses_syncs(run) || struck(run) > 0 || run->exclusive)
        return WELL;
    faults_io_suspend(true);
    int error = witness_start(run->place, run->job->path, &run->witness);
    faults_io_suspend(false);
    return error ? wrong(run, "another process could not open: %s", tmf_strerror(error)) : WELL;
}

/* Size 0: as it is. */
static enum step open_storage(struct run *run, size_t size)
{
    struct workload_place place = *run->place;
    struct claim *claim = &run->job->life->claim;
    place.size = size > claim->size_min ? size : claim->size_min;
    place.flags = run->exclusive ? TMF_EXCLUSIVE : 0;
    place.private_size = run->exclusive; /* bytes: no copy outlives its transaction there */
    enum step status = FELL;
    for (int tries = 0; status == FELL && tries < (run->fault->sticky ? 1 : 2); tries++) {
        uint64_t before = struck(run);
        int error = size ? workload_create(&place, run->job->path, &run->storage)
                         : workload_open(&place, run->job->path, &run->storage);
        status = took(run, "opening before transaction", error, before);
    }
    if (status != WELL) {
        run->storage = NULL;
        return status;
    }
    run->struck_at_open = struck(run);
    claim->created = true;
    if (claim->size_min < size)
        claim->size_min = size;
    return call_witness(run);
}

static enum step close_storage(struct run *run)
{
    if (!run->storage)
        return WELL;
    uint64_t before = struck(run);
    int error = tmf_close(run->storage);
    run->storage = NULL;
    return took(run, "closing after transaction", error, before);
}

/* What went wrong is told as it was, not by what a close makes of it. */
static enum step leave(struct run *run, enum step status)
{
    enum step closed = status == WRONG ? WRONG : close_storage(run);
    return status == WELL || closed == WRONG ? closed : status;
}

/* After a fall: begins anew, or where that is refused, opens anew. */
static enum step get_up(struct run *run, size_t size)
{
    if (run->falls++ >= FALLS_MAX)
        return FELL;
    enum step status = end(run, begin(run));
    if (status != FELL)
        return status;
    status = close_storage(run);
    return status == WELL ? open_storage(run, size) : status;
}

/* ---- another process */

static int visit_with(const struct run *run, tmf_storage *storage)
{
    tmf_writer *writer;
    uint64_t ticket = 0;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return error;
    error = workload_step(run->place, writer, run->next);
    if (!error)
        error = workload_commit(run->place, writer, &ticket);
    tmf_write_end(writer);
    return error ? error : tmf_wait(storage, ticket);
}

/* One visitor in two is gone without a close: what it has logged is for us to take over. */
static int visit(void *context)
{
    const struct run *run = context;
    struct workload_place place = *run->place;
    tmf_storage *storage;
    place.size = tmf_size(run->storage) + VISIT_GROWTH;
    int error = workload_create(&place, run->job->path, &storage);
    if (!error) {
        error = visit_with(run, storage);
        if (run->fault->nth % 2 == 0)
            tmf_close(storage);
    }
    if (error)
        wrong(run, "another process could not work: %s", error_text(error));
    return error ? FAILED : LIVED;
}

/* Another process makes the arena larger and a transaction, while we have the storage open. */
static enum step be_visited(struct run *run)
{
    struct claim *claim = &run->job->life->claim;
    struct child_end ended;
    char how[128];
    if (run->job->disk)
        return WELL;
    claim->begun = run->next;
    faults_io_suspend(true);
    int error = child_run(visit, run, VISIT_SECONDS, &ended);
    faults_io_suspend(false);
    if (error)
        return wrong(run, "starting another process failed: %s", strerror(error));
    if (ended.exited && ended.code == FAILED)
        return WRONG;
    if (!ended.exited) {
        child_explain(&ended, how, sizeof(how));
        return wrong(run, "another process, which was to have the lock, %s", how);
    }
    claim->acknowledged = run->job->record->durable = run->next++;
    claim->size_min += VISIT_GROWTH;
    return WELL;
}

/* ---- the life */

static enum step abandon(struct run *run)
{
    enum step status = begin(run);
    if (status != WELL)
        return status;
    uint64_t before = struck(run);
    int error = workload_step_wrongly(run->place, run->writer, run->next);
    status = end(run, took(run, "abandoned transaction", error, before));
    return status == WELL ? read_back(run) : status;
}

static enum step transact_until(struct run *run, size_t size, uint64_t last)
{
    enum step status = WELL;
    while (status == WELL && run->next <= last) {
        status = hold(run, last);
        if (status == FELL)
            status = get_up(run, size);
    }
    return status;
}

/* An open storage from transaction run->next to `last`, 0: nobody writes; `visited`: and one more.
 */
static enum step live_session(struct run *run, size_t size, uint64_t last, bool visited)
{
    enum step status = open_storage(run, size);
    if (status == WELL)
        status = transact_until(run, size, last);
    if (status == WELL && visited) {
        status = be_visited(run);
        if (status == WELL)
            status = transact_until(run, size, last + 2);
    }
    if (status == WELL && last > 0 && workload_may_roll_back(run->place))
        status = abandon(run);
    return leave(run, status);
}

static enum step give_up_creation(struct run *run)
{
    uint64_t before = struck(run);
    int error = kill_give_up_creation(run->place, run->job->path);
    if (error == ECANCELED)
        return WELL;
    return error ? took(run, "giving up creation", error, before)
                 : wrong(run, "a creation went on that its initialiser gave up");
}

/* A storage that nobody has written to is opened again; there is a visitor; it is opened as large
 * as it is; it grows while it is open to nobody else, and beside others. */
static enum step live(struct run *run)
{
    const uint64_t all = run->job->one->life.transactions;
    const struct {
        bool visited, exclusive;
        size_t growth;
        uint64_t last;
    } sessions[] = {{false, false, 0, 0},
                    {true, false, 0, (all + 1) / 2},
                    {false, false, 0, all + 1},
                    {false, true, KILL_GROWTH, all + 2},
                    {false, false, 2 * KILL_GROWTH, all + 3}};
    enum step status = give_up_creation(run);
    for (size_t n = 0; n < sizeof(sessions) / sizeof(*sessions) && status != WRONG; n++) {
        if (n > 0 && status == FELL && run->fault->sticky)
            break;
        run->exclusive = sessions[n].exclusive;
        status = live_session(run, run->place->workload->arena_size + sessions[n].growth,
                              sessions[n].last, sessions[n].visited);
    }
    return status;
}

static enum step recover(struct run *run)
{
    struct claim *claim = &run->job->life->claim;
    size_t size = claim->created ? 0 : run->place->workload->arena_size;
    run->next = claim->acknowledged + 1;
    enum step status = open_storage(run, size);
    if (status == WELL)
        status = read_back(run);
    if (status == FELL && run->storage)
        status = get_up(run, size);
    if (status == WELL)
        status = transact_until(run, size, run->next + RECOVERED_EXTRA - 1);
    return leave(run, status);
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

static int run_body(const struct error_job *job, enum step body(struct run *))
{
    struct run run = {
        .job = job, .place = &job->one->life.place, .fault = &job->one->fault, .next = 1};
    size_t descriptors = count_descriptors();
    faults_io_suspend(true);
    run.oracle = oracle_new(run.place->workload, run.place->seed);
    faults_io_suspend(false);
    if (job->one->mutant)
        faults_mutant_wake(job->one->mutant);
    enum step status = run.oracle ? body(&run) : wrong(&run, "no memory for a model");
    witness_end(&run.witness);
    if (status != WRONG && count_descriptors() != descriptors)
        status = wrong(&run, "%zu descriptors were left open", count_descriptors() - descriptors);
    return status == WRONG ? FAILED : LIVED;
}

int error_live(void *job)
{
    return run_body(job, live);
}

int error_recover(void *job)
{
    return run_body(job, recover);
}
