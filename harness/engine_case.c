/* SPDX-License-Identifier: MIT */
#include "harness/engine_case.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS          200
#define RECORD_SIZE      400
#define PAGES            4
#define MORE             3 /* transactions made after a recovery, to see that work goes on */
#define TRANSACTIONS_MAX 100000
#define CASE_FOLDER      "case"

enum { LIVED = 0, FAILED = 1 };

struct engine_life {
    volatile uint64_t acknowledged, begun;
    char what[896]; /* went wrong in the child */
};

struct job {
    const struct engine_case *one;
    struct engine_life *life;
    char path[PATH_MAX + 32];
};

struct engine_case engine_case_of(const struct engine *engine,
                                  const struct table_workload *workload, uint64_t seed,
                                  uint64_t transactions, uint64_t step)
{
    struct table_work work = {workload, seed, 0, RECORDS, RECORD_SIZE, PAGES, true};
    return (struct engine_case){engine, work, transactions, step};
}

void engine_case_format(const struct engine_case *one, char to[ENGINE_TEXT_MAX])
{
    snprintf(to, ENGINE_TEXT_MAX, "engine:%s:%s:seed=%" PRIu64 ":txns=%" PRIu64 ":step=%" PRIu64,
             one->engine->name, one->work.workload->name, one->work.seed, one->transactions,
             one->step);
}

bool engine_case_parse(const char *text, struct engine_case *out)
{
    char engine[32], workload[32];
    uint64_t seed, transactions, step;
    int length = 0;
    if (sscanf(text, "engine:%31[^:]:%31[^:]:seed=%" SCNu64 ":txns=%" SCNu64 ":step=%" SCNu64 "%n",
               engine, workload, &seed, &transactions, &step, &length) != 5 ||
        text[length] != 0 || transactions < 1 || transactions > TRANSACTIONS_MAX)
        return false;
    *out = engine_case_of(engine_find(engine), table_workload_find(workload), seed, transactions,
                          step);
    return out->engine && out->work.workload;
}

int engine_stage_make(const char *dir, unsigned patience, struct engine_stage *out)
{
    *out = (struct engine_stage){.patience = patience};
    out->life = child_shared(sizeof(*out->life));
    return out->life ? scratch_make(dir, &out->scratch) : ENOMEM;
}

/* ---- in children */

static int failed(const struct job *job, const char *doing, uint64_t k)
{
    snprintf(job->life->what, sizeof(job->life->what), "%s %" PRIu64 " failed: %s", doing, k,
             engine_explain());
    return FAILED;
}

static int open_table(const struct job *job, void **out)
{
    const struct table_work *work = &job->one->work;
    struct engine_config config = {
        .path = job->path, .records = table_keys(work), .record_size = work->record_size};
    return job->one->engine->open(&config, out);
}

/* Only what writes is begun and acknowledged: what reads leaves no number. */
static int transact(const struct job *job, void *db, uint64_t k, void (*between)(void))
{
    struct table_operation operations[TABLE_OPERATIONS_MAX];
    const struct table_work *work = &job->one->work;
    size_t count = table_plan(work, k, operations);
    bool writes = table_plan_writes(operations, count);
    if (writes)
        job->life->begun = k;
    if (table_transact(job->one->engine, db, work, operations, count, between) != 0)
        return failed(job, "transaction", k);
    if (writes)
        job->life->acknowledged = k;
    return LIVED;
}

static int live(void *context)
{
    const struct job *job = context;
    void *db;
    if (open_table(job, &db) != 0)
        return failed(job, "opening before transaction", 0);
    if (table_load(job->one->engine, db, &job->one->work) != 0)
        return failed(job, "transaction", 0);
    traced_watch(true);
    int status = LIVED;
    for (uint64_t k = 1; k <= job->one->transactions && status == LIVED; k++)
        status = transact(job, db, k, traced_step);
    if (status == LIVED && job->one->engine->close(db) != 0)
        status = failed(job, "closing after transaction", job->one->transactions);
    traced_watch(false);
    return status;
}

