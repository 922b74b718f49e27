/* SPDX-License-Identifier: MIT */
/*
 * tlsf: lists of free blocks, one for each class of sizes, two levels of bitmaps over them. After
 * Masmano, Ripoll, Crespo and Real, "TLSF: a new dynamic memory allocator for real-time systems".
 * Everything takes constant time, and that is what it is here for: to show what exactness costs.
 *
 *     index area   | which powers of two | which 16ths of each | first block of each class |
 *     a free run   | next | previous | its own place | quanta | ...free... | quanta |
 *
 * Fewer than 16 quanta are classes of their own. From there on each power of two has 16 classes of
 * equal width, up to 2^39 quanta. Words are of 64 bits, but of 32 where the quantum is 16 bytes,
 * which is an arena of 64 GiB. A node says where it is, so that bytes which are no node are seldom
 * taken for one.
 *
 * What is promised instead of best fit: a run that fits, from the lowest class all of whose runs
 * do, the one that came last. If there is none, one of the first 16 of the class of that size. So
 * ENOMEM means that no free run is longer by 1/16, or 16 are too short that are in its class. The
 * longest run that is told of is one of the highest class: 1/16 shorter than the longest, at most.
 *
 * Invariants, beside those of tags.h:
 *  1 a class's list links forth and back, and has the runs of its size and no others
 *  2 a bit of the second level is set exactly if that class has a first block
 *  3 a bit of the first level is set exactly if one of that second level is
 *
 * Cost: the header's page and the next; a cache line and a page of each neighbour in a list, two at
 * most, where a run goes, one where it comes; and the tags as in rb-tags.
 */
#include "index.h"
#include "point.h"
#include "tags.h"

#include <errno.h>

enum { NARROW_NODE = TMF_TAG_NODE_WORDS * 4, WIDE_NODE = TMF_TAG_NODE_WORDS * 8 };
enum { NARROW_BITS = 32, WIDE_BITS = 39 };
enum { STEPS_SHIFT = 4, STEPS = 1 << STEPS_SHIFT, POWERS = 36, CLASSES = POWERS * STEPS };
enum { NEXT, PREVIOUS, SELF };
enum { TRIES = 16 };

struct tlsf_area {
    uint64_t powers;
    uint16_t steps[POWERS];
    uint64_t first[CLASSES];
};

static_assert(offsetof(struct tlsf_area, steps) == 8, "media");
static_assert(offsetof(struct tlsf_area, first) == 80, "media");
static_assert(WIDE_BITS - STEPS_SHIFT < POWERS, "every quantum number has a class");

static unsigned tlsf_link_bits(size_t quantum)
{
    if (quantum >= WIDE_NODE) {
        return WIDE_BITS;
    }
    return quantum >= NARROW_NODE ? NARROW_BITS : 0;
}

static bool is_wide(const tmf_heap *heap)
{
    return heap->media->link_bits == WIDE_BITS;
}

static struct tlsf_area *area_of(const tmf_heap *heap)
{
    return (void *)heap->media->index_area;
}

static unsigned highest_bit(uint64_t word)
{
    return 63 - (unsigned)__builtin_clzll(word);
}

/* Of no more quanta than a heap has. */
static unsigned class_of(uint64_t quanta)
{
    if (quanta < STEPS) {
        return (unsigned)quanta;
    }
    unsigned shift = highest_bit(quanta) - STEPS_SHIFT;
    return (shift + 1) * STEPS + (unsigned)(quanta >> shift) % STEPS;
}

/* The lowest class all of whose runs have these quanta; CLASSES: none is. */
static unsigned class_above(uint64_t quanta)
{
    uint64_t width = quanta < STEPS ? 1 : UINT64_C(1) << (highest_bit(quanta) - STEPS_SHIFT);
    return quanta >> WIDE_BITS != 0
               ? CLASSES
               : class_of(quanta + (TMF_MUTANT("class-rounded-down") ? 0 : width - 1));
}

static uint64_t get(const tmf_heap *heap, uint64_t at, unsigned word)
{
    const void *node = tmf_heap_place(heap, at);
    return is_wide(heap) ? ((const uint64_t *)node)[word] : ((const uint32_t *)node)[word];
}

static void put(tmf_heap *heap, uint64_t at, unsigned word, uint64_t value)
{
    void *node = tmf_heap_place(heap, at);
    if (get(heap, at, word) == value) {
        return;
    }
    if (is_wide(heap)) {
        ((uint64_t *)node)[word] = value;
    } else {
        ((uint32_t *)node)[word] = (uint32_t)value;
    }
}

