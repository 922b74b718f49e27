/* SPDX-License-Identifier: MIT */
/*
 * A scheduler of our own. Of the threads that take part one goes on at a time; before each step
 * (taking a mutex, a named point, a system call, a yield, whatever else calls schedule_step()) it
 * is decided who does. So what happens among threads is a function of the plan, and rare
 * interleavings are found on purpose and again.
 *
 *   by seed    each thread has a priority, the highest that can goes on; at depth - 1 steps drawn
 *              among `length` the one that goes on falls below all others. A bug that needs `depth`
 *              orderings is found with a probability of 1 / (n * length ^ (depth - 1)) or more
 *              (Burckhardt and others, A Randomized Scheduler with Probabilistic Guarantees of
 *              Finding Bugs, 2010)
 *   by choice  whoever goes on goes on while it can, but where `choices` says otherwise
 *
 * How it gets in between: the linker leads what a program with faults calls as pthread_mutex_lock
 * and so on to schedule_calls.c (--wrap, see CMakeLists.txt), and points.c tells of points. The
 * library knows nothing of it. A thread that takes no part calls the system as ever.
 *
 * Processes take part likewise (schedule_share()): children of one parent, whose world is memory
 * that they share, and which wait for each other by file locks (schedule_locks.c). Each may have
 * more threads later, which take part from schedule_come() on.
 *
 * Time is counted in steps, so time-outs come at the same step every time; where all wait, the
 * first time-out comes. Where all wait and none has one, or there is no end, that is told.
 */
#ifndef FAULTS_SCHEDULE_H
#define FAULTS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCHEDULE_THREADS_MAX   ((unsigned)64)
#define SCHEDULE_DEPTH_MAX     ((unsigned)16)
#define SCHEDULE_DECISIONS_MAX ((size_t)65536)
#define SCHEDULE_FOREVER       UINT64_MAX

/* Steps that are no points; those of others begin at SCHEDULE_OTHER. */
enum schedule_what { SCHEDULE_LOCK, SCHEDULE_YIELD, SCHEDULE_OTHER, SCHEDULE_POINT = 64 };

/* Where more than one thread could go on. */
struct schedule_decision {
    uint8_t chosen, alternatives; /* 0: the one that went on before, if it can */
    bool is_free; /* it could not, or gave way: no choice takes it off against its will */
};

struct schedule_plan {
    uint64_t seed;   /* for the priorities, */
    unsigned depth;  /* of which so many change, plus one, at most SCHEDULE_DEPTH_MAX */
    uint64_t length; /* among so many steps */
    bool by_choice;
    const struct schedule_decision *choices; /* the first choice_count decisions; then 0 */
    size_t choice_count;
    bool coarse;          /* points are no steps */
    uint64_t steps_max;   /* more are no end */
    uint64_t dies_at;     /* of processes: who makes this step dies by SIGKILL; 0: nobody */
    unsigned dies_before; /* SCHEDULE_POINT + n: steps are counted that are this one; 0: all */
    /* In a thread that is about to wait for a thing (schedule_wait()) that others have; or NULL. */
    void (*on_wait)(const void *thing);
    /* [signal] In the one whose turn it is, before anything may come of it: a step, named, a wait,
     * the end. What it did until then is done before another goes on, or it dies. Or NULL. */
    void (*on_step)(const char *where);
    /* Nobody can go on, or there is no end; does not return. */
    void (*on_stuck)(const char *what) __attribute__((noreturn));
};

/* What became of the plan so far. */
struct schedule_outcome {
    uint64_t steps;
    uint64_t hash; /* of who made which step, in order: an interleaving */
    struct schedule_decision decisions[SCHEDULE_DECISIONS_MAX]; /* by choice */
    size_t decision_count;
    bool diverged; /* `choices` were not to be had */
};

/* From here on, those that take part are threads of children of this process. 0 or an errno. */
int schedule_share(void);

/* While no thread takes part: `threads` of them will, and `later` more, with the numbers after
 * those, once they come. The plan lives on until they have left. */
void schedule_begin(const struct schedule_plan *plan, unsigned threads, unsigned later);
/* When all threads but the later ones exist: the first goes on. */
void schedule_go(void);
const struct schedule_outcome *schedule_outcome(void);
/*
 * After a run by choice: the choices of the next one, in the order of a search in depth, that takes
 * a thread off against its will `preemptions` times at most. False: there are no more.
 */
bool schedule_choose_next(unsigned preemptions, struct schedule_decision *choices, size_t *count);

/* A thread takes part as number `thread` from 0, once it is its turn; and no longer. */
void schedule_join(unsigned thread);
void schedule_leave(void);
bool schedule_takes_part(void);
/* By one that takes part: a later thread of its process, which exists and is to join, does so from
 * now on; until that has left. */
void schedule_come(unsigned thread);
void schedule_await(unsigned thread);
/* fork(2), by one that takes part; its child does not. */
pid_t schedule_fork(void);
/* By their parent: one of the processes has died when it was its turn, with all its threads, and
 * has let go of what it had. Whoever waits looks again. */
void schedule_bury(pid_t process);

/* A step of this thread, if it takes part: SCHEDULE_LOCK and so on. */
void schedule_step(unsigned what);

/* For the calls that are led here, and who lets others look again. Waits until schedule_wake() for
 * the same thing, or until a time: true. A thing is one of its process's, but for the file locks,
 * which are one thing for all. */
bool schedule_wait(const void *thing, uint64_t until_ns);
void schedule_wake(const void *thing);
extern const char schedule_file_locks;
void schedule_will_wait(const void *thing);
uint64_t schedule_now_ns(void);

/* The last changes from one thread to another, a line each, as "2 goes on, before txn/lock/taken".
 */
void schedule_tell(char *to, size_t size);

/* Makes a table the library's by which file locks are waited for by the schedule's rules, nothing
 * is told that is not the same every time, and every call has its points (io_points.h); no storage
 * is open. */
void schedule_locks_install(void);

#endif
