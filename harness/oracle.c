/* SPDX-License-Identifier: MIT */
#include "harness/oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Transactions made after a recovery, to see that work goes on. */
#define MORE_TRANSACTIONS 3
/* A number so far ahead is damage, not progress; replaying up to it would take for ever. */
#define AHEAD_MAX (UINT64_C(1) << 24)

struct oracle {
    const struct workload *workload;
    uint64_t seed;
    uint64_t number; /* the model is at this transaction */
    void *model;
};

struct oracle *oracle_new(const struct workload *workload, uint64_t seed)
{
    struct oracle *oracle = calloc(1, sizeof(*oracle));
    void *model = calloc(1, workload->model_size);
    if (!oracle || !model) {
        free(oracle);
        free(model);
        return NULL;
    }
    *oracle = (struct oracle){workload, seed, 0, model};
    workload->model_init(model, seed);
    return oracle;
}

void oracle_free(struct oracle *oracle)
{
    if (oracle)
        free(oracle->model);
    free(oracle);
}

void oracle_move(struct oracle *oracle, uint64_t k)
{
    if (k < oracle->number) {
        memset(oracle->model, 0, oracle->workload->model_size);
        oracle->workload->model_init(oracle->model, oracle->seed);
        oracle->number = 0;
    }
    while (oracle->number < k)
        oracle->workload->model_apply(oracle->model, oracle->seed, ++oracle->number);
}

struct oracle *oracle_copy(const struct oracle *oracle)
{
    struct oracle *copy = oracle_new(oracle->workload, oracle->seed);
    if (!copy)
        return NULL;
    memcpy(copy->model, oracle->model, oracle->workload->model_size);
    copy->number = oracle->number;
    return copy;
}

bool oracle_equal(struct oracle *oracle, const struct view *view, uint64_t k,
                  struct difference *out)
{
    if (k > oracle->number && k - oracle->number > AHEAD_MAX)
        return differs(out, "the number is %" PRIu64 ", far beyond what was done", k);
    oracle_move(oracle, k);
    return oracle->workload->equal(oracle->model, view, out);
}

/* The blocks of the heap, as the walk meets them, against those of the workload. */
struct census {
    const unsigned char *arena;
    size_t quantum;
    struct block blocks[WORKLOAD_BLOCKS_MAX];
    size_t count, met;
    struct difference *difference;
};

static bool is_same(const struct census *census, const tmf_block *met, const struct block *known)
{
    size_t size = (known->size ? known->size : 1) + census->quantum - 1;
    return census->arena + met->offset == known->at && met->size == size - size % census->quantum;
}

static int visit_block(void *context, const tmf_block *block)
{
    struct census *census = context;
    if (block->is_free)
        return 0;
    for (size_t n = 0; n < census->count; n++) {
        if (is_same(census, block, &census->blocks[n])) {
            census->met++;
            return 0;
        }
    }
    differs(census->difference, "the heap holds a block of %zu bytes at offset %zu that nobody has",
            block->size, block->offset);
    return 1;
}

/* Every block of the heap is one of the workload's, and every one of these is in the heap. */
static bool blocks_equal(const struct workload *workload, tmf_storage *storage, const void *root,
                         struct difference *out)
{
    tmf_info info;
    int error = tmf_info_get(storage, &info);
    if (error)
        return differs(out, "asking for the storage's facts failed: %s", error_text(error));
    struct census census = {tmf_address(storage), info.quantum, {{0}}, 0, 0, out};
    census.count = workload->blocks(root, census.blocks);
    error = tmf_walk(storage, visit_block, &census);
    if (error == 1)
        return false;
    if (error)
        return differs(out, "walking over the blocks failed: %s", error_text(error));
    if (census.met != census.count || info.used_blocks != census.count)
        return differs(out, "the heap holds %zu blocks and counts %zu, must hold %zu", census.met,
                       info.used_blocks, census.count);
    return true;
}

bool oracle_verify(struct oracle *oracle, tmf_storage *storage, const void *root,
                   struct difference *out)
{
    struct view view = {root, tmf_address(storage), tmf_size(storage)};
    if (!oracle_equal(oracle, &view, workload_number(root), out))
        return false;
    if (tmf_check(storage) != 0)
        return differs(out, "the heap is damaged: %s", tmf_explain());
    return blocks_equal(oracle->workload, storage, root, out);
}

