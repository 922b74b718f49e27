/* SPDX-License-Identifier: MIT */
/*
 * alloc_free/INDEX/quantum:Q/free_blocks:N: the time of one free of a random block and one
 * allocation of a random size, 1 to 1024 bytes, in a heap of N free blocks, in plain memory.
 *
 * The heap: N holes of 1025 to 2048 bytes, kept apart by pinned blocks of one quantum, and an
 * untouched rest above. N/4 live blocks lie in the holes; each pair frees one of them, drawn at
 * random, and allocates another size. Blocks are split and joined all the while, yet the number of
 * free blocks cannot leave N by more than N/4: a live block adds one to it at most, or takes one.
 *
 * Held fixed: the seed, the sizes drawn, the number of pairs (so the counters are the same numbers
 * on every machine), pages of 4096 bytes. Not separated: drawing the two random numbers, some 10
 * ns. Checked: every call's result, the number of used and of free blocks, every invariant of the
 * heap.
 *
 * Counters: free_blocks at the end; index nodes read per pair, all pairs; pages dirtied per pair,
 * over further pairs that are not timed.
 */
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "bench.h"
#include "dirty_pages.h"

extern "C" {
#include "alloc/heap.h"
#include "txn/tmf.h"
}

namespace
{

constexpr std::size_t page_size = 4096;
constexpr std::size_t request_max = 1024;
constexpr std::size_t hole_max = 2 * request_max;
constexpr std::int64_t pairs = 200000;
constexpr std::int64_t pairs_watched = 2000;
constexpr std::size_t live_share = 4; /* one live block for so many holes */

std::size_t region_size(std::size_t quantum, std::size_t holes)
{
    std::size_t hole_mean = (request_max + hole_max) / 2;
    std::size_t size = holes * (hole_mean + 2 * quantum) / 8 * 9 + (16 << 20);
    return (size + page_size - 1) / page_size * page_size;
}

/* Pages of 4096 bytes, as a mapped file has them, whatever this machine does with huge pages. */
class region
{
  public:
    explicit region(std::size_t bytes) : size(bytes)
    {
        at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED)
            throw std::runtime_error("no memory for the region");
        madvise(at, size, MADV_NOHUGEPAGE);
    }
    ~region()
    {
        munmap(at, size);
    }
    region(const region &) = delete;
    region &operator=(const region &) = delete;

    void *at;
    std::size_t size;
};

struct block {
    void *at;
    std::size_t size;
};

class churn
{
  public:
    churn(const std::string &index, std::size_t quantum, std::size_t holes);
    void pair();
    void check();
    tmf_heap_stats stats();
    std::uint64_t nodes_visited() const
    {
        return heap_.nodes_visited;
    }
    region memory;

  private:
    static void must(int error)
    {
        if (error != 0)
            throw std::runtime_error(tmf_strerror(error));
    }
    std::size_t draw(std::size_t first, std::size_t last)
    {
        return std::uniform_int_distribution<std::size_t>(first, last)(random_);
    }
    block allocate(std::size_t size)
    {
        block made = {nullptr, size};
        must(tmf_heap_alloc(&heap_, 0, size, &made.at));
        return made;
    }
    void free(const block &old)
    {
        must(tmf_heap_free(&heap_, old.at, old.size));
    }

    tmf_heap heap_ = {};
    std::size_t holes_;
    std::vector<block> live_;
    std::mt19937_64 random_{1};
};

churn::churn(const std::string &index, std::size_t quantum, std::size_t holes)
    : memory(region_size(quantum, holes)), holes_(holes)
{
    tmf_heap_config config = {};
    config.quantum = quantum;
    config.index = index.c_str();
    must(tmf_heap_create(&heap_, memory.at, 0, memory.size, &config));
    std::vector<block> to_be_holes;
    for (std::size_t i = 0; i < holes; i++) {
        to_be_holes.push_back(allocate(draw(request_max + 1, hole_max)));
        allocate(quantum);
    }
    for (const block &hole : to_be_holes)
        free(hole);
    for (std::size_t i = 0; i < holes / live_share; i++)
        live_.push_back(allocate(draw(1, request_max)));
}

