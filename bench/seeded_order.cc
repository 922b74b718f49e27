/* SPDX-License-Identifier: MIT */
/*
 * Google Benchmark interleaves the repetitions of all benchmarks in an order that it draws with a
 * seed from std::random_device, and takes none from us. The program's own definition of what a
 * random_device returns comes before that of libstdc++ for everything it loads; nothing else in it
 * may draw from one (every benchmark has a fixed seed of its own). TMF_BENCH_SEED, else 1.
 */
#include <cstdlib>
#include <random>

std::random_device::result_type std::random_device::_M_getval()
{
    const char *seed = std::getenv("TMF_BENCH_SEED");
    return seed != nullptr ? static_cast<result_type>(std::strtoull(seed, nullptr, 10)) : 1;
}
