/* SPDX-License-Identifier: MIT */
/*
 * One case of the kill model: a child lives through a workload on a fresh storage and dies by
 * SIGKILL; perhaps another dies while it recovers; then the oracle judges what is left. The page
 * cache survives, as it does when a process dies.
 *
 * A life: fail to create a storage; create it, half of the transactions, close; open it larger, the
 * other half, close. On the way there are commits, rollbacks, and transactions dropped by
 * tmf_write_end(). It does the same every time, so "the third hit of point P" names one instant.
 *
 * A case as text, which `tmf replay` takes:
 *
 *   kill:STRATEGY:INDEX:QUANTUM:WORKLOAD:seed=S:txns=N[:durability=D]:point=P:hit=H
 *   ... and [:without=K.N+K.N] for operations that are left out (workload_cut.h)
 *   ... and [:then=P:then-hit=H] for a death in recovery, or :after=T us in place of point and hit
 *
 * Everything of the library runs in children, so that a crash or a hang of what recovers is a
 * violation and not the end of the campaign.
 */
#ifndef HARNESS_KILL_CASE_H
#define HARNESS_KILL_CASE_H

#include "harness/child.h"
#include "harness/command.h"
#include "harness/oracle.h"

/* Small enough that it is full in mid-life, and that some transactions need more: the log grows
 * and is cut again. Bytes. */
#define KILL_LOG_SIZE    ((size_t)24 << 10)
#define KILL_TEXT_MAX    ((size_t)512)
#define KILL_PATH_MAX    (PATH_MAX + sizeof("/storage"))
#define KILL_GROWTH      ((size_t)1 << 20) /* bytes, of the second half; the block map grows too */
#define KILL_HOLD_PERIOD 3                 /* transactions before the lock is let go */

/* For a child, which takes milliseconds. Seconds. */
extern unsigned kill_patience;
bool kill_take_patience(const char *value); /* --patience; false: out of range */

/* At the hit-th hit of a point; hit 0: not at all. */
struct kill_death {
    const char *point; /* as faults/points.h calls it */
    uint64_t hit;
};

struct kill_case {
    struct workload_place place;
    uint64_t transactions;
    struct kill_death death;
    uint64_t after_us;      /* microseconds, where death.hit is 0; 0: it lives to its end */
    struct kill_death then; /* in the recovery after it */
};

/* `to` holds KILL_TEXT_MAX bytes. */
void kill_case_format(const struct kill_case *one, char *to);
bool kill_case_parse(const char *text, struct kill_case *out);

/* Shared with the children. */
struct kill_life {
    struct claim claim;
    char what[512]; /* went wrong in the child */
    struct verdict verdict;
};

/* Where cases are run: the storage is FOLDER/case/storage. */
struct kill_stage {
    struct scratch scratch;
    struct kill_life *life;
};

struct kill_outcome {
    bool holds;
    bool reached;   /* the (first) death came */
    bool timed_out; /* a child did not end in time */
    char what[1024];
};

/* Switches every fault point on. Complains and returns STATUS_CANNOT, or STATUS_HELD. */
int kill_switch_on(const struct arguments *arguments);

int kill_stage_make(const char *dir, struct kill_stage *out); /* 0 or an errno */

/*
 * The steps of a case, in this order; each false when it was violated, and `out` says how. Points
 * hit in kill_leave() and kill_recover() are counted from their beginning (faults/points.h).
 *   kill_leave    a life on a fresh storage, up to its death
 *   kill_recover  another child opens it, up to one->then
 *   kill_judge    by the rule of oracle.h
 */
bool kill_leave(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out);
bool kill_recover(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out);
bool kill_judge(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out);

/* All of them. */
bool kill_case_run(struct kill_stage *stage, const struct kill_case *one, struct kill_outcome *out);

/* ---- what the cases of other fault models are made of too */

/* What a child's body returns: FAILED with life->what said. */
enum { LIVED = 0, FAILED = 1 };

/* An empty folder for the case, 0 or an errno; and the path of the storage in it. */
int kill_fresh(const struct kill_stage *stage);
void kill_path(const struct kill_stage *stage, char path[KILL_PATH_MAX]);

/* A creation whose initialiser fails; nothing of it may be in the way of the next. ECANCELED. */
int kill_give_up_creation(const struct workload_place *place, const char *path);

/* Runs a child that may be killed, by itself or after some time, and dies in no other way. */
bool kill_run_child(struct kill_stage *stage, int (*body)(void *), void *context, const char *who,
                    uint64_t after_us, struct kill_outcome *out);

/* Says what was known and what went wrong. Returns false. */
bool kill_violated(const struct kill_life *life, struct kill_outcome *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies the storage of the case to or from a folder of that name beside it. 0 or an errno. */
int kill_save(const struct kill_stage *stage, const char *name);
int kill_restore(const struct kill_stage *stage, const char *name);

/* Looks for the same failure with fewer transactions and operations, and changes `one` to it where
 * there is. */
void kill_shrink(struct kill_stage *stage, struct kill_case *one);

#endif
