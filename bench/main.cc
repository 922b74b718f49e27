/* SPDX-License-Identifier: MIT */
/*
 * tmf_bench: all benchmarks in one program, so that what is compared runs in one process, in one
 * run, in an order drawn by seed (seeded_order.cc). Takes Google Benchmark's options; `tmf bench`
 * is its usual caller, and with --describe it says what it is made of. Exits 2 for an option it
 * does not know, or a filter that nothing matches.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <iterator>
#include <regex>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "bench.h"
#include "delay.h"
#include "describe.h"
#include "harness/pinning.h"
#include "instructions.h"

namespace
{

/* The variation of a counter that is always 0 is not a number. */
void drop_what_json_cannot_say(benchmark::UserCounters &counters)
{
    for (auto at = counters.begin(); at != counters.end();)
        at = std::isfinite(at->second.value) ? std::next(at) : counters.erase(at);
}

/*
 * Google Benchmark appends how it was told to measure to every name (/iterations:200000,
 * /manual_time). The names here are stable whatever becomes of that, so it is taken off.
 */
template <class reporter> class plain_names : public reporter
{
  public:
    using run = benchmark::BenchmarkReporter::Run;

    void ReportRuns(const std::vector<run> &runs) override
    {
        std::vector<run> renamed = runs;
        for (run &each : renamed) {
            drop_what_json_cannot_say(each.counters);
            each.run_name.iterations.clear();
            each.run_name.repetitions.clear();
            each.run_name.time_type.clear();
        }
        reporter::ReportRuns(renamed);
    }
};

/* Where results go to a file, a person has asked somebody else for the table. */
class silence : public benchmark::BenchmarkReporter
{
  public:
    bool ReportContext(const Context &) override
    {
        return true;
    }
    void ReportRuns(const std::vector<Run> &) override
    {
    }
};

/* So that $ stands for the end of a name as it is here. */
std::string plain_filter()
{
    return std::regex_replace(benchmark::GetBenchmarkFilter(), std::regex("\\$"), "(/|$$)");
}

/* What makes system calls, or would be measured wrong by callgrind. */
void register_what_has_no_instructions(const folder &where)
{
    register_latency_benchmarks();
    register_fragmentation_benchmarks();
    register_txn_alloc_benchmarks(where);
    register_txn_benchmarks(where);
    register_floor_benchmarks(where);
    register_read_benchmarks(where);
    register_lock_benchmarks(where);
    register_group_benchmarks(where);
    register_split_benchmarks(where);
    register_strategy_benchmarks(where);
    register_open_benchmarks(where);
    register_engine_benchmarks(where);
    register_trace_benchmarks();
}

/* And says where it is, not where it should be. */
void pin_main_thread()
{
    if (int error = pinning_take(0); error != 0)
        throw std::system_error(error, std::generic_category(), PINNING_VARIABLE);
    std::string list(CORES_TEXT_MAX, '\0');
    cores own = pinning_allowed();
    pinning_spell(&own, list.data());
    benchmark::AddCustomContext("main_thread_cores", list.c_str());
}

bool writes_file(int argc, char **argv)
{
    return std::any_of(argv, argv + argc, [](const char *argument) {
        return std::string_view(argument).rfind("--benchmark_out=", 0) == 0;
    });
}

int run_all(int argc, char **argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--describe") {
        describe(std::cout);
        return 0;
    }
    bool to_file = writes_file(argc, argv); /* before Initialize takes the options away */
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    delay_start();
    pin_main_thread();
    folder where;
    register_alloc_benchmarks();
    if (!instructions::are_counted())
        register_what_has_no_instructions(where);
    plain_names<benchmark::ConsoleReporter> console;
    plain_names<benchmark::JSONReporter> json;
    silence nothing;
    std::size_t matched = to_file
                              ? benchmark::RunSpecifiedBenchmarks(&nothing, &json, plain_filter())
                              : benchmark::RunSpecifiedBenchmarks(&console, plain_filter());
    benchmark::Shutdown();
    delay_check();
    return matched > 0 ? 0 : 2;
}

} // namespace

int main(int argc, char **argv)
{
    try {
        return run_all(argc, argv);
    } catch (const std::exception &failure) {
        std::cerr << "tmf_bench: " << failure.what() << '\n';
        return 3;
    }
}
