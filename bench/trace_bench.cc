/* SPDX-License-Identifier: MIT */
/*
 * trace/INDEX/quantum:Q/NAME: the time of one operation (an allocation, resize or free) of the
 * trace NAME, played from its beginning to its end, in a heap in plain memory; and
 * trace/malloc/NAME, the same with malloc of this process, as the limit for what forgets all.
 *
 * Held fixed: the operations and their order, and so every counter but the time; the heap is empty
 * when a trace begins, and its pages are there. One byte of each block that is new is stored to,
 * the content of one that a resize moves is copied, nothing else. Threads are played as one, in the
 * order in which they ran; processes one after the other, and what one had left when it ended is
 * freed outside of the timing. malloc keeps what it does with the kernel, page faults of memory
 * that it gave back among it.
 *
 * Checked: every call succeeds, and blocks do not overlap and are aligned (in one replay of each
 * kind that is not timed), the heap holds all invariants and no block at the end.
 *
 * Counters, from replays that are not timed: index nodes read per operation; pages that the
 * allocator dirtied per operation, and per transaction of 100 operations, both over 32 samples of
 * 100 operations each, all over the trace (what a resize copies counts, what the program would
 * store does not). Where the most bytes lived that were asked for: rounding_bytes, used by blocks
 * and not asked for; metadata_bytes, of an arena no larger than it had to be; fragmentation, what
 * is free below the highest used byte ever, as a share; lost_share, rounding and metadata by what
 * was asked for. rounding_mean over all operations; high_water, the highest byte ever used.
 */
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <stdexcept>

#include "bench.h"
#include "dirty_pages.h"
#include "trace_heap.h"
#include "trace_player.h"

extern "C" {
#include "txn/tmf.h"
}

namespace
{

constexpr std::size_t transaction = 100; /* operations */
constexpr std::size_t samples = 32;
constexpr std::size_t page_size = 4096;

/* With malloc's own choice where nothing else was asked for. */
class process_malloc
{
  public:
    void *allocate(std::size_t size, std::size_t alignment)
    {
        if (alignment <= alignof(std::max_align_t))
            return must(std::malloc(size));
        void *block = nullptr;
        return posix_memalign(&block, alignment, size) == 0 ? must(block) : must(nullptr);
    }
    void *resize(void *block, std::size_t, std::size_t new_size)
    {
        return must(std::realloc(block, new_size > 0 ? new_size : 1));
    }
    void free(void *block, std::size_t)
    {
        std::free(block);
    }

  private:
    static void *must(void *block)
    {
        if (block == nullptr)
            throw std::runtime_error("malloc failed");
        return block;
    }
};

/* The blocks that live, by address; what overlaps is refused. */
class extents
{
  public:
    void add(const void *at, std::size_t size, const trace_step &step)
    {
        auto first = reinterpret_cast<std::uintptr_t>(at);
        std::uintptr_t end = first + (size > 0 ? size : 1);
        auto above = ends_.lower_bound(first);
        bool free_above = above == ends_.end() || above->first >= end;
        bool free_below = above == ends_.begin() || std::prev(above)->second <= first;
        if (!free_above || !free_below)
            throw std::runtime_error("two blocks overlap");
        if (step.kind == TRACE_ALLOCATE && first % (std::uintptr_t{1} << step.alignment_log) != 0)
            throw std::runtime_error("a block is not aligned");
        ends_.emplace_hint(above, first, end);
    }
    void remove(const void *at)
    {
        ends_.erase(reinterpret_cast<std::uintptr_t>(at));
    }
    void clear()
    {
        ends_.clear();
    }

