/* SPDX-License-Identifier: MIT */
/* What transactions did between two looks at tmf_stats, as counters per iteration. */
#ifndef TMF_BENCH_TXN_COUNTERS_H
#define TMF_BENCH_TXN_COUNTERS_H

#include <benchmark/benchmark.h>

#include <cstdint>

#include "txn/tmf.h"

inline void report_counters(benchmark::State &state, const tmf_stats &before,
                            const tmf_stats &after)
{
    auto counter = [&state](const char *name, std::uint64_t count) {
        state.counters[name] =
            benchmark::Counter(static_cast<double>(count), benchmark::Counter::kAvgIterations);
    };
    counter("pages_dirtied", after.pages_dirtied - before.pages_dirtied);
    counter("log_bytes", after.log_bytes - before.log_bytes);
    counter("syncs", after.syncs - before.syncs);
}

#endif
