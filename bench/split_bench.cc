/* SPDX-License-Identifier: MIT */
/*
 * split/STRATEGY/pages:K: where the time of one transaction goes: begin, K stores of 8 bytes to
 * scattered pages, commit, end. Every call of the table in txn/io.h is timed, and each part of the
 * transaction; so the parts add up to the whole, but for the clock's own 50 ns a call.
 *
 * Counters, microseconds per transaction: locks (flock, fcntl), stores (with the page faults and
 * signals they cost, less what the handler writes and syncs), find (ioctl, pread of the pagemap,
 * getrusage), log (pwrite), sync, protect (mprotect, madvise, mlock), and rest: comparing, copying,
 * checksums, and all else that the library does between its calls.
 *
 * Held fixed: as in txn_bench.cc, but the pages are drawn from 64 times K, so that they come back:
 * what a first store to a page costs is paid before.
 */
#include <benchmark/benchmark.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "bench.h"
#include "storage.h"
#include "timed_calls.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::size_t working_set = 64; /* pages drawn from, for each page stored to */
constexpr int transactions_before = 300;

/* What the stores took, less what the handler's calls did of it. */
double store_all(storage &store, tmf_writer *writer, bool must_touch,
                 const std::vector<std::size_t> &pages)
{
    double calls_before = sum_of(spent);
    auto start = steady::now();
    for (std::size_t page : pages) {
        std::uint64_t &at = store.number(page);
        if (must_touch)
            storage_must(tmf_touch(writer, &at, sizeof(at)));
        at++;
    }
    std::chrono::duration<double> whole = steady::now() - start;
    return whole.count() - (sum_of(spent) - calls_before);
}

struct times {
    double whole = 0, stores = 0;
};

void transact(storage &store, bool must_touch, const std::vector<std::size_t> &pages, times &sum)
{
    tmf_writer *writer = nullptr;
    auto start = steady::now();
    storage_must(tmf_write_begin(store.handle, &writer));
    sum.stores += store_all(store, writer, must_touch, pages);
    int error = tmf_commit(writer);
    tmf_write_end(writer);
    storage_must(error);
    std::chrono::duration<double> whole = steady::now() - start;
    sum.whole += whole.count();
}

void report(benchmark::State &state, const times &sum)
{
    auto counter = [&state](const char *name, double seconds) {
        state.counters[name] =
            benchmark::Counter(1e6 * seconds, benchmark::Counter::kAvgIterations);
    };
    counter("locks_us", spent[locks]);
    counter("stores_us", sum.stores);
    counter("find_us", spent[finding] + spent[reading]);
    counter("log_us", spent[log_writes] + spent[odb_writes]);
    counter("sync_us", spent[log_syncs] + spent[odb_syncs]);
    counter("protect_us", spent[protecting]);
    counter("rest_us", sum.whole - sum.stores - sum_of(spent));
}

void measure(benchmark::State &state, const folder &where, const strategy &how)
{
    std::vector<std::size_t> pages(static_cast<std::size_t>(state.range(0)));
    std::size_t stride = storage_pages / pages.size();
    std::size_t step = stride > working_set ? stride / working_set : 1;
    std::mt19937_64 random(1);
    timed_library timed;
    storage store(where, how.name);
    times sum;
    auto next = [&] {
        for (std::size_t i = 0; i < pages.size(); i++)
            pages[i] = i * stride + random() % working_set * step % stride;
        transact(store, how.must_touch, pages, sum);
    };
    for (int i = 0; i < transactions_before; i++)
        next();
    sum = times();
    spent = {};
    while (state.KeepRunning()) {
        double before = sum.whole;
        next();
        state.SetIterationTime(sum.whole - before);
    }
    report(state, sum);
}

void split(benchmark::State &state, const folder *where, const strategy &how)
{
    try {
        measure(state, *where, how);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_split_benchmarks(const folder &where)
{
    for (std::size_t i = 0; tmf_strategy_name(i) != nullptr; i++) {
        strategy how(i);
        std::string name = std::string("split/") + how.name;
        if (!how.available || how.is_control)
            continue;
        auto *family = benchmark::RegisterBenchmark(name.c_str(), split, &where, how);
        family->ArgName("pages")->UseManualTime()->Unit(benchmark::kMicrosecond);
        for (std::int64_t count : {1, 64})
            family->Arg(count);
    }
}
