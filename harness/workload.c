/* SPDX-License-Identifier: MIT */
#include "harness/workload.h"

#include <stdio.h>
#include <string.h>

#include "alloc/point.h"
#include "harness/command.h"
#include "harness/random.h"
#include "harness/strategy.h"

/* One in so many transactions is first made wrongly and rolled back. */
#define ROLLBACK_PERIOD 4
#define ROLLBACK_DRAW   0x726f6c6c /* apart from the draws of the workloads */

extern const struct workload workload_bank, workload_churn, workload_border;

static const struct workload *const workloads[] = {
    &workload_bank,
    &workload_churn,
    &workload_border,
};
#define WORKLOAD_COUNT (sizeof(workloads) / sizeof(workloads[0]))

/* The magic number of storages that hold a workload. */
#define WORKLOAD_MAGIC UINT64_C(0x746d6677)

const struct workload *workload_at(size_t n)
{
    return n < WORKLOAD_COUNT ? workloads[n] : NULL;
}

const struct workload *workload_find(const char *name)
{
    for (size_t n = 0; n < WORKLOAD_COUNT; n++) {
        if (strcmp(workloads[n]->name, name) == 0)
            return workloads[n];
    }
    struct difference ignored;
    return workload_is_trace(name) ? workload_trace(name, &ignored) : NULL;
}

bool workload_is_trace(const char *name)
{
    return strncmp(name, WORKLOAD_TRACE, strlen(WORKLOAD_TRACE)) == 0;
}

static int init_root(tmf_writer *writer, void *root, void *context)
{
    const struct workload_place *place = context;
    return place->workload->init(writer, root, place->seed);
}

bool workload_pick(const struct arguments *arguments, size_t n, struct workload_place *out)
{
    *out = (struct workload_place){.seed = arguments->seed};
    out->workload = workload_find(arguments->workloads.at[n % arguments->workloads.count]);
    n /= arguments->workloads.count;
    out->quantum = arguments->quanta[n % arguments->quantum_count];
    n /= arguments->quantum_count;
    out->index = arguments->indexes.at[n % arguments->indexes.count];
    n /= arguments->indexes.count;
    out->durability = arguments->durabilities[n % arguments->durability_count];
    n /= arguments->durability_count;
    if (n >= arguments->strategies.count)
        return false;
    out->strategy = arguments->strategies.at[n];
    return true;
}

int workload_create(const struct workload_place *place, const char *path, tmf_storage **out)
{
    struct workload_place init = *place; /* tmf_open() is done with it when it returns */
    tmf_options options = {
        .size = place->size ? place->size : place->workload->arena_size,
        .magic = WORKLOAD_MAGIC,
        .root_size = place->workload->root_size,
        .root_init = init_root,
        .root_context = &init,
        .strategy = place->strategy,
        .durability = place->durability,
        .quantum = place->quantum,
        .index = place->index,
        .log_size = place->log_size,
        .private_size = place->private_size,
        .flags = place->flags,
    };
    return tmf_open(path, &options, out);
}

int workload_open(const struct workload_place *place, const char *path, tmf_storage **out)
{
    tmf_options options = {
        .magic = WORKLOAD_MAGIC,
        .root_size = place->workload->root_size,
        .strategy = place->strategy,
        .durability = place->durability,
        .log_size = place->log_size,
        .private_size = place->private_size,
        .flags = place->flags,
    };
    return tmf_open(path, &options, out);
}

void *workload_declare(struct workload_writer *writer, void *at, size_t size)
{
    if (writer->must_touch && writer->error == 0)
        writer->error = tmf_touch(writer->writer, at, size);
    return at;
}

/* The stores of a transaction, by `seed`; all but that of its number. */
static int apply(const struct workload_place *place, struct workload_writer *writer, uint64_t seed,
                 uint64_t k)
{
    int error = place->workload->apply(writer, tmf_writer_root(writer->writer), seed, k);
    return error ? error : writer->error;
}

static struct workload_writer writer_of(const struct workload_place *place, tmf_writer *writer)
{
    return (struct workload_writer){writer, strategy_must_touch(place->strategy), 0};
}

int workload_step_wrongly(const struct workload_place *place, tmf_writer *writer, uint64_t k)
{
    struct workload_writer wrong = writer_of(place, writer);
    return apply(place, &wrong, ~place->seed, k);
}

static int make_and_roll_back(const struct workload_place *place, tmf_writer *writer, uint64_t k)
{
    int error = workload_step_wrongly(place, writer, k);
    return error ? error : tmf_rollback(writer);
}

int workload_step_straight(const struct workload_place *place, tmf_writer *writer, uint64_t k)
{
    struct workload_writer right = writer_of(place, writer);
    int error = apply(place, &right, place->seed, k);
    TMF_POINT("workload/before-number");
    if (error)
        return error;
    struct workload_root *root = tmf_writer_root(writer);
    *(uint64_t *)workload_declare(&right, &root->number, sizeof(root->number)) = k;
    return right.error;
}

int workload_step(const struct workload_place *place, tmf_writer *writer, uint64_t k)
{
    bool rolls_back = workload_may_roll_back(place) &&
                      random_below(place->seed, k, ROLLBACK_DRAW, ROLLBACK_PERIOD) == 0;
    int error = rolls_back ? make_and_roll_back(place, writer, k) : 0;
    return error ? error : workload_step_straight(place, writer, k);
}

int workload_commit(const struct workload_place *place, tmf_writer *writer, uint64_t *ticket)
{
    *ticket = 0;
    return place->durability == TMF_DURABILITY_GROUP ? tmf_commit_nowait(writer, ticket)
                                                     : tmf_commit(writer);
}

bool workload_may_roll_back(const struct workload_place *place)
{
    return strategy_survives(place->strategy) != TMF_SURVIVES_NOTHING;
}

uint64_t workload_number(const void *root)
{
    return ((const struct workload_root *)root)->number;
}

const char *error_text(int error)
{
    const char *explained = tmf_explain();
    return strstr(explained, tmf_strerror(error)) ? explained : tmf_strerror(error);
}

bool view_holds(const struct view *view, const void *at, size_t size)
{
    uintptr_t offset = (uintptr_t)at - (uintptr_t)view->arena;
    return offset < view->arena_size && size <= view->arena_size - offset;
}