static int wrong(const struct job *job, uint64_t found, const char *what)
{
    const struct engine_life *life = job->life;
    snprintf(job->life->what, sizeof(job->life->what),
             "acknowledged %" PRIu64 ", begun %" PRIu64 ", recovered %" PRIu64 "\n%s",
             life->acknowledged, life->begun, found, what);
    return FAILED;
}

/* The model moves to the number that is found, and must be there. */
static int compare(const struct job *job, void *db, struct table_model *model, uint64_t from,
                   uint64_t *found)
{
    struct difference difference;
    if (table_number(job->one->engine, db, &job->one->work, found) != 0)
        return failed(job, "reading the number after transaction", job->life->begun);
    if (*found < from)
        return wrong(job, *found, "an acknowledged transaction is lost");
    if (*found > job->life->begun)
        return wrong(job, *found, "a transaction is there that was never begun");
    while (from < *found)
        table_model_apply(model, &job->one->work, ++from);
    return table_equal(model, job->one->engine, db, &difference)
               ? LIVED
               : wrong(job, *found, difference.what);
}

static int go_on(const struct job *job, void *db, struct table_model *model, uint64_t *number)
{
    for (uint64_t n = 0; n < MORE; n++) {
        if (transact(job, db, ++*number, NULL) != LIVED)
            return FAILED;
        table_model_apply(model, &job->one->work, *number);
    }
    struct difference difference;
    return table_equal(model, job->one->engine, db, &difference)
               ? LIVED
               : wrong(job, *number, difference.what);
}

static int judge_with(const struct job *job, struct table_model *model)
{
    void *db;
    uint64_t number;
    for (uint64_t k = 1; k <= job->life->acknowledged; k++)
        table_model_apply(model, &job->one->work, k);
    if (open_table(job, &db) != 0)
        return failed(job, "opening after transaction", job->life->begun);
    if (compare(job, db, model, job->life->acknowledged, &number) != LIVED ||
        go_on(job, db, model, &number) != LIVED)
        return FAILED;
    if (job->one->engine->close(db) != 0 || open_table(job, &db) != 0)
        return failed(job, "reopening after transaction", number);
    return compare(job, db, model, job->life->acknowledged, &number);
}

static int judge(void *context)
{
    const struct job *job = context;
    struct table_model *model = table_model_new(&job->one->work);
    int status = model ? judge_with(job, model) : wrong(job, 0, "no memory for a model");
    table_model_free(model);
    return status;
}

/* ---- a case */

static void violated(struct engine_outcome *out, const char *who, const struct engine_life *life,
                     const struct child_end *end)
{
    char how[128];
    child_explain(end, how, sizeof(how));
    bool told = end->exited && end->code == FAILED;
    out->holds = false;
    snprintf(out->what, sizeof(out->what), "%s%s", who, told ? life->what : how);
}

static bool lived(const struct child_end *end)
{
    return end->exited && end->code == LIVED;
}

void engine_case_run(struct engine_stage *stage, const struct engine_case *one,
                     struct engine_outcome *out)
{
    struct job job = {.one = one, .life = stage->life};
    char folder[PATH_MAX];
    struct child_end end = {0};
    struct traced_counts counts = {0};
    *out = (struct engine_outcome){.holds = true, .possible = true};
    *stage->life = (struct engine_life){.begun = 0};
    int error = scratch_fresh(&stage->scratch, CASE_FOLDER, folder);
    snprintf(job.path, sizeof(job.path), "%s/table", folder);
    if (error == 0)
        error = traced_run(live, &job, stage->patience, one->step, &counts, &end);
    stage->steps = counts.steps;
    if (error) {
        out->possible = false;
        snprintf(out->what, sizeof(out->what), "a child cannot be traced here: %s",
                 strerror(error));
        return;
    }
    out->reached = one->step && counts.steps == one->step;
    bool died = out->reached && !end.exited && end.signal == SIGKILL;
    if (!died && !lived(&end)) {
        violated(out, "the life before the failure: ", stage->life, &end);
        return;
    }
    error = child_run(judge, &job, stage->patience, &end);
    if (error || !lived(&end))
        violated(out, "", stage->life, &end);
}