/* The gate of links: is there a node of that class at `at`, which follows on `previous`? */
static bool is_node(tmf_heap *heap, uint64_t at, unsigned class, uint64_t previous)
{
    const struct tmf_heap_media *media = heap->media;
    if (at < media->first || at >= media->end) {
        return false;
    }
    uint64_t quanta = get(heap, at, TMF_TAG_WORD);
    heap->nodes_visited++;
    return get(heap, at, SELF) == at && quanta != 0 && quanta <= media->end - at &&
           class_of(quanta) == class && get(heap, at, PREVIOUS) == previous;
}

static struct tmf_run run_at(const tmf_heap *heap, uint64_t at)
{
    return (struct tmf_run){.at = at, .quanta = get(heap, at, TMF_TAG_WORD)};
}

static void set_first(tmf_heap *heap, unsigned class, uint64_t at)
{
    struct tlsf_area *area = area_of(heap);
    uint16_t bit = (uint16_t)(1U << class % STEPS);
    uint16_t *steps = &area->steps[class / STEPS];
    area->first[class] = at;
    TMF_POINT("alloc/tlsf/before-bitmaps");
    *steps = (uint16_t)(at != 0 ? *steps | bit : *steps & ~bit);
    uint64_t power = UINT64_C(1) << class / STEPS;
    bool is_left = *steps != 0 || TMF_MUTANT("power-bit-left");
    area->powers = is_left ? area->powers | power : area->powers & ~power;
}

static int tlsf_insert(tmf_heap *heap, struct tmf_run run)
{
    unsigned class = class_of(run.quanta);
    uint64_t next = area_of(heap)->first[class];
    if (next != 0 && !is_node(heap, next, class, 0)) {
        return TMF_ECORRUPT;
    }
    put(heap, run.at, NEXT, next);
    put(heap, run.at, PREVIOUS, 0);
    put(heap, run.at, SELF, run.at);
    tmf_tags_write(heap, is_wide(heap), run);
    if (next != 0) {
        put(heap, next, PREVIOUS, run.at);
    }
    TMF_POINT("alloc/tlsf/mid-insert");
    set_first(heap, class, run.at);
    return 0;
}

static int tlsf_remove(tmf_heap *heap, struct tmf_run run)
{
    unsigned class = class_of(run.quanta);
    uint64_t next = get(heap, run.at, NEXT);
    uint64_t previous = get(heap, run.at, PREVIOUS);
    if (!tmf_tags_hold(heap, is_wide(heap), run) || !is_node(heap, run.at, class, previous) ||
        (next != 0 && !is_node(heap, next, class, run.at))) {
        return TMF_ECORRUPT;
    }
    if (previous == 0 ? area_of(heap)->first[class] != run.at
                      : previous < heap->media->first || previous >= heap->media->end ||
                            !is_node(heap, previous, class, get(heap, previous, PREVIOUS)) ||
                            get(heap, previous, NEXT) != run.at) {
        return TMF_ECORRUPT;
    }
    if (next != 0) {
        put(heap, next, PREVIOUS, previous);
    }
    TMF_POINT("alloc/tlsf/mid-remove");
    if (previous != 0) {
        put(heap, previous, NEXT, next);
    } else {
        set_first(heap, class, next);
    }
    return 0;
}

static int tlsf_change(tmf_heap *heap, struct tmf_run from, struct tmf_run to)
{
    int error = tlsf_remove(heap, from);
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/tlsf/mid-change");
    return tlsf_insert(heap, to);
}

/* The lowest class from `class` on that has a block; CLASSES: none has. */
static unsigned next_class(const tmf_heap *heap, unsigned class)
{
    const struct tlsf_area *area = area_of(heap);
    if (class >= CLASSES) {
        return CLASSES;
    }
    unsigned steps = area->steps[class / STEPS] & (UINT32_MAX << class % STEPS);
    if (steps != 0) {
        return class / STEPS * STEPS + (unsigned)__builtin_ctz(steps);
    }
    uint64_t powers = area->powers & (UINT64_MAX << class / STEPS << 1);
    powers &= (UINT64_C(1) << POWERS) - 1;
    if (powers == 0) {
        return CLASSES;
    }
    unsigned power = (unsigned)__builtin_ctzll(powers);
    return power * STEPS + (unsigned)__builtin_ctz(area->steps[power] | 1U << STEPS) % STEPS;
}

