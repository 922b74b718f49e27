/* SPDX-License-Identifier: MIT */
/* The model, and the heap beside it: see test_model.h. */
#include "test_model.h"

#include "region.h"

#include <errno.h>
#include <stdlib.h>

enum { RUNS_MAX = 16384, TAGGED_MAX = 1 << 16, BAD_FREES_MAX = 4 << 20 };

enum state { FREE, USED, META };

struct run {
    size_t at;   /* bytes from the region's base */
    size_t size; /* bytes */
    enum state state;
    unsigned char tag; /* what its bytes are, if it is used */
};

struct model {
    struct run runs[RUNS_MAX]; /* by address, free ones joined */
    size_t count;
    size_t quantum;
    size_t size; /* of the region */
    uintptr_t base;
};

static struct round {
    struct region region;
    struct model model;
    tmf_heap_config config;
    const char *workload;
    bool is_exact;
    uint64_t seed;
    uint64_t tags;
    size_t operation;
} now;

static size_t operations; /* of all rounds */

void round_expect(bool holds, const char *what)
{
    if (!holds) {
        struct round_failure failure = {.what = what,
                                        .index = now.config.index,
                                        .quantum = now.config.quantum,
                                        .workload = now.workload,
                                        .seed = now.seed,
                                        .operation = now.operation};
        round_fail(&failure);
    }
}

size_t round_operations(void)
{
    return operations;
}

static void begin_operation(void)
{
    now.operation++;
    operations++;
}

/* ---- the model ---- */

static size_t rounded(const struct model *model, size_t size)
{
    size_t quanta = (size + model->quantum - 1) / model->quantum;
    return (quanta == 0 ? 1 : quanta) * model->quantum;
}

static void model_insert(struct model *model, size_t n, struct run run)
{
    round_expect(model->count < RUNS_MAX, "the model has room for all runs");
    memmove(&model->runs[n + 1], &model->runs[n], (model->count - n) * sizeof run);
    model->runs[n] = run;
    model->count++;
}

static void model_delete(struct model *model, size_t n)
{
    model->count--;
    memmove(&model->runs[n], &model->runs[n + 1], (model->count - n) * sizeof model->runs[0]);
}

/* Cuts run n in two, the first of them `size` long. */
static void model_cut(struct model *model, size_t n, size_t size)
{
    struct run rest = model->runs[n];
    if (size > 0 && size < rest.size) {
        rest.at += size;
        rest.size -= size;
        model->runs[n].size = size;
        model_insert(model, n + 1, rest);
    }
}

