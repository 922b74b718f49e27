/* SPDX-License-Identifier: MIT */
/*
 * latency/INDEX/quantum:Q/SIZES/free_blocks:N: the time of each single free and allocation, not of
 * their mean: is there work that is done seldom, and then all at once? The heap and the pairs are
 * those of alloc_free (heap_work.h) at 10^4 and 10^6 free blocks, and at 10^7 with `tmf bench
 * --large`. The time of the benchmark is that of the median operation.
 *
 * A machine that others use too stops any program now and then for longer than an operation takes.
 * So the same operations are done in `runs` heaps, one after the other, and the shortest time of
 * each operation counts: what belongs to the operation comes again, what does not seldom does. The
 * memory is touched before, so that no operation is the first to touch a page, and the time
 * that reading the clock takes is taken off. nodes_visited of each operation needs none of that: it
 * is the same number on every machine.
 *
 * Held fixed: the seed, the number of operations. Checked: every call's result; the heap.
 *
 * Counters: p50_ns, p99_ns, p99_9_ns, p99_99_ns and max_ns of an operation; p50_nodes,
 * p99_99_nodes and max_nodes; tail: p99_99_ns by p50_ns.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "heap_work.h"
#include "own_heap.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr int runs = 3;
constexpr std::size_t pairs = 250000;

std::uint64_t nanoseconds(steady::duration spent)
{
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
}

/* The value that `share` of them do not exceed. */
std::uint64_t quantile(const std::vector<std::uint64_t> &sorted, double share)
{
    auto rank = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
    return sorted[std::min(rank, sorted.size() - 1)];
}

std::uint64_t clock_cost()
{
    std::vector<std::uint64_t> costs(10001);
    for (std::uint64_t &each : costs) {
        auto start = steady::now();
        each = nanoseconds(steady::now() - start);
    }
    std::sort(costs.begin(), costs.end());
    return quantile(costs, 0.5);
}

void touch_all(const region &memory)
{
    auto *bytes = static_cast<volatile char *>(memory.at);
    for (std::size_t i = 0; i < memory.size; i += region::page_size)
        bytes[i] = bytes[i];
}

/* One number for each operation, in order. */
struct series {
    std::vector<std::uint64_t> ns, nodes;
};

template <class operation> void take(series &out, const own_heap &heap, const operation &does)
{
    std::uint64_t nodes_before = heap.heap.nodes_visited;
    auto start = steady::now();
    does();
    out.ns.push_back(nanoseconds(steady::now() - start));
    out.nodes.push_back(heap.heap.nodes_visited - nodes_before);
}

series run(const own_kind &kind, const size_law &sizes, std::size_t holes)
{
    own_heap heap(kind.index, kind.quantum, bytes_needed(sizes, kind.quantum, holes));
    touch_all(heap.memory);
    churn work(heap, sizes, holes, kind.quantum);
    work.draw(pairs);
    series found;
    found.ns.reserve(2 * pairs);
    found.nodes.reserve(2 * pairs);
    for (std::size_t i = 0; i < pairs; i++) {
        take(found, heap, [&work] { work.free_next(); });
        take(found, heap, [&work] { work.allocate_next(); });
    }
    heap.check();
    return found;
}

/* The shortest of all runs, without the clock. */
series run_all(const own_kind &kind, const size_law &sizes, std::size_t holes)
{
    series best = run(kind, sizes, holes);
    for (int i = 1; i < runs; i++) {
        series next = run(kind, sizes, holes);
        if (next.nodes != best.nodes)
            throw std::runtime_error("the same operations read other nodes");
        for (std::size_t n = 0; n < best.ns.size(); n++)
            best.ns[n] = std::min(best.ns[n], next.ns[n]);
    }
    std::uint64_t clock = clock_cost();
    for (std::uint64_t &each : best.ns)
        each = each > clock ? each - clock : 1;
    return best;
}

void measure(benchmark::State &state, const own_kind &kind, const size_law &sizes)
{
    series found = run_all(kind, sizes, static_cast<std::size_t>(state.range(0)));
    std::sort(found.ns.begin(), found.ns.end());
    std::sort(found.nodes.begin(), found.nodes.end());
    auto count = [&state](const char *name, const std::vector<std::uint64_t> &sorted,
                          double share) {
        state.counters[name] = static_cast<double>(quantile(sorted, share));
    };
    count("p50_ns", found.ns, 0.5);
    count("p99_ns", found.ns, 0.99);
    count("p99_9_ns", found.ns, 0.999);
    count("p99_99_ns", found.ns, 0.9999);
    count("max_ns", found.ns, 1);
    count("p50_nodes", found.nodes, 0.5);
    count("p99_99_nodes", found.nodes, 0.9999);
    count("max_nodes", found.nodes, 1);
    state.counters["tail"] = state.counters["p99_99_ns"] / state.counters["p50_ns"];
    while (state.KeepRunning())
        state.SetIterationTime(1e-9 * state.counters["p50_ns"]);
}

void latency(benchmark::State &state, const own_kind &kind, const size_law &sizes)
{
    try {
        measure(state, kind, sizes);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void add(const own_kind &kind, const size_law &sizes)
{
    if (!is_wanted(sizes) || !fits_in_memory(bytes_needed(
                                 sizes, kind.quantum, static_cast<std::size_t>(sizes.holes_last))))
        return;
    std::string name = "latency/" + kind.name() + (*sizes.name != '\0' ? "/" : "") + sizes.name;
    auto *family = benchmark::RegisterBenchmark(name.c_str(), latency, kind, sizes);
    family->ArgName("free_blocks")->UseManualTime()->Iterations(1)->Repetitions(1);
    for (std::int64_t holes : {std::int64_t{10000}, sizes.holes_last})
        if (holes >= sizes.holes_first)
            family->Arg(holes);
}

} // namespace

void register_latency_benchmarks()
{
    for (const own_kind &kind : own_kinds())
        for (const size_law &sizes : size_laws)
            if (sizes.live_share > 1) /* crowded tells nothing more */
                add(kind, sizes);
}