  private:
    std::map<std::uintptr_t, std::uintptr_t> ends_;
};

/* Plays all of it, slowly; calls watch(bytes asked for that live, block) after each step. */
template <class allocator, class watcher>
void play_checked(allocator &heap, const trace_steps &trace, watcher watch)
{
    trace_player<allocator> player(heap, trace);
    extents blocks;
    std::size_t live = 0;
    for (const trace_step &step : trace.steps) {
        if (step.kind == TRACE_EXIT) {
            player.drop();
            blocks.clear();
            live = 0;
            continue;
        }
        auto old = player.at(step);
        if (old.at != nullptr) {
            blocks.remove(old.at);
            live -= old.size;
        }
        const auto &made = player.template play<true>(step);
        if (made.at != nullptr) {
            blocks.add(made.at, made.size, step);
            live += made.size;
        }
        watch(live, made);
    }
}

/* Plays it as often as the benchmark wants. */
template <class allocator>
void play_timed(benchmark::State &state, allocator &heap, const trace_steps &trace)
{
    trace_player<allocator> player(heap, trace);
    auto operations = static_cast<benchmark::IterationCount>(trace.facts.operations);
    while (state.KeepRunningBatch(operations))
        for (const trace_step &step : trace.steps) {
            if (step.kind != TRACE_EXIT) {
                player.template play<true>(step);
                continue;
            }
            state.PauseTiming();
            player.drop();
            state.ResumeTiming();
        }
}

/* ---- what does not depend on the machine ---- */

struct kind {
    std::string index;
    std::size_t quantum;
};

struct figures {
    double nodes_visited, pages_dirtied, pages_dirtied_100;
    std::size_t live, rounding, metadata, high_water; /* bytes; of the moment of the peak, */
    double fragmentation;
    double rounding_mean; /* but for these two, and high_water */
};

/* Room for all that a bad placement may waste; only what is used is ever touched. */
std::size_t region_size(const kind &of, const trace_steps &trace)
{
    std::size_t most = trace.facts.bytes_peak + trace.facts.blocks_peak * of.quantum;
    if (most >> 40 != 0)
        throw std::runtime_error("more than a terabyte lives in this trace");
    return (4 * most + (std::size_t{16} << 20)) / page_size * page_size;
}

std::size_t metadata_of_arena(const kind &of, std::size_t bytes)
{
    std::size_t size = (bytes / page_size + 16) * page_size;
    return trace_heap(of.index, of.quantum, size).stats().metadata_bytes;
}

void measure_space(const kind &of, const trace_steps &trace, figures &out)
{
    trace_heap heap(of.index, of.quantum, region_size(of, trace));
    std::size_t metadata_empty = heap.stats().metadata_bytes;
    std::size_t metadata_more = 0, operations = 0;
    double rounding_sum = 0;
    play_checked(heap, trace, [&](std::size_t live, const auto &block) {
        tmf_heap_stats stats = heap.stats();
        if (block.at != nullptr)
            out.high_water = std::max(out.high_water, heap.offset(block.at) + block.size);
        rounding_sum += static_cast<double>(stats.used_bytes - live);
        operations++;
        if (live <= out.live)
            return;
        out.live = live;
        out.rounding = stats.used_bytes - live;
        out.fragmentation = 1 - static_cast<double>(stats.used_bytes) /
                                    static_cast<double>(out.high_water + of.quantum);
        metadata_more = stats.metadata_bytes - metadata_empty;
    });
    heap.check_empty();
    out.rounding_mean = rounding_sum / static_cast<double>(operations);
    out.metadata = metadata_of_arena(of, out.high_water) + metadata_more;
}

/* Counts pages in [0, transaction) of each sample by the operation, in the next by them all. */
class page_samples
{
  public:
    explicit page_samples(const trace_heap &heap) : heap_(heap)
    {
    }
    void before(std::size_t place)
    {
        if (place == 0)
            watch_ = std::make_unique<dirty_pages>(heap_.region(), heap_.region_size());
        if (place == transaction)
            watch_->take();
    }
    void after(std::size_t place)
    {
        if (watch_ == nullptr)
            return;
        if (place < transaction)
            single_ += watch_->take();
        if (place == 2 * transaction - 1) {
            together_ += watch_->take();
            count_++;
            watch_.reset();
        }
    }
    /* What belongs to no operation is done; the sample is given up. */
    void interrupt()
    {
        watch_.reset();
    }
    double per_operation() const
    {
        return static_cast<double>(single_) / (static_cast<double>(count_) * transaction);
    }
    double per_transaction() const
    {
        return static_cast<double>(together_) / static_cast<double>(count_);
    }