/* Rules 2 to 4 for what was found. */
static bool judge_found(struct oracle *oracle, tmf_storage *storage, const void *root,
                        const struct claim *claim, struct verdict *out)
{
    struct difference *difference = &out->difference;
    out->recovered = workload_number(root);
    if (out->recovered < claim->acknowledged)
        return differs(difference, "an acknowledged transaction is lost");
    if (out->recovered > claim->begun)
        return differs(difference, "a transaction is there that was never begun");
    if (tmf_size(storage) < claim->size_min)
        return differs(difference, "the arena has %zu bytes, must have %zu or more",
                       tmf_size(storage), claim->size_min);
    return oracle_verify(oracle, storage, root, difference);
}

static bool go_on(struct oracle *oracle, const struct workload_place *place, tmf_storage *storage,
                  tmf_writer *writer, struct verdict *out)
{
    struct difference *difference = &out->difference;
    for (uint64_t n = 1; n <= MORE_TRANSACTIONS; n++) {
        uint64_t k = out->recovered + n;
        int error = workload_step(place, writer, k);
        if (error == 0)
            error = tmf_commit(writer);
        if (error)
            return differs(difference, "transaction %" PRIu64 " after recovery failed: %s", k,
                           error_text(error));
        if (!oracle_verify(oracle, storage, tmf_writer_root(writer), difference))
            return false;
    }
    return true;
}

static bool judge_open(struct oracle *oracle, const struct workload_place *place,
                       tmf_storage *storage, const struct claim *claim, struct verdict *out)
{
    tmf_writer *writer;
    int error = tmf_write_begin_try(storage, &writer);
    if (error)
        return differs(&out->difference, "the lock is not free: %s", error_text(error));
    bool holds = judge_found(oracle, storage, tmf_writer_root(writer), claim, out) &&
                 go_on(oracle, place, storage, writer, out);
    tmf_write_end(writer);
    return holds;
}

static bool judge_reopened(struct oracle *oracle, tmf_storage *storage, struct verdict *out)
{
    tmf_reader *reader;
    int error = tmf_read_begin(storage, &reader);
    if (error)
        return differs(&out->difference, "reading after reopening failed: %s", error_text(error));
    const void *root = tmf_reader_root(reader);
    bool holds = workload_number(root) == out->recovered + MORE_TRANSACTIONS;
    if (!holds)
        differs(&out->difference, "after reopening the number is %" PRIu64 ", must be %" PRIu64,
                workload_number(root), out->recovered + MORE_TRANSACTIONS);
    holds = holds && oracle_verify(oracle, storage, root, &out->difference);
    tmf_read_end(reader);
    return holds;
}

/* An earlier difference is the one to report. */
static bool close_storage(tmf_storage *storage, struct verdict *out)
{
    int error = tmf_close(storage);
    if (error && !out->difference.what[0])
        differs(&out->difference, "closing failed: %s", error_text(error));
    return error == 0;
}

static bool judge(struct oracle *oracle, const struct workload_place *place, const char *path,
                  const struct claim *claim, struct verdict *out)
{
    tmf_storage *storage;
    int error = claim->created ? workload_open(place, path, &storage)
                               : workload_create(place, path, &storage);
    if (error)
        return differs(&out->difference, "it does not open: %s", error_text(error));
    bool holds = judge_open(oracle, place, storage, claim, out);
    holds = close_storage(storage, out) && holds;
    if (!holds)
        return false;
    error = workload_open(place, path, &storage);
    if (error)
        return differs(&out->difference, "it does not open again: %s", error_text(error));
    holds = judge_reopened(oracle, storage, out);
    return close_storage(storage, out) && holds;
}

void oracle_judge(const struct workload_place *place, const char *path, const struct claim *claim,
                  struct verdict *out)
{
    *out = (struct verdict){.recovered = VERDICT_UNKNOWN};
    struct oracle *oracle = oracle_new(place->workload, place->seed);
    if (!oracle) {
        differs(&out->difference, "no memory for a model");
        return;
    }
    out->holds = judge(oracle, place, path, claim, out);
    oracle_free(oracle);
}
