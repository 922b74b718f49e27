/* SPDX-License-Identifier: MIT */
/*
 * What an engine asks of the system for its transactions, counted in a traced child (traced.h),
 * apart from what is timed. Exact: system calls and syncs as they are made, and the bytes that
 * write calls carried (wchar of /proc/self/io), which are all that a file gets of an engine that
 * does not store into a shared mapping. Of what stores there the kernel counts but the page cache
 * that is made dirty (write_bytes), by calls as well and in whole folios, which may be more than
 * what is written back. What the file system's journal adds is in neither. Memory is the growth of
 * the resident set from before the table was opened: at its peak with all pages of files that are
 * mapped (VmHWM), and at the end what is the process's own (smaps_rollup).
 */
#ifndef TMF_BENCH_ENGINE_COUNTS_H
#define TMF_BENCH_ENGINE_COUNTS_H

#include "engine_table.h"

struct engine_counts {
    bool known;                                        /* false: children cannot be traced here */
    double calls, syncs, written_bytes, dirtied_bytes; /* of one transaction */
    double peak_memory_bytes, private_memory_bytes;    /* of the process */
};

/* Makes transactions [1, last] of `work`; the caller tells the model. Throws what went wrong. */
engine_counts count_engine(const engine_table &table, const engine_setup &setup,
                           const table_work &work, std::uint64_t touch_step, std::uint64_t last);

#endif
