/* SPDX-License-Identifier: MIT */
/* See test_workloads.h. */
#include "test_workloads.h"

#include "region.h"

enum { COMPARE_EVERY = 256, BLOCKS_MAX = 8192 };

static uint64_t base_seed, source;
static size_t operations; /* of this round, as the workload counts them */

static size_t below(size_t limit)
{
    return random_below(&source, limit);
}

static bool begin(tmf_heap_config config, const struct model_workload *self, size_t size,
                  size_t reserved)
{
    operations = 0;
    return round_begin(config, self->name, base_seed, size, reserved);
}

static void begin_or_fail(tmf_heap_config config, const struct model_workload *self, size_t size,
                          size_t reserved)
{
    round_expect(begin(config, self, size, reserved), "a heap of that size can be made");
}

static void compare_sometimes(void)
{
    if (++operations % COMPARE_EVERY == 0) {
        round_compare();
    }
}

/* Bytes for so many quanta of blocks, and for what the heap itself takes; whole pages. */
static size_t room_for(size_t quantum, size_t quanta)
{
    return (quanta * quantum + 16 * PAGE) / PAGE * PAGE;
}

/* ---- random: everything, in drifting weights ---- */

static size_t largest; /* bytes asked for at most */

/* Mostly small, sometimes large, sometimes none. */
static size_t random_size(void)
{
    return below(largest >> below(6));
}

static void random_alloc(void)
{
    static const size_t alignments[] = {0, 1, 8, 64, 128, 256, 1024, 4096, 65536};
    size_t count = sizeof alignments / sizeof alignments[0];
    size_t alignment = below(3) == 0 ? alignments[below(count)] : 1;
    (void)round_alloc(alignment, random_size());
}

static void random_resize(size_t quantum, size_t place)
{
    size_t size = round_block_size(place);
    (void)round_resize(place, below(2) == 0 ? random_size() : size + below(4 * quantum));
}

/* By a quantum off, or by anything. */
static void random_bad_free(size_t quantum, size_t place)
{
    size_t at = place + (below(5) - 2) * quantum;
    size_t size = round_block_size(place) + (below(5) - 2) * quantum;
    round_free_bad(below(8) == 0 ? below(round_size()) : at, size);
}

static void operate(size_t quantum)
{
    bool fills = operations / 3000 % 2 == 0;
    size_t choice = below(100);
    size_t place = round_some_block(below(BLOCKS_MAX));
    if (place == NOWHERE || choice < (fills ? 45U : 30U)) {
        random_alloc();
    } else if (choice < 76) {
        round_free(place);
    } else if (choice < 97) {
        random_resize(quantum, place);
    } else if (choice < 99 || below(40) > 0) {
        random_bad_free(quantum, place);
    } else {
        (void)round_grow((8 + below(64)) * PAGE);
    }
}

static void run_random(tmf_heap_config config, const struct model_workload *self)
{
    size_t rounds = config.quantum > 128 ? 1 : 4;
    for (size_t round = 0; round < rounds; round++) {
        size_t pages = config.quantum > 128 ? 2048 : 64 + below(64);
        begin_or_fail(config, self, pages * PAGE, 8 * pages * PAGE);
        largest = config.quantum * (16 + below(500));
        while (operations < 12000) {
            operate(config.quantum);
            compare_sometimes();
        }
        round_end();
    }
}

/* ---- equal: every free block is as good as any other, but for its address ---- */

static size_t places[BLOCKS_MAX];
static size_t place_count;

/* Blocks of these bytes until there is no room, or for so many. */
static void take_all(size_t size, size_t most)
{
    for (place_count = 0; place_count < most; place_count++) {
        places[place_count] = round_alloc(1, size);
        if (places[place_count] == NOWHERE) {
            return;
        }
        compare_sometimes();
    }
}

static void free_every(size_t step, size_t first)
{
    for (size_t n = first; n < place_count; n += step) {
        if (places[n] != NOWHERE) {
            round_free(places[n]);
            places[n] = NOWHERE;
            compare_sometimes();
        }
    }
}

static void run_equal(tmf_heap_config config, const struct model_workload *self)
{
    for (size_t quanta = 1; quanta <= 3; quanta++) {
        begin_or_fail(config, self, room_for(config.quantum, 2000), 4 * MIB + 32 * MIB);
        take_all(quanta * config.quantum, BLOCKS_MAX);
        for (size_t n = 0; n < 2000; n++) {
            size_t victim = below(place_count);
            if (places[victim] == NOWHERE) {
                places[victim] = round_alloc(1, quanta * config.quantum);
            } else {
                round_free(places[victim]);
                places[victim] = NOWHERE;
            }
            compare_sometimes();
        }
        free_every(1, 0);
        round_end();
    }
}

/* ---- sawtooth: fills up, empties in one order or another ---- */

static void fill_with_all_sizes(size_t quantum, size_t most)
{
    for (place_count = 0; place_count < BLOCKS_MAX; place_count++) {
        size_t quanta = 1 + place_count * 7 % most;
        places[place_count] = round_alloc(1, quanta * quantum);
        if (places[place_count] == NOWHERE) {
            return;
        }
        compare_sometimes();
    }
}

