/* SPDX-License-Identifier: MIT */
/* Engine and model share the plan, and the patterns that stand for what is written; no more. */
#include "harness/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_BATCH ((uint64_t)4096) /* records in a transaction */

/* ---- the engine's side */

static void make_record(const struct table_work *work, uint64_t key, uint64_t k, void *to)
{
    fill_pattern(to, work->record_size, work->seed + work->salt, k, key);
}

static int add_number(const struct engine *engine, void *db,
                      const struct table_operation *operation)
{
    const void *record;
    uint64_t number;
    int error = engine->read(db, operation->key, &record);
    if (error)
        return error;
    memcpy(&number, (const unsigned char *)record + operation->at, sizeof(number));
    number += operation->number;
    return engine->update(db, operation->key, operation->at, &number, sizeof(number));
}

/* A record that is read is looked at, all of it. */
static int look_at(const struct engine *engine, void *db, uint64_t key, size_t size)
{
    static unsigned char seen[ENGINE_RECORD_MAX];
    const void *record;
    int error = engine->read(db, key, &record);
    if (error == 0) {
        memcpy(seen, record, size);
        __asm__ volatile("" : : "r"(seen) : "memory");
    }
    return error;
}

static int make(const struct engine *engine, void *db, const struct table_work *work,
                const struct table_operation *operation)
{
    unsigned char bytes[ENGINE_RECORD_MAX];
    switch (operation->kind) {
    case TABLE_READ:
        return look_at(engine, db, operation->key, work->record_size);
    case TABLE_UPDATE:
        fill_pattern(bytes, operation->size, work->seed + work->salt, operation->number,
                     operation->key);
        return engine->update(db, operation->key, operation->at, bytes, operation->size);
    case TABLE_ADD:
        return add_number(engine, db, operation);
    case TABLE_NUMBER:
        return engine->update(db, operation->key, operation->at, &operation->number,
                              sizeof(operation->number));
    case TABLE_INSERT:
        make_record(work, operation->key, operation->number, bytes);
        return engine->insert(db, operation->key, bytes);
    case TABLE_ERASE:
        break;
    }
    return engine->erase(db, operation->key);
}

int table_transact(const struct engine *engine, void *db, const struct table_work *work,
                   const struct table_operation *operations, size_t count, void (*between)(void))
{
    bool writes = table_plan_writes(operations, count);
    int error = engine->begin(db, writes);
    if (error)
        return error;
    for (size_t n = 0; n < count && error == 0; n++) {
        if (between)
            between();
        error = make(engine, db, work, &operations[n]);
    }
    if (error == 0 && between)
        between();
    if (error == 0 && writes)
        return engine->commit(db);
    engine->drop(db);
    return error;
}

static int load_batch(const struct engine *engine, void *db, const struct table_work *work,
                      uint64_t first, uint64_t end)
{
    unsigned char record[ENGINE_RECORD_MAX];
    int error = engine->begin(db, true);
    if (error)
        return error;
    for (uint64_t key = first; key < end && error == 0; key++) {
        make_record(work, key, 0, record);
        if (key == work->records)
            memset(record, 0, work->record_size); /* the number of the load */
        error = engine->insert(db, key, record);
    }
    if (error == 0)
        return engine->commit(db);
    engine->drop(db);
    return error;
}

int table_load(const struct engine *engine, void *db, const struct table_work *work)
{
    int error = 0;
    for (uint64_t key = 0; key < table_keys(work) && error == 0; key += LOAD_BATCH) {
        uint64_t end = key + LOAD_BATCH;
        error = load_batch(engine, db, work, key, end < table_keys(work) ? end : table_keys(work));
    }
    return error;
}

uint64_t table_pages_step(const struct table_work *work)
{
    return work->records / work->pages / TABLE_CHOICES;
}

