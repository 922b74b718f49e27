/* SPDX-License-Identifier: MIT */
/*
 * The heap against a model of it: a sorted array of runs that is searched from end to end, which
 * knows the placement policy and nothing else. Random operations are made on both; each must return
 * the same, at the same address. Every block is filled with a tag of its own, so that a byte
 * written by the heap into a block, or lost by a move, is seen when the block is next looked at.
 *
 * A failure prints the line that replays it. TMF_MODEL_SEED sets the seed.
 */
#include "test_region.h"

#include <stdlib.h>

enum { RUNS_MAX = 8192, OPERATIONS = 180000, RESERVED = 3 << 20, OFFSET = 200 };

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

/* One round: a heap and its model, and what they are fed with. */
static struct round {
    struct region region;
    struct model model;
    tmf_heap_config config;
    size_t largest; /* bytes asked for at most */
    uint64_t random;
    uint64_t seed;
    size_t operation;
} now;

static void replay(const char *what)
{
    fail_msg("%s\nreplay: TMF_MODEL_SEED=%llu model_test   (%s, quantum %zu, operation %zu)", what,
             (unsigned long long)now.seed, now.config.index, now.config.quantum, now.operation);
}

static void expect(bool holds, const char *what)
{
    if (!holds) {
        replay(what);
    }
}

static size_t below(size_t limit)
{
    return random_below(&now.random, limit);
}

/* ---- the model ---- */

static size_t rounded(const struct model *model, size_t size)
{
    size_t quanta = (size + model->quantum - 1) / model->quantum;
    return (quanta == 0 ? 1 : quanta) * model->quantum;
}

