/* SPDX-License-Identifier: MIT */
/*
 * Which cores benchmarks run on. `--pin 2,3` says it; without, all that may be used, core 0 last,
 * as that one serves more interrupts; with `--no-pin` the kernel moves them as it likes. The list
 * goes to a program of benchmarks as TMF_BENCH_PIN: its main thread runs on the first of these
 * cores, and of the threads or children that a benchmark starts the n-th on the n-th. A mask is
 * inherited, so each of those has to take its own.
 */
#ifndef HARNESS_PINNING_H
#define HARNESS_PINNING_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CORES_TEXT_MAX ((size_t)4096)

struct cores {
    unsigned at[CPU_SETSIZE];
    size_t count;
};

/* Those that this process may use, ascending; none where the kernel does not say. */
struct cores pinning_allowed(void);

/* "3,0-2", and back. False: it is no list of cores, each once. */
void pinning_spell(const struct cores *cores, char to[CORES_TEXT_MAX]);
bool pinning_parse(const char *text, struct cores *out);

/* What is to be used of the allowed: `asked`, or (NULL) all, core 0 last. False: one that was asked
 * for is not allowed. */
bool pinning_choose(const char *asked, struct cores *out);

/* May a process be pinned here? A sandbox may forbid it. 0 or an errno. */
int pinning_try(void);

/* The calling thread goes to the n-th core of TMF_BENCH_PIN, from 0 on and over again; nothing
 * happens where that is not set. 0 or an errno. */
#define PINNING_VARIABLE "TMF_BENCH_PIN"
int pinning_take(size_t n);

#ifdef __cplusplus
}
#endif

#endif