static void reverse_places(void)
{
    for (size_t n = 0; n < place_count / 2; n++) {
        size_t other = places[n];
        places[n] = places[place_count - 1 - n];
        places[place_count - 1 - n] = other;
    }
}

static void run_sawtooth(tmf_heap_config config, const struct model_workload *self)
{
    static const size_t most[] = {1, 5, 64, 600, 1100};
    begin_or_fail(config, self, room_for(config.quantum, 3000), 64 * MIB);
    for (size_t n = 0; n < sizeof most / sizeof most[0]; n++) {
        fill_with_all_sizes(config.quantum, most[n]);
        if (n % 2 == 0) {
            reverse_places();
        }
        free_every(1 + n % 3, 0);
        free_every(1, 0);
        round_compare();
    }
    round_end();
}

/* ---- checkerboard: half is free, and none of it is of use; then all joins ---- */

static void run_checkerboard(tmf_heap_config config, const struct model_workload *self)
{
    for (size_t quanta = 1; quanta <= 4; quanta += 3) {
        size_t size = quanta * config.quantum;
        begin_or_fail(config, self, room_for(config.quantum, 2000), 64 * MIB);
        take_all(size, BLOCKS_MAX);
        free_every(2, 0);
        for (size_t n = 0; n < 50; n++) {
            (void)round_alloc(1, size + 1);
            (void)round_alloc(2 * size, size);
            (void)round_resize(round_some_block(n), size + 1);
        }
        round_compare();
        size_t left;
        while ((left = round_some_block(below(BLOCKS_MAX))) != NOWHERE) {
            round_free(left);
            compare_sometimes();
        }
        round_end();
    }
}

/* ---- growth: nothing is freed, the arena grows when it must ---- */

static void run_growth(tmf_heap_config config, const struct model_workload *self)
{
    size_t pages = config.quantum > 128 ? 1024 : 16;
    size_t most = 256 * pages * PAGE < REGION_MOST ? 256 * pages * PAGE : REGION_MOST;
    begin_or_fail(config, self, pages * PAGE, most);
    for (size_t misses = 0; operations < 3000 && misses < 3;) {
        size_t size = 1 + below(config.quantum * (below(16) == 0 ? 700 : 12));
        if (round_alloc(below(8) == 0 ? 4 * config.quantum : 1, size) == NOWHERE) {
            misses += !round_grow((1 + below(pages)) * PAGE);
        } else {
            misses = 0;
        }
        compare_sometimes();
    }
    round_end();
}

/* ---- tiny: the smallest heaps that there can be, filled to the last quantum ---- */

static void fill_tiny(size_t quantum)
{
    take_all(quantum, BLOCKS_MAX);
    round_compare();
    free_every(2, 1);
    (void)round_alloc(1, 2 * quantum);
    free_every(1, 0);
    round_compare();
    take_all(3 * quantum, BLOCKS_MAX);
    if (place_count > 0) {
        (void)round_resize(places[0], 1);
        (void)round_alloc(1, 2 * quantum);
    }
}

static void run_tiny(tmf_heap_config config, const struct model_workload *self)
{
    size_t made = 0;
    for (size_t pages = 1; made < 3; pages++) {
        round_expect(pages <= 16, "a heap of 16 pages can be made");
        if (begin(config, self, pages * PAGE, 16 * PAGE)) {
            fill_tiny(config.quantum);
            round_end();
            made++;
        }
    }
}

/* ---- far: few small runs, far from each other in an arena that is large ---- */

static void run_far(tmf_heap_config config, const struct model_workload *self)
{
    size_t size = (size_t)1 << (config.quantum > 128 ? 34 : 30);
    size_t quantum = config.quantum;
    if (sizeof(void *) < 8 || size > REGION_MOST / 4) {
        return;
    }
    begin_or_fail(config, self, size / 4096, 2 * size);
    for (size_t grown = 0; grown < 3 && operations < 600;) {
        size_t choice = below(8);
        size_t far = size / 128 + below(size / 64);
        size_t place = choice == 0 ? round_alloc(1, far) : round_alloc(1, 1 + below(40 * quantum));
        if (choice == 0 && place == NOWHERE) {
            grown += round_grow(size / 4 / PAGE * PAGE);
        }
        place = round_some_block(below(BLOCKS_MAX));
        if (choice > 4 && place != NOWHERE && round_block_size(place) < size / 256) {
            round_free(place);
        }
        operations++;
    }
    round_end();
}

static const struct model_workload workloads[] = {
    {"random", run_random},     {"equal", run_equal},
    {"sawtooth", run_sawtooth}, {"checkerboard", run_checkerboard},
    {"growth", run_growth},     {"tiny", run_tiny},
    {"far", run_far},
};

const struct model_workload *model_workload_at(size_t n)
{
    return n < sizeof workloads / sizeof workloads[0] ? &workloads[n] : NULL;
}

void model_workload_run(const struct model_workload *workload, tmf_heap_config config,
                        uint64_t seed)
{
    base_seed = source = seed;
    workload->run(config, workload);
}
