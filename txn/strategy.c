/* SPDX-License-Identifier: MIT */
/* The table of strategies. */
#include "txn/strategy.h"

#include <string.h>

#include "txn/tmf.h"

static const struct tmf_strategy *const strategies[] = {
    &tmf_strategy_undo_fsync, &tmf_strategy_undo_mlock, &tmf_strategy_redo_segv,
    &tmf_strategy_redo_scan,  &tmf_strategy_redo_wp,    &tmf_strategy_redo_declared,
    &tmf_strategy_none,
};
#define STRATEGY_COUNT (sizeof(strategies) / sizeof(strategies[0]))

/* Fastest first, as `tmf bench` measures them; none that asks something of the program. */
static const struct tmf_strategy *const preferred[] = {
    &tmf_strategy_redo_wp,
    &tmf_strategy_redo_segv,
};

const struct tmf_strategy *tmf_strategy_find(const char *name)
{
    for (size_t n = 0; n < STRATEGY_COUNT; n++) {
        if (strcmp(strategies[n]->name, name) == 0)
            return strategies[n];
    }
    return NULL;
}

const struct tmf_strategy *tmf_strategy_default(void)
{
    size_t last = sizeof(preferred) / sizeof(preferred[0]) - 1;
    for (size_t n = 0; n < last; n++) {
        if (!preferred[n]->probe || preferred[n]->probe() == 0)
            return preferred[n];
    }
    return preferred[last];
}

const char *tmf_strategy_name(size_t n)
{
    return n < STRATEGY_COUNT ? strategies[n]->name : NULL;
}

const char *tmf_strategy_about(size_t n)
{
    return n < STRATEGY_COUNT ? strategies[n]->about : NULL;
}

tmf_survival tmf_strategy_survives(size_t n)
{
    return strategies[n]->survives;
}

bool tmf_strategy_must_touch(size_t n)
{
    return strategies[n]->declared_only;
}

bool tmf_strategy_readers_go_on(size_t n)
{
    return strategies[n]->is_redo;
}
