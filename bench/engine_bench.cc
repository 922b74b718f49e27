/* SPDX-License-Identifier: MIT */
/*
 * engine/ENGINE/WORKLOAD: the time of one whole transaction (begin, operations, commit) of a
 * workload over a table of records (harness/table.h), by this library and by its peers, behind one
 * interface (harness/engine.h says how each is used). The label says what a returned commit
 * survives; compare what survives the same. tmf-STRATEGY-DURABILITY[-exclusive] is this library.
 * WORKLOAD is pages:K, a number in each of K records that share no page; bank; ycsb-a, -b, -f.
 *
 * Held fixed: 65536 records of 1000 bytes, every byte of the files written before; which records a
 * transaction meets, from a fixed seed; the number of transactions, which is enough that what an
 * engine puts off (a checkpoint) is among them. Content is never written twice. In memory before:
 * all pages of the table, in the engine's own cache too; private copies where there are any.
 * Outside the time: drawing what to do, opening, closing.
 *
 * Checked by the model, every byte of every record: the table as it is after the engine has done
 * the same work in a child and is opened anew, before anything is timed; and again after that.
 *
 * Counters of a transaction, see engine_counts.h: calls, syncs, written_bytes, dirtied_bytes; of
 * the process: peak_memory_bytes, private_memory_bytes. read_ns, write_ns: the median time of a
 * transaction that reads, or writes.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "bench.h"
#include "engine_counts.h"
#include "engine_table.h"
#include "harness/strategy.h"
#include "storage.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::uint64_t records_per_page = 4;
constexpr std::size_t count_share = 4; /* of the timed transactions one in so many is counted */
constexpr std::size_t slow_share = 8;  /* and timed, of what syncs for every page */

struct workload_setup {
    const char *name;
    std::size_t pages;        /* of the workload `pages`, else 0 */
    std::size_t transactions; /* timed */
};

std::size_t transactions_of(const engine_setup &setup, const workload_setup &what)
{
    return setup.is_slow ? std::max<std::size_t>(what.transactions / slow_share, 8)
                         : what.transactions;
}

/* Times apart, where a workload has both. */
struct times {
    std::vector<double> reads, writes; /* seconds */
};

double median_ns(std::vector<double> &seconds)
{
    auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    return *middle * 1e9;
}

void report_times(benchmark::State &state, times &all)
{
    if (!all.reads.empty())
        state.counters["read_ns"] = median_ns(all.reads);
    if (!all.writes.empty())
        state.counters["write_ns"] = median_ns(all.writes);
}

std::uint64_t touch_step(const engine_setup &setup, const table_work &work)
{
    if (!setup.copies)
        return 0;
    return work.pages > 0 ? table_pages_step(&work) : records_per_page;
}

/* What is counted is the same in every repetition, and tracing takes longer than timing: once. */
engine_counts counts_of(engine_table &table, const engine_setup &setup, const workload_setup &what,
                        const table_work &work)
{
    static std::map<std::string, engine_counts> known;
    std::string name = setup.label + "/" + what.name + std::to_string(what.pages);
    auto at = known.find(name);
    if (at != known.end())
        return at->second;
    std::uint64_t last = std::max<std::uint64_t>(transactions_of(setup, what) / count_share, 2);
    engine_counts counts = count_engine(table, setup, work, touch_step(setup, work), last);
    if (counts.known)
        table.tell(work, 1, last);
    return known[name] = counts;
}

void report_counts(benchmark::State &state, const engine_counts &counts)
{
    if (!counts.known)
        return;
    state.counters["calls"] = counts.calls;
    state.counters["syncs"] = counts.syncs;
    state.counters["written_bytes"] = counts.written_bytes;
    state.counters["dirtied_bytes"] = counts.dirtied_bytes;
    state.counters["peak_memory_bytes"] = counts.peak_memory_bytes;
    state.counters["private_memory_bytes"] = counts.private_memory_bytes;
}

double seconds_of_one(const engine_setup &setup, void *db, const table_work &work,
                      const table_operation *operations, std::size_t count)
{
    auto start = steady::now();
    int error = table_transact(setup.of, db, &work, operations, count, nullptr);
    std::chrono::duration<double> spent = steady::now() - start;
    engine_must(error);
    return spent.count();
}

/* Transactions from `k` on; returns the last one's number. */
std::uint64_t time_all(benchmark::State &state, const engine_setup &setup, void *db,
                       const table_work &work, std::uint64_t k, times &all)
{
    table_operation operations[TABLE_OPERATIONS_MAX];
    while (state.KeepRunning()) {
        std::size_t count = table_plan(&work, k++, operations);
        double seconds = seconds_of_one(setup, db, work, operations, count);
        state.SetIterationTime(seconds);
        (table_plan_writes(operations, count) ? all.writes : all.reads).push_back(seconds);
    }
    return k - 1;
}