void churn::pair()
{
    block &victim = live_[draw(0, live_.size() - 1)];
    free(victim);
    victim = allocate(draw(1, request_max));
}

tmf_heap_stats churn::stats()
{
    tmf_heap_stats stats = {};
    must(tmf_heap_stats_get(&heap_, &stats));
    return stats;
}

void churn::check()
{
    tmf_heap_stats found = stats();
    std::size_t spread = holes_ / live_share + 1; /* 1: the untouched rest */
    if (found.used_blocks != holes_ + live_.size())
        throw std::runtime_error("blocks were lost, or came from nowhere");
    if (found.free_blocks + spread < holes_ || found.free_blocks > holes_ + spread)
        throw std::runtime_error("the number of free blocks left its range");
    tmf_heap_fault fault = {};
    if (tmf_heap_check(&heap_, &fault) != 0)
        throw std::runtime_error(fault.invariant);
}

double pages_dirtied_per_pair(churn &work)
{
    dirty_pages watch(work.memory.at, work.memory.size);
    std::size_t pages = 0;
    for (std::int64_t i = 0; i < pairs_watched; i++) {
        work.pair();
        pages += watch.take();
    }
    return static_cast<double>(pages) / pairs_watched;
}

void measure(benchmark::State &state, const std::string &index, std::size_t quantum)
{
    churn work(index, quantum, static_cast<std::size_t>(state.range(0)));
    std::uint64_t nodes_before = work.nodes_visited();
    while (state.KeepRunning())
        work.pair();
    std::uint64_t nodes = work.nodes_visited() - nodes_before;
    work.check();
    std::size_t free_blocks = work.stats().free_blocks;
    state.SetComplexityN(static_cast<std::int64_t>(free_blocks));
    state.counters["free_blocks"] = static_cast<double>(free_blocks);
    state.counters["nodes_visited"] =
        benchmark::Counter(static_cast<double>(nodes), benchmark::Counter::kAvgIterations);
    state.counters["pages_dirtied"] = pages_dirtied_per_pair(work);
}

void alloc_free(benchmark::State &state, const std::string &index, std::size_t quantum)
{
    try {
        measure(state, index, quantum);
    } catch (const std::exception &failure) {
        /* Said at once too: Google Benchmark 1.7 crashes where a whole family has failed. */
        std::cerr << index << ", quantum " << quantum << ": " << failure.what() << '\n';
        state.SkipWithError(failure.what());
    }
}

bool quantum_allowed(const std::string &index, std::size_t quantum)
{
    try {
        churn probe(index, quantum, 2 * live_share);
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

/* The largest heap touches 1.6 GB: a small machine would measure its swap. */
bool fits_in_memory(std::size_t quantum, std::int64_t holes)
{
    auto memory = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * page_size;
    return region_size(quantum, static_cast<std::size_t>(holes)) < memory / 2;
}

} // namespace

void register_alloc_benchmarks()
{
    for (std::size_t i = 0; tmf_index_name(i) != nullptr; i++)
        for (std::size_t quantum : {16, 32, 64, 128}) {
            std::string index = tmf_index_name(i);
            if (!quantum_allowed(index, quantum))
                continue;
            std::string name = "alloc_free/" + index + "/quantum:" + std::to_string(quantum);
            auto *family = benchmark::RegisterBenchmark(name.c_str(), alloc_free, index, quantum);
            family->ArgName("free_blocks")->Iterations(pairs)->Complexity(benchmark::oLogN);
            for (std::int64_t holes = 100; holes <= 1000000; holes *= 10)
                if (fits_in_memory(quantum, holes))
                    family->Arg(holes);
        }
}
