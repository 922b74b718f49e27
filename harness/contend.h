/* SPDX-License-Identifier: MIT */
/*
 * Readers and writers that contend for one storage, as threads of a process or as processes, and
 * what each of them checks. They write what they do on a board in memory that all of them share:
 *
 *   begun         set by a writer before it makes the stores of a transaction
 *   acknowledged  raised by a writer when its commit has returned, and by a reader to what it saw
 *                 (where the durability is group the writer waits for the medium later, outside the
 *                 lock; only processes die here, and for them the commit counts as it returns)
 *
 * Inside, a contender that read `acknowledged` before it began finds transaction R. The rules:
 *
 *   1. acknowledged <= R <= begun: what a commit promised or anybody saw is there for all who begin
 *      later, so numbers never go back, neither within a contender nor among them
 *   2. the content is the model's at R: every byte, every block; the heap's invariants hold; the
 *      arena is at least as large as when it was last made larger
 *   3. nothing changes while a reader is inside: R and the content are the same when it leaves
 *   4. a writer overlaps no writer; and no reader, unless that is of another process and the
 *      writer's strategy lets it go on
 *   5. a second begin of the same thread is EDEADLK; one that would not wait says EBUSY or
 * ETIMEDOUT, and no begin fails otherwise
 *   6. whoever waits gets in: no contender stands still for longer than the patience of the watch
 *
 * Where calls are made to fail in one of several processes, that one may be told so, and the others
 * that the storage is poisoned (board.is_excused); who is told that opens it again. Nothing else of
 * the rules is given up for it.
 *
 * The first violation stops all: afterwards nothing is known any more.
 */
#ifndef HARNESS_CONTEND_H
#define HARNESS_CONTEND_H

#include <stdatomic.h>

#include "harness/oracle.h"
#include "harness/wait.h"

#define CONTENDERS_MAX ((size_t)256)

enum contender_state {
    CONTENDER_STARTING,
    CONTENDER_OUTSIDE,
    CONTENDER_WAITING,
    CONTENDER_READING,
    CONTENDER_WRITING,
    CONTENDER_DONE
};

struct contender {
    _Atomic uint64_t steps;   /* grows with whatever it gets done */
    _Atomic int state;        /* enum contender_state */
    _Atomic bool gives_up;    /* at a time, where it waits */
    _Atomic bool dying;       /* SIGKILL is on its way: what it says of itself counts no longer */
    _Atomic uint64_t entries; /* so often it got in */
    _Atomic uint64_t waited_until; /* of a writer: board.writer_entries as its last wait ended */
    /* Set before all begin. */
    bool writes;
    bool readers_go_on; /* those of other processes, while this one writes */
    size_t process;     /* that it is a thread of; 0 where all are of one */
};

/* All waits for the lock; again by who waits; again those during which a lock holder was killed, or
 * stopped; the time from the kill of a holder to the next one inside; and how long it was held. */
enum wait_kind {
    WAIT_ALL,
    WAIT_READ,
    WAIT_WRITE,
    WAIT_KILL,
    WAIT_STOP,
    WAIT_TAKEOVER,
    HOLD_READ,
    HOLD_WRITE,
    WAIT_KINDS
};

/* Zeroed at first. Lies in child_shared() memory. */
struct board {
    _Atomic bool stop; /* all shall end */
    /* Whether an error that the library told this process comes of a fault of ours. NULL: none
     * does. Set before all begin. */
    bool (*is_excused)(struct board *board, int error);
    _Atomic uint64_t acknowledged, begun;
    _Atomic uint64_t size_min; /* bytes that the arena has at least */
    _Atomic uint64_t transactions, reads;
    _Atomic uint64_t refused;      /* begins that would not wait, and did not get in */
    _Atomic uint64_t holder_kills; /* lock holders killed */
    _Atomic uint64_t holder_stops; /* lock holders stopped, to go on later */
    _Atomic uint64_t excused;      /* errors that were told and came of faults of ours */
    _Atomic uint64_t recoveries;   /* of what they left */
    _Atomic uint64_t violations;
    /* The longest waits, counted in what others did meanwhile: how often the same reader got in
     * while a writer waited (generations of readers; for itself and for each writer before it, on
     * an average), and how many writers while a reader did. */
    _Atomic uint64_t generations_max, writers_max;
    _Atomic uint64_t writer_entries; /* so often a writer got in */
    char what[1024];                 /* the first violation */
    struct waits waits[WAIT_KINDS];
    size_t contender_count;
    struct contender contenders[CONTENDERS_MAX];
};

