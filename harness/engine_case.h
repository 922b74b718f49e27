/* SPDX-License-Identifier: MIT */
/*
 * The kill model for an engine of any kind: a child works on a table and is killed at one of its
 * steps, which are its system calls and the instants between two operations of a transaction
 * (traced.h); the engine recovers; then the rule of oracle.h is applied: it opens, acknowledged <=
 * R <= begun, the content is the model's at R, work goes on, and all of that after reopening too.
 *
 * A case as text, which `tmf replay` takes:
 *
 *   engine:NAME:WORKLOAD:seed=S:txns=N:step=K     (step 0: it lives to its end)
 */
#ifndef HARNESS_ENGINE_CASE_H
#define HARNESS_ENGINE_CASE_H

#include "harness/table.h"
#include "harness/traced.h"

#define ENGINE_TEXT_MAX ((size_t)256)

struct engine_case {
    const struct engine *engine;
    struct table_work work;
    uint64_t transactions;
    uint64_t step; /* that it dies at; 0: none */
};

/* Where cases are run. */
struct engine_stage {
    struct scratch scratch;
    struct engine_life *life; /* shared with the children */
    unsigned patience;        /* seconds for a child */
    uint64_t steps;           /* of the life that was lived last */
};

struct engine_outcome {
    bool holds;
    bool reached;  /* it died at the step */
    bool possible; /* false: children cannot be traced here, nothing was tried */
    char what[1024];
};

/* A case with the table's size and all else that is no choice of anybody's. */
struct engine_case engine_case_of(const struct engine *engine,
                                  const struct table_workload *workload, uint64_t seed,
                                  uint64_t transactions, uint64_t step);
void engine_case_format(const struct engine_case *one, char to[ENGINE_TEXT_MAX]);
bool engine_case_parse(const char *text, struct engine_case *out);

int engine_stage_make(const char *dir, unsigned patience, struct engine_stage *out); /* errno */
void engine_case_run(struct engine_stage *stage, const struct engine_case *one,
                     struct engine_outcome *out);

#endif
