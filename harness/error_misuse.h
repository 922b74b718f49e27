/* SPDX-License-Identifier: MIT */
/*
 * Errors that no failing call leads to, for the error model: what a program asks for wrongly, what
 * meets another process or thread and will not wait, and files that somebody has damaged. Each is a
 * row: a storage is made with some transactions, the wrong thing is done once, and the error is the
 * one that the row names. What a program asked for wrongly has changed nothing: the storage works
 * on, and the oracle judges it. Of a damaged storage nothing more is demanded.
 */
#ifndef HARNESS_ERROR_MISUSE_H
#define HARNESS_ERROR_MISUSE_H

#include "faults/mutants.h"
#include "harness/kill_case.h"

struct misuse_scene {
    const struct workload_place *place;
    char path[KILL_PATH_MAX];
    tmf_storage *storage; /* open; NULL: not */
};

struct error_misuse {
    const char *name;
    int (*run)(struct misuse_scene *); /* returns the error that there was, */
    int expected;                      /* which must be this: an errno, or TMF_E... */
    bool is_open;                      /* the storage is open while it is done */
    bool damages;                      /* nothing holds afterwards */
    bool may_pass;                     /* or it goes unseen: then 0 */
};

/* The n-th; NULL past the last. And by name; NULL: there is none. */
const struct error_misuse *error_misuse_at(size_t n);
const struct error_misuse *error_misuse_find(const char *name);

/* Parts of that table: what is done with an open storage; what is done to its files. */
const struct error_misuse *error_misuse_use_at(size_t n);
const struct error_misuse *error_misuse_damage_at(size_t n);

/* Body of a child, with a struct misuse_job. */
struct misuse_job {
    const struct error_misuse *misuse;
    const struct workload_place *place;
    const struct faults_mutant *mutant; /* awake; NULL: none */
    struct kill_life *life;
    char path[KILL_PATH_MAX];
};
int error_misuse_live(void *job);

/* Helpers of rows. Opens what is there, as it is, and closes it again. */
int misuse_open(const struct misuse_scene *scene);
/* A process opens the storage, commits twice, begins another transaction and is gone. 0 or an
 * error. */
int misuse_leave_dead(const struct misuse_scene *scene);
/* The bytes of a file of the storage ("odb", "log"): `from` NULL reads them to `to`, else writes
 * those. 0 or an errno. */
int misuse_bytes(const struct misuse_scene *scene, const char *ending, off_t at, void *to,
                 const void *from, size_t size);

#endif
