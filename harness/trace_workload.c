/* SPDX-License-Identifier: MIT */
/*
 * trace:FILE: the operations of a recorded trace, as trace_plan.h makes them fit, so many in each
 * transaction; after the last comes the first again. Every block is filled with bytes of the
 * transaction and the step that allocated it, a resize goes on with them: so a block's content is
 * known by its birth and its size, and what a resize has to copy is compared too.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/random.h"
#include "harness/trace_plan.h"
#include "harness/workload.h"

#define STEPS         100 /* of a transaction */
#define ARENA_MIN     ((size_t)256 << 10)
#define PAGE          4096          /* bytes, the largest quantum */
#define NAME_MAX_HERE ((size_t)200) /* a case is a line that has to be read and typed */

struct slot {
    unsigned char *block; /* NULL: empty */
    size_t size;          /* bytes */
    uint64_t birth;       /* transaction * STEPS + step that allocated it; names its content */
};

struct trace_root {
    struct workload_root root;
    struct slot slots[PLAN_SLOTS];
};

struct model_slot {
    bool used;
    size_t size, alignment; /* bytes */
    uint64_t birth;
};

struct trace_model {
    uint64_t seed;
    struct model_slot slots[PLAN_SLOTS];
};

static_assert(PLAN_SLOTS <= WORKLOAD_BLOCKS_MAX, "trace_blocks() lists them all");

/* The one trace of this process; children inherit it. */
static struct trace_plan plan;
static char loaded_name[NAME_MAX_HERE];
static struct workload loaded;

/* Step n of transaction k > 0. */
static const struct plan_step *step_at(uint64_t k, unsigned n)
{
    return &plan.steps[((k - 1) * STEPS + n) % plan.count];
}

/* `size` bytes, from byte `from` on, of the content that a birth names. */
static void fill(unsigned char *to, size_t from, size_t size, uint64_t seed, uint64_t birth)
{
    for (size_t done = 0; done < size;) {
        uint64_t word = random_bits(seed, birth, (from + done) / sizeof(word));
        size_t skip = (from + done) % sizeof(word), left = size - done;
        size_t length = sizeof(word) - skip < left ? sizeof(word) - skip : left;
        memcpy(to + done, (unsigned char *)&word + skip, length);
        done += length;
    }
}

static int allocate(tmf_writer *writer, struct slot *slot, const struct plan_step *step)
{
    slot->block = step->alignment > 1 ? tmf_alloc_aligned(writer, step->alignment, step->size)
                                      : tmf_alloc(writer, step->size);
    slot->size = 0; /* is filled yet */
    return slot->block ? 0 : errno;
}

static int resize(tmf_writer *writer, struct slot *slot, const struct plan_step *step)
{
    void *block = tmf_resize(writer, slot->block, slot->size, step->size);
    if (!block)
        return errno;
    slot->block = block;
    return 0;
}

static int release(tmf_writer *writer, struct slot *slot)
{
    int error = tmf_free(writer, slot->block, slot->size);
    if (error == 0)
        *slot = (struct slot){0};
    return error;
}

static int apply_step(struct workload_writer *writer, struct slot *slot,
                      const struct plan_step *step, uint64_t seed, uint64_t birth)
{
    int error;
    workload_declare(writer, slot, sizeof(*slot));
    if (step->kind == TRACE_FREE)
        return release(writer->writer, slot);
    if (step->kind == TRACE_ALLOCATE) {
        slot->birth = birth;
        error = allocate(writer->writer, slot, step);
    } else {
        error = resize(writer->writer, slot, step);
    }
    if (error)
        return error;
    if (slot->size < step->size) {
        size_t more = step->size - slot->size;
        fill(workload_declare(writer, slot->block + slot->size, more), slot->size, more, seed,
             slot->birth);
    }
    slot->size = step->size;
    return 0;
}

static int trace_init(tmf_writer *writer, void *root, uint64_t seed)
{
    (void)writer, (void)root, (void)seed;
    return 0;
}

static int trace_apply(struct workload_writer *writer, void *root_object, uint64_t seed, uint64_t k)
{
    struct trace_root *root = root_object;
    for (unsigned n = 0; n < STEPS; n++) {
        const struct plan_step *step = step_at(k, n);
        int error = apply_step(writer, &root->slots[step->slot], step, seed, k * STEPS + n);
        if (error)
            return error;
    }
    return 0;
}

static void trace_model_init(void *model, uint64_t seed)
{
    ((struct trace_model *)model)->seed = seed;
}

static void trace_model_apply(void *model, uint64_t seed, uint64_t k)
{
    (void)seed;
    for (unsigned n = 0; n < STEPS; n++) {
        const struct plan_step *step = step_at(k, n);
        struct model_slot *slot = &((struct trace_model *)model)->slots[step->slot];
        if (step->kind == TRACE_FREE) {
            *slot = (struct model_slot){0};
            continue;
        }
        if (step->kind == TRACE_ALLOCATE)
            *slot = (struct model_slot){.used = true, .birth = k * STEPS + n};
        slot->size = step->size;
        slot->alignment = step->alignment; /* 1 after a resize: it may have moved */
    }
}

