/* SPDX-License-Identifier: MIT */
/* What the harness asks about a strategy, by a name that tmf_strategy_name() gave. */
#ifndef HARNESS_STRATEGY_H
#define HARNESS_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>

#include "txn/tmf.h"

#ifdef __cplusplus
extern "C" {
#endif

tmf_survival strategy_survives(const char *name);
/* "nothing", "kill", "power". */
const char *strategy_survives_text(const char *name);
bool strategy_must_touch(const char *name);
bool strategy_readers_go_on(const char *name);

/* Can it be used here? False: `missing` says what is not there. */
bool strategy_is_available(const char *name, char *missing, size_t size);

/* The one of a storage that is opened without naming any. */
const char *strategy_default(void);

#ifdef __cplusplus
}
#endif

#endif
