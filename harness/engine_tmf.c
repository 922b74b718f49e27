/* SPDX-License-Identifier: MIT */
/*
 * The library as a program would use it: the root is an array of pointers, one per key, to blocks
 * that tmf_alloc() gave; a record is ordinary memory. With durability group a commit lets go of the
 * lock and then waits for its ticket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/engine.h"
#include "harness/strategy.h"

struct root {
    uint64_t records, record_size;
    unsigned char *at[];
};

struct db {
    tmf_storage *storage;
    tmf_reader *reader;
    tmf_writer *writer;
    struct root *root; /* of the transaction */
    bool must_touch, waits;
};

static int failed(int error, const char *doing)
{
    return engine_fail(error, "%s: %s (%s)", doing, tmf_strerror(error), tmf_explain());
}

static int fill_root(tmf_writer *writer, void *at, void *context)
{
    const struct engine_config *config = context;
    struct root *root = at;
    (void)writer;
    root->records = config->records;
    root->record_size = config->record_size;
    return 0;
}

static int open_table(const struct engine_config *config, void **out)
{
    struct engine_config copy = *config;
    size_t root_size = sizeof(struct root) + config->records * sizeof(unsigned char *);
    size_t blocks_size = config->records * (config->record_size + 64);
    tmf_options options = {
        .size = root_size + blocks_size + blocks_size / 16 + ((size_t)1 << 20),
        .root_size = root_size,
        .root_init = fill_root,
        .root_context = &copy,
        .strategy = config->strategy ? config->strategy : strategy_default(),
        .durability = config->durability,
        .flags = config->flags,
    };
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return engine_fail(ENOMEM, "no memory");
    int error = tmf_open(config->path, &options, &db->storage);
    if (error) {
        free(db);
        return failed(error, "opening");
    }
    db->must_touch = strategy_must_touch(options.strategy);
    db->waits = config->durability == TMF_DURABILITY_GROUP;
    *out = db;
    return 0;
}

static int close_table(void *at)
{
    struct db *db = at;
    int error = tmf_close(db->storage);
    if (error)
        return failed(error, "closing");
    free(db);
    return 0;
}

static int begin(void *at, bool writes)
{
    struct db *db = at;
    int error = writes ? tmf_write_begin(db->storage, &db->writer)
                       : tmf_read_begin(db->storage, &db->reader);
    if (error)
        return failed(error, "beginning a transaction");
    /* A reader's arena is not stored to; one type serves both. */
    db->root =
        writes ? tmf_writer_root(db->writer) : (void *)(uintptr_t)tmf_reader_root(db->reader);
    return 0;
}

static int drop(void *at)
{
    struct db *db = at;
    tmf_write_end(db->writer);
    tmf_read_end(db->reader);
    db->writer = NULL;
    db->reader = NULL;
    return 0;
}

static int commit(void *at)
{
    struct db *db = at;
    uint64_t ticket = 0;
    int error = db->waits ? tmf_commit_nowait(db->writer, &ticket) : tmf_commit(db->writer);
    if (error) {
        failed(error, "committing");
        drop(db);
        return error;
    }
    drop(db);
    error = db->waits ? tmf_wait(db->storage, ticket) : 0;
    return error ? failed(error, "waiting for a commit") : 0;
}

static int check(void *at)
{
    struct db *db = at;
    int error = begin(db, false);
    if (error)
        return error;
    error = tmf_check(db->storage);
    if (error)
        failed(error, "checking the heap");
    drop(db);
    return error;
}

static int find(const struct db *db, uint64_t key, unsigned char **out)
{
    *out = key < db->root->records ? db->root->at[key] : NULL;
    return *out ? 0 : engine_fail(ENOENT, "there is no record %llu", (unsigned long long)key);
}

static int declare(const struct db *db, void *at, size_t size)
{
    int error = db->must_touch ? tmf_touch(db->writer, at, size) : 0;
    return error ? failed(error, "declaring a store") : 0;
}

static int read_record(void *at, uint64_t key, const void **out)
{
    unsigned char *record = NULL;
    int error = find(at, key, &record);
    *out = record;
    return error;
}

/* Lets the key's pointer lead to `record`. */
static int point_to(const struct db *db, uint64_t key, unsigned char *record)
{
    int error = declare(db, &db->root->at[key], sizeof(record));
    if (error == 0)
        db->root->at[key] = record;
    return error;
}

static int insert(void *at, uint64_t key, const void *record)
{
    struct db *db = at;
    unsigned char *block;
    if (find(db, key, &block) == 0)
        return engine_fail(EEXIST, "there is a record %llu", (unsigned long long)key);
    size_t size = db->root->record_size;
    block = tmf_alloc(db->writer, size);
    if (!block)
        return failed(errno, "allocating a record");
    int error = declare(db, block, size);
    if (error)
        return error;
    memcpy(block, record, size);
    return point_to(db, key, block);
}

static int update(void *at, uint64_t key, size_t offset, const void *bytes, size_t size)
{
    struct db *db = at;
    unsigned char *record = NULL;
    int error = find(db, key, &record);
    if (error == 0)
        error = declare(db, record + offset, size);
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
    error = tmf_free(db->writer, record, db->root->record_size);
    return error ? failed(error, "freeing a record") : point_to(db, key, NULL);
}

const struct engine engine_tmf = {
    .name = "tmf",
    .about = "this library, with any strategy and durability",
    .family = "tmf",
    .survives = TMF_SURVIVES_POWER,
    .rolls_back = true,
    .open = open_table,
    .close = close_table,
    .check = check,
    .begin = begin,
    .commit = commit,
    .drop = drop,
    .read = read_record,
    .insert = insert,
    .update = update,
    .erase = erase,
};
