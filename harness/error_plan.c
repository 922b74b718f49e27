/* SPDX-License-Identifier: MIT */
#include "harness/error_plan.h"

#include <stdlib.h>

#include "harness/scatter.h"

/* ---- uses of a call */

/* Whether no use before it was made on the same way through the program. */
static bool is_new_place(enum faults_call call, uint64_t nth)
{
    uint64_t place = faults_io_place(call, nth);
    for (uint64_t before = 1; place && before < nth; before++) {
        if (faults_io_place(call, before) == place)
            return false;
    }
    return place != 0;
}

/* New places first, the others in a scattered order. */
static uint64_t *order_of(enum faults_call call, uint64_t uses, uint64_t seed)
{
    uint64_t *order = calloc((size_t)uses + 1, sizeof(*order));
    uint64_t count = 0;
    if (!order)
        return NULL;
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t round = 0; round < uses; round++) {
            uint64_t nth = scattered_hit(round, uses, seed);
            if (is_new_place(call, nth) == (pass == 0))
                order[count++] = nth;
        }
    }
    return order;
}

void error_uses_count(struct error_uses *uses, uint64_t seed)
{
    faults_io_suspend(true); /* memory is one of the calls */
    for (size_t call = 0; call < FAULTS_CALLS; call++) {
        uses->made[call] = faults_io_made(call);
        uses->order[call] = order_of(call, uses->made[call], seed + call);
    }
    faults_io_suspend(false);
}

void error_uses_free(struct error_uses *uses)
{
    for (size_t call = 0; call < FAULTS_CALLS; call++)
        free(uses->order[call]);
}

/* ---- faults */

static bool add_item(struct error_plan *plan, const struct error_item *item)
{
    if (plan->count == plan->size) {
        size_t size = plan->size ? 2 * plan->size : 1024;
        struct error_item *items = realloc(plan->items, size * sizeof(*items));
        if (!items)
            return false;
        plan->items = items;
        plan->size = size;
    }
    plan->items[plan->count++] = *item;
    return true;
}

/* Whether the table has told before of a fault that leads the library the same way. */
static bool is_told_before(size_t n)
{
    const struct faults_row *row = faults_row_at(n);
    for (size_t before = 0; before < n; before++) {
        const struct faults_row *other = faults_row_at(before);
        if (other->call == row->call && other->kind == row->kind && other->answer == row->answer)
            return true;
    }
    return false;
}

/* The uses of the call, in an order. A disk has no uses but pages that it may have. */
static uint64_t nth_use(const struct error_uses *uses, enum faults_call call, uint64_t round,
                        uint64_t seed)
{
    return uses->order[call] && call != FAULTS_CALL_room
               ? uses->order[call][round]
               : scattered_hit(round, uses->made[call], seed);
}

/* One fault of every kind whose call has more than `round` uses. */
static bool add_round(const struct error_wish *wish, const struct error_uses *const *uses,
                      uint64_t round, struct error_plan *plan)
{
    const struct faults_row *row;
    bool added = true;
    for (size_t n = 0; added && (row = faults_row_at(n)); n++) {
        if ((wish->only_call && wish->only_call != faults_call_name(row->call)) ||
            (wish->one_errno && is_told_before(n)))
            continue;
        for (size_t origin = 0; added && origin < wish->origin_count; origin++) {
            if (round >= uses[origin]->made[row->call])
                continue;
            uint64_t nth = nth_use(uses[origin], row->call, round, wish->seed + n);
            struct error_item item = {origin, {row, nth, false}, NULL};
            if (row->spans & FAULTS_ONCE)
                added = add_item(plan, &item);
            item.fault.sticky = true;
            if (added && (row->spans & FAULTS_STICKY))
                added = add_item(plan, &item);
        }
    }
    return added;
}

static bool add_misuses(const struct error_wish *wish, struct error_plan *plan)
{
    bool added = true;
    struct error_item item = {0};
    if (wish->only_call || !wish->misuses)
        return true;
    for (size_t n = 0; added && (item.misuse = error_misuse_at(n)); n++)
        added = add_item(plan, &item);
    return added;
}

/* So that a round cut short has seen calls of every kind. */
static void scatter_round(struct error_item *items, size_t count)
{
    for (size_t n = count; n > 1; n--) {
        size_t other = (size_t)(scattered_hit(n, n, count) - 1);
        struct error_item moved = items[n - 1];
        items[n - 1] = items[other];
        items[other] = moved;
    }
}

bool error_plan_make(const struct error_wish *wish, const struct error_uses *const *uses,
                     struct error_plan *plan)
{
    size_t before;
    uint64_t round = 0;
    *plan = (struct error_plan){0};
    do {
        before = plan->count;
        if ((round == 0 && !add_misuses(wish, plan)) || !add_round(wish, uses, round++, plan))
            return false;
        scatter_round(plan->items + before, plan->count - before);
    } while (plan->count > before);
    return true;
}
