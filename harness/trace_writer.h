/* SPDX-License-Identifier: MIT */
/* Writes a trace, see trace.h: process by process, each up to its TRACE_EXIT, and then finish. */
#ifndef HARNESS_TRACE_WRITER_H
#define HARNESS_TRACE_WRITER_H

#include "harness/trace.h"

struct trace_writer;

struct trace_writer *trace_writer_new(void); /* NULL: no memory */
void trace_writer_free(struct trace_writer *writer);

/* Begins a process; its name is cut to what fits. Then its operations, as trace_next() gives them
 * (`process` is not looked at). What is no possible trace is the caller's mistake. */
void trace_writer_process(struct trace_writer *writer, const char *name, uint32_t parent);
void trace_writer_add(struct trace_writer *writer, const struct trace_operation *operation);

/* Makes or replaces PATH. 0 or an errno, also of what came before. */
int trace_writer_finish(struct trace_writer *writer, const char *path);

#endif