/* The run that `place` lies in. */
static size_t model_find(const struct model *model, size_t place)
{
    size_t low = 0;
    for (size_t high = model->count; high - low > 1;) {
        size_t middle = low + (high - low) / 2;
        if (model->runs[middle].at <= place) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool model_is_free(const struct model *model, size_t n)
{
    return n < model->count && model->runs[n].state == FREE;
}

static void model_free(struct model *model, size_t n)
{
    model->runs[n].state = FREE;
    if (model_is_free(model, n + 1)) {
        model->runs[n].size += model->runs[n + 1].size;
        model_delete(model, n + 1);
    }
    if (n > 0 && model_is_free(model, n - 1)) {
        model->runs[n - 1].size += model->runs[n].size;
        model_delete(model, n);
    }
}

/* Bytes to skip in a run for the alignment. */
static size_t model_skip(const struct model *model, size_t n, size_t alignment)
{
    size_t step = alignment > model->quantum ? alignment : model->quantum;
    size_t over = (model->base + model->runs[n].at) % step;
    return over == 0 ? 0 : step - over;
}

/* Makes an allocated run of `size` bytes in the free run n, `skip` bytes from where it begins. */
static size_t model_take(struct model *model, size_t n, size_t skip, size_t size)
{
    model_cut(model, n, skip);
    n += skip > 0;
    model_cut(model, n, size);
    model->runs[n].state = USED;
    return n;
}

/* The free run that the policy chooses, or RUNS_MAX. */
static size_t model_best(const struct model *model, size_t alignment, size_t size)
{
    size_t best = RUNS_MAX;
    for (size_t n = 0; n < model->count; n++) {
        const struct run *run = &model->runs[n];
        if (run->state == FREE && run->size >= size &&
            (best == RUNS_MAX || run->size < model->runs[best].size) &&
            run->size - size >= model_skip(model, n, alignment)) {
            best = n;
        }
    }
    return best;
}

static size_t model_largest(const struct model *model)
{
    size_t largest = 0;
    for (size_t n = 0; n < model->count; n++) {
        bool is_larger = model->runs[n].state == FREE && model->runs[n].size > largest;
        largest = is_larger ? model->runs[n].size : largest;
    }
    return largest;
}

/* ---- the heap beside it ---- */

static size_t place_of(const void *at)
{
    return (size_t)((const unsigned char *)at - now.region.base);
}

/* Large blocks are tagged at both ends only. */
static struct block head_of(const struct run *run)
{
    size_t size = run->size < TAGGED_MAX ? run->size : TAGGED_MAX;
    return (struct block){now.region.base + run->at, size};
}

static struct block tail_of(const struct run *run)
{
    size_t size = run->size < TAGGED_MAX ? run->size : TAGGED_MAX;
    return (struct block){now.region.base + run->at + run->size - size, size};
}

static void fill(struct run *run)
{
    run->tag = (unsigned char)random_next(&now.tags);
    block_fill(head_of(run), run->tag);
    block_fill(tail_of(run), run->tag);
}

static void expect_filled(const struct run *run)
{
    bool holds = block_holds(head_of(run), head_of(run).size, run->tag) &&
                 block_holds(tail_of(run), tail_of(run).size, run->tag);
    round_expect(holds, "a block has its content");
}

/*
 * An index that is not exact took `place`, or said that there is none: it may, where the room is
 * no 16th larger than what was asked for, with what the alignment may cost.
 */
static size_t take_anywhere(size_t place, size_t alignment, size_t size)
{
    struct model *model = &now.model;
    if (place == NOWHERE) {
        size_t most = size + (alignment > model->quantum ? alignment - model->quantum : 0);
        round_expect(model_largest(model) < most + most / 16 + model->quantum,
                     "an allocation succeeds where much fits");
        return RUNS_MAX;
    }
    size_t n = model_find(model, place);
    size_t skip = place - model->runs[n].at;
    round_expect(model->runs[n].state == FREE && model->runs[n].size >= skip + size,
                 "an allocation is where there is room");
    round_expect(skip == model_skip(model, n, alignment),
                 "an allocation is at the first place of its alignment");
    return model_take(model, n, skip, size);
}

static size_t take_best(size_t place, size_t alignment, size_t size)
{
    struct model *model = &now.model;
    size_t n = model_best(model, alignment, size);
    round_expect((place == NOWHERE) == (n == RUNS_MAX), "an allocation succeeds where it must");
    if (n == RUNS_MAX) {
        return RUNS_MAX;
    }
    n = model_take(model, n, model_skip(model, n, alignment), size);
    round_expect(model->runs[n].at == place, "an allocation is where it must be");
    return n;
}

/* The model follows the heap, which allocated at `place`. */
static size_t take(size_t place, size_t alignment, size_t size)
{
    size = rounded(&now.model, size);
    return now.is_exact ? take_best(place, alignment, size) : take_anywhere(place, alignment, size);
}

size_t round_alloc(size_t alignment, size_t size)
{
    void *at = NULL;
    begin_operation();
    int error = tmf_heap_alloc(&now.region.heap, alignment, size, &at);
    round_expect(error == 0 || error == ENOMEM, "an allocation has room, or has none");
    size_t n = take(error == 0 ? place_of(at) : NOWHERE, alignment, size);
    if (n == RUNS_MAX) {
        return NOWHERE;
    }
    fill(&now.model.runs[n]);
    return now.model.runs[n].at;
}

/* Any size that rounds to the block's will do. */
void round_free(size_t place)
{
    struct model *model = &now.model;
    size_t n = model_find(model, place);
    struct run *run = &model->runs[n];
    begin_operation();
    round_expect(run->at == place && run->state == USED, "a workload frees blocks");
    expect_filled(run);
    size_t size = run->size - now.operation % model->quantum;
    int error = tmf_heap_free(&now.region.heap, now.region.base + place, size);
    round_expect(error == 0, "a block is freed");
    model_free(model, n);
}

/* The model follows a block n that stays where it is; false: it cannot. */
static bool resize_in_place(size_t n, size_t size)
{
    struct model *model = &now.model;
    size_t old = model->runs[n].size;
    if (size < old) {
        model_cut(model, n, size);
        model_free(model, n + 1);
    } else if (size > old) {
        if (!model_is_free(model, n + 1) || old + model->runs[n + 1].size < size) {
            return false;
        }
        model_cut(model, n + 1, size - old);
        model_delete(model, n + 1);
        model->runs[n].size = size;
    }
    return true;
}

/* The moved bytes are those of the old block, which is gone. */
static void expect_moved(const struct run *old, size_t place, size_t size)
{
    struct run kept = {.at = place, .size = size < old->size ? size : old->size, .tag = old->tag};
    if (old->size <= TAGGED_MAX) {
        expect_filled(&kept);
    } else {
        bool holds = block_holds(head_of(&kept), head_of(&kept).size, old->tag);
        round_expect(holds, "a resized block has its content");
    }
}

size_t round_resize(size_t place, size_t size)
{
    struct model *model = &now.model;
    size_t n = model_find(model, place);
    struct run old = model->runs[n];
    void *at = NULL;
    begin_operation();
    round_expect(old.at == place && old.state == USED, "a workload resizes blocks");
    int error = tmf_heap_resize(&now.region.heap, now.region.base + place, old.size, size, &at);
    round_expect(error == 0 || error == ENOMEM, "a resized block has room, or has none");
    size_t moved = error == 0 ? place_of(at) : NOWHERE;
    if (resize_in_place(n, rounded(model, size))) {
        round_expect(moved == place, "a block is resized where it is");
    } else if (take(moved, 1, size) == RUNS_MAX) {
        expect_filled(&old);
        return NOWHERE;
    } else {
        model_free(model, model_find(model, place));
    }
    expect_moved(&old, moved, size);
    fill(&model->runs[model_find(model, moved)]);
    return moved;
}

void round_free_bad(size_t place, size_t size)
{
    static unsigned char before[BAD_FREES_MAX];
    const struct model *model = &now.model;
    const struct run *run = &model->runs[model_find(model, place)];
    if (model->size > sizeof before ||
        (run->at == place && run->state == USED && run->size == rounded(model, size))) {
        return;
    }
    begin_operation();
    memcpy(before, now.region.base, model->size);
    int error = tmf_heap_free(&now.region.heap, now.region.base + place, size);
    round_expect(error == TMF_EBADBLOCK, "a free of what is no block is refused");
    round_expect(memcmp(before, now.region.base, model->size) == 0,
                 "a refused free changes nothing");
}

static size_t metadata_bytes(void)
{
    tmf_heap_stats stats;
    round_expect(tmf_heap_stats_get(&now.region.heap, &stats) == 0, "a heap has statistics");
    return stats.metadata_bytes;
}

/* Pages that the map takes are at the end of what was added. */
bool round_grow(size_t more)
{
    struct model *model = &now.model;
    size_t size = model->size + more;
    begin_operation();
    if (size > now.region.reserved) {
        return false;
    }
    size_t metadata = metadata_bytes();
    region_open(&now.region, size);
    int error = tmf_heap_grow(&now.region.heap, size);
    round_expect(error == 0 || error == ENOMEM, "a heap grows");
    if (error != 0) {
        return false;
    }
    metadata = metadata_bytes() - metadata;
    struct run added = {.at = model->size, .size = more - metadata, .state = USED};
    model_insert(model, model->count, added);
    model_free(model, model->count - 1);
    if (metadata > 0) {
        struct run pages = {.at = size - metadata, .size = metadata, .state = META};
        model_insert(model, model->count, pages);
    }
    model->size = size;
    return true;
}

static int compare_run(void *context, const tmf_heap_block *block)
{
    size_t *n = context;
    *n += now.model.runs[*n].state == META;
    const struct run *run = &now.model.runs[(*n)++];
    round_expect(*n <= now.model.count && block->offset == run->at && block->size == run->size &&
                     block->is_free == (run->state == FREE),
                 "the walk meets the blocks");
    return 0;
}

void round_compare(void)
{
    size_t n = 0;
    tmf_heap_fault fault;
    tmf_heap *heap = &now.region.heap;
    if (tmf_heap_check(heap, &fault) != 0) {
        round_expect(false, fault.invariant);
    }
    round_expect(tmf_heap_walk(heap, compare_run, &n) == 0, "a heap is walked");
    n += n < now.model.count && now.model.runs[n].state == META;
    round_expect(n == now.model.count, "the walk meets all blocks");
    tmf_heap_stats stats;
    round_expect(tmf_heap_stats_get(heap, &stats) == 0, "a heap has statistics");
    size_t largest = model_largest(&now.model);
    bool holds = now.is_exact ? stats.largest_free_bytes == largest
                              : stats.largest_free_bytes <= largest &&
                                    stats.largest_free_bytes >= largest - largest / 16;
    round_expect(holds, "the longest free run is told");
}

size_t round_size(void)
{
    return now.model.size;
}

size_t round_block_size(size_t place)
{
    return now.model.runs[model_find(&now.model, place)].size;
}

size_t round_some_block(size_t n)
{
    const struct model *model = &now.model;
    for (size_t tried = 0; tried < model->count; tried++) {
        const struct run *run = &model->runs[(n + tried) % model->count];
        if (run->state == USED) {
            return run->at;
        }
    }
    return NOWHERE;
}

bool round_begin(tmf_heap_config config, const char *workload, uint64_t seed, size_t size,
                 size_t reserved)
{
    enum { OFFSET = 200 };
    struct model *model = &now.model;
    now.config = config;
    now.workload = workload;
    now.is_exact = !tmf_index_find(config.index)->is_inexact;
    now.seed = seed;
    now.operation = 0;
    region_map(&now.region, reserved);
    region_close(&now.region, size);
    int error = region_create(&now.region, OFFSET, size, config);
    if (error == ENOMEM) {
        region_unmap(&now.region);
        return false;
    }
    round_expect(error == 0, "a heap is made");
    model->quantum = config.quantum;
    model->size = size;
    model->base = (uintptr_t)now.region.base;
    size_t first = now.region.heap.media->first * config.quantum;
    model->runs[0] = (struct run){.at = first, .size = size - first, .state = FREE};
    model->count = 1;
    return true;
}

void round_end(void)
{
    round_compare();
    region_unmap(&now.region);
}
