/* SPDX-License-Identifier: MIT */
/*
 * The life that the power model looks at: it is lived once, in this process, on real files, and
 * recorded (faults/disk_watch.h); afterwards power fails at every step of the recording.
 *
 * A life is that of the kill model: a creation that is given up; creation, half of the
 * transactions, one that is abandoned, close; opened larger, the other half, likewise. The arena
 * and the log are small, so that an image is, and that the log is full now and then.
 *
 * Or several processes live over one storage, led by a schedule: power_procs.h.
 */
#ifndef HARNESS_POWER_LIFE_H
#define HARNESS_POWER_LIFE_H

#include <limits.h>

#include "faults/disk_events.h"
#include "faults/schedule.h"
#include "harness/oracle.h"

#define POWER_STORAGE          "storage" /* the last part of its path */
#define POWER_TRANSACTIONS_MAX ((uint64_t)1000)
#define POWER_GROWTH           ((size_t)64 << 10) /* of the second half, bytes */

/* What was known, by the mark of an event: another at every begin and acknowledgement. */
struct power_claims {
    struct claim at[3 * POWER_TRANSACTIONS_MAX + (uint64_t)4 * SCHEDULE_THREADS_MAX];
    uint64_t count;
};

/* Who lives it, where it is not one process alone. */
struct power_procs {
    unsigned count; /* 0: it is */
    bool is_mixed;  /* they take the strategies that survive power loss in turn */
    bool may_die;   /* one of them does, where dies_at is to be drawn */
    uint64_t schedule;
    uint64_t length;         /* steps among which the schedule draws; 0: to be found out */
    uint64_t dies_at;        /* the step at which one of them dies; 0: nobody does */
    const char *dies_before; /* a point: its hits are counted, by whomever; NULL: all steps */
};

/* The events and claims lie in memory that is shared with children. */
struct power_recording {
    struct disk_events *events;
    struct power_claims *claims;
    uint64_t steps;
};

/* How the storage of a life is made: workload_place with its sizes filled in. */
void power_size(struct workload_place *place);

/*
 * Lives in `folder`, which is empty. False: a call of the library failed, `what` says which, or the
 * recording is full.
 */
bool power_live(const struct workload_place *place, uint64_t transactions,
                const struct power_procs *procs, const char *folder, struct power_recording *out,
                struct difference *what);

/* ---- what lives are made of */

struct power_life {
    const struct workload_place *place;
    uint64_t transactions;
    char path[PATH_MAX];
    struct power_recording *recording;
    struct difference *what;
    void (*pause)(void *context); /* when the stores of a transaction are made; or NULL */
    void *context;
};

/* What is known by now. */
struct claim power_known(const struct power_life *life);

/* Each does what it says and records what is known then. False: it failed, life->what says how. */
bool power_failed(const struct power_life *life, const char *doing, uint64_t k, int error);
bool power_open(struct power_life *life, size_t size, uint64_t k, tmf_storage **out);
bool power_transact(struct power_life *life, tmf_writer *writer, uint64_t k, uint64_t *ticket);
/* Lets go of the lock, and waits for what nobody has waited for. */
bool power_rest(struct power_life *life, tmf_storage *storage, tmf_writer *writer, uint64_t k,
                uint64_t ticket);
/* Makes stores, and drops them. */
bool power_abandon(const struct power_life *life, tmf_storage *storage, uint64_t k);
bool power_close(const struct power_life *life, tmf_storage *storage, uint64_t k);

#endif