int table_touch(const struct engine *engine, void *db, const struct table_work *work, uint64_t step)
{
    int error = engine->begin(db, true);
    if (error)
        return error;
    for (uint64_t key = 0; key < work->records && error == 0; key += step)
        error = add_number(engine, db, &(struct table_operation){.kind = TABLE_ADD, .key = key});
    if (error == 0)
        return engine->commit(db);
    engine->drop(db);
    return error;
}

int table_number(const struct engine *engine, void *db, const struct table_work *work,
                 uint64_t *out)
{
    const void *record;
    int error = engine->begin(db, false);
    if (error)
        return error;
    error = engine->read(db, work->records, &record);
    if (error == 0)
        memcpy(out, record, sizeof(*out));
    engine->drop(db);
    return error;
}

/* ---- the model's */

struct table_model {
    uint64_t keys;
    size_t record_size;
    bool *there;
    unsigned char *records;
};

struct table_model *table_model_new(const struct table_work *work)
{
    struct table_model *model = calloc(1, sizeof(*model));
    if (!model)
        return NULL;
    model->keys = table_keys(work);
    model->record_size = work->record_size;
    model->there = calloc(model->keys, sizeof(*model->there));
    model->records = calloc(model->keys, work->record_size);
    if (!model->there || !model->records) {
        table_model_free(model);
        return NULL;
    }
    for (uint64_t key = 0; key < model->keys; key++) {
        model->there[key] = true;
        if (key < work->records)
            make_record(work, key, 0, model->records + key * work->record_size);
    }
    return model;
}

void table_model_free(struct table_model *model)
{
    if (!model)
        return;
    free(model->there);
    free(model->records);
    free(model);
}

static void apply(struct table_model *model, const struct table_work *work,
                  const struct table_operation *operation)
{
    unsigned char *record = model->records + operation->key * model->record_size;
    uint64_t number;
    switch (operation->kind) {
    case TABLE_READ:
        break;
    case TABLE_UPDATE:
        fill_pattern(record + operation->at, operation->size, work->seed + work->salt,
                     operation->number, operation->key);
        break;
    case TABLE_ADD:
        memcpy(&number, record + operation->at, sizeof(number));
        number += operation->number;
        memcpy(record + operation->at, &number, sizeof(number));
        break;
    case TABLE_NUMBER:
        memcpy(record + operation->at, &operation->number, sizeof(operation->number));
        break;
    case TABLE_INSERT:
        make_record(work, operation->key, operation->number, record);
        model->there[operation->key] = true;
        break;
    case TABLE_ERASE:
        model->there[operation->key] = false;
        break;
    }
}

void table_model_apply(struct table_model *model, const struct table_work *work, uint64_t k)
{
    struct table_operation operations[TABLE_OPERATIONS_MAX];
    size_t count = table_plan(work, k, operations);
    for (size_t n = 0; n < count; n++)
        apply(model, work, &operations[n]);
}

static bool record_equal(const struct table_model *model, const struct engine *engine, void *db,
                         uint64_t key, struct difference *out)
{
    char what[64];
    const void *record;
    int error = engine->read(db, key, &record);
    if (error && error != ENOENT)
        return differs(out, "reading record %" PRIu64 " failed: %s", key, engine_explain());
    if (error == ENOENT)
        return !model->there[key] || differs(out, "record %" PRIu64 " is missing", key);
    if (!model->there[key])
        return differs(out, "record %" PRIu64 " is there, which was erased", key);
    snprintf(what, sizeof(what), "record %" PRIu64, key);
    return bytes_equal(record, model->records + key * model->record_size, model->record_size, out,
                       what);
}

bool table_equal(const struct table_model *model, const struct engine *engine, void *db,
                 struct difference *out)
{
    if (engine->check && engine->check(db) != 0)
        return differs(out, "the engine's own check does not hold: %s", engine_explain());
    if (engine->begin(db, false) != 0)
        return differs(out, "reading failed: %s", engine_explain());
    bool equal = true;
    for (uint64_t key = 0; key < model->keys && equal; key++)
        equal = record_equal(model, engine, db, key, out);
    engine->drop(db);
    return equal;
}