static void model_insert(struct model *model, size_t n, struct run run)
{
    assert_true(model->count < RUNS_MAX);
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

/* The run that an allocation makes, or RUNS_MAX. */
static size_t model_alloc(struct model *model, size_t alignment, size_t size)
{
    size_t best = RUNS_MAX;
    size = rounded(model, size);
    for (size_t n = 0; n < model->count; n++) {
        const struct run *run = &model->runs[n];
        bool fits = run->state == FREE && run->size >= size + model_skip(model, n, alignment);
        if (fits && (best == RUNS_MAX || run->size < model->runs[best].size)) {
            best = n;
        }
    }
    if (best == RUNS_MAX) {
        return RUNS_MAX;
    }
    size_t skip = model_skip(model, best, alignment);
    model_cut(model, best, skip);
    best += skip > 0;
    model_cut(model, best, size);
    model->runs[best].state = USED;
    return best;
}

/* The run that a resized block becomes, or RUNS_MAX. */
static size_t model_resize(struct model *model, size_t n, size_t size)
{
    size_t old = model->runs[n].size;
    size_t at = model->runs[n].at;
    size = rounded(model, size);
    if (size <= old) {
        if (size < old) {
            model_cut(model, n, size);
            model_free(model, n + 1);
        }
        return n;
    }
    if (model_is_free(model, n + 1) && old + model->runs[n + 1].size >= size) {
        model_cut(model, n + 1, size - old);
        model_delete(model, n + 1);
        model->runs[n].size = size;
        return n;
    }
    size_t moved = model_alloc(model, 1, size);
    if (moved == RUNS_MAX) {
        return RUNS_MAX;
    }
    size_t place = model->runs[moved].at;
    for (n = 0; model->runs[n].at != at; n++) {
    }
    model_free(model, n);
    for (n = 0; model->runs[n].at != place; n++) {
    }
    return n;
}

/* ---- the heap beside it ---- */

static unsigned char *place_of(const struct run *run)
{
    return now.region.base + run->at;
}

static void fill(struct run *run)
{
    run->tag = (unsigned char)random_next(&now.random);
    block_fill((struct block){place_of(run), run->size}, run->tag);
}

/* The first `size` bytes of a block are those of its tag. */
static void expect_filled(const struct run *run, size_t size, unsigned char tag)
{
    struct block block = {place_of(run), run->size};
    expect(block_holds(block, size, tag), "a block has its content");
}

static size_t random_used(void)
{
    size_t start = below(now.model.count);
    for (size_t n = 0; n < now.model.count; n++) {
        size_t run = (start + n) % now.model.count;
        if (now.model.runs[run].state == USED) {
            return run;
        }
    }
    return RUNS_MAX;
}

/* Mostly small, sometimes large, sometimes none. */
static size_t random_size(void)
{
    return below(now.largest >> below(6));
}

/* Any size that rounds to the block's. */
static size_t random_size_of(const struct run *run)
{
    return run->size - below(now.model.quantum);
}

static void try_alloc(void)
{
    static const size_t alignments[] = {0, 1, 8, 64, 128, 256, 1024, 4096, 65536};
    size_t count = sizeof alignments / sizeof alignments[0];
    size_t alignment = below(3) == 0 ? alignments[below(count)] : 1;
    size_t size = random_size();
    void *at = NULL;
    int error = tmf_heap_alloc(&now.region.heap, alignment, size, &at);
    size_t n = model_alloc(&now.model, alignment, size);
    expect(error == (n == RUNS_MAX ? ENOMEM : 0), "an allocation succeeds where it must");
    if (n != RUNS_MAX) {
        expect(at == place_of(&now.model.runs[n]), "an allocation is where it must be");
        fill(&now.model.runs[n]);
    }
}

static void try_free(void)
{
    size_t n = random_used();
    if (n == RUNS_MAX) {
        return;
    }
    struct run *run = &now.model.runs[n];
    expect_filled(run, run->size, run->tag);
    int error = tmf_heap_free(&now.region.heap, place_of(run), random_size_of(run));
    expect(error == 0, "a block is freed");
    model_free(&now.model, n);
}

static void try_resize(void)
{
    size_t n = random_used();
    if (n == RUNS_MAX) {
        return;
    }
    struct run old = now.model.runs[n];
    size_t size = below(2) == 0 ? random_size() : old.size + below(4 * now.model.quantum);
    void *at = NULL;
    int error = tmf_heap_resize(&now.region.heap, place_of(&old), old.size, size, &at);
    n = model_resize(&now.model, n, size);
    expect(error == (n == RUNS_MAX ? ENOMEM : 0), "a block is resized where it must");
    if (n == RUNS_MAX) {
        expect_filled(&old, old.size, old.tag);
        return;
    }
    struct run *run = &now.model.runs[n];
    expect(at == place_of(run), "a resized block is where it must be");
    expect_filled(run, run->size < old.size ? run->size : old.size, old.tag);
    fill(run);
}

/* A free of what is no block, by a quantum or by anything. */
static void try_bad_free(void)
{
    static unsigned char before[RESERVED];
    const struct model *model = &now.model;
    const struct run *run = &model->runs[below(model->count)];
    size_t at = run->at + (below(5) - 2) * model->quantum;
    size_t size = run->size + (below(5) - 2) * model->quantum;
    at = below(8) == 0 ? below(model->size) : at;
    for (size_t n = 0; n < model->count; n++) {
        if (model->runs[n].at == at && model->runs[n].state == USED &&
            model->runs[n].size == rounded(model, size)) {
            return;
        }
    }
    memcpy(before, now.region.base, model->size);
    int error = tmf_heap_free(&now.region.heap, now.region.base + at, size);
    expect(error == TMF_EBADBLOCK, "a free of what is no block is refused");
    expect(memcmp(before, now.region.base, model->size) == 0, "a refused free changes nothing");
}

static size_t metadata_bytes(void)
{
    tmf_heap_stats stats;
    expect(tmf_heap_stats_get(&now.region.heap, &stats) == 0, "a heap has statistics");
    return stats.metadata_bytes;
}

/* Pages that the map takes are at the end of what was added. */
static void try_grow(void)
{
    struct model *model = &now.model;
    size_t size = model->size + (8 + below(64)) * 4096;
    if (size > RESERVED) {
        return;
    }
    size_t metadata = metadata_bytes();
    expect(tmf_heap_grow(&now.region.heap, size) == 0, "a heap grows");
    metadata = metadata_bytes() - metadata;
    struct run added = {.at = model->size, .size = size - model->size - metadata, .state = USED};
    model_insert(model, model->count, added);
    model_free(model, model->count - 1);
    if (metadata > 0) {
        struct run pages = {.at = size - metadata, .size = metadata, .state = META};
        model_insert(model, model->count, pages);
    }
    model->size = size;
}

struct walk {
    size_t n;
};

static int compare_run(void *context, const tmf_heap_block *block)
{
    struct walk *walk = context;
    walk->n += now.model.runs[walk->n].state == META;
    const struct run *run = &now.model.runs[walk->n++];
    expect(walk->n <= now.model.count && block->offset == run->at && block->size == run->size &&
               block->is_free == (run->state == FREE),
           "the walk meets the blocks");
    return 0;
}

static void compare_all(void)
{
    struct walk walk = {0};
    tmf_heap_fault fault;
    if (tmf_heap_check(&now.region.heap, &fault) != 0) {
        replay(fault.invariant);
    }
    expect(tmf_heap_walk(&now.region.heap, compare_run, &walk) == 0, "a heap is walked");
    walk.n += walk.n < now.model.count && now.model.runs[walk.n].state == META;
    expect(walk.n == now.model.count, "the walk meets all blocks");
}

static void operate(void)
{
    /* Weights drift, so that the heap fills up and empties again. */
    bool fills = now.operation / 3000 % 2 == 0;
    size_t choice = below(100);
    if (choice < (fills ? 45U : 30U)) {
        try_alloc();
    } else if (choice < 76) {
        try_free();
    } else if (choice < 97) {
        try_resize();
    } else if (choice < 99 || below(40) > 0) {
        try_bad_free();
    } else {
        try_grow();
    }
}

static void begin_round(tmf_heap_config config)
{
    size_t size = (size_t)(64 + below(64)) * 4096;
    struct model *model = &now.model;
    now.config = config;
    region_map(&now.region, RESERVED);
    assert_int_equal(region_create(&now.region, OFFSET, size, config), 0);
    *model = (struct model){.quantum = config.quantum, .size = size, .count = 1};
    model->base = (uintptr_t)now.region.base;
    size_t first = now.region.heap.media->first * config.quantum;
    model->runs[0] = (struct run){.at = first, .size = size - first, .state = FREE};
    now.largest = config.quantum * (16 + below(500));
}

static void test_kind(tmf_heap_config config)
{
    enum { ROUNDS = 8 };
    if (config.quantum > 128) {
        return;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        begin_round(config);
        for (now.operation = 0; now.operation < OPERATIONS / ROUNDS; now.operation++) {
            operate();
            if (now.operation % 256 == 0) {
                compare_all();
            }
        }
        compare_all();
        region_unmap(&now.region);
    }
}

static void test_model(void **state)
{
    (void)state;
    const char *seed = getenv("TMF_MODEL_SEED");
    now.seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    now.random = now.seed;
    for_each_kind(test_kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
