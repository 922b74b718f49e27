/* SPDX-License-Identifier: MIT */
/* How a failure gets its sentence. Never called from a signal handler. */
#ifndef TMF_ERROR_H
#define TMF_ERROR_H

#include "tmf_errors.h"

/*
 * Keeps "what was being done: what the system said" for tmf_explain() of this thread, and returns
 * `error`. The format says what was being done, to what, and what to do about it.
 */
int tmf_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failure that has said why: that stands behind what was being done to what. */
int tmf_fail_as_explained(int error, const char *doing, const char *path);

#endif
