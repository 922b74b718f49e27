/* SPDX-License-Identifier: MIT */
#include "trace_steps.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace
{

std::filesystem::path folder_of_traces()
{
    const char *asked = std::getenv("TMF_BENCH_TRACES");
    if (asked != nullptr)
        return asked;
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "traces";
}

trace_steps decode(const trace *from, const std::string &name)
{
    trace_steps made = {name, *trace_facts_of(from), {}};
    made.steps.reserve(made.facts.operations + made.facts.process_count);
    trace_cursor cursor = trace_begin(from);
    trace_operation operation;
    while (trace_next(&cursor, &operation)) {
        auto log = static_cast<std::uint8_t>(__builtin_ctzll(operation.alignment));
        made.steps.push_back(
            {operation.size, operation.block, static_cast<std::uint8_t>(operation.kind), log});
    }
    return made;
}

void add(std::vector<trace_steps> &all, const std::filesystem::path &path)
{
    trace *opened = nullptr;
    trace_fault fault = {};
    if (trace_open(path.c_str(), &opened, &fault) != 0) {
        std::cerr << "tmf_bench: " << path.string() << ": " << fault.what << '\n';
        return;
    }
    all.push_back(decode(opened, path.stem().string()));
    trace_close(opened);
}

std::vector<trace_steps> load()
{
    std::vector<trace_steps> all;
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(folder_of_traces(), error))
        if (entry.path().extension() == ".trace")
            add(all, entry.path());
    if (error)
        std::cerr << "tmf_bench: " << folder_of_traces().string() << ": " << error.message()
                  << '\n';
    std::sort(all.begin(), all.end(),
              [](const trace_steps &a, const trace_steps &b) { return a.name < b.name; });
    return all;
}

} // namespace

const std::vector<trace_steps> &all_traces()
{
    static const std::vector<trace_steps> all = load();
    return all;
}
