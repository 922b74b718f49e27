/* SPDX-License-Identifier: MIT */
/*
 * alloc_free/INDEX/quantum:Q/free_blocks:N: the time of one free of a random block and one
 * allocation of a random size, 1 to 1024 bytes, in a heap of N free blocks, in plain memory.
 * alloc_free/INDEX/quantum:Q/SIZES/free_blocks:N: the same with other sizes; heap_work.h tells of
 * the heap and the sizes. alloc_free/PEER/...: allocators of others, see peers.h for what may be
 * compared. The sizes that reach 10^7 free blocks only with `tmf bench --large`.
 *
 * Held fixed: the seed, the sizes drawn, the number of pairs (so the counters are the same numbers
 * on every machine), pages of 4096 bytes. Not separated: a virtual call and the table of live
 * blocks. Checked: every call's result, the number of used and of free blocks, every invariant of
 * the heap; of peers only that they gave a block.
 *
 * Counters: free_blocks at the end; index nodes read per pair, all pairs; pages dirtied per pair,
 * per half of it, and per transaction of 100 pairs, over further pairs that are not
 * timed;
 * rounding_bytes: what a live block takes beyond what was asked for, on average; metadata_bytes of
 * the whole heap; under callgrind instructions per pair.
 */
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include "bench.h"
#include "dirty_pages.h"
#include "instructions.h"
#include "own_heap.h"
#include "peers.h"

