/* SPDX-License-Identifier: MIT */
#include "harness/trace_plan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_SLOT PLAN_SLOTS
static_assert(PLAN_SLOTS - 1 <= UINT8_MAX, "a slot's number is a byte");
static_assert(PLAN_BLOCK_MAX <= PLAN_BYTES_MAX, "any block has room where no other lives");

struct slot {
    uint64_t age; /* of its allocation, counted from 1; 0: it is empty */
    uint32_t size;
    uint32_t block; /* its number in the trace */
};

struct planner {
    struct trace_plan *plan;
    struct slot slots[PLAN_SLOTS];
    uint16_t *slot_of; /* of each block of the trace, or NO_SLOT */
    uint64_t allocations;
    size_t bytes, blocks; /* that live */
    int error;            /* ENOMEM */
};

static void add_step(struct planner *planner, enum trace_kind kind, unsigned slot, uint64_t size,
                     uint64_t alignment)
{
    struct trace_plan *plan = planner->plan;
    if (plan->count == plan->room) {
        size_t room = plan->room ? 2 * plan->room : 1024;
        struct plan_step *larger = reallocarray(plan->steps, room, sizeof(*larger));
        if (!larger) {
            planner->error = ENOMEM;
            return;
        }
        plan->steps = larger;
        plan->room = room;
    }
    plan->steps[plan->count++] = (struct plan_step){
        .size = (uint32_t)size,
        .alignment = (uint16_t)(alignment < PLAN_ALIGN_MAX ? alignment : PLAN_ALIGN_MAX),
        .slot = (uint8_t)slot,
        .kind = (uint8_t)kind};
}

static void empty_slot(struct planner *planner, unsigned slot)
{
    struct slot *old = &planner->slots[slot];
    add_step(planner, TRACE_FREE, slot, 0, 1);
    planner->slot_of[old->block] = NO_SLOT;
    planner->bytes -= old->size;
    planner->blocks--;
    *old = (struct slot){0};
}

/* That of the oldest block but `kept`, or NO_SLOT. */
static unsigned oldest_slot(const struct planner *planner, unsigned kept)
{
    unsigned oldest = NO_SLOT;
    for (unsigned n = 0; n < PLAN_SLOTS; n++) {
        uint64_t age = planner->slots[n].age;
        if (age && n != kept && (oldest == NO_SLOT || age < planner->slots[oldest].age))
            oldest = n;
    }
    return oldest;
}

/* Makes room for `more` bytes; all but `kept` may go for it. */
static void make_room(struct planner *planner, size_t more, unsigned kept)
{
    while (planner->bytes + more > PLAN_BYTES_MAX)
        empty_slot(planner, oldest_slot(planner, kept));
}

static unsigned find_empty_slot(const struct planner *planner)
{
    for (unsigned n = 0; n < PLAN_SLOTS; n++) {
        if (!planner->slots[n].age)
            return n;
    }
    return NO_SLOT;
}

static void note_peak(struct planner *planner)
{
    if (planner->bytes > planner->plan->bytes_peak)
        planner->plan->bytes_peak = planner->bytes;
    if (planner->blocks > planner->plan->blocks_peak)
        planner->plan->blocks_peak = planner->blocks;
}

static void plan_allocation(struct planner *planner, const struct trace_operation *operation)
{
    planner->slot_of[operation->block] = NO_SLOT;
    if (operation->size > PLAN_BLOCK_MAX)
        return;
    if (planner->blocks == PLAN_SLOTS)
        empty_slot(planner, oldest_slot(planner, NO_SLOT));
    make_room(planner, operation->size, NO_SLOT);
    unsigned slot = find_empty_slot(planner);
    planner->slots[slot] =
        (struct slot){++planner->allocations, (uint32_t)operation->size, operation->block};
    planner->slot_of[operation->block] = (uint16_t)slot;
    planner->bytes += operation->size;
    planner->blocks++;
    add_step(planner, TRACE_ALLOCATE, slot, operation->size, operation->alignment);
}

static void plan_resize(struct planner *planner, const struct trace_operation *operation)
{
    unsigned slot = planner->slot_of[operation->block];
    if (slot == NO_SLOT)
        return;
    if (operation->size > PLAN_BLOCK_MAX) {
        empty_slot(planner, slot);
        return;
    }
    struct slot *mine = &planner->slots[slot];
    planner->bytes -= mine->size;
    mine->size = 0;
    make_room(planner, operation->size, slot);
    mine->size = (uint32_t)operation->size;
    planner->bytes += operation->size;
    add_step(planner, TRACE_RESIZE, slot, operation->size, 1);
}

static void plan_exit(struct planner *planner)
{
    for (unsigned n = 0; n < PLAN_SLOTS; n++) {
        if (planner->slots[n].age)
            empty_slot(planner, n);
    }
}

static void plan_operation(struct planner *planner, const struct trace_operation *operation)
{
    switch (operation->kind) {
    case TRACE_ALLOCATE:
        plan_allocation(planner, operation);
        break;
    case TRACE_RESIZE:
        plan_resize(planner, operation);
        break;
    case TRACE_FREE:
        if (planner->slot_of[operation->block] != NO_SLOT)
            empty_slot(planner, planner->slot_of[operation->block]);
        break;
    case TRACE_EXIT:
        plan_exit(planner);
    }
    note_peak(planner);
}

int trace_plan_init(struct trace_plan *plan, const struct trace *trace)
{
    struct planner planner = {.plan = plan};
    *plan = (struct trace_plan){0};
    planner.slot_of = calloc(trace_facts_of(trace)->blocks_peak + 1, sizeof(*planner.slot_of));
    if (!planner.slot_of)
        return ENOMEM;
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    while (planner.error == 0 && trace_next(&cursor, &operation))
        plan_operation(&planner, &operation);
    free(planner.slot_of);
    if (planner.error)
        trace_plan_finish(plan);
    return planner.error;
}

void trace_plan_finish(struct trace_plan *plan)
{
    free(plan->steps);
    *plan = (struct trace_plan){0};
}
