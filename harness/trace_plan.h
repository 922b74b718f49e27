/* SPDX-License-Identifier: MIT */
/*
 * What the workload trace:FILE does, step by step: the operations of a trace, as they fit into a
 * small table of slots, so that a whole storage can be compared after each death.
 *
 * An allocation takes the lowest empty slot. Where all are taken, or too many bytes live, the
 * oldest blocks go first, though the trace would keep them longer; what it does with them later is
 * left out. So are blocks that are too large, from the moment on in which they are. At the end of a
 * process all its blocks are freed. So a plan ends as it began, with no block, and may be repeated.
 */
#ifndef HARNESS_TRACE_PLAN_H
#define HARNESS_TRACE_PLAN_H

#include "harness/trace.h"

#define PLAN_SLOTS     256
#define PLAN_BLOCK_MAX ((uint32_t)32 << 10)  /* of a block, bytes */
#define PLAN_BYTES_MAX ((uint32_t)256 << 10) /* of those that live, bytes */
#define PLAN_ALIGN_MAX 4096                  /* larger ones become this */

struct plan_step {
    uint32_t size;      /* bytes */
    uint16_t alignment; /* bytes; of an allocation */
    uint8_t slot;
    uint8_t kind; /* enum trace_kind, no exit */
};

struct trace_plan {
    struct plan_step *steps;
    size_t count, room;
    size_t bytes_peak; /* of all that lives at once */
    size_t blocks_peak;
};

/* 0 or ENOMEM. To be freed by trace_plan_finish(). */
int trace_plan_init(struct trace_plan *plan, const struct trace *trace);
void trace_plan_finish(struct trace_plan *plan);

#endif
