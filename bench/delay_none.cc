/* SPDX-License-Identifier: MIT */
#include <cstdlib>
#include <stdexcept>

#include "delay.h"

bool has_fault_points()
{
    return false;
}

void delay_start()
{
    if (std::getenv("TMF_BENCH_DELAY") != nullptr)
        throw std::runtime_error("TMF_BENCH_DELAY needs fault points: run tmf_bench_points");
}

void delay_check()
{
}
