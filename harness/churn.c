/* SPDX-License-Identifier: MIT */
/*
 * Blocks come, change their size and go, in a table of slots; every byte of each is known. So the
 * heap's own structures are part of what must be all or nothing, and a block that lost its tail in
 * a resize, or overlaps another, shows.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alloc/point.h"
#include "harness/random.h"
#include "harness/workload.h"

#define SLOTS        16
#define BLOCK_MAX    4096 /* of a block, bytes */
#define STEPS_MAX    8    /* of a transaction */
#define LARGE_PERIOD 6    /* one transaction in so many is larger than a small log, */
#define LARGE_STEPS  12   /* of so many steps, with large blocks only */

enum action { ALLOCATE, FREE, RESIZE, REWRITE };

struct step {
    enum action action; /* for a slot in use; an empty one is allocated */
    size_t slot, size, alignment;
};

struct slot {
    unsigned char *block; /* NULL: empty */
    size_t size;          /* bytes */
};

struct churn_root {
    struct workload_root root;
    struct slot slots[SLOTS];
};

struct model_slot {
    bool used;
    size_t size, alignment; /* bytes */
    unsigned char bytes[BLOCK_MAX];
};

static_assert(SLOTS <= WORKLOAD_BLOCKS_MAX, "churn_blocks() lists them all");

struct churn_model {
    struct model_slot slots[SLOTS];
};

static bool is_large(uint64_t k)
{
    return k % LARGE_PERIOD == LARGE_PERIOD - 1;
}

static size_t decide_count(uint64_t seed, uint64_t k)
{
    return is_large(k) ? LARGE_STEPS : (size_t)random_below(seed, k, 0, STEPS_MAX) + 1;
}

static size_t decide_size(uint64_t seed, uint64_t k, uint64_t draw)
{
    if (is_large(k))
        return BLOCK_MAX / 2 + (size_t)random_below(seed, k, draw, BLOCK_MAX / 2 + 1);
    uint64_t limit = UINT64_C(1) << random_below(seed, k, draw, 12);
    return (size_t)random_below(seed, k, draw + 1, limit + 1);
}

/* Sizes are spread over the orders of magnitude, 0 among them; one block in four is aligned. */
static struct step decide(uint64_t seed, uint64_t k, size_t number)
{
    static const enum action actions[] = {FREE, FREE, RESIZE, RESIZE, REWRITE};
    uint64_t draw = (number + 1) * 16;
    struct step step = {.action = actions[random_below(seed, k, draw++, 5)]};
    step.slot = (size_t)random_below(seed, k, draw++, SLOTS);
    step.size = decide_size(seed, k, draw);
    draw += 2;
    bool aligned = random_below(seed, k, draw++, 4) == 0;
    step.alignment = aligned ? (size_t)16 << random_below(seed, k, draw++, 6) : 1;
    return step;
}

static int allocate(tmf_writer *writer, struct slot *slot, const struct step *step)
{
    void *block = step->alignment > 1 ? tmf_alloc_aligned(writer, step->alignment, step->size)
                                      : tmf_alloc(writer, step->size);
    if (!block)
        return errno;
    *slot = (struct slot){block, step->size};
    return 0;
}

static int resize(tmf_writer *writer, struct slot *slot, const struct step *step)
{
    void *block = tmf_resize(writer, slot->block, slot->size, step->size);
    if (!block)
        return errno;
    *slot = (struct slot){block, step->size};
    return 0;
}

static int release(tmf_writer *writer, struct slot *slot)
{
    int error = tmf_free(writer, slot->block, slot->size);
    if (error == 0)
        *slot = (struct slot){0};
    return error;
}

/* A resize keeps what fits, and only what is new is filled: so the copying is tested too. */
static int apply_step(struct workload_writer *writer, struct slot *slot, const struct step *step,
                      uint64_t seed, uint64_t k)
{
    size_t kept = 0;
    int error = 0;
    workload_declare(writer, slot, sizeof(*slot));
    if (!slot->block) {
        error = allocate(writer->writer, slot, step);
    } else if (step->action == FREE) {
        return release(writer->writer, slot);
    } else if (step->action == RESIZE) {
        kept = slot->size < step->size ? slot->size : step->size;
        error = resize(writer->writer, slot, step);
    }
    if (error)
        return error;
    size_t size = slot->size - kept;
    fill_pattern(workload_declare(writer, slot->block + kept, size), size, seed, k, step->slot);
    return 0;
}

