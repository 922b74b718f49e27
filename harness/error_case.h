/* SPDX-License-Identifier: MIT */
/*
 * One case of the error model: a child lives through a workload on a fresh storage while one use of
 * one system call fails, or that and every later one (faults/io_faults.h). Or a life is cut off at
 * some point, as in the kill model, and the fault strikes whoever recovers what it left. Then the
 * oracle judges what is there, without faults.
 *
 * The life (error_life.c) is that of the kill model, with one transaction by another process which
 * also makes the arena larger, and a second half that has the storage for itself. But it goes on
 * where a call of the library fails, as a program would: it rolls back, or ends the transaction and
 * begins anew, or opens again. What it demands:
 *
 *   1. no call fails before something has failed; what a call may bear, nobody hears of
 *   2. the error that is reported is the one that was given, or that of a poisoned storage
 *   3. a fault that is over hurts nobody: rolling back, beginning and opening work, or say that the
 *      storage is poisoned, which opening heals
 *   4. after a failed sync no begin succeeds until the storage is opened again, in this process or
 * in another that had it open
 *   5. what is seen in the same process is committed state: acknowledged <= R <= begun, and the
 *      content is the model's at R
 *   6. no descriptor is left open, no lock by a begin that fails, and another process comes in
 * while nobody holds it
 *   7. no signal, no abort, no hang
 *
 * What the oracle judges is the page cache, and after a failed sync the medium as well
 * (faults/medium.h), where what was acknowledged as durable must be.
 *
 * A case as text, which `tmf replay` takes; the beginning is that of the kill model:
 *
 *   error:STRATEGY:INDEX:QUANTUM:WORKLOAD:seed=S:txns=N[:durability=D][:point=P:hit=H]
 *   ...:call=C:n=7:errno=E:once      or sticky; errno=one, half, nothing: of the bytes asked for
 *   ...:misuse=M                     no call fails; instead what error_misuse.h says
 *   ...:mutant=M                     the life is lived with a bug of faults/mutants.h
 */
#ifndef HARNESS_ERROR_CASE_H
#define HARNESS_ERROR_CASE_H

#include "faults/io_faults.h"
#include "faults/mutants.h"
#include "harness/error_misuse.h"
#include "harness/kill_case.h"

struct error_case {
    struct kill_case life; /* its death: the fault strikes in the recovery from it */
    struct faults_fault fault;
    const struct error_misuse *misuse;  /* NULL: none */
    const struct faults_mutant *mutant; /* awake in the life or the recovery; NULL: none */
};

/* `to` holds KILL_TEXT_MAX bytes. */
void error_case_format(const struct error_case *one, char *to);
bool error_case_parse(const char *text, struct error_case *out);

/* Of a life that goes on where calls fail; shared with the child. */
struct error_record {
    uint64_t durable;  /* last transaction that was acknowledged as durable */
    uint64_t reported; /* errors that calls of the library returned */
    char first[256];   /* of them */
};

struct error_stage {
    struct kill_stage kill; /* where cases are run; the life */
    struct kill_stage disk; /* likewise, on a disk that may be full; no path: there is none */
    int disk_error;         /* why not */
    struct error_record *record;
};

/* 0 or an errno. From then on calls go through faults/io_faults.h, and no sync is really made.
 * Fault points are switched on before. */
int error_stage_make(const char *dir, struct error_stage *out);
/* `keep`: a person is to look at what is there. */
void error_stage_remove(struct error_stage *stage, bool keep);

/* Whether the fault can be tried here. */
bool error_can_run(const struct error_stage *stage, const struct faults_row *row);

/*
 * The steps of a case; each false when it was violated, and `out` says how.
 *   error_leave   a life, or what is left of one by its death
 *   error_fault   the fault, in the life or in the recovery
 *   error_judge   by the rule of oracle.h
 * error_leave does nothing unless the life has a death. out->reached: the fault struck.
 */
bool error_leave(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out);
bool error_fault(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out);
bool error_judge(struct error_stage *stage, const struct error_case *one, struct kill_outcome *out);

/* A misuse, with what follows from it; the life has neither a death nor a fault. */
bool error_misuse_run(struct error_stage *stage, const struct error_case *one,
                      struct kill_outcome *out);

/* Whatever the case is: all of it. */
bool error_case_run(struct error_stage *stage, const struct error_case *one,
                    struct kill_outcome *out);

/* Looks for the same failure with fewer transactions and operations, and changes `one` to it where
 * there is. */
void error_shrink(struct error_stage *stage, struct error_case *one);

#endif
