/* SPDX-License-Identifier: MIT */
/*
 * The traces that are replayed: every *.trace of the folder traces/ beside the program, or of
 * TMF_BENCH_TRACES, each decoded once into an array, so that decoding costs nothing in a timing.
 */
#ifndef TMF_BENCH_TRACE_STEPS_H
#define TMF_BENCH_TRACE_STEPS_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include "harness/trace.h"
}

struct trace_step {
    std::uint64_t size; /* bytes */
    std::uint32_t block;
    std::uint8_t kind; /* enum trace_kind */
    std::uint8_t alignment_log;
};

struct trace_steps {
    std::string name;
    trace_facts facts;
    std::vector<trace_step> steps;
};

/* Sorted by name; they live as long as the program. Says on stderr what it could not read. */
const std::vector<trace_steps> &all_traces();

#endif
