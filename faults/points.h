/* SPDX-License-Identifier: MIT */
/*
 * Every named point of alloc/, txn/ and the workloads of harness/, and a point before and after
 * every system call: counted, and deadly on demand.
 *
 * libfiu finds the points; it can fail one at random, but not at its n-th hit, and its random
 * source cannot be replayed under threads. So each point is enabled with an external callback,
 * which counts hits here. The callback runs wherever the point stands, in a signal handler too: it
 * only touches lock-free atomics and calls kill(2).
 *
 * Counts lie in memory shared with children forked after faults_points_init(): a parent reads what
 * a child did before it died. What is deadly belongs to one process and is inherited by fork.
 */
#ifndef FAULTS_POINTS_H
#define FAULTS_POINTS_H

#include <stddef.h>
#include <stdint.h>

struct faults_point {
    const char *name;
    const char *about; /* where it stands, a sentence */
};

/* The n-th point; NULL past the last. */
const struct faults_point *faults_point_at(size_t n);

size_t faults_point_count(void);

/* Switches every point on. 0 or an errno. Once in a process, before it has threads or children. */
int faults_points_init(void);

/* ENOENT: no such point. */
int faults_point_find(const char *name, size_t *out);

/* How often the n-th point was hit since the last reset, by this process and its children. */
uint64_t faults_point_hits(size_t n);

/* Counts start at 0 again, and no point is deadly. */
void faults_points_reset(void);

/* SIGKILL for this process at hit `hit` (1 is the first) of a point, counted from the last reset.
 * The last call counts. ENOENT: no such point; EINVAL: hit is 0. */
int faults_die_at(const char *name, uint64_t hit);

/* From now on, every hit is told to `watch`, wherever the point stands; NULL: to nobody. */
void faults_points_watch(void (*watch)(size_t n));

#endif
