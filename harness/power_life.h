/* SPDX-License-Identifier: MIT */
/*
 * The life that the power model looks at: it is lived once, in this process, on real files, and
 * recorded (faults/disk_watch.h); afterwards power fails at every step of the recording.
 *
 * A life is that of the kill model: a creation that is given up; creation, half of the
 * transactions, one that is abandoned, close; opened larger, the other half, likewise. The arena
 * and the log are small, so that an image is, and that the log is full now and then.
 */
#ifndef HARNESS_POWER_LIFE_H
#define HARNESS_POWER_LIFE_H

#include "faults/disk_events.h"
#include "harness/oracle.h"

#define POWER_STORAGE          "storage" /* the last part of its path */
#define POWER_TRANSACTIONS_MAX ((uint64_t)1000)
#define POWER_GROWTH           ((size_t)64 << 10) /* of the second half, bytes */

/* What was known, by the mark of an event: another at every begin and acknowledgement. */
struct power_claims {
    struct claim at[3 * POWER_TRANSACTIONS_MAX + 16];
    uint64_t count;
};

/* How the storage of a life is made: workload_place with its sizes filled in. */
void power_size(struct workload_place *place);

/*
 * Lives in `folder`, which is empty. False: a call of the library failed, `what` says which, or the
 * recording is full.
 */
bool power_live(const struct workload_place *place, uint64_t transactions, const char *folder,
                struct disk_events *events, struct power_claims *claims, uint64_t *steps,
                struct difference *what);

#endif
