/* SPDX-License-Identifier: MIT */
/*
 * One case of the power model as text, which `tmf replay` takes; the beginning is that of the kill
 * model:
 *
 *   power:STRATEGY:INDEX:QUANTUM:WORKLOAD:seed=S:txns=N[:durability=D]:tear=512:fs=posix
 *                                   the life alone, which nothing disturbs
 *   ...:procs=N:schedule=S:length=L[:dies=D[:before=P]]
 *                                   processes live it (power_procs.h), of which one dies at step D,
 *                                   or at hit D of point P; `mixed` in place of `procs`: they take
 *                                   the strategies in turn
 *   ...:without=K.N+K.N             without these operations (workload_cut.h), before the tear
 *   ...:event=E:image=old+3.1+7.2   power fails when so many events have happened, and leaves that;
 *                                   once more for a failure in the recovery from it, and so on
 *   ...:mutant=M                    with a bug of faults/mutants.h
 */
#ifndef HARNESS_POWER_CASE_H
#define HARNESS_POWER_CASE_H

#include "faults/mutants.h"
#include "harness/power_explore.h"

#define POWER_TEXT_MAX ((size_t)3072)

struct power_case {
    struct power_settings settings;
    const struct faults_mutant *mutant; /* NULL: none */
    unsigned count;                     /* of failures; 0: it is a whole life */
    uint64_t events[POWER_DEPTH_MAX];
    const char *images[POWER_DEPTH_MAX]; /* in `copy` */
    char copy[POWER_TEXT_MAX];
};

/* "512", "4096" or "none"; "posix" or "ext4"; and back, false: neither. */
const char *power_tear_name(size_t tear);
bool power_tear_parse(const char *word, size_t *out);
const char *power_model_name(enum disk_model model);
bool power_model_parse(const char *word, enum disk_model *out);

/* The life, without failures. `to` holds POWER_TEXT_MAX bytes. */
void power_case_format(const struct power_settings *settings, char *to);

/* With failures, which power_try() was asked about last, and the mutant. */
void power_case_format_failures(struct power_explorer *explorer,
                                const struct power_settings *settings,
                                const struct power_failures *failures,
                                const struct faults_mutant *mutant, char *to);

bool power_case_parse(const char *text, struct power_case *out);

#endif
