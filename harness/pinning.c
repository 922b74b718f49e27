/* SPDX-License-Identifier: MIT */
#include "harness/pinning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cores pinning_allowed(void)
{
    struct cores cores = {.count = 0};
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof(mask), &mask) != 0)
        return cores;
    for (unsigned n = 0; n < CPU_SETSIZE; n++) {
        if (CPU_ISSET(n, &mask))
            cores.at[cores.count++] = n;
    }
    return cores;
}

/* How many follow each other from the n-th on. */
static size_t count_run(const struct cores *cores, size_t n)
{
    size_t length = 1;
    while (n + length < cores->count && cores->at[n + length] == cores->at[n] + length)
        length++;
    return length;
}

void pinning_spell(const struct cores *cores, char to[CORES_TEXT_MAX])
{
    size_t length = 0;
    to[0] = 0;
    for (size_t n = 0, run; n < cores->count && length < CORES_TEXT_MAX; n += run) {
        run = count_run(cores, n);
        unsigned first = cores->at[n], last = cores->at[n + run - 1];
        const char *comma = n > 0 ? "," : "";
        length += (size_t)(run > 1 ? snprintf(to + length, CORES_TEXT_MAX - length, "%s%u-%u",
                                              comma, first, last)
                                   : snprintf(to + length, CORES_TEXT_MAX - length, "%s%u", comma,
                                              first));
    }
}

static bool has(const struct cores *cores, unsigned core)
{
    for (size_t n = 0; n < cores->count; n++) {
        if (cores->at[n] == core)
            return true;
    }
    return false;
}

/* Reads "5" or "2-5" and moves on behind it. */
static bool parse_run(const char **at, unsigned long *first, unsigned long *last)
{
    char *end = NULL;
    bool good = strspn(*at, "0123456789") > 0;
    *first = *last = strtoul(*at, &end, 10);
    if (good && *end == '-') {
        const char *second = end + 1;
        good = strspn(second, "0123456789") > 0;
        *last = strtoul(second, &end, 10);
    }
    *at = end;
    return good && *first <= *last && *last < CPU_SETSIZE;
}

bool pinning_parse(const char *text, struct cores *out)
{
    unsigned long core, last;
    *out = (struct cores){.count = 0};
    for (;; text++) {
        if (!parse_run(&text, &core, &last))
            return false;
        for (; core <= last; core++) {
            if (has(out, (unsigned)core))
                return false;
            out->at[out->count++] = (unsigned)core;
        }
        if (*text != ',')
            return *text == 0;
    }
}

int pinning_try(void)
{
    cpu_set_t mask;
    bool done = sched_getaffinity(0, sizeof(mask), &mask) == 0 &&
                sched_setaffinity(0, sizeof(mask), &mask) == 0;
    return done ? 0 : errno;
}

bool pinning_choose(const char *asked, struct cores *out)
{
    struct cores allowed = pinning_allowed();
    if (asked) {
        bool good = pinning_parse(asked, out);
        for (size_t n = 0; good && n < out->count; n++)
            good = has(&allowed, out->at[n]);
        return good;
    }
    *out = allowed;
    if (allowed.count > 1 && allowed.at[0] == 0) {
        memmove(&out->at[0], &out->at[1], (allowed.count - 1) * sizeof(out->at[0]));
        out->at[allowed.count - 1] = 0;
    }
    return true;
}

int pinning_take(size_t n)
{
    const char *text = getenv(PINNING_VARIABLE);
    struct cores cores;
    cpu_set_t mask;
    if (!text)
        return 0;
    if (!pinning_parse(text, &cores))
        return EINVAL;
    CPU_ZERO(&mask);
    CPU_SET(cores.at[n % cores.count], &mask);
    return sched_setaffinity(0, sizeof(mask), &mask) == 0 ? 0 : errno;
}
