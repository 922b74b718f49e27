/* SPDX-License-Identifier: MIT */
/*
 * What an engine asks of the system for its transactions, counted in a traced child (traced.h),
 * apart from what is timed: system calls and syncs as they are made; bytes written as the kernel
 * accounts them to the process (write_bytes of /proc/self/io: pages of files made dirty, by calls
 * or by stores into a mapping; what the file system's journal adds is not among them); and memory,
 * as the growth of the resident set from before the table was opened: at its peak with all pages of
 * files that are mapped, and at the end what is the process's own.
 */
#ifndef TMF_BENCH_ENGINE_COUNTS_H
#define TMF_BENCH_ENGINE_COUNTS_H

#include "engine_table.h"

struct engine_counts {
    bool known;                                     /* false: children cannot be traced here */
    double calls, syncs, written_bytes;             /* of one transaction */
    double peak_memory_bytes, private_memory_bytes; /* of the process */
};

/* Makes transactions [1, last] of `work`; the caller tells the model. Throws what went wrong. */
engine_counts count_engine(const engine_table &table, const engine_setup &setup,
                           const table_work &work, std::uint64_t touch_step, std::uint64_t last);

#endif
