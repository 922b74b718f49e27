/* SPDX-License-Identifier: MIT */
/*
 * The narrow interface behind which the library and its peers do the same work: a table of records
 * of one size, whose keys are the numbers below a limit that is known at creation. A transaction is
 * begin, any number of operations, and commit or drop; one at a time, in one thread.
 *
 * Each engine is used as its manual says that it is fast: statements prepared once, read views kept
 * and renewed, a cache that holds the table, files that other processes may open at the same time
 * (tmf can be told to keep them out). The keys are dense: tmf, mmap and pmemobj look a record up in
 * an array of the program's own; LMDB and SQLite search the tree that they are.
 *
 * Functions return 0, a positive errno or, of tmf, a negative error; engine_explain() has the
 * sentence. ENOENT: no such record; EEXIST: there is one. After any other error of an operation the
 * transaction can only be dropped.
 *
 * To add one: engine_NAME.c defines `const struct engine engine_...`, and engine.c lists it.
 */
#ifndef HARNESS_ENGINE_H
#define HARNESS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/tmf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ENGINE_RECORD_MAX ((size_t)1024) /* bytes */

struct engine_config {
    const char *path;          /* what the names of its files begin with */
    uint64_t records;          /* keys are 0 to records - 1 */
    size_t record_size;        /* bytes, at most ENGINE_RECORD_MAX */
    const char *strategy;      /* this and what follows: of tmf alone; NULL: the default */
    tmf_durability durability; /* of a commit */
    unsigned flags;            /* of tmf_options */
};

struct engine {
    const char *name;
    const char *about;     /* a sentence, with what makes its commits durable */
    const char *family;    /* engines of one family open each other's files */
    tmf_survival survives; /* what a commit that returned outlives, as its manual has it */
    bool rolls_back;

    /* Opens, recovering what a process that died has left; an empty table where there are no files.
     */
    int (*open)(const struct engine_config *config, void **out);
    int (*close)(void *db);
    /* Every invariant of its own. NULL: it has no such check. Between transactions. */
    int (*check)(void *db);

    int (*begin)(void *db, bool writes);
    int (*commit)(void *db); /* of a transaction that writes */
    int (*drop)(void *db);   /* ends one that reads, or undoes one that writes if it rolls back */

    /* The record stays where it is until the next call. */
    int (*read)(void *db, uint64_t key, const void **out);
    int (*insert)(void *db, uint64_t key, const void *record);
    /* Changes [at, at + size) of a record. */
    int (*update)(void *db, uint64_t key, size_t at, const void *bytes, size_t size);
    int (*erase)(void *db, uint64_t key);
};

/* The n-th engine, the first is tmf; NULL past the last. And by name, NULL if there is none. */
const struct engine *engine_at(size_t n);
const struct engine *engine_find(const char *name);

/* What the last error was about; valid until the next. */
const char *engine_explain(void);

/* For engines: remembers the sentence and returns `error`, for `return engine_fail(...)`. */
int engine_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
