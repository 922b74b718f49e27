/* SPDX-License-Identifier: MIT */
#include "delay.h"

#include <fiu-control.h>
#include <fiu.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace
{

using steady = std::chrono::steady_clock;

/* Between two benchmarks lies more than a transaction. */
constexpr std::chrono::milliseconds delay_max{1};

bool is_on;
long per_cent;
std::atomic<unsigned long> hits;
steady::time_point last;

/* Spins: sleeping takes 50 us more than it is told. */
int spend(const char *, int *, void **, unsigned *)
{
    steady::time_point now = steady::now();
    steady::duration delay = std::min<steady::duration>((now - last) * per_cent / 100, delay_max);
    if (hits++ > 0)
        while (steady::now() < now + delay)
            continue;
    last = steady::now();
    return 0; /* the point does not fail */
}

} // namespace

bool has_fault_points()
{
    return true;
}

void delay_start()
{
    const char *asked = std::getenv("TMF_BENCH_DELAY");
    if (asked == nullptr)
        return;
    std::string words = asked;
    std::size_t equals = words.rfind('=');
    char *end = nullptr;
    per_cent = equals != std::string::npos ? std::strtol(&words[equals + 1], &end, 10) : -1;
    if (per_cent < 0 || end == &words[equals + 1] || *end != '\0')
        throw std::runtime_error("TMF_BENCH_DELAY is POINT=PER_CENT, not " + words);
    is_on = true;
    std::string point = words.substr(0, equals);
    if (fiu_init(0) != 0 || fiu_enable_external(point.c_str(), 1, nullptr, 0, spend) != 0)
        throw std::runtime_error("libfiu does not enable the point " + point);
}

void delay_check()
{
    if (is_on && hits == 0)
        throw std::runtime_error("the point of TMF_BENCH_DELAY was never reached");
}
