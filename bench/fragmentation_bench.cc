/* SPDX-License-Identifier: MIT */
/*
 * fragmentation/INDEX/quantum:Q/SIZES: how much of the arena a heap spoils over a long time. From
 * an empty heap, in each round allocates until `live_max` blocks live, then frees random ones until
 * half of them do. The sizes are scaled from round to round, so that what was freed does not fit
 * what comes: by 1, 1/2, 2 and 3/2 in turn.
 *
 * Held fixed: the seed, the sizes (uniform: 1 to 1024; lognormal: see heap_work.h), the number of
 * rounds; every number but the time is the same on every machine. Checked: every call's result; the
 * heap at the end.
 *
 * Counters, each after 25, 50, 75 and 100 % of the rounds: high_water_P, bytes from the first
 * block's place to the highest byte that was ever allocated; external_P: the share of free bytes
 * among those below the highest block in use now, in percent. What metadata take before the first
 * block grows with the region, not with what becomes of it, and is left out. Besides:
 * high_water_bytes of the whole run, requested_max_bytes, the most that was asked for at a time,
 * and spoilt, the percentage of the first that is beyond the second. The time is that of the whole
 * run.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "bench.h"
#include "heap_work.h"
#include "own_heap.h"

namespace
{

constexpr std::size_t live_max = 40000;
constexpr int rounds = 16;
constexpr std::size_t region_bytes = std::size_t{512} << 20;

class sawtooth
{
  public:
    sawtooth(const own_kind &kind, const size_law &sizes)
        : heap(kind.index, kind.quantum, region_bytes), sizes_(sizes)
    {
        tmf_heap_walk(&heap.heap, take_offset, &first);
    }
    void round(int number)
    {
        static constexpr std::size_t halves[] = {2, 1, 4, 3};
        while (live_.size() < live_max)
            allocate(sizes_.request(random_) * halves[number % 4]);
        while (live_.size() > live_max / 2)
            free();
    }

    own_heap heap;
    std::size_t first = 0;                         /* offset of the first block */
    std::size_t high_water = 0, requested_max = 0; /* bytes */

  private:
    static int take_offset(void *context, const tmf_heap_block *block)
    {
        *static_cast<std::size_t *>(context) = block->offset;
        return 1; /* enough */
    }
    void allocate(std::size_t halves)
    {
        std::size_t size = (halves + 1) / 2;
        void *at = heap.allocate(size);
        live_.push_back({at, size});
        auto end = static_cast<std::size_t>(static_cast<char *>(at) -
                                            static_cast<char *>(heap.memory.at)) +
                   size;
        high_water = std::max(high_water, end - first);
        requested_ += size;
        requested_max = std::max(requested_max, requested_);
    }
    void free()
    {
        std::size_t n = std::uniform_int_distribution<std::size_t>(0, live_.size() - 1)(random_);
        heap.free(live_[n].at, live_[n].size);
        requested_ -= live_[n].size;
        live_[n] = live_.back();
        live_.pop_back();
    }

    const size_law &sizes_;
    std::vector<churn::block> live_;
    std::size_t requested_ = 0;
    std::mt19937_64 random_{1};
};

/* In address order: a free block counts once a used one lies above it. */
struct extent {
    std::size_t end = 0, free_below = 0, free_since = 0;
};

int measure_block(void *context, const tmf_heap_block *block)
{
    auto *so_far = static_cast<extent *>(context);
    if (block->is_free) {
        so_far->free_since += block->size;
        return 0;
    }
    so_far->free_below += so_far->free_since;
    so_far->free_since = 0;
    so_far->end = block->offset + block->size;
    return 0;
}

double external_percent(sawtooth &work)
{
    extent found;
    tmf_heap_walk(&work.heap.heap, measure_block, &found);
    return 100 * static_cast<double>(found.free_below) /
           static_cast<double>(found.end - work.first);
}

void measure(benchmark::State &state, const own_kind &kind, const size_law &sizes)
{
    sawtooth work(kind, sizes);
    auto bytes = [](std::size_t count) { return static_cast<double>(count); };
    while (state.KeepRunning())
        for (int round = 0; round < rounds; round++) {
            work.round(round);
            if ((round + 1) % (rounds / 4) != 0)
                continue;
            std::string percent = std::to_string(100 * (round + 1) / rounds);
            state.counters["external_" + percent] = external_percent(work);
            state.counters["high_water_" + percent] = bytes(work.high_water);
        }
    work.heap.check();
    state.counters["high_water_bytes"] = bytes(work.high_water);
    state.counters["requested_max_bytes"] = bytes(work.requested_max);
    state.counters["spoilt"] = 100 * (bytes(work.high_water) / bytes(work.requested_max) - 1);
}

void fragmentation(benchmark::State &state, const own_kind &kind, const size_law &sizes)
{
    try {
        measure(state, kind, sizes);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_fragmentation_benchmarks()
{
    for (const own_kind &kind : own_kinds())
        for (const char *law : {"", "lognormal"}) {
            const size_law &sizes = size_law_named(law);
            std::string name = "fragmentation/" + kind.name() + "/" +
                               (*sizes.name != '\0' ? sizes.name : "uniform");
            benchmark::RegisterBenchmark(name.c_str(), fragmentation, kind, sizes)
                ->Unit(benchmark::kMillisecond)
                ->Iterations(1)
                ->Repetitions(1);
        }
}