namespace
{

constexpr std::int64_t pairs_timed = 200000;
constexpr std::int64_t pairs_counted = 20000; /* callgrind is fifty times slower */
constexpr std::size_t pairs_watched = 2000;
constexpr std::size_t pairs_of_transaction = 100;
constexpr std::size_t halves_watched = 500;
constexpr std::size_t transactions_watched = 10;
constexpr std::size_t peer_pin = 64; /* bytes */

/* Counters are doubles. */
template <class number> double real(number value)
{
    return static_cast<double>(value);
}

void time_pairs(benchmark::State &state, churn &work)
{
    work.draw(state.max_iterations);
    instructions::start();
    while (state.KeepRunning())
        work.pair();
    std::uint64_t counted = instructions::stop();
    if (counted > 0)
        state.counters["instructions"] = real(counted) / real(state.max_iterations);
}

void check(own_heap &heap, const churn &work, const size_law &sizes, std::size_t holes)
{
    tmf_heap_stats found = heap.stats();
    std::size_t spread = holes / sizes.live_share + 1; /* 1: the untouched rest */
    if (found.used_blocks != holes + work.live.size())
        throw std::runtime_error("blocks were lost, or came from nowhere");
    if (found.free_blocks + spread < holes || found.free_blocks > holes + spread)
        throw std::runtime_error("the number of free blocks left its range");
    heap.check();
}

void count_pages_of_halves(benchmark::UserCounters &counted, own_heap &heap, churn &work)
{
    dirty_pages watch(heap.memory.at, heap.memory.size);
    std::size_t pages_free = 0, pages_alloc = 0;
    work.draw(halves_watched);
    for (std::size_t i = 0; i < halves_watched; i++) {
        work.free_next();
        pages_free += watch.take();
        work.allocate_next();
        pages_alloc += watch.take();
    }
    counted["pages_per_free"] = real(pages_free) / halves_watched;
    counted["pages_per_alloc"] = real(pages_alloc) / halves_watched;
}

/* Of `rounds` times `pairs`, per round. */
double pages_dirtied(own_heap &heap, churn &work, std::size_t rounds, std::size_t pairs)
{
    dirty_pages watch(heap.memory.at, heap.memory.size);
    std::size_t pages = 0;
    work.draw(rounds * pairs);
    for (std::size_t round = 0; round < rounds; round++) {
        for (std::size_t i = 0; i < pairs; i++)
            work.pair();
        pages += watch.take();
    }
    return real(pages) / real(rounds);
}

benchmark::UserCounters count_pages(own_heap &heap, churn &work)
{
    benchmark::UserCounters counted;
    counted["pages_dirtied"] = pages_dirtied(heap, work, pairs_watched, 1);
    count_pages_of_halves(counted, heap, work);
    counted["pages_dirtied_100"] =
        pages_dirtied(heap, work, transactions_watched, pairs_of_transaction);
    return counted;
}

/* They are the same in every repetition, and dearer than what is timed: counted once. */
void report_pages(benchmark::State &state, const std::string &name, own_heap &heap, churn &work)
{
    static std::map<std::string, benchmark::UserCounters> known;
    std::string key = name + "/" + std::to_string(state.range(0));
    if (known.find(key) == known.end())
        known[key] = count_pages(heap, work);
    for (const auto &[counter, value] : known[key])
        state.counters[counter] = value;
}

void count_bytes(benchmark::State &state, const tmf_heap_stats &stats, const churn &work)
{
    std::size_t lost = 0;
    for (const churn::block &each : work.live) {
        std::size_t quanta = (each.size + stats.quantum - 1) / stats.quantum;
        lost += quanta * stats.quantum - each.size;
    }
    state.counters["rounding_bytes"] = real(lost) / real(work.live.size());
    state.counters["metadata_bytes"] = real(stats.metadata_bytes);
}

void measure_own(benchmark::State &state, const own_kind &kind, const size_law &sizes)
{
    auto holes = static_cast<std::size_t>(state.range(0));
    own_heap heap(kind.index, kind.quantum, bytes_needed(sizes, kind.quantum, holes));
    churn work(heap, sizes, holes, kind.quantum);
    std::uint64_t nodes_before = heap.heap.nodes_visited;
    time_pairs(state, work);
    std::uint64_t nodes = heap.heap.nodes_visited - nodes_before;
    check(heap, work, sizes, holes);
    tmf_heap_stats stats = heap.stats();
    state.SetComplexityN(static_cast<std::int64_t>(stats.free_blocks));
    state.counters["free_blocks"] = real(stats.free_blocks);
    state.counters["nodes_visited"] = real(nodes) / real(state.max_iterations);
    count_bytes(state, stats, work);
    if (!instructions::are_counted())
        report_pages(state, kind.name() + sizes.name, heap, work);
}

void measure_peer(benchmark::State &state, const peer &of, const size_law &sizes)
{
    auto holes = static_cast<std::size_t>(state.range(0));
    std::unique_ptr<allocator> heap = of.make(bytes_needed(sizes, peer_pin, holes));
    churn work(*heap, sizes, holes, peer_pin);
    time_pairs(state, work);
    state.SetComplexityN(state.range(0));
}

template <class kind>
using measurement = void (*)(benchmark::State &, const kind &, const size_law &);

template <class kind>
void guarded(benchmark::State &state, const std::string &name, measurement<kind> measure,
             const kind &what, const size_law &sizes)
{
    try {
        measure(state, what, sizes);
    } catch (const std::exception &failure) {
        /* Said at once too: Google Benchmark 1.7 crashes where a whole family has failed. */
        std::cerr << name << ": " << failure.what() << '\n';
        state.SkipWithError(failure.what());
    }
}

template <class kind>
void add_family(const std::string &of, const kind &what, const size_law &sizes, std::size_t quantum,
                measurement<kind> measure)
{
    std::string name = "alloc_free/" + of + (*sizes.name != '\0' ? "/" : "") + sizes.name;
    auto *family =
        benchmark::RegisterBenchmark(name.c_str(), guarded<kind>, name, measure, what, sizes);
    family->ArgName("free_blocks")->Complexity(benchmark::oLogN);
    family->Iterations(instructions::are_counted() ? pairs_counted : pairs_timed);
    for (std::int64_t holes = sizes.holes_first; holes <= sizes.holes_last; holes *= 10)
        if (fits_in_memory(bytes_needed(sizes, quantum, static_cast<std::size_t>(holes))))
            family->Arg(holes);
}

void add_peer(const peer &of)
{
    if (!of.missing.empty()) {
        std::cerr << of.name << " is left out: " << of.missing << '\n';
        benchmark::AddCustomContext("left_out_" + of.name, of.missing);
        return;
    }
    for (const size_law &sizes : size_laws)
        if (is_wanted(sizes))
            add_family(of.name, of, sizes, peer_pin, measure_peer);
}

} // namespace

void register_alloc_benchmarks()
{
    for (const own_kind &kind : own_kinds())
        for (const size_law &sizes : size_laws)
            if (is_wanted(sizes))
                add_family(kind.name(), kind, sizes, kind.quantum, measure_own);
    for (const peer &of : peers())
        add_peer(of);
}
