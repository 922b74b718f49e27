/* SPDX-License-Identifier: MIT */
#include "faults/mutants.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIU_ENABLE 1
#include <fiu-control.h>

/* MUTANTS: faults/points_test.cmake compares the names from here on with those in the source. */
static const struct faults_mutant mutants[] = {
    {"arena-sync-ignored", "a commit that undoes takes a failed sync of the arena for a good one"},
    {"log-sync-ignored", "a commit takes a failed sync of the redo log for a good one"},
    {"not-poisoned", "a failed sync is reported, and the storage goes on"},
    {"poison-not-told", "a failed sync is known to the process that made it, and to no other"},
    {"short-write", "a short write is taken for a whole one (flaw D12)"},
    {"interrupted-read", "a read that a signal interrupts fails"},
    {"unlogged-page", "a page becomes writable though the log has no room for it"},
    {"folder-left-open", "a folder that cannot be synced is not closed"},
    {"entering-unseen", "a writer does not see that another thread is on its way in"},
    {"leaving-untold", "the last reader leaves and wakes nobody"},
    {"reader-count", "a writer takes one reader inside for none"},
};
#define MUTANT_COUNT (sizeof(mutants) / sizeof(mutants[0]))

const struct faults_mutant *faults_mutant_at(size_t n)
{
    return n < MUTANT_COUNT ? &mutants[n] : NULL;
}

const struct faults_mutant *faults_mutant_find(const char *name)
{
    for (size_t n = 0; n < MUTANT_COUNT; n++) {
        if (strcmp(mutants[n].name, name) == 0)
            return &mutants[n];
    }
    return NULL;
}

static atomic_bool awake[MUTANT_COUNT];

/* libfiu's callback. */
static int is_awake(const char *name, int *failnum, void **failinfo, unsigned int *flags)
{
    (void)name, (void)failnum, (void)flags;
    return atomic_load(&awake[(const struct faults_mutant *)*failinfo - mutants]);
}

int faults_mutants_init(void)
{
    for (size_t n = 0; n < MUTANT_COUNT; n++) {
        char name[64];
        void *self = (void *)(uintptr_t)&mutants[n]; /* libfiu's pointer is not const */
        (void)snprintf(name, sizeof(name), "mutant/%s", mutants[n].name);
        if (fiu_enable_external(name, 1, self, 0, is_awake) != 0)
            return ENOMEM;
    }
    return 0;
}

void faults_mutant_wake(const struct faults_mutant *mutant)
{
    atomic_store(&awake[mutant - mutants], true);
}
