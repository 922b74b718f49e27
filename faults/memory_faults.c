/* SPDX-License-Identifier: MIT */
/*
 * Memory that is not to be had. The linker leads what a program with faults calls as malloc, calloc
 * and realloc here (--wrap, see CMakeLists.txt): the library as it ships knows nothing of it, and
 * the C library's own use of memory is not touched.
 */
#include <errno.h>
#include <stddef.h>

#include "faults/io_faults.h"

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

static bool is_refused(void)
{
    bool refused = faults_io_strikes(FAULTS_CALL_memory);
    if (refused)
        errno = ENOMEM;
    return refused;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return is_refused() ? NULL : __real_realloc(at, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */
