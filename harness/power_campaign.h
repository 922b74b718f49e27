/* SPDX-License-Identifier: MIT */
/*
 * A campaign of the power model, in a child: it lives, recovers its images, and tells what it found
 * on a board in shared memory; so code under test that crashes or hangs is a violation, with the
 * image it was recovering. The violations that are told are shrunk: the life has as few
 * transactions, those as few operations, and the medium got as little, as will do.
 */
#ifndef HARNESS_POWER_CAMPAIGN_H
#define HARNESS_POWER_CAMPAIGN_H

#include "harness/child.h"
#include "harness/power_case.h"
#include "harness/power_story.h"

#define POWER_REPORTS 3u

struct power_report {
    char name[POWER_TEXT_MAX]; /* the case */
    char what[POWER_STORY_MAX];
    uint64_t transactions;
    unsigned arrived; /* variables that are not as they were at the last sync */
};

struct power_board {
    struct power_counts counts;
    struct power_failures failures; /* where it stands */
    struct power_procs procs;       /* as they were planned */
    struct power_report reports[POWER_REPORTS];
    unsigned report_count;
    bool lived; /* the life could be recorded */
    struct difference what;
};

struct power_campaign {
    struct power_settings settings;
    const struct faults_mutant *mutant; /* awake in the child; NULL: none */
    const struct scratch *scratch;
    struct power_board *board; /* from child_shared() */
};

/* Runs it; afterwards the board says what was found. Points hit while recovering are counted. 0 or
 * an errno. */
int power_campaign_run(struct power_campaign *campaign);

/* Judges one image; the board has a report where it does not hold. `*found`: the life has such an
 * image. 0 or an errno. */
int power_campaign_replay(struct power_campaign *campaign, const struct power_case *one,
                          bool *found);

#endif
