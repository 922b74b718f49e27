/* SPDX-License-Identifier: MIT */
/*
 * read/begin_end/alone: begin and end of a read while nobody else has a view: the process takes its
 * lock on the file and gives it back. read/begin_end/beside_reader: the same while another thread
 * holds a reader, so that the process keeps its lock. read/begin_end/exclusive: alone, with
 * TMF_EXCLUSIVE, where the process keeps its lock from open to close.
 *
 * read/threads:T/pages:P: the time of a read that looks at P pages, where T threads read at once:
 * with 2 on two processors it would be half of that with 1, if they did not hinder each other.
 *
 * Held fixed: the cores of the threads, the default strategy, no writer, the number of reads. The
 * clock is read once for `reads_at_once` of them. Checked: every result.
 */
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench.h"
#include "harness/pinning.h"
#include "storage.h"

namespace
{

constexpr int reads_at_once = 1000;
constexpr int iterations = 64;

/* Holds a reader in a thread of its own, as a thread may hold only one. */
class other_reader
{
  public:
    explicit other_reader(tmf_storage *storage)
    {
        std::promise<int> begun;
        std::future<int> result = begun.get_future();
        thread_ =
            std::thread([storage, begun = std::move(begun), end = end_.get_future()]() mutable {
                tmf_reader *reader = nullptr;
                int pinned = pinning_take(1);
                begun.set_value(pinned != 0 ? pinned : tmf_read_begin(storage, &reader));
                end.wait();
                tmf_read_end(reader);
            });
        error = result.get();
    }
    ~other_reader()
    {
        end_.set_value();
        thread_.join();
    }
    other_reader(const other_reader &) = delete;
    other_reader &operator=(const other_reader &) = delete;

    int error;

  private:
    std::promise<void> end_;
    std::thread thread_;
};

void read_once(tmf_storage *storage)
{
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(storage, &reader));
    benchmark::DoNotOptimize(tmf_reader_root(reader));
    tmf_read_end(reader);
}

double seconds_per_read(tmf_storage *storage)
{
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < reads_at_once; i++)
        read_once(storage);
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    return spent.count() / reads_at_once;
}

void measure_reads(benchmark::State &state, const folder &where, unsigned flags, bool beside)
{
    storage store(where, nullptr, durability_asked_for(), flags);
    while (state.KeepRunning()) {
        std::optional<other_reader> other;
        if (beside)
            storage_must(other.emplace(store.handle).error);
        state.SetIterationTime(seconds_per_read(store.handle));
    }
}

/* ---- threads beside each other */

constexpr int reads_of_thread = 10000;

void read_many(storage &store, std::size_t pages, std::atomic<std::uint64_t> &sum)
{
    std::uint64_t own = 0;
    for (int i = 0; i < reads_of_thread; i++) {
        tmf_reader *reader = nullptr;
        if (tmf_read_begin(store.handle, &reader) != 0)
            return; /* the sum tells */
        for (std::size_t page = 0; page < pages; page++)
            own += store.number(page) & 1;
        own++;
        tmf_read_end(reader);
    }
    sum += own;
}

double seconds_of_threads(storage &store, unsigned count, std::size_t pages, std::uint64_t expected)
{
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> sum{0};
    auto start = std::chrono::steady_clock::now();
    for (unsigned n = 0; n < count; n++)
        threads.emplace_back([&, n] {
            if (pinning_take(n) == 0) /* else the sum tells */
                read_many(store, pages, sum);
        });
    for (std::thread &each : threads)
        each.join();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    if (sum != count * expected)
        throw std::runtime_error("not every read saw every page");
    return spent.count() / (count * reads_of_thread);
}

void read_beside(benchmark::State &state, const folder *where)
{
    auto count = static_cast<unsigned>(state.range(0));
    auto pages = static_cast<std::size_t>(state.range(1));
    try {
        storage store(*where, nullptr);
        std::atomic<std::uint64_t> expected{0};
        read_many(store, pages, expected);
        while (state.KeepRunning())
            state.SetIterationTime(seconds_of_threads(store, count, pages, expected));
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void read_begin_end(benchmark::State &state, const folder *where, unsigned flags, bool beside)
{
    try {
        measure_reads(state, *where, flags, beside);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_read_benchmarks(const folder &where)
{
    auto add = [&where](const char *name, unsigned flags, bool beside) {
        benchmark::RegisterBenchmark(name, read_begin_end, &where, flags, beside)
            ->UseManualTime()
            ->Iterations(iterations);
    };
    add("read/begin_end/alone", 0, false);
    add("read/begin_end/beside_reader", 0, true);
    add("read/begin_end/exclusive", TMF_EXCLUSIVE, false);
    benchmark::RegisterBenchmark("read", read_beside, &where)
        ->ArgNames({"threads", "pages"})
        ->ArgsProduct({{1, 2}, {0, 10, 1000}})
        ->UseManualTime()
        ->Iterations(8);
}
