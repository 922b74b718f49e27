/* SPDX-License-Identifier: MIT */
#include "heap_work.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <unistd.h>

namespace
{

template <std::size_t first, std::size_t last> std::size_t uniform(std::mt19937_64 &random)
{
    return std::uniform_int_distribution<std::size_t>(first, last)(random);
}

std::size_t lognormal(std::mt19937_64 &random)
{
    constexpr double median = 64, sigma = 1.2, largest = 16384;
    /* A new one each time: the distribution keeps every second number of its pairs to itself. */
    double size = std::lognormal_distribution<double>(std::log(median), sigma)(random);
    return static_cast<std::size_t>(std::clamp(std::ceil(size), 1.0, largest));
}

} // namespace

const size_law size_laws[size_law_count] = {
    {"", 1537, 4, 100, 1000000, uniform<1, 1024>, uniform<1025, 2048>},
    {"crowded", 1537, 1, 100, 1000000, uniform<1, 1024>, uniform<1025, 2048>},
    {"lognormal", 132, 4, 100, 1000000, lognormal, lognormal},
    {"small", 385, 4, 1000000, 10000000, uniform<1, 256>, uniform<257, 512>},
};

const size_law &size_law_named(const char *name)
{
    return *std::find_if(std::begin(size_laws), std::end(size_laws), [name](const size_law &each) {
        return std::string_view(each.name) == name;
    });
}

bool is_wanted(const size_law &sizes)
{
    return sizes.holes_last <= 1000000 || std::getenv("TMF_BENCH_LARGE") != nullptr;
}

std::size_t bytes_needed(const size_law &sizes, std::size_t quantum, std::size_t holes)
{
    return holes * (sizes.hole_mean + 2 * quantum) / 8 * 9 + (16 << 20);
}

bool fits_in_memory(std::size_t bytes)
{
    auto pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
    return bytes < pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 2;
}

churn::churn(allocator &under, const size_law &sizes, std::size_t holes, std::size_t quantum)
    : under_(under), sizes_(sizes)
{
    make_holes(holes, quantum);
    for (std::size_t i = 0; i < holes / sizes.live_share; i++)
        live.push_back(allocate(sizes_.request(random_)));
}

churn::~churn()
{
    if (!under_.is_shared())
        return;
    for (const std::vector<block> *blocks : {&live, &pins_})
        for (const block &each : *blocks)
            under_.free(each.at, each.size);
}

churn::block churn::allocate(std::size_t size)
{
    return {under_.allocate(size), size};
}

void churn::make_holes(std::size_t holes, std::size_t quantum)
{
    std::vector<block> to_be_holes;
    to_be_holes.reserve(holes);
    for (std::size_t i = 0; i < holes; i++) {
        to_be_holes.push_back(allocate(sizes_.hole(random_)));
        block pin = allocate(quantum);
        if (under_.is_shared())
            pins_.push_back(pin);
    }
    for (const block &hole : to_be_holes)
        under_.free(hole.at, hole.size);
}

void churn::draw(std::size_t pairs)
{
    next_ = 0;
    steps_.resize(pairs);
    std::uniform_int_distribution<std::size_t> victims(0, live.size() - 1);
    for (step &each : steps_) {
        each.victim = static_cast<std::uint32_t>(victims(random_));
        each.size = static_cast<std::uint32_t>(sizes_.request(random_));
    }
}