/* The first of a class's first blocks that has these quanta. ENOMEM: none of them does. */
static int find_in_class(tmf_heap *heap, unsigned class, uint64_t quanta, struct tmf_run *out)
{
    uint64_t previous = 0;
    uint64_t at = area_of(heap)->first[class];
    for (unsigned n = 0; n < TRIES && at != 0; n++) {
        if (!is_node(heap, at, class, previous)) {
            return TMF_ECORRUPT;
        }
        *out = run_at(heap, at);
        if (out->quanta >= quanta) {
            return 0;
        }
        previous = at;
        at = get(heap, at, NEXT);
    }
    return ENOMEM;
}

static int tlsf_find(tmf_heap *heap, struct tmf_run least, struct tmf_run *out)
{
    unsigned class = next_class(heap, class_above(least.quanta));
    if (class < CLASSES) {
        int error = find_in_class(heap, class, least.quanta, out);
        return error == ENOMEM ? TMF_ECORRUPT : error;
    }
    return least.quanta >> WIDE_BITS != 0
               ? ENOMEM
               : find_in_class(heap, class_of(least.quanta), least.quanta, out);
}

static int tlsf_largest(tmf_heap *heap, struct tmf_run *out)
{
    const struct tlsf_area *area = area_of(heap);
    uint64_t powers = area->powers & ((UINT64_C(1) << POWERS) - 1);
    if (powers == 0) {
        return ENOMEM;
    }
    unsigned power = highest_bit(powers);
    unsigned steps = area->steps[power];
    if (steps == 0) {
        return TMF_ECORRUPT;
    }
    int error = find_in_class(heap, power * STEPS + highest_bit(steps), 0, out);
    return error == ENOMEM ? TMF_ECORRUPT : error;
}

static int tlsf_adjacent(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                         struct tmf_run *above)
{
    return tmf_tags_adjacent(heap, is_wide(heap), run, below, above);
}

/*
 * The invariant that the node at `at` breaks, or NULL. Nodes that are distinct, and each begin and
 * end where the map says that a free run does, are the free runs if they are as many.
 */
static const char *node_broken(tmf_heap *heap, uint64_t at, unsigned class, uint64_t previous)
{
    if (!is_node(heap, at, class, previous)) {
        return "a link of a list leads to a block of its class that links back";
    }
    struct tmf_run run = run_at(heap, at);
    if (!tmf_tags_hold(heap, is_wide(heap), run)) {
        return "a free block has its length at both ends";
    }
    if (tmf_gap_is_below(heap, at) || !tmf_gap_is_above(heap, at) ||
        tmf_gap_is_above(heap, tmf_run_end(run))) {
        return "a listed block is a free one";
    }
    return NULL;
}

static int check_class(tmf_heap *heap, unsigned class, tmf_heap_fault *fault, uint64_t *count)
{
    const struct tlsf_area *area = area_of(heap);
    uint64_t previous = 0;
    bool is_known = ((area->steps[class / STEPS] >> class % STEPS) & 1) != 0;
    if (is_known != (area->first[class] != 0)) {
        return tmf_heap_broken(heap, fault, 0, "a bit of a class says whether it has a block");
    }
    for (uint64_t at = area->first[class]; at != 0; at = get(heap, at, NEXT)) {
        const char *broken = node_broken(heap, at, class, previous);
        if (broken != NULL) {
            return tmf_heap_broken(heap, fault, previous, broken);
        }
        previous = at;
        ++*count;
    }
    return 0;
}

static int tlsf_check(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count)
{
    const struct tlsf_area *area = area_of(heap);
    *count = 0;
    for (unsigned power = 0; power < 64; power++) {
        bool is_known = ((area->powers >> power) & 1) != 0;
        if (is_known != (power < POWERS && area->steps[power] != 0)) {
            return tmf_heap_broken(heap, fault, 0, "a bit of a power says whether it has classes");
        }
    }
    for (unsigned class = 0; class < CLASSES; class ++) {
        int error = check_class(heap, class, fault, count);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

const struct tmf_index_ops tmf_index_tlsf = {
    .name = "tlsf",
    .about = "not exact: lists of free blocks by class of size, good fit in constant time",
    .id = 6,
    .area_bytes = sizeof(struct tlsf_area),
    .is_inexact = true,
    .link_bits = tlsf_link_bits,
    .insert = tlsf_insert,
    .remove = tlsf_remove,
    .change = tlsf_change,
    .find = tlsf_find,
    .largest = tlsf_largest,
    .adjacent = tlsf_adjacent,
    .check = tlsf_check,
};
