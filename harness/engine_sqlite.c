/* SPDX-License-Identifier: MIT */
/*
 * SQLite with a write-ahead log, an integer primary key, statements prepared once, and a page cache
 * that holds the table. An update reads the record and writes it back whole: its page goes to the
 * log whole either way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "harness/engine.h"

#define CACHE_KIB 262144

enum statement { BEGIN_READ, BEGIN_WRITE, COMMIT, ROLLBACK, SELECT, INSERT, UPDATE, DELETE };
static const char *const texts[] = {
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SELECT] = "SELECT value FROM records WHERE key = ?1",
    [INSERT] = "INSERT INTO records(key, value) VALUES(?1, ?2)",
    [UPDATE] = "UPDATE records SET value = ?2 WHERE key = ?1",
    [DELETE] = "DELETE FROM records WHERE key = ?1",
};
#define STATEMENT_COUNT (sizeof(texts) / sizeof(texts[0]))

struct db {
    sqlite3 *connection;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    size_t record_size;
};

static int failed(const struct db *db, const char *doing)
{
    int code = sqlite3_extended_errcode(db->connection);
    bool exists = code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID;
    return engine_fail(exists ? EEXIST : EIO, "sqlite: %s: %s", doing,
                       sqlite3_errmsg(db->connection));
}

static int execute(struct db *db, const char *text)
{
    return sqlite3_exec(db->connection, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(db, text);
}

static int prepare(struct db *db, const char *synchronous)
{
    char pragmas[256];
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = %s;"
             "PRAGMA cache_size = -%d;"
             "CREATE TABLE IF NOT EXISTS records(key INTEGER PRIMARY KEY, value BLOB NOT NULL)",
             synchronous, CACHE_KIB);
    int error = execute(db, pragmas);
    for (size_t n = 0; n < STATEMENT_COUNT && error == 0; n++) {
        if (sqlite3_prepare_v3(db->connection, texts[n], -1, SQLITE_PREPARE_PERSISTENT,
                               &db->statements[n], NULL) != SQLITE_OK)
            error = failed(db, texts[n]);
    }
    return error;
}

static int close_table(void *at)
{
    struct db *db = at;
    for (size_t n = 0; n < STATEMENT_COUNT; n++)
        sqlite3_finalize(db->statements[n]);
    int code = sqlite3_close(db->connection);
    int error = code == SQLITE_OK ? 0 : failed(db, "closing");
    free(db);
    return error;
}

static int open_table(const struct engine_config *config, const char *synchronous, void **out)
{
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return engine_fail(ENOMEM, "no memory");
    db->record_size = config->record_size;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int error = sqlite3_open_v2(config->path, &db->connection, flags, NULL) == SQLITE_OK
                    ? prepare(db, synchronous)
                    : failed(db, "opening");
    if (error) {
        char why[256];
        snprintf(why, sizeof(why), "%s", engine_explain());
        close_table(db);
        return engine_fail(error, "%s", why);
    }
    *out = db;
    return 0;
}

static int open_full(const struct engine_config *config, void **out)
{
    return open_table(config, "FULL", out);
}

static int open_off(const struct engine_config *config, void **out)
{
    return open_table(config, "OFF", out);
}

/* Runs a statement that gives no row. */
static int run(struct db *db, enum statement which)
{
    sqlite3_stmt *statement = db->statements[which];
    int code = sqlite3_step(statement);
    int error = code == SQLITE_DONE ? 0 : failed(db, texts[which]);
    sqlite3_reset(statement);
    return error;
}

/* The record that was read last is no longer looked at. */
static void let_go(struct db *db)
{
    sqlite3_reset(db->statements[SELECT]);
}

static int begin(void *at, bool writes)
{
    return run(at, writes ? BEGIN_WRITE : BEGIN_READ);
}

static int commit(void *at)
{
    let_go(at);
    return run(at, COMMIT);
}

static int drop(void *at)
{
    let_go(at);
    return run(at, ROLLBACK);
}

static int read_record(void *at, uint64_t key, const void **out)
{
    struct db *db = at;
    sqlite3_stmt *select = db->statements[SELECT];
    let_go(db);
    sqlite3_bind_int64(select, 1, (sqlite3_int64)key);
    int code = sqlite3_step(select);
    if (code == SQLITE_DONE)
        return engine_fail(ENOENT, "sqlite: there is no record %llu", (unsigned long long)key);
    if (code != SQLITE_ROW)
        return failed(db, "reading a record");
    *out = sqlite3_column_blob(select, 0);
    return 0;
}

static int write_record(struct db *db, enum statement which, uint64_t key, const void *record)
{
    sqlite3_stmt *statement = db->statements[which];
    let_go(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
    sqlite3_bind_blob(statement, 2, record, (int)db->record_size, SQLITE_STATIC);
    return run(db, which);
}

static int insert(void *at, uint64_t key, const void *record)
{
    return write_record(at, INSERT, key, record);
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
    return write_record(db, UPDATE, key, record);
}

static int erase(void *at, uint64_t key)
{
    struct db *db = at;
    let_go(db);
    sqlite3_bind_int64(db->statements[DELETE], 1, (sqlite3_int64)key);
    int error = run(db, DELETE);
    if (error == 0 && sqlite3_changes(db->connection) == 0)
        return engine_fail(ENOENT, "sqlite: there is no record %llu", (unsigned long long)key);
    return error;
}

static int check(void *at)
{
    struct db *db = at;
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db->connection, "PRAGMA integrity_check(1)", -1, &statement, NULL) !=
        SQLITE_OK)
        return failed(db, "checking");
    int error = sqlite3_step(statement) == SQLITE_ROW ? 0 : failed(db, "checking");
    const char *said = error ? NULL : (const char *)sqlite3_column_text(statement, 0);
    if (said && strcmp(said, "ok") != 0)
        error = engine_fail(EUCLEAN, "sqlite: %s", said);
    sqlite3_finalize(statement);
    return error;
}

#define ENGINE_SQLITE(suffix, sentence, outlives)                                                  \
    const struct engine engine_sqlite_##suffix = {                                                 \
        .name = "sqlite-" #suffix,                                                                 \
        .about = sentence,                                                                         \
        .family = "sqlite",                                                                        \
        .survives = (outlives),                                                                    \
        .rolls_back = true,                                                                        \
        .open = open_##suffix,                                                                     \
        .close = close_table,                                                                      \
        .check = check,                                                                            \
        .begin = begin,                                                                            \
        .commit = commit,                                                                          \
        .drop = drop,                                                                              \
        .read = read_record,                                                                       \
        .insert = insert,                                                                          \
        .update = update,                                                                          \
        .erase = erase,                                                                            \
    }

ENGINE_SQLITE(full, "SQLite with a write-ahead log and synchronous=FULL: every commit is synced",
              TMF_SURVIVES_POWER);
ENGINE_SQLITE(off,
              "SQLite with a write-ahead log and synchronous=OFF: a commit survives the death of "
              "the process alone",
              TMF_SURVIVES_KILL);