void measure_open(benchmark::State &state, engine_table &table, const engine_setup &setup,
                  const table_work &work, std::uint64_t first, void *db)
{
    times all;
    table.check(setup, db);
    std::uint64_t step = touch_step(setup, work);
    if (step > 0)
        engine_must(table_touch(setup.of, db, &work, step));
    std::uint64_t last = time_all(state, setup, db, work, first, all);
    table.tell(work, first, last);
    table.check(setup, db);
    report_times(state, all);
}

void measure(benchmark::State &state, const folder &where, const engine_setup &setup,
             const workload_setup &what)
{
    static std::uint64_t salt = 0;
    engine_table &table = engine_table::of(where, setup);
    table_work work = engine_work(what.name, what.pages);
    work.salt = ++salt << 32;
    const engine_counts counts = counts_of(table, setup, what, work);
    table.settle();
    void *db = table.open(setup);
    try {
        measure_open(state, table, setup, work, transactions_of(setup, what) + 1, db);
    } catch (...) {
        setup.of->close(db);
        throw;
    }
    engine_must(setup.of->close(db));
    report_counts(state, counts);
    state.SetLabel(std::string("survives ") + setup.survives);
}

void engine_transactions(benchmark::State &state, const folder *where, const engine_setup &setup,
                         const workload_setup &what)
{
    try {
        measure(state, *where, setup, what);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

const char *survival_text(tmf_survival survives)
{
    static const char *const texts[] = {"nothing", "kill", "power loss"};
    return texts[survives];
}

engine_setup setup_of_peer(const engine *peer)
{
    engine_setup setup = {};
    setup.of = peer;
    setup.label = peer->name;
    setup.survives = survival_text(peer->survives);
    setup.is_slow = setup.label == "pmemobj";
    return setup;
}

engine_setup setup_of_tmf(std::size_t n, tmf_durability durability, unsigned flags)
{
    static const char *const words[] = {"default", "sync", "group", "process"};
    engine_setup setup = setup_of_peer(engine_find("tmf"));
    strategy how(n);
    setup.label += std::string("-") + how.name + "-" + words[durability];
    if ((flags & TMF_EXCLUSIVE) != 0)
        setup.label += "-exclusive";
    setup.strategy = how.name;
    setup.durability = durability;
    setup.flags = flags;
    setup.copies = how.copies;
    setup.survives = survival_text(tmf_strategy_survives(n));
    if (durability == TMF_DURABILITY_PROCESS)
        setup.survives = survival_text(TMF_SURVIVES_KILL);
    setup.is_slow = std::string(how.name) == "undo-fsync";
    return setup;
}

void add(const folder &where, const engine_setup &setup, const workload_setup &what)
{
    std::string name = "engine/" + setup.label + "/" + what.name;
    if (what.pages > 0)
        name += ":" + std::to_string(what.pages);
    benchmark::RegisterBenchmark(name.c_str(), engine_transactions, &where, setup, what)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(static_cast<benchmark::IterationCount>(transactions_of(setup, what)));
}

const workload_setup page_works[] = {{"pages", 1, 1024},
                                     {"pages", 4, 256},
                                     {"pages", 16, 128},
                                     {"pages", 64, 64},
                                     {"pages", 256, 24}};
const workload_setup mixed_works[] = {
    {"bank", 0, 256}, {"ycsb-a", 0, 512}, {"ycsb-b", 0, 2048}, {"ycsb-f", 0, 512}};

void add_pages(const folder &where, const engine_setup &setup)
{
    for (const workload_setup &what : page_works)
        add(where, setup, what);
}

void add_all(const folder &where, const engine_setup &setup)
{
    add_pages(where, setup);
    for (const workload_setup &what : mixed_works)
        add(where, setup, what);
}

void add_of(const folder &where, const engine_setup &setup)
{
    (setup.is_slow ? add_pages : add_all)(where, setup);
}

/* The default strategy in every way; of the others what tells them apart. */
void add_tmf(const folder &where, std::size_t n, bool is_default)
{
    add_of(where, setup_of_tmf(n, TMF_DURABILITY_SYNC, 0));
    add_of(where, setup_of_tmf(n, TMF_DURABILITY_PROCESS, 0));
    if (!is_default)
        return;
    add_all(where, setup_of_tmf(n, TMF_DURABILITY_GROUP, 0));
    add_all(where, setup_of_tmf(n, TMF_DURABILITY_SYNC, TMF_EXCLUSIVE));
    add_all(where, setup_of_tmf(n, TMF_DURABILITY_PROCESS, TMF_EXCLUSIVE));
}

} // namespace

void register_engine_benchmarks(const folder &where)
{
    const std::string default_name = strategy_default();
    for (std::size_t n = 0; tmf_strategy_name(n) != nullptr; n++) {
        strategy how(n);
        if (how.available && !how.is_control) /* mmap-msync is that */
            add_tmf(where, n, default_name == how.name);
    }
    for (std::size_t n = 1; engine_at(n) != nullptr; n++)
        add_all(where, setup_of_peer(engine_at(n)));
}
