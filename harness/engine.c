/* SPDX-License-Identifier: MIT */
#include "harness/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern const struct engine engine_tmf, engine_lmdb_sync, engine_lmdb_nosync, engine_lmdb_writemap,
    engine_sqlite_full, engine_sqlite_off, engine_mmap_msync, engine_pmemobj;

static const struct engine *const engines[] = {
    &engine_tmf,         &engine_lmdb_sync,  &engine_lmdb_nosync, &engine_lmdb_writemap,
    &engine_sqlite_full, &engine_sqlite_off, &engine_pmemobj,     &engine_mmap_msync,
};
#define ENGINE_COUNT (sizeof(engines) / sizeof(engines[0]))

static char explained[512];

const struct engine *engine_at(size_t n)
{
    return n < ENGINE_COUNT ? engines[n] : NULL;
}

const struct engine *engine_find(const char *name)
{
    size_t n = 0;
    while (n < ENGINE_COUNT && strcmp(engines[n]->name, name) != 0)
        n++;
    return engine_at(n);
}

const char *engine_explain(void)
{
    return explained;
}

int engine_fail(int error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(explained, sizeof(explained), format, list);
    va_end(list);
    return error;
}
