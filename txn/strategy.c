/* SPDX-License-Identifier: MIT */
/* The table of strategies; the first is the default. */
#include "txn/strategy.h"

#include <string.h>

#include "txn/tmf.h"

static const struct tmf_strategy *const strategies[] = {
    &tmf_strategy_undo_fsync,
    &tmf_strategy_none,
};
#define STRATEGY_COUNT (sizeof(strategies) / sizeof(strategies[0]))

const struct tmf_strategy *tmf_strategy_find(const char *name)
{
    if (!name || !*name)
        return strategies[0];
    for (size_t n = 0; n < STRATEGY_COUNT; n++) {
        if (strcmp(strategies[n]->name, name) == 0)
            return strategies[n];
    }
    return NULL;
}

const char *tmf_strategy_name(size_t n)
{
    return n < STRATEGY_COUNT ? strategies[n]->name : NULL;
}

const char *tmf_strategy_about(size_t n)
{
    return n < STRATEGY_COUNT ? strategies[n]->about : NULL;
}
