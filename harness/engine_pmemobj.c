/* SPDX-License-Identifier: MIT */
/*
 * PMDK's libpmemobj on an ordinary file, where each of its flushes is an msync(): the root is an
 * array of object identifiers, and each range that a transaction changes is logged before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpmemobj.h>

#include "harness/engine.h"

#define LAYOUT    "tmf-table"
#define FILE_MODE 0600
#define OVERHEAD  ((size_t)128) /* of an object, bytes; generous */
#define TYPE      1

struct db {
    PMEMobjpool *pool;
    PMEMoid *objects; /* by key */
    uint64_t records;
    size_t record_size;
    bool writes; /* the transaction */
};

static int failed(const char *doing)
{
    return engine_fail(errno ? errno : EIO, "pmemobj: %s: %s", doing, pmemobj_errormsg());
}

static PMEMobjpool *open_pool(const struct engine_config *config)
{
    size_t size =
        config->records * (config->record_size + OVERHEAD + sizeof(PMEMoid)) + ((size_t)64 << 20);
    if (access(config->path, F_OK) == 0)
        return pmemobj_open(config->path, LAYOUT);
    return pmemobj_create(config->path, LAYOUT, size, FILE_MODE);
}

static int open_table(const struct engine_config *config, void **out)
{
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return engine_fail(ENOMEM, "no memory");
    db->records = config->records;
    db->record_size = config->record_size;
    db->pool = open_pool(config);
    if (db->pool)
        db->objects = pmemobj_direct(pmemobj_root(db->pool, config->records * sizeof(PMEMoid)));
    if (!db->objects) {
        int error = failed("opening");
        if (db->pool)
            pmemobj_close(db->pool);
        free(db);
        return error;
    }
    *out = db;
    return 0;
}

static int close_table(void *at)
{
    struct db *db = at;
    pmemobj_close(db->pool);
    free(db);
    return 0;
}

/* Errors are returned instead of jumped to. Who only reads needs no transaction. */
static int begin(void *at, bool writes)
{
    struct db *db = at;
    db->writes = writes;
    if (!writes)
        return 0;
    errno = pmemobj_tx_begin(db->pool, NULL, TX_PARAM_NONE);
    if (errno)
        return failed("beginning a transaction");
    pmemobj_tx_set_failure_behavior(POBJ_TX_FAILURE_RETURN);
    return 0;
}

static int end(void)
{
    errno = pmemobj_tx_end();
    return errno;
}

static int commit(void *at)
{
    (void)at;
    pmemobj_tx_commit();
    return end() ? failed("committing") : 0;
}

static int drop(void *at)
{
    const struct db *db = at;
    if (!db->writes)
        return 0;
    if (pmemobj_tx_stage() == TX_STAGE_WORK)
        pmemobj_tx_abort(ECANCELED);
    return end() == ECANCELED ? 0 : failed("rolling back");
}

static int log_range(void *at, size_t size)
{
    errno = pmemobj_tx_add_range_direct(at, size);
    return errno ? failed("logging a range") : 0;
}

static int find(const struct db *db, uint64_t key, unsigned char **out)
{
    *out = key < db->records ? pmemobj_direct(db->objects[key]) : NULL;
    return *out ? 0
                : engine_fail(ENOENT, "pmemobj: there is no record %llu", (unsigned long long)key);
}

static int read_record(void *at, uint64_t key, const void **out)
{
    unsigned char *record = NULL;
    int error = find(at, key, &record);
    *out = record;
    return error;
}

static int insert(void *at, uint64_t key, const void *record)
{
    struct db *db = at;
    unsigned char *there;
    if (find(db, key, &there) == 0)
        return engine_fail(EEXIST, "pmemobj: there is a record %llu", (unsigned long long)key);
    PMEMoid object = pmemobj_tx_alloc(db->record_size, TYPE);
    if (OID_IS_NULL(object))
        return failed("allocating a record");
    memcpy(pmemobj_direct(object), record, db->record_size);
    int error = log_range(&db->objects[key], sizeof(PMEMoid));
    if (error == 0)
        db->objects[key] = object;
    return error;
}

static int update(void *at, uint64_t key, size_t offset, const void *bytes, size_t size)
{
    unsigned char *record = NULL;
    int error = find(at, key, &record);
    if (error == 0)
        error = log_range(record + offset, size);
    if (error == 0 && record)
        memcpy(record + offset, bytes, size);
    return error;
}

static int erase(void *at, uint64_t key)
{
    struct db *db = at;
    unsigned char *record = NULL;
    int error = find(db, key, &record);
    if (error)
        return error;
    errno = pmemobj_tx_free(db->objects[key]);
    if (errno)
        return failed("freeing a record");
    error = log_range(&db->objects[key], sizeof(PMEMoid));
    if (error == 0)
        db->objects[key] = OID_NULL;
    return error;
}

const struct engine engine_pmemobj = {
    .name = "pmemobj",
    .about = "PMDK's libpmemobj on an ordinary file: every change is logged and synced before it",
    .family = "pmemobj",
    .survives = TMF_SURVIVES_POWER,
    .rolls_back = true,
    .open = open_table,
    .close = close_table,
    .begin = begin,
    .commit = commit,
    .drop = drop,
    .read = read_record,
    .insert = insert,
    .update = update,
    .erase = erase,
};
