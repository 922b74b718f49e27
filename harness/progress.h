/* SPDX-License-Identifier: MIT */
/*
 * One line that tells how far it is, rewritten in place on standard error; nothing where that is no
 * terminal or --quiet was given. At most ten times a second, so it may be called for every case.
 */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

#include <stdbool.h>

void progress_enable(bool wanted);
void progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void); /* before any other output */

#endif
