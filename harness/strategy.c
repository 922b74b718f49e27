/* SPDX-License-Identifier: MIT */
#include "harness/strategy.h"

#include <stdio.h>
#include <string.h>

#include "txn/strategy.h"

static size_t number_of(const char *name)
{
    size_t n = 0;
    while (strcmp(tmf_strategy_name(n), name) != 0)
        n++;
    return n;
}

tmf_survival strategy_survives(const char *name)
{
    return tmf_strategy_survives(number_of(name));
}

const char *strategy_survives_text(const char *name)
{
    static const char *const texts[] = {
        [TMF_SURVIVES_NOTHING] = "nothing",
        [TMF_SURVIVES_KILL] = "kill",
        [TMF_SURVIVES_POWER] = "power",
    };
    return texts[strategy_survives(name)];
}

bool strategy_must_touch(const char *name)
{
    return tmf_strategy_must_touch(number_of(name));
}

bool strategy_readers_go_on(const char *name)
{
    return tmf_strategy_readers_go_on(number_of(name));
}

/* Options are looked at before the path, under which there is never anything. */
bool strategy_is_available(const char *name, char *missing, size_t size)
{
    tmf_options options = {.strategy = name};
    tmf_storage *storage;
    if (tmf_open("/dev/null/nothing", &options, &storage) != TMF_ENOTSUPPORTED)
        return true;
    snprintf(missing, size, "%s", tmf_explain());
    return false;
}

const char *strategy_default(void)
{
    return tmf_strategy_default()->name;
}
