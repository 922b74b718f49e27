/* SPDX-License-Identifier: MIT */
/*
 * Workloads over a table of records, for any engine. As in workload.h a workload is a pure function
 * of (seed, transaction number): table_plan() says which operations transaction k is made of, an
 * engine makes them, and a model in ordinary memory makes them too. So what the table must hold
 * after transaction k is known, and table_equal() compares all of it.
 *
 * Transaction 0 is the load: every key has a record of a pattern. Where the work is `numbered`, the
 * record behind the others holds the number of the last transaction, which each that writes sets:
 * the R of the oracle's rule (oracle.h).
 */
#ifndef HARNESS_TABLE_H
#define HARNESS_TABLE_H

#include "harness/difference.h"
#include "harness/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TABLE_OPERATIONS_MAX ((size_t)260)
#define TABLE_PIECE_MAX      ((size_t)128) /* bytes that one operation changes */
#define TABLE_PAGES_MAX      ((size_t)256)
#define TABLE_CHOICES        ((uint64_t)16)
#define TABLE_RECORDS_MIN    ((uint64_t)160)

enum table_kind {
    TABLE_READ,
    TABLE_UPDATE, /* with a pattern */
    TABLE_ADD,    /* reads a number, adds to it, writes it back */
    TABLE_NUMBER, /* sets a number */
    TABLE_INSERT, /* a record of a pattern */
    TABLE_ERASE,
};

struct table_operation {
    enum table_kind kind;
    uint64_t key;
    size_t at, size; /* of the record: what is changed, bytes */
    uint64_t number;
};

struct table_work;
struct table_workload {
    const char *name;
    const char *about;
    size_t (*plan)(const struct table_work *work, uint64_t k,
                   struct table_operation out[TABLE_OPERATIONS_MAX]);
};

struct table_work {
    const struct table_workload *workload;
    uint64_t seed;
    uint64_t salt;      /* of what is written, not of where; 0 where the table is loaded */
    uint64_t records;   /* TABLE_RECORDS_MIN or more; `numbered` adds one */
    size_t record_size; /* bytes; a multiple of 8, at least 200 */
    size_t pages;       /* of the workload `pages`: 1 to TABLE_PAGES_MAX, at most records / 16 */
    bool numbered;
};

/* The n-th workload, NULL past the last; and by name, NULL if there is none. */
const struct table_workload *table_workload_at(size_t n);
const struct table_workload *table_workload_find(const char *name);

/* The operations of transaction k; returns how many. */
size_t table_plan(const struct table_work *work, uint64_t k,
                  struct table_operation out[TABLE_OPERATIONS_MAX]);
bool table_plan_writes(const struct table_operation *operations, size_t count);

/* How many keys there are. */
uint64_t table_keys(const struct table_work *work);

/* Fills an empty table: transaction 0. 0 or an error of the engine, as all of these. */
int table_load(const struct engine *engine, void *db, const struct table_work *work);

/* Makes the operations between begin and commit. `between`: called before each, and before the
 * commit; NULL: nobody is. A failure drops the transaction. */
int table_transact(const struct engine *engine, void *db, const struct table_work *work,
                   const struct table_operation *operations, size_t count, void (*between)(void));

/* Writes the beginning of every step-th record as it is, in one transaction that changes nothing:
 * whatever an engine does but once for a page is done then. */
int table_touch(const struct engine *engine, void *db, const struct table_work *work,
                uint64_t step);
/* The step that meets every record that the workload `pages` may change. */
uint64_t table_pages_step(const struct table_work *work);

/* The number of the last transaction, of work that is numbered. */
int table_number(const struct engine *engine, void *db, const struct table_work *work,
                 uint64_t *out);

/* The model. NULL: no memory. */
struct table_model;
struct table_model *table_model_new(const struct table_work *work);
void table_model_free(struct table_model *model);
/* One model may follow several workloads on one table, of the same records. */
void table_model_apply(struct table_model *model, const struct table_work *work, uint64_t k);

/* Does the engine hold what the model holds, every byte of every record and no record more? And
 * does its own check hold? */
bool table_equal(const struct table_model *model, const struct engine *engine, void *db,
                 struct difference *out);

#ifdef __cplusplus
}
#endif

#endif
