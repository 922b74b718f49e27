/* SPDX-License-Identifier: MIT */
/* Callgrind tells a program nothing: it writes each count into a file of its own, numbered up. */
#include "instructions.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#ifdef TMF_HAVE_CALLGRIND
#include <valgrind/callgrind.h>

static const char *output()
{
    return std::getenv("TMF_BENCH_CALLGRIND");
}

/* The file has a line "totals: N". */
static std::uint64_t read_total(const std::string &path)
{
    std::ifstream file(path);
    std::string word;
    std::uint64_t count = 0;
    while (file >> word)
        if (word == "totals:" && file >> count)
            return count;
    throw std::runtime_error(path + " has no total");
}

bool instructions::are_counted()
{
    return output() != nullptr && RUNNING_ON_VALGRIND;
}

void instructions::start()
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

std::uint64_t instructions::stop()
{
    if (!are_counted())
        return 0;
    static int files = 0;
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
    std::string path = std::string(output()) + "." + std::to_string(++files);
    std::uint64_t count = read_total(path);
    std::filesystem::remove(path);
    return count;
}

#else

bool instructions::are_counted()
{
    return false;
}

void instructions::start()
{
}

std::uint64_t instructions::stop()
{
    return 0;
}

#endif
