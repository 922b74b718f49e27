/* SPDX-License-Identifier: MIT */
#include "harness/progress.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS 100

static bool enabled;
static bool line_shown;
static int64_t shown_at_ms;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_enable(bool wanted)
{
    enabled = wanted && isatty(STDERR_FILENO);
}

void progress_show(const char *format, ...)
{
    if (!enabled || now_ms() - shown_at_ms < PERIOD_MS)
        return;
    va_list list;
    va_start(list, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, list);
    va_end(list);
    fflush(stderr);
    line_shown = true;
    shown_at_ms = now_ms();
}

void progress_clear(void)
{
    if (line_shown)
        fputs("\r\033[K", stderr);
    line_shown = false;
}
