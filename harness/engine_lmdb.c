/* SPDX-License-Identifier: MIT */
/*
 * LMDB with integer keys. A read view is kept and renewed, which spares its allocation. An update
 * reads the record, changes it and puts it back: LMDB knows no smaller change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

#include "harness/engine.h"

#define FILE_MODE 0600

struct db {
    MDB_env *env;
    MDB_dbi table;
    MDB_txn *view; /* kept */
    MDB_txn *now;  /* the transaction */
    size_t record_size;
};

static int failed(int error, const char *doing)
{
    int known = error == MDB_NOTFOUND ? ENOENT : error == MDB_KEYEXIST ? EEXIST : EIO;
    return engine_fail(error > 0 ? error : known, "lmdb: %s: %s", doing, mdb_strerror(error));
}

static int open_dbi(struct db *db)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (error)
        return error;
    error = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &db->table);
    if (error == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return error;
}

/* Room for the table, and for the pages that a transaction and old views keep. */
static int open_env(struct db *db, const struct engine_config *config, unsigned flags)
{
    int error = mdb_env_create(&db->env);
    if (error)
        return error;
    size_t table = config->records * ENGINE_RECORD_MAX;
    error = mdb_env_set_mapsize(db->env, 2 * table + ((size_t)64 << 20));
    if (error == 0)
        error = mdb_env_open(db->env, config->path, MDB_NOSUBDIR | flags, FILE_MODE);
    if (error == 0)
        error = open_dbi(db);
    if (error)
        mdb_env_close(db->env);
    return error;
}

static int open_table(const struct engine_config *config, unsigned flags, void **out)
{
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return engine_fail(ENOMEM, "no memory");
    db->record_size = config->record_size;
    int error = open_env(db, config, flags);
    if (error) {
        free(db);
        return failed(error, "opening");
    }
    *out = db;
    return 0;
}

static int open_sync(const struct engine_config *config, void **out)
{
    return open_table(config, 0, out);
}

static int open_nosync(const struct engine_config *config, void **out)
{
    return open_table(config, MDB_NOSYNC, out);
}

static int open_writemap(const struct engine_config *config, void **out)
{
    return open_table(config, MDB_WRITEMAP, out);
}

static int close_table(void *at)
{
    struct db *db = at;
    mdb_txn_abort(db->view);
    mdb_env_close(db->env);
    free(db);
    return 0;
}

static int begin_view(struct db *db)
{
    int error =
        db->view ? mdb_txn_renew(db->view) : mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->view);
    db->now = db->view;
    return error;
}

static int begin(void *at, bool writes)
{
    struct db *db = at;
    int error = writes ? mdb_txn_begin(db->env, NULL, 0, &db->now) : begin_view(db);
    return error ? failed(error, "beginning a transaction") : 0;
}

static int drop(void *at)
{
    struct db *db = at;
    if (db->now == db->view)
        mdb_txn_reset(db->view);
    else
        mdb_txn_abort(db->now);
    db->now = NULL;
    return 0;
}

static int commit(void *at)
{
    struct db *db = at;
    int error = mdb_txn_commit(db->now);
    db->now = NULL;
    return error ? failed(error, "committing") : 0;
}

static int read_record(void *at, uint64_t key, const void **out)
{
    struct db *db = at;
    MDB_val name = {sizeof(key), &key}, record;
    int error = mdb_get(db->now, db->table, &name, &record);
    if (error)
        return failed(error, "reading a record");
    *out = record.mv_data;
    return 0;
}

static int put(struct db *db, uint64_t key, const void *record, unsigned flags)
{
    MDB_val name = {sizeof(key), &key};
    MDB_val value = {db->record_size, (void *)(uintptr_t)record};
    int error = mdb_put(db->now, db->table, &name, &value, flags);
    return error ? failed(error, "putting a record") : 0;
}

static int insert(void *at, uint64_t key, const void *record)
{
    return put(at, key, record, MDB_NOOVERWRITE);
}

static int update(void *at, uint64_t key, size_t offset, const void *bytes, size_t size)
{
    struct db *db = at;
    unsigned char record[ENGINE_RECORD_MAX];
    const void *old = NULL;
    int error = read_record(db, key, &old);
    if (error || !old)
        return error;
    memcpy(record, old, db->record_size);
    memcpy(record + offset, bytes, size);
    return put(db, key, record, 0);
}

static int erase(void *at, uint64_t key)
{
    struct db *db = at;
    MDB_val name = {sizeof(key), &key};
    int error = mdb_del(db->now, db->table, &name, NULL);
    return error ? failed(error, "deleting a record") : 0;
}

#define ENGINE_LMDB(suffix, sentence, outlives)                                                    \
    const struct engine engine_lmdb_##suffix = {                                                   \
        .name = "lmdb-" #suffix,                                                                   \
        .about = sentence,                                                                         \
        .family = "lmdb",                                                                          \
        .survives = (outlives),                                                                    \
        .rolls_back = true,                                                                        \
        .open = open_##suffix,                                                                     \
        .close = close_table,                                                                      \
        .begin = begin,                                                                            \
        .commit = commit,                                                                          \
        .drop = drop,                                                                              \
        .read = read_record,                                                                       \
        .insert = insert,                                                                          \
        .update = update,                                                                          \
        .erase = erase,                                                                            \
    }

ENGINE_LMDB(sync, "LMDB as it is by default: every commit is synced", TMF_SURVIVES_POWER);
ENGINE_LMDB(nosync, "LMDB with MDB_NOSYNC: a commit survives the death of the process alone",
            TMF_SURVIVES_KILL);
ENGINE_LMDB(writemap,
            "LMDB with MDB_WRITEMAP: stores into a shared mapping, every commit is synced",
            TMF_SURVIVES_POWER);
