/* SPDX-License-Identifier: MIT */
/*
 * read/begin_end/alone: begin and end of a read while nobody else has a view: the process takes its
 * lock on the file and gives it back. read/begin_end/beside_reader: the same while another thread
 * holds a reader, so that the process keeps its lock. read/begin_end/exclusive: alone, with
 * TMF_EXCLUSIVE, where the process keeps its lock from open to close.
 *
 * Held fixed: the default strategy, no writer, the number of reads. The clock is read once for
 * `reads_at_once` of them. Checked: every result.
 */
#include <benchmark/benchmark.h>

#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <thread>

#include "bench.h"
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
                begun.set_value(tmf_read_begin(storage, &reader));
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
}
