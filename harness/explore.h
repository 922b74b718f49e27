/* SPDX-License-Identifier: MIT */
/*
 * Threads under a schedule (faults/schedule.h): a few readers and writers, each with a few visits,
 * over a fresh copy of one storage, again and again, each time in another interleaving; by seeds,
 * or all that there are with so many preemptions. contend.h has the rules that each of them checks;
 * and nobody waits for ever, which a schedule knows without a clock. No writer waits for more than
 * three generations of readers, for itself and after each writer before it, on an average; and no
 * reader for more than two writers, whoever dies meanwhile; the latter where not both undo and redo
 * strategies are mixed (see txn/process_lock.c).
 *
 * A case as text, which `tmf replay` takes:
 *
 *   threads:STRATEGY:INDEX:QUANTUM:WORKLOAD:seed=S:txns=VISITS[:durability=D]:readers=R:writers=W
 *       :schedule=SEED:depth=D:length=L   by seed, or
 *       :choices=N.C,N.C...               by choice: decision N is C, all others are 0
 *       [:threads=K]                      of processes: each has K threads, in place of one
 *       [:dies=STEP]                      of processes: who makes that step dies by SIGKILL
 *       [:mixed=STRATEGY,STRATEGY...]     of processes: they take these in turn, on one storage
 *       [:mutant=M]
 *
 * "procs:" in place of "threads:" says that each reader and writer is a process, which opens the
 * storage and closes it; what more threads it has read; explore_procs.c. Contender n is thread n of
 * the schedule: the first threads of the processes, of those that read before those that write;
 * then the second threads of all, in the same order; and so on.
 *
 * All runs of a campaign are made in one child; one that dies takes the rest of it along.
 */
#ifndef HARNESS_EXPLORE_H
#define HARNESS_EXPLORE_H

#include "faults/mutants.h"
#include "faults/schedule.h"
#include "harness/child.h"
#include "harness/command.h"
#include "harness/contend.h"
#include "harness/result.h"

#define EXPLORE_TEXT_MAX ((size_t)2048)

struct exploration {
    struct workload_place place;
    uint64_t visits; /* of each contender */
    uint64_t readers, writers;
    bool processes;     /* that they are, and no threads of one, */
    uint64_t threads;   /* with so many threads each */
    struct names mixed; /* of processes: the strategies that they take in turn; none: place's */
    bool deaths;        /* by seeds: in every other run one dies, at a step that the seed draws */
    uint64_t schedule;  /* the first seed */
    uint64_t schedules; /* so many; of all interleavings, at most so many */
    unsigned depth;
    bool exhaustive;      /* every interleaving, in place of seeds, */
    unsigned preemptions; /* that takes a thread off against its will so often at most */
    const struct faults_mutant *mutant; /* awake; NULL: none */
};

/* What came of it. Lies in child_shared() memory. */
struct explored {
    uint64_t runs, interleavings; /* made, and different ones among them */
    uint64_t steps_max;           /* of one run */
    uint64_t transactions, reads;
    uint64_t generations_max, writers_max; /* as those of a board */
    bool complete;                         /* exhaustive: there are no more */
    bool violated;
    char name[EXPLORE_TEXT_MAX]; /* of the run that was made last */
    char what[4096];             /* violated it */
};

/* All runs, up to the first violation. 0 or an errno: they could not be made. */
int explore(const struct exploration *what, const struct scratch *scratch, struct explored *out);

/* A violation, with the line that replays it. */
void explore_fail(struct result *result, const struct explored *explored);

/* Whether a text is a case of this kind, and so for `tmf replay`. */
bool explore_is_case(const char *text);
int explore_replay(const struct arguments *arguments, const char *text); /* enum status */

/* ---- for explore_procs.c */

struct explore_run {
    const struct exploration *what;
    struct board *board;
    const char *path; /* of the storage */
    /* By a contender that has got in; or NULL. */
    void (*inside)(const struct explore_run *run);
};

/* Where process `number` is, with its strategy. */
struct workload_place explore_place(const struct exploration *what, unsigned number);

/* How many processes, or threads, there are at first; and all contenders. */
unsigned explore_first_count(const struct exploration *what);
unsigned explore_count(const struct exploration *what);
/* The process that contender `number` is of. */
unsigned explore_process(const struct exploration *what, unsigned number);

/* What contender `number` does once it has its turn. */
void explore_compete(const struct explore_run *run, unsigned number, tmf_storage *storage,
                     struct oracle *oracle);

/* Lets processes compete. Violations are noted on the board, which they share. */
void explore_processes(const struct exploration *what, const struct schedule_plan *plan,
                       struct board *board, const char *path);

#endif
