/* SPDX-License-Identifier: MIT */
/*
 * A workload is a pure function of (seed, transaction number): transaction k always makes the same
 * stores, whoever runs it and whenever. So what the arena must hold after transaction k is known
 * without having watched, and oracle.h compares it in full. A new storage is at transaction 0.
 *
 * Each workload comes twice: as stores into an arena (init, apply), and as a model in ordinary
 * memory (model_init, model_apply), which share only the pure functions that decide what to do.
 * The root object begins with struct workload_root; only workload_step() changes it.
 *
 * To add one: NAME.c here defines `const struct workload workload_NAME`, and workload.c lists it.
 */
#ifndef HARNESS_WORKLOAD_H
#define HARNESS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/difference.h"
#include "harness/workload_cut.h"
#include "txn/tmf.h"

struct workload_root {
    uint64_t number; /* of the last transaction, the R of the oracle's rule */
};

/* Where a storage's content lies while a reader or writer is held. */
struct view {
    const void *root;
    const unsigned char *arena;
    size_t arena_size; /* bytes */
};

/* A block as the one who allocated it knows it. */
#define WORKLOAD_BLOCKS_MAX 256
struct block {
    const void *at;
    size_t size; /* bytes */
};

/* The writer of a transaction, as a workload stores through it. */
struct workload_writer {
    tmf_writer *writer;
    bool must_touch; /* the strategy has to be told of every store */
    int error;       /* of the first that could not be told */
};

struct workload {
    const char *name;
    const char *about;
    size_t root_size;  /* bytes */
    size_t arena_size; /* bytes that are enough for any number of transactions */
    size_t model_size; /* bytes */

    /* Fills the zeroed root of a new storage. 0 or an error of the library. */
    int (*init)(tmf_writer *writer, void *root, uint64_t seed);
    /* The stores of transaction k, each declared; does not commit. 0 or an error of the library. */
    int (*apply)(struct workload_writer *writer, void *root, uint64_t seed, uint64_t k);

    /* How many operations transaction k has that may be left out each for itself, as
     * workload_makes() says of it. NULL: of this workload none may. */
    unsigned (*operations)(uint64_t seed, uint64_t k);

    void (*model_init)(void *model, uint64_t seed); /* `model` is zeroed */
    void (*model_apply)(void *model, uint64_t seed, uint64_t k);
    /* The blocks that the workload holds, which are all that the heap may; returns how many, at
     * most WORKLOAD_BLOCKS_MAX. Asked only where the content is the model's. */
    size_t (*blocks)(const void *root, struct block out[WORKLOAD_BLOCKS_MAX]);
    /* Is the content the model's, to the last byte? `out` says what is not. Follows no pointer
     * that leads out of the arena. */
    bool (*equal)(const void *model, const struct view *view, struct difference *out);
};

/* The n-th workload, NULL past the last; and by name, NULL if there is none. */
const struct workload *workload_at(size_t n);
const struct workload *workload_find(const char *name);

/* One more, which is none of these, replays the trace in a file: trace:FILE. There is one such file
 * in a process; NULL: it cannot be used, and `out` says why. workload_find() asks here too. */
#define WORKLOAD_TRACE       "trace:"
#define WORKLOAD_TRACE_ABOUT "replays what `tmf record` has recorded; a pattern fills every block"
bool workload_is_trace(const char *name);
const struct workload *workload_trace(const char *name, struct difference *out);

/* How a storage for a workload is made or opened. */
struct workload_place {
    const struct workload *workload;
    uint64_t seed;
    const char *strategy;
    const char *index;
    size_t quantum; /* bytes */
    tmf_durability durability;
    size_t log_size;         /* bytes kept between transactions; 0: the library's default */
    size_t size;             /* of the arena, bytes; 0: arena_size of the workload */
    size_t private_size;     /* bytes of copies kept between transactions; 0: the default */
    unsigned flags;          /* as tmf_options */
    struct workload_cut cut; /* what is left out; in use where somebody says so */
};

/* The n-th combination of what the command line asked for; false past the last. */
struct arguments;
bool workload_pick(const struct arguments *arguments, size_t n, struct workload_place *out);

/* Opens PATH (a larger place->size grows it), or, where there is none, makes it with the workload
 * at transaction 0. */
int workload_create(const struct workload_place *place, const char *path, tmf_storage **out);
/* Opens what must be there, as it is; place->size is not looked at. */
int workload_open(const struct workload_place *place, const char *path, tmf_storage **out);

/*
 * Makes the stores of transaction k and sets the root's number; the caller commits. Where the
 * strategy can, some transactions are first made with other stores and rolled back.
 */
int workload_step(const struct workload_place *place, tmf_writer *writer, uint64_t k);

/* The same without the detour, whatever the strategy would do. */
int workload_step_straight(const struct workload_place *place, tmf_writer *writer, uint64_t k);

/* Makes stores that are never to be committed. */
int workload_step_wrongly(const struct workload_place *place, tmf_writer *writer, uint64_t k);

/*
 * Commits. Where the durability is group, somebody makes it durable by tmf_wait() for the ticket;
 * to wait for that of another durability, which is 0, does nothing.
 */
int workload_commit(const struct workload_place *place, tmf_writer *writer, uint64_t *ticket);

/* False for what survives nothing: it keeps nothing to roll back to. */
bool workload_may_roll_back(const struct workload_place *place);

/* The root's number. */
uint64_t workload_number(const void *root);

/* What the library says about its last failure in this thread, `error`. */
const char *error_text(int error);

/* Helpers of workloads. */
/*
 * Every store of a workload goes where this has been: it declares the store to a strategy that must
 * be told, and is silent to all others, whose way of noticing is what is under test. Returns `at`.
 */
void *workload_declare(struct workload_writer *writer, void *at, size_t size);
bool view_holds(const struct view *view, const void *at, size_t size);

#endif
