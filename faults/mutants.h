/* SPDX-License-Identifier: MIT */
/*
 * Mutants: bugs that are in the library built for the harness and sleep until they are switched on
 * (TMF_MUTANT in alloc/point.h). A harness that does not find them would not find such bugs of ours
 * either: `tmf mutants` tells which it finds. Some are bugs that were made in this library once;
 * flaws are those of the original.
 *
 * To add one: TMF_MUTANT("name") at a place where it reads well, and a row here.
 */
#ifndef FAULTS_MUTANTS_H
#define FAULTS_MUTANTS_H

#include <stddef.h>

struct faults_mutant {
    const char *name;
    const char *about;      /* what it breaks, a sentence */
    const char *model;      /* the command that must find it */
    const char *setting;    /* options of that command, by which it finds it soon */
    const char *equivalent; /* why nobody can find it; NULL: it must be found */
};

/* The n-th mutant; NULL past the last. And by name; NULL: there is none. */
const struct faults_mutant *faults_mutant_at(size_t n);
const struct faults_mutant *faults_mutant_find(const char *name);

/*
 * Makes all of them known to libfiu, asleep: it asks for memory when it is asked for a name that it
 * does not know, and some stand where a signal handler comes by. 0 or an errno. Part of
 * faults_points_init(); once more does nothing.
 */
int faults_mutants_init(void);

/* Wakes it, in this process and its children, for good, and no other. After the init, and before
 * there are threads. */
void faults_mutant_wake(const struct faults_mutant *mutant);

#endif
