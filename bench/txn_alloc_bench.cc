/* SPDX-License-Identifier: MIT */
/*
 * txn_alloc/STRATEGY/INDEX/quantum:Q: what one free and one allocation cost inside a transaction of
 * 100 such pairs at 10^5 free blocks: begin, faults, copies, log, commit, end, all of it by 100.
 *
 * The heap and the pairs are those of alloc_free with sizes 1 to 1024 (heap_work.h), in a storage
 * of its own that is made anew for each repetition and filled with the strategy that survives
 * nothing. Nothing is stored into the blocks: that is not the allocator's cost.
 *
 * Held fixed: the seed, the number of transactions, so that pages_dirtied and log_bytes are the
 * same every time; every page is read, and as many transactions made, before any is measured; three
 * repetitions.
 * Checked: every call's result; the storage at the end.
 *
 * Counters per transaction, from tmf_stats: pages_dirtied, log_bytes, syncs. Strategies other than
 * undo-fsync and redo-wp only where the filter names them: a page dirtied costs each of them what
 * commit/STRATEGY says.
 */
#include <benchmark/benchmark.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "bench.h"
#include "heap_work.h"
#include "own_heap.h"
#include "storage.h"
#include "txn_counters.h"

namespace
{

constexpr std::size_t holes = 100000;
constexpr std::size_t pairs = 100; /* of a transaction */
constexpr std::int64_t transactions = 10;
constexpr int transactions_before = 10;

class storage_heap : public allocator
{
  public:
    void *allocate(std::size_t size) override
    {
        void *made = tmf_alloc(writer, size);
        if (made == nullptr)
            storage_must(errno);
        return made;
    }
    void free(void *at, std::size_t size) override
    {
        storage_must(tmf_free(writer, at, size));
    }

    tmf_writer *writer = nullptr; /* of the transaction that runs */
};

/* The file pair, opened by one strategy after the other; closed and removed at the end. */
class storage_file
{
  public:
    explicit storage_file(std::string path) : path_(std::move(path))
    {
    }
    ~storage_file()
    {
        tmf_close(handle);
        for (const char *extension : {".odb", ".log"})
            std::remove((path_ + extension).c_str());
    }
    storage_file(const storage_file &) = delete;
    storage_file &operator=(const storage_file &) = delete;

    void open(tmf_options options)
    {
        storage_must(tmf_close(handle));
        handle = nullptr;
        storage_must(tmf_open(path_.c_str(), &options, &handle));
    }
    tmf_stats stats() const
    {
        tmf_stats stats = {};
        tmf_stats_get(handle, &stats);
        return stats;
    }
    tmf_storage *handle = nullptr;

  private:
    std::string path_;
};

/* One transaction that `work` is done in. */
template <class work> void transact(storage_file &file, storage_heap &heap, const work &does)
{
    storage_must(tmf_write_begin(file.handle, &heap.writer));
    int error = 0;
    try {
        does();
        error = tmf_commit(heap.writer);
    } catch (...) {
        tmf_write_end(heap.writer);
        throw;
    }
    tmf_write_end(heap.writer);
    storage_must(error);
}

void create(storage_file &file, const own_kind &kind)
{
    tmf_options options = {};
    options.size = bytes_needed(size_laws[0], kind.quantum, holes);
    options.root_size = sizeof(void *);
    options.strategy = control_name();
    options.index = kind.index.c_str();
    options.quantum = kind.quantum;
    file.open(options);
}

void check(const storage_file &file, const churn &work)
{
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(file.handle, &reader));
    tmf_info info = {};
    int error = tmf_info_get(file.handle, &info);
    if (error == 0)
        error = tmf_check(file.handle);
    tmf_read_end(reader);
    storage_must(error);
    if (info.used_blocks != holes + work.live.size())
        throw std::runtime_error("blocks were lost, or came from nowhere");
}

/* So that no page is mapped for its first reading while it is measured. */
void read_all(const storage_file &file)
{
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(file.handle, &reader));
    const auto *bytes = static_cast<const volatile char *>(tmf_address(file.handle));
    for (std::size_t i = 0; i < tmf_size(file.handle); i += storage_page_size)
        benchmark::DoNotOptimize(bytes[i]);
    tmf_read_end(reader);
}

double seconds_of_transaction(storage_file &file, storage_heap &heap, churn &work)
{
    auto start = std::chrono::steady_clock::now();
    transact(file, heap, [&work] {
        for (std::size_t i = 0; i < pairs; i++)
            work.pair();
    });
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    return spent.count();
}

void measure(benchmark::State &state, const folder &where, const strategy &how,
             const own_kind &kind)
{
    storage_file file(where.path("txn_alloc"));
    storage_heap heap;
    std::unique_ptr<churn> work;
    create(file, kind);
    transact(file, heap,
             [&] { work = std::make_unique<churn>(heap, size_laws[0], holes, kind.quantum); });
    sync(); /* what filling left in the page cache must not be written during a measurement */
    tmf_options options = {};
    options.strategy = how.name;
    options.durability = durability_asked_for();
    file.open(options);
    read_all(file);
    work->draw(pairs * (transactions_before + transactions));
    for (int i = 0; i < transactions_before; i++)
        seconds_of_transaction(file, heap, *work);
    tmf_stats before = file.stats();
    while (state.KeepRunning())
        state.SetIterationTime(seconds_of_transaction(file, heap, *work) / pairs);
    report_counters(state, before, file.stats());
    check(file, *work);
}

void txn_alloc(benchmark::State &state, const folder *where, const strategy &how,
               const own_kind &kind)
{
    try {
        measure(state, *where, how, kind);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

bool is_asked_for(const std::string &strategy)
{
    return strategy == "undo-fsync" || strategy == "redo-wp" ||
           benchmark::GetBenchmarkFilter().find(strategy) != std::string::npos;
}

} // namespace

void register_txn_alloc_benchmarks(const folder &where)
{
    for (std::size_t i = 0; tmf_strategy_name(i) != nullptr; i++) {
        strategy how(i);
        if (!how.available || !is_asked_for(how.name))
            continue;
        for (const own_kind &kind : own_kinds()) {
            std::string name = std::string("txn_alloc/") + how.name + "/" + kind.name();
            benchmark::RegisterBenchmark(name.c_str(), txn_alloc, &where, how, kind)
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond)
                ->Iterations(transactions)
                ->Repetitions(3);
        }
    }
}