static size_t trace_blocks(const void *root_object, struct block out[WORKLOAD_BLOCKS_MAX])
{
    const struct trace_root *root = root_object;
    size_t count = 0;
    for (size_t n = 0; n < PLAN_SLOTS; n++) {
        if (root->slots[n].block)
            out[count++] = (struct block){root->slots[n].block, root->slots[n].size};
    }
    return count;
}

static bool content_equal(const struct slot *is, const struct model_slot *must, size_t number,
                          uint64_t seed, struct difference *out)
{
    unsigned char bytes[PAGE]; /* threads compare at the same time */
    char what[64];
    for (size_t from = 0; from < must->size; from += sizeof(bytes)) {
        size_t left = must->size - from;
        size_t size = left < sizeof(bytes) ? left : sizeof(bytes);
        fill(bytes, from, size, seed, must->birth);
        snprintf(what, sizeof(what), "block of slot %zu from byte %zu", number, from);
        if (!bytes_equal(is->block + from, bytes, size, out, what))
            return false;
    }
    return true;
}

static bool slot_equal(const struct slot *is, const struct model_slot *must, size_t number,
                       const struct view *view, struct difference *out)
{
    if (!must->used) {
        if (is->block || is->size || is->birth)
            return differs(out, "slot %zu holds %zu bytes, must be empty", number, is->size);
        return true;
    }
    if (!is->block || is->size != must->size || is->birth != must->birth)
        return differs(out, "slot %zu holds %zu bytes of transaction %ju, must hold %zu of %ju",
                       number, is->size, (uintmax_t)(is->birth / STEPS), must->size,
                       (uintmax_t)(must->birth / STEPS));
    if (!view_holds(view, is->block, is->size))
        return differs(out, "slot %zu leads out of the arena", number);
    if ((uintptr_t)is->block % must->alignment != 0)
        return differs(out, "slot %zu is not aligned to %zu", number, must->alignment);
    return true;
}

static bool trace_equal(const void *model, const struct view *view, struct difference *out)
{
    const struct trace_model *trace = model;
    const struct trace_root *root = view->root;
    for (size_t n = 0; n < PLAN_SLOTS; n++) {
        const struct slot *is = &root->slots[n];
        const struct model_slot *must = &trace->slots[n];
        if (!slot_equal(is, must, n, view, out) ||
            (must->used && !content_equal(is, must, n, trace->seed, out)))
            return false;
    }
    return true;
}

/* Twice what all blocks take at the largest quantum: what is free between them has room too. */
static size_t arena_size(void)
{
    size_t size = ARENA_MIN + 2 * (plan.bytes_peak + plan.blocks_peak * (size_t)PAGE);
    return (size + PAGE - 1) / PAGE * PAGE;
}

static bool load(const char *name, struct difference *out)
{
    const char *path = name + strlen(WORKLOAD_TRACE);
    struct trace *trace;
    struct trace_fault fault;
    if (trace_open(path, &trace, &fault) != 0)
        return differs(out, "the trace '%s': %s", path, fault.what);
    int error = trace_plan_init(&plan, trace);
    trace_close(trace);
    if (error)
        return differs(out, "the trace '%s': %s", path, strerror(error));
    if (plan.count == 0)
        return differs(out, "the trace '%s' has no block of %zu bytes or less", path,
                       (size_t)PLAN_BLOCK_MAX);
    return true;
}

const struct workload *workload_trace(const char *name, struct difference *out)
{
    const char *path = name + strlen(WORKLOAD_TRACE);
    if (strcmp(name, loaded_name) == 0)
        return &loaded;
    if (loaded_name[0])
        differs(out, "one trace at a time: there is '%s' already", loaded_name);
    else if (strpbrk(path, ":,'") || strlen(name) >= sizeof(loaded_name))
        differs(out,
                "a trace's path is part of the name of a case: it has no ':', ',' or ', and "
                "less than %zu bytes, unlike '%s'",
                sizeof(loaded_name) - strlen(WORKLOAD_TRACE), path);
    else if (load(name, out)) {
        memcpy(loaded_name, name, strlen(name) + 1);
        loaded = (struct workload){
            .name = loaded_name,
            .about = WORKLOAD_TRACE_ABOUT,
            .root_size = sizeof(struct trace_root),
            .arena_size = arena_size(),
            .model_size = sizeof(struct trace_model),
            .init = trace_init,
            .apply = trace_apply,
            .model_init = trace_model_init,
            .model_apply = trace_model_apply,
            .blocks = trace_blocks,
            .equal = trace_equal,
        };
        return &loaded;
    }
    return NULL;
}