  private:
    const trace_heap &heap_;
    std::unique_ptr<dirty_pages> watch_;
    std::size_t single_ = 0, together_ = 0, count_ = 0;
};

void measure_work(const kind &of, const trace_steps &trace, figures &out)
{
    trace_heap heap(of.index, of.quantum, region_size(of, trace));
    trace_player<trace_heap> player(heap, trace);
    page_samples pages(heap);
    std::size_t apart = std::max(trace.facts.operations / samples, 2 * transaction);
    std::size_t number = 0;
    std::uint64_t nodes_dropping = 0;
    for (const trace_step &step : trace.steps) {
        if (step.kind == TRACE_EXIT) {
            pages.interrupt();
            std::uint64_t before = heap.nodes_visited();
            player.drop();
            nodes_dropping += heap.nodes_visited() - before;
            continue;
        }
        pages.before(number % apart);
        player.play<false>(step);
        pages.after(number++ % apart);
    }
    out.nodes_visited =
        static_cast<double>(heap.nodes_visited() - nodes_dropping) / static_cast<double>(number);
    out.pages_dirtied = pages.per_operation();
    out.pages_dirtied_100 = pages.per_transaction();
}

/* Once for all repetitions: they are the same every time. */
const figures &figures_of(const kind &of, const trace_steps &trace)
{
    static std::map<std::string, figures> known;
    std::string key = of.index + '/' + std::to_string(of.quantum) + '/' + trace.name;
    auto found = known.find(key);
    if (found == known.end()) {
        figures made = {};
        measure_space(of, trace, made);
        measure_work(of, trace, made);
        found = known.emplace(key, made).first;
    }
    return found->second;
}

void report(benchmark::State &state, const figures &found)
{
    auto number = [](std::size_t bytes) { return static_cast<double>(bytes); };
    state.counters["nodes_visited"] = found.nodes_visited;
    state.counters["pages_dirtied"] = found.pages_dirtied;
    state.counters["pages_dirtied_100"] = found.pages_dirtied_100;
    state.counters["live_bytes"] = number(found.live);
    state.counters["rounding_bytes"] = number(found.rounding);
    state.counters["rounding_mean"] = found.rounding_mean;
    state.counters["metadata_bytes"] = number(found.metadata);
    state.counters["fragmentation"] = found.fragmentation;
    state.counters["high_water"] = number(found.high_water);
    state.counters["lost_share"] = number(found.rounding + found.metadata) / number(found.live);
}

/* ---- the benchmarks ---- */

void measure(benchmark::State &state, const kind &of, const trace_steps &trace)
{
    const figures &found = figures_of(of, trace);
    trace_heap heap(of.index, of.quantum, region_size(of, trace));
    heap.populate(found.high_water);
    play_timed(state, heap, trace);
    heap.check_empty();
    report(state, found);
}

void replay(benchmark::State &state, const kind &of, const trace_steps *trace)
{
    try {
        measure(state, of, *trace);
    } catch (const std::exception &failure) {
        std::cerr << of.index << ", quantum " << of.quantum << ", " << trace->name << ": "
                  << failure.what() << '\n';
        state.SkipWithError(failure.what());
    }
}

void replay_malloc(benchmark::State &state, const trace_steps *trace)
{
    try {
        process_malloc heap;
        play_checked(heap, *trace, [](std::size_t, const auto &) {});
        play_timed(state, heap, *trace);
    } catch (const std::exception &failure) {
        std::cerr << "malloc, " << trace->name << ": " << failure.what() << '\n';
        state.SkipWithError(failure.what());
    }
}

bool is_allowed(const kind &of)
{
    try {
        trace_heap probe(of.index, of.quantum, std::size_t{1} << 20);
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

} // namespace

void register_trace_benchmarks()
{
    for (const trace_steps &trace : all_traces()) {
        std::string name = "trace/malloc/" + trace.name;
        benchmark::RegisterBenchmark(name.c_str(), replay_malloc, &trace);
    }
    for (std::size_t i = 0; tmf_index_name(i) != nullptr; i++)
        for (std::size_t quantum : {16, 32, 64, 128}) {
            kind of = {tmf_index_name(i), quantum};
            if (!is_allowed(of))
                continue;
            for (const trace_steps &trace : all_traces()) {
                std::string name =
                    "trace/" + of.index + "/quantum:" + std::to_string(quantum) + "/" + trace.name;
                benchmark::RegisterBenchmark(name.c_str(), replay, of, &trace);
            }
        }
}