/* Notes a violation and stops all. */
void board_violate(struct board *board, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether it does, for who is told an error; counts it. */
bool board_excuses(struct board *board, int error);

/* Raises `number` to at least `least`. */
void board_raise(_Atomic uint64_t *number, uint64_t least);

/* Inside a storage, as a reader or a writer. */
struct visit {
    bool writes;
    tmf_reader *reader;
    tmf_writer *writer;
};

/* How to begin. MANNER_TIMED waits for a millisecond. */
enum manner { MANNER_WAIT, MANNER_TRY, MANNER_TIMED, MANNER_COUNT };
extern const int manner_refusal[MANNER_COUNT]; /* the error of one that does not get in */

/* visit->writes is set. What the library says. */
int visit_begin(tmf_storage *storage, struct visit *visit, enum manner manner);
void visit_end(struct visit *visit);

/* Where a visit stands when contender.at_stage is called. */
enum stage {
    STAGE_INSIDE,   /* begun, nothing is done yet */
    STAGE_STORED,   /* the stores of a transaction are made and not committed */
    STAGE_COMMITTED /* its commit has returned and is not acknowledged on the board */
};

/* A contender as it sees itself. */
struct contend {
    struct board *board;
    const struct workload_place *place;
    tmf_storage *storage;
    struct oracle *oracle; /* its own */
    bool must_reopen;      /* it was told that the storage is poisoned, which ended its run */
    size_t number;         /* of the contender on the board */
    bool writes;
    uint64_t life;                           /* so many had this number before; for drawing */
    uint64_t turn;                           /* likewise; starts at 0 */
    uint64_t turns;                          /* so many and no more; 0: until the board says stop */
    uint64_t ticket;                         /* of its last commit */
    uint64_t entries_before[CONTENDERS_MAX]; /* of all, when it began to wait, */
    uint64_t writers_before;                 /* and of all writers together */
    uint64_t inside_ns;                      /* since when it is */
    bool is_told; /* when it waits, by who sees it stand still; else it takes a begin for a wait */
    bool waits;   /* it does since, or did on its way in, */
    bool waits_outside; /* for other processes */
    /* It is woken to look whether it gets in, and told so each time that it does not: what counts
     * is who got in until then, not before it came to look. Else it is woken when it is in. */
    bool looks_again;
    bool beside_writer; /* its process, one of several, has a writer too */
    void (*at_stage)(struct contend *self, enum stage stage,
                     const struct visit *visit); /* or NULL */
    void *context;
};

/* Goes in and out until the board says stop, or it must reopen, at least once. A writer makes a few
 * transactions each time. */
void contend_run(struct contend *self);

/*
 * It begins to wait, or to wait again: whoever got in since it began has overtaken it. But threads
 * of a process wait for each other before they wait for other processes (`outside`), and meanwhile
 * those go on. So of other processes count,
 *   for a writer      who got in since it waits outside;
 *   for a reader      the same, of writers beside whom readers go on, for it waits until those
 *                     readers have left who see less; of others, who got in since a writer of its
 *                     own process, behind which it waits, is inside or gave up
 */
void contend_waits(struct contend *self, bool outside);

/* Makes the stores of a transaction that is never to be committed. 0 or an error of the library. */
int contend_store_wrongly(struct contend *self, const struct visit *visit);

/* Who stands still. */
struct watch {
    uint64_t steps[CONTENDERS_MAX], since_ns[CONTENDERS_MAX];
    uint64_t looked_ns;
};

/* Notes a violation when a contender that is not done made no step for so long. Call it often: a
 * long time without a look, as when all of us are stopped, counts for nobody. */
void watch_look(struct watch *watch, struct board *board, uint64_t patience_ns);

#endif
