/* SPDX-License-Identifier: MIT */
/*
 * Contests: what `tmf threads` and `tmf procs` have in common. For each (strategy, index, quantum,
 * workload) there is one: a fresh storage, a crew of processes with contenders in them (contend.h),
 * overseen from outside until the goal is reached; then the oracle judges what they left.
 *
 * The library runs in the crew only: a contender that crashes, or stands still, is a violation and
 * not the end of the command. When the first violation is known, who does not end is killed. Until
 * the end a successor takes the place of each that was killed, or that left.
 */
#ifndef HARNESS_CONTEST_H
#define HARNESS_CONTEST_H

#include <jansson.h>
#include <limits.h>

#include "harness/child.h"
#include "harness/command.h"
#include "harness/contend.h"

struct contest;

/* A process of the crew. */
struct member {
    pid_t pid; /* 0: it has ended for good */
    size_t number;
    uint64_t life; /* so many had its place before */
    struct contest *contest;
    struct workload_place place; /* that of the contest, with its own strategy */
};

struct contest {
    /* What the command says. Without transactions and --time the goal is 1000 transactions. */
    size_t readers, writers;   /* contenders, the readers come first on the board */
    size_t processes;          /* among which they are spread */
    uint64_t transactions;     /* the goal (reads, where nobody writes); 0: none */
    double time_seconds;       /* the end without a goal; 0: none */
    double patience_seconds;   /* nobody stands still for longer; 0: 30 */
    char options[160];         /* the command's own options, as they are typed to replay it */
    int (*crew)(void *member); /* what a process does; it exits with 0 */
    void (*prepare)(void);     /* called before the first process of each; or NULL */
    /* Called often while the crew is at work: may kill. True: it is about to, do not end now. */
    bool (*tend)(struct contest *contest);
    bool (*is_excused)(struct board *board, int error); /* as on the board */
    /* NULL, or the strategies of the processes, in turn; for one contest in place of one each. */
    const struct names *mixed;
    /* What the JSON says of a run beside; NULL: nothing. */
    void (*describe)(const struct contest *contest, json_t *run);

    /* Where one contest stands. */
    const char *command;
    struct workload_place place;
    char strategies[160]; /* its own, or all that are mixed, as they are typed */
    char path[PATH_MAX];
    struct board *board;
    struct member members[CONTENDERS_MAX];
    uint64_t began_ns;
    uint64_t kills_made;
    struct oracle *oracle; /* at what was acknowledged as the last process was started */
};

/* Opens the storage for a member; `extra` bytes larger than the workload needs, unless it is larger
 * already. Violations are noted. False: it did not open. */
bool contest_open(const struct member *member, size_t extra, tmf_storage **out);
void contest_close(const struct member *member, tmf_storage *storage);

/* Makes a contender of `self`, which may have hooks. False: no memory, a violation. */
bool contest_join(const struct member *member, size_t number, struct contend *self);
/* It is done. */
void contest_part(struct contend *self);

/* SIGKILL for a member that lives. */
void contest_strike(struct member *member);

/* How much of the goal is reached: 0 to 1 and beyond. */
double contest_progress(const struct contest *contest);

/* All contests that were asked for. `contest` says what the command says. An enum status. */
int contest_run_all(const struct arguments *arguments, struct contest *contest);

/* Parse option values. False: not a number of that range. */
bool parse_count(const char *value, uint64_t min, uint64_t max, uint64_t *out);
bool parse_real(const char *value, double min, double max, double *out);

#endif