static int churn_init(tmf_writer *writer, void *root, uint64_t seed)
{
    (void)writer, (void)root, (void)seed;
    return 0;
}

static unsigned churn_operations(uint64_t seed, uint64_t k)
{
    return (unsigned)decide_count(seed, k);
}

static int churn_apply(struct workload_writer *writer, void *root_object, uint64_t seed, uint64_t k)
{
    struct churn_root *root = root_object;
    size_t count = decide_count(seed, k);
    for (size_t n = 0; n < count; n++) {
        if (!workload_makes(k, n))
            continue;
        struct step step = decide(seed, k, n);
        int error = apply_step(writer, &root->slots[step.slot], &step, seed, k);
        if (error)
            return error;
        TMF_POINT("workload/churn/between-steps");
    }
    return 0;
}

static void churn_model_init(void *model, uint64_t seed)
{
    (void)model, (void)seed;
}

static void model_step(struct model_slot *slot, const struct step *step, uint64_t seed, uint64_t k)
{
    size_t kept = 0;
    if (!slot->used) {
        slot->used = true;
        slot->size = step->size;
        slot->alignment = step->alignment;
    } else if (step->action == FREE) {
        slot->used = false;
        return;
    } else if (step->action == RESIZE) {
        kept = slot->size < step->size ? slot->size : step->size;
        slot->size = step->size;
        slot->alignment = 1; /* it may have moved */
    }
    fill_pattern(slot->bytes + kept, slot->size - kept, seed, k, step->slot);
}

static void churn_model_apply(void *model, uint64_t seed, uint64_t k)
{
    struct churn_model *churn = model;
    size_t count = decide_count(seed, k);
    for (size_t n = 0; n < count; n++) {
        if (!workload_makes(k, n))
            continue;
        struct step step = decide(seed, k, n);
        model_step(&churn->slots[step.slot], &step, seed, k);
    }
}

static size_t churn_blocks(const void *root_object, struct block out[WORKLOAD_BLOCKS_MAX])
{
    const struct churn_root *root = root_object;
    size_t count = 0;
    for (size_t n = 0; n < SLOTS; n++) {
        if (root->slots[n].block)
            out[count++] = (struct block){root->slots[n].block, root->slots[n].size};
    }
    return count;
}

static bool slot_equal(const struct slot *is, const struct model_slot *must, size_t number,
                       const struct view *view, struct difference *out)
{
    if (!must->used) {
        if (is->block || is->size)
            return differs(out, "slot %zu holds %zu bytes, must be empty", number, is->size);
        return true;
    }
    if (!is->block || is->size != must->size)
        return differs(out, "slot %zu holds %zu bytes, must hold %zu", number, is->size,
                       must->size);
    if (!view_holds(view, is->block, is->size))
        return differs(out, "slot %zu leads out of the arena", number);
    if ((uintptr_t)is->block % must->alignment != 0)
        return differs(out, "slot %zu is not aligned to %zu", number, must->alignment);
    char what[64];
    snprintf(what, sizeof(what), "block of slot %zu", number);
    return bytes_equal(is->block, must->bytes, must->size, out, what);
}

static bool churn_equal(const void *model, const struct view *view, struct difference *out)
{
    const struct churn_model *churn = model;
    const struct churn_root *root = view->root;
    for (size_t n = 0; n < SLOTS; n++) {
        if (!slot_equal(&root->slots[n], &churn->slots[n], n, view, out))
            return false;
    }
    return true;
}

const struct workload workload_churn = {
    .name = "churn",
    .about = "allocates, fills, resizes and frees blocks; every byte and size is known",
    .root_size = sizeof(struct churn_root),
    .arena_size = (size_t)256 << 10,
    .model_size = sizeof(struct churn_model),
    .init = churn_init,
    .apply = churn_apply,
    .operations = churn_operations,
    .model_init = churn_model_init,
    .model_apply = churn_model_apply,
    .blocks = churn_blocks,
    .equal = churn_equal,
};
