/* SPDX-License-Identifier: MIT */
/*
 * What befalls the processes of `tmf procs` from outside: some are killed, some are stopped for a
 * while and go on. Both are spread evenly over the contest, each by a plan of its own, in which the
 * kinds of mishaps take turns:
 *
 *   IDLE ─ its time has come ─▶ LAID ─ a victim is known ─▶ DUE ─ after a while: SIGKILL ─▶ IDLE
 *                                                            │ or SIGSTOP           SIGCONT ▲
 *                                                            └──────────▶ STOPPED ──────────┘
 *
 * How a victim is found:
 *
 *   trap   the first process that comes to a place says so and stands still there, lock in hand;
 *          others gather before the lock; then it is killed, or goes on
 *   point  the first process that hits a named point of the library, drawn from those that were hit
 *          in this contest already, kills itself there (faults/points.h)
 *   state  a process that says of itself that it waits, reads or writes, at some instant of that
 *
 * A plan that finds no victim in time gives up, and goes on with another mishap.
 */
#ifndef HARNESS_TROUBLE_H
#define HARNESS_TROUBLE_H

#include "harness/contest.h"

enum trouble_plan { TROUBLE_KILLS, TROUBLE_STOPS, TROUBLE_PLANS };

enum mishap_way { BY_TRAP, BY_POINT, BY_STATE };

struct mishap {
    enum mishap_way way;
    enum stage stage; /* of a trap, */
    bool writes;      /* for who writes, or reads; */
    bool wrongly;     /* who in it makes stores that are never to be committed */
    int state;        /* enum contender_state; CONTENDER_DONE: any */
};

/* Shared with the processes. */
struct trouble {
    struct trap {
        _Atomic int laid;      /* number of the mishap + 1; 0: none */
        _Atomic size_t caught; /* the member's number + 1 */
    } traps[TROUBLE_PLANS];
    _Atomic size_t deadly_point; /* + 1; 0: none */
    _Atomic uint64_t point_kills;
    _Atomic uint64_t killed_ns; /* when a holder was killed in a trap; 0 once another was inside */
};

struct trouble_goals {
    bool given[TROUBLE_PLANS];
    uint64_t count[TROUBLE_PLANS]; /* where they are given; else as many as the time allows */
};

/* 0 or an errno. Once, before there are processes. */
int trouble_init(const struct trouble_goals *goals);
extern struct trouble *trouble;

/* For contest.prepare and contest.tend. */
void trouble_prepare(void);
bool trouble_tend(struct contest *contest);

/* Of the contest that is under way. */
uint64_t trouble_stops(void);

/* ---- in a process */

/* From here on the process may die at points of the library. It has one contender, `number`. */
void trouble_enter(struct board *board, size_t number);

/* The mishap whose trap is here, which is laid for nobody else then; NULL: none. */
const struct mishap *trouble_caught(enum trouble_plan plan, enum stage stage, bool writes);

/* In the trap: tells, and does not come back from TROUBLE_KILLS. */
void trouble_stand(enum trouble_plan plan, size_t number);

#endif
