/* SPDX-License-Identifier: MIT */
/*
 * Power fails at every state of a recording, in every way that is looked at, and each image is
 * recovered and judged once, whenever it comes up; what was acknowledged and begun is compared each
 * time. Images are the same if they show the same files with the same content.
 *
 * States are gone through in rounds that look at more and more images of each, so that a campaign
 * cut short has been everywhere. With a depth of 2 and more, the recovery of some images (those
 * that change files, one in so many by their hash) is recorded, and power fails in that likewise.
 */
#ifndef HARNESS_POWER_EXPLORE_H
#define HARNESS_POWER_EXPLORE_H

#include <stdio.h>

#include "harness/power_choice.h"
#include "harness/power_recover.h"

#define POWER_DEPTH_MAX 4u

struct power_settings {
    struct workload_place place;
    uint64_t transactions;
    struct power_procs procs;
    size_t tear; /* 512, 4096, or 0 for none */
    enum disk_model model;
    unsigned depth;
    uint64_t images; /* of a state, at most */
    uint64_t cases;  /* in all; 0: any number */
    double seconds;  /* 0: any time */
    bool until_first;
    unsigned shard, shards;
};

struct power_counts {
    uint64_t steps, states; /* of the life; of several lives, of all */
    double legal_log10;     /* images of all its states; the same one may be counted often */
    uint64_t distinct;      /* that were looked at */
    uint64_t executed, nested, went_on;
    uint64_t unsampled_states; /* that have more legal images than were looked at */
    bool is_cut_short;         /* time or cases were over before all were looked at */
    uint64_t violations;
    double seconds;            /* for all */
    double recovering_seconds; /* of the processor, for loading, recovering and judging */
};

/* Where power failed, and what was left: in the life, then in the recovery from that, and so on. */
struct power_failures {
    unsigned count;
    struct {
        uint64_t event; /* so many had happened */
        struct power_choice choice;
    } at[POWER_DEPTH_MAX];
};

/* The counts of another life beside those that are there. */
void power_counts_add(struct power_counts *to, const struct power_counts *from);

struct power_explorer;

/* Called for a violation, the first time that it is met; `failures` say where. */
typedef void power_violated(void *context, struct power_explorer *explorer,
                            const struct power_failures *failures, const char *what);
/* Called now and then. */
typedef void power_progress(void *context, const struct power_counts *counts);

/* `folder` is empty, and for the life to be lived in; `failures` is where it stands, and may be
 * shared with a parent who wants to know. NULL: `what` says why not. */
struct power_explorer *power_explorer_new(const struct power_settings *settings, const char *folder,
                                          struct power_failures *failures, struct difference *what);
void power_explorer_free(struct power_explorer *explorer);

void power_explore(struct power_explorer *explorer, power_violated *violated,
                   power_progress *progress, void *context, struct power_counts *counts);

/* Judges one image again. True: it holds; else `what` says why not. `trace`: the calls of the last
 * recovery, as memory_fs_trace() has them; NULL: nobody wants to know. */
bool power_try(struct power_explorer *explorer, const struct power_failures *failures, FILE *trace,
               struct power_outcome *outcome, struct difference *what);

/* Only goes there: false, where there is no such image. */
bool power_go_to(struct power_explorer *explorer, const struct power_failures *failures);

/* Fills in failures from a case whose choices are text still; false: they are
 * none of this life. */
bool power_resolve(struct power_explorer *explorer, unsigned count, const uint64_t *events,
                   const char *const *texts, struct power_failures *out);

/* The disk at a failure, at the depth from 0, as power_try() of all before it has left it; its
 * variables are known and its choice applied. */
const struct sim_disk *power_disk_at(struct power_explorer *explorer, unsigned depth);
const struct disk_events *power_events_at(struct power_explorer *explorer, unsigned depth);
/* What was known when an event of that mark happened; and at the last failure. */
const struct claim *power_claim_at(struct power_explorer *explorer, unsigned depth, uint64_t mark);
const struct claim *power_claim_of(struct power_explorer *explorer,
                                   const struct power_failures *failures);

#endif
