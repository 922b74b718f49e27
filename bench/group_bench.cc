/* SPDX-License-Identifier: MIT */
/*
 * commits/DURABILITY/threads:T: the time of one durable commit where T threads commit at once, each
 * a transaction that stores 8 bytes to one page: begin, store, commit, end, and for durability
 * group a wait for its ticket. With group, the threads whose commits were appended while one sync
 * was under way share the next.
 *
 * Held fixed: the cores of the threads, the default strategy, the arena of storage.h, the pages
 * drawn from a seed per thread, the number of commits. Not separated: waking threads up. Checked:
 * every result; as many commits were made as were asked for; and each returned durable, so with
 * sync there is one sync to each. Counters per commit: syncs.
 */
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bench.h"
#include "harness/pinning.h"
#include "storage.h"

namespace
{

constexpr int commits_per_thread = 100;
constexpr int iterations = 5;

void commit_one(storage &store, std::size_t page)
{
    tmf_writer *writer = nullptr;
    std::uint64_t ticket = 0;
    storage_must(tmf_write_begin(store.handle, &writer));
    store.number(page)++;
    int error = tmf_commit_nowait(writer, &ticket);
    tmf_write_end(writer);
    storage_must(error);
    storage_must(tmf_wait(store.handle, ticket));
}

void commit_many(storage &store, unsigned seed, std::atomic<bool> &failed)
{
    std::mt19937_64 random(seed);
    try {
        storage_must(pinning_take(seed - 1));
        for (int i = 0; i < commits_per_thread; i++)
            commit_one(store, random() % storage_pages);
    } catch (const std::exception &) {
        failed = true;
    }
}

double seconds_of_all(storage &store, unsigned threads)
{
    std::atomic<bool> failed{false};
    std::vector<std::thread> running;
    auto start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < threads; i++)
        running.emplace_back([&store, i, &failed] { commit_many(store, i + 1, failed); });
    for (std::thread &each : running)
        each.join();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (failed)
        throw std::runtime_error("a commit failed");
    return spent.count();
}

void measure(benchmark::State &state, const folder &where, tmf_durability durability)
{
    auto threads = static_cast<unsigned>(state.range(0));
    unsigned at_once = threads * commits_per_thread;
    storage store(where, nullptr, durability);
    seconds_of_all(store, threads);
    tmf_stats before = store.stats();
    while (state.KeepRunning())
        state.SetIterationTime(seconds_of_all(store, threads) / at_once);
    tmf_stats after = store.stats();
    auto made = static_cast<double>(after.commits - before.commits);
    if (made != static_cast<double>(state.iterations()) * at_once)
        throw std::runtime_error("not as many commits were made as were asked for");
    auto syncs = static_cast<double>(after.syncs - before.syncs);
    if (durability == TMF_DURABILITY_SYNC && syncs < made)
        throw std::runtime_error("a commit was acknowledged without a sync of its own");
    state.counters["syncs"] = syncs / made;
}

void commits(benchmark::State &state, const folder *where, tmf_durability durability)
{
    try {
        measure(state, *where, durability);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_group_benchmarks(const folder &where)
{
    auto add = [&where](const char *name, tmf_durability durability) {
        benchmark::RegisterBenchmark(name, commits, &where, durability)
            ->ArgName("threads")
            ->Arg(1)
            ->Arg(8)
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond)
            ->Iterations(iterations);
    };
    add("commits/sync", TMF_DURABILITY_SYNC);
    add("commits/group", TMF_DURABILITY_GROUP);
}
