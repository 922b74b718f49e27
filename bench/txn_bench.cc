/* SPDX-License-Identifier: MIT */
/*
 * commit/STRATEGY/pages:K: the time of one whole transaction (begin, a store to each of K pages,
 * commit, end) that a returned commit makes durable as the strategy can. limit/pages:K: what no
 * transaction on this disk can beat, one pwrite of K pages, one after the other, over what was
 * written before, and one fdatasync, in the same folder. Both in one run, in random order, so that
 * their ratio holds where the disk's own speed drifts.
 *
 * Held fixed: the arena (160 MiB, every page written before), the pages of each transaction (from
 * each K-th part of it one of 64, from a fixed seed), 8 bytes stored per page. Where a strategy
 * works on private copies, each of these pages was stored to before, in this mapping: what is timed
 * is not the first copy. Manual time: drawing the pages is outside. Checked: every call's result;
 * the pages of the last transaction are read back; as many pages were dirtied as were stored to, at
 * least (what survives nothing does not look).
 *
 * Counters per transaction, from tmf_stats: pages_dirtied, log_bytes, syncs; p50_ns, the median of
 * their times.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "drawn_pages.h"
#include "storage.h"
#include "txn_counters.h"
#include "written_file.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::size_t choices = 64;

double seconds_since(steady::time_point start)
{
    return std::chrono::duration<double>(steady::now() - start).count();
}

int store_all(storage &store, tmf_writer *writer, bool must_touch,
              const std::vector<std::size_t> &pages, std::uint64_t number)
{
    for (std::size_t page : pages) {
        std::uint64_t &at = store.number(page);
        int error = must_touch ? tmf_touch(writer, &at, sizeof(at)) : 0;
        if (error != 0)
            return error;
        at = number;
    }
    return 0;
}

/* Waits for the medium outside the lock, where the durability is group. */
void transact(storage &store, bool must_touch, const std::vector<std::size_t> &pages,
              std::uint64_t number)
{
    tmf_writer *writer = nullptr;
    std::uint64_t ticket = 0;
    storage_must(tmf_write_begin(store.handle, &writer));
    int error = store_all(store, writer, must_touch, pages, number);
    if (error == 0)
        error = tmf_commit_nowait(writer, &ticket);
    tmf_write_end(writer);
    storage_must(error);
    storage_must(tmf_wait(store.handle, ticket));
}

/* Of the single transactions: that of the whole is their mean, which one interruption spoils. */
double median_of(std::vector<double> &times)
{
    auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    return *middle;
}

void check_stored(storage &store, const std::vector<std::size_t> &pages, std::uint64_t number)
{
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(store.handle, &reader));
    bool all_there = true;
    for (std::size_t page : pages)
        all_there &= store.number(page) == number;
    tmf_read_end(reader);
    if (!all_there)
        throw std::runtime_error("a committed number is not there");
}

void measure_commit(benchmark::State &state, const folder &where, const strategy &how)
{
    storage store(where, how.name);
    drawn_pages where_to(static_cast<std::size_t>(state.range(0)), storage_pages, choices);
    static std::uint64_t number =
        0; /* never stored twice, so that reading it back proves something */
    for (std::size_t choice = 0; how.copies && choice < choices; choice++) {
        where_to.take_each(choice);
        transact(store, how.must_touch, where_to.pages, ++number);
    }
    std::uint64_t first = number;
    std::vector<double> times;
    tmf_stats before = store.stats();
    while (state.KeepRunning()) {
        where_to.draw();
        number++;
        auto start = steady::now();
        transact(store, how.must_touch, where_to.pages, number);
        times.push_back(seconds_since(start));
        state.SetIterationTime(times.back());
    }
    tmf_stats after = store.stats();
    check_stored(store, where_to.pages, number);
    std::uint64_t stored_to = (number - first) * where_to.pages.size();
    if (!how.is_control && after.pages_dirtied - before.pages_dirtied < stored_to)
        throw std::runtime_error("fewer pages were dirtied than were stored to");
    report_counters(state, before, after);
    state.counters["p50_ns"] = 1e9 * median_of(times);
}

void commit(benchmark::State &state, const folder *where, const strategy &how)
{
    try {
        measure_commit(state, *where, how);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void measure_limit(benchmark::State &state, const folder &where)
{
    written_file file(where.path("limit"), storage_pages * storage_page_size);
    auto pages = static_cast<std::size_t>(state.range(0));
    std::vector<char> bytes(pages * storage_page_size);
    std::mt19937_64 random(1);
    while (state.KeepRunning()) {
        bytes[0]++;
        std::size_t first = random() % (storage_pages - pages);
        auto start = steady::now();
        file.write(bytes.data(), bytes.size(), static_cast<off_t>(first * storage_page_size));
        file.sync();
        state.SetIterationTime(seconds_since(start));
    }
}

void limit(benchmark::State &state, const folder *where)
{
    try {
        measure_limit(state, *where);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_txn_benchmarks(const folder &where)
{
    const std::vector<std::int64_t> pages = {1, 4, 16, 64, 256};
    auto sweep = [&pages](benchmark::internal::Benchmark *family) {
        family->ArgName("pages")->UseManualTime()->Unit(benchmark::kMicrosecond);
        for (std::int64_t count : pages)
            family->Arg(count);
    };
    sweep(benchmark::RegisterBenchmark("limit", limit, &where));
    for (std::size_t i = 0; tmf_strategy_name(i) != nullptr; i++) {
        strategy how(i);
        std::string name = std::string("commit/") + how.name;
        if (how.available) /* `tmf bench` tells of the others */
            sweep(benchmark::RegisterBenchmark(name.c_str(), commit, &where, how));
    }
}
