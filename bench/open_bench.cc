/* SPDX-License-Identifier: MIT */
/*
 * open/arena_mib:M: tmf_open() and tmf_close() of a clean storage with the default strategy; the
 * arena is sparse. Its time must not depend on M.
 *
 * recovery/take_over, recovery/publish: opening after the process died with a full redo log, by
 * the default strategy, which takes the records over into its own mapping, and by one that maps the
 * file itself, for which they are written into the .odb. The log's bytes by the time of the open;
 * its durable half, the sync of what was published, is in the time of publish.
 *
 * Held fixed: the log (64 MiB of records; each transaction fills 64 pages, one after the other
 * through 16 MiB of the arena). Not separated: reading the log from the page cache. Checked: every
 * page holds what the last transaction stored to it.
 */
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "storage.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::size_t log_size = std::size_t{66} << 20;
constexpr std::size_t arena_size = std::size_t{32} << 20;
constexpr std::size_t pages_filled = 4096; /* 16 MiB */
constexpr std::size_t pages_at_once = 64;
constexpr std::size_t transactions = 4 * pages_filled / pages_at_once; /* 64 MiB */

double seconds_since(steady::time_point start)
{
    return std::chrono::duration<double>(steady::now() - start).count();
}

/* ---- open */

void measure_open(benchmark::State &state, const folder &where)
{
    auto mib = static_cast<std::size_t>(state.range(0));
    std::string path = where.path(("sparse-" + std::to_string(mib)).c_str());
    tmf_options options = {};
    tmf_storage *opened = nullptr;
    options.size = mib << 20;
    options.root_size = sizeof(std::uint64_t);
    storage_must(tmf_open(path.c_str(), &options, &opened));
    storage_must(tmf_close(opened));
    while (state.KeepRunning()) {
        auto start = steady::now();
        storage_must(tmf_open(path.c_str(), nullptr, &opened));
        storage_must(tmf_close(opened));
        state.SetIterationTime(seconds_since(start));
    }
}

/* ---- recovery */

struct root {
    char *block;
};

std::size_t round_of(std::size_t transaction)
{
    return transaction / (pages_filled / pages_at_once);
}

/* Another byte in each round, so that every page changes from end to end. */
int content(std::size_t transaction)
{
    return static_cast<int>(round_of(transaction) + 1);
}

void fill(tmf_writer *writer, std::size_t transaction)
{
    char *block = static_cast<root *>(tmf_writer_root(writer))->block;
    std::size_t first = transaction * pages_at_once % pages_filled;
    std::memset(block + first * storage_page_size, content(transaction),
                pages_at_once * storage_page_size);
}

int make_block(tmf_writer *writer, void *at, void *)
{
    auto *made = static_cast<root *>(at);
    made->block = static_cast<char *>(
        tmf_alloc_aligned(writer, storage_page_size, pages_filled * storage_page_size));
    return made->block != nullptr ? 0 : ENOMEM;
}

tmf_options options_of_log()
{
    tmf_options options = {};
    options.size = arena_size;
    options.root_size = sizeof(root);
    options.root_init = make_block;
    options.log_size = log_size;
    return options;
}

/* In a child, which dies with its log full. */
[[noreturn]] void live_and_die(const std::string &path)
{
    tmf_options options = options_of_log();
    tmf_storage *storage = nullptr;
    tmf_writer *writer = nullptr;
    options.durability = TMF_DURABILITY_PROCESS;
    int error = tmf_open(path.c_str(), &options, &storage);
    if (error == 0)
        error = tmf_write_begin(storage, &writer);
    for (std::size_t n = 0; error == 0 && n < transactions; n++) {
        fill(writer, n);
        error = tmf_commit(writer);
    }
    _exit(error != 0);
}

void make_dead(const std::string &path)
{
    if (std::filesystem::exists(path + ".odb"))
        return;
    pid_t child = fork();
    if (child == 0)
        live_and_die(path);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        throw std::runtime_error("the process that should leave a full log did not");
}

void copy_storage(const std::string &from, const std::string &to)
{
    for (const char *suffix : {".odb", ".log"})
        std::filesystem::copy_file(from + suffix, to + suffix,
                                   std::filesystem::copy_options::overwrite_existing);
    sync(); /* what was copied must not be written back during the measurement */
}

void check_recovered(tmf_storage *storage)
{
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(storage, &reader));
    const char *block = static_cast<const root *>(tmf_reader_root(reader))->block;
    bool all_there = true;
    for (std::size_t i = 0; i < pages_filled * storage_page_size; i += 512)
        all_there &= block[i] == content(transactions - 1);
    tmf_read_end(reader);
    if (!all_there)
        throw std::runtime_error("what was committed is not there after recovery");
}

void measure_recovery(benchmark::State &state, const folder &where, const char *strategy)
{
    std::string dead = where.path("dead");
    std::string copy = where.path("recovered");
    make_dead(dead);
    while (state.KeepRunning()) {
        tmf_options options = {};
        tmf_storage *storage = nullptr;
        options.strategy = strategy;
        copy_storage(dead, copy);
        auto start = steady::now();
        storage_must(tmf_open(copy.c_str(), &options, &storage));
        state.SetIterationTime(seconds_since(start));
        check_recovered(storage);
        storage_must(tmf_close(storage));
    }
    constexpr std::size_t bytes = transactions * pages_at_once * storage_page_size;
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

template <class function> void guarded(benchmark::State &state, function measure)
{
    try {
        measure();
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void open_close(benchmark::State &state, const folder *where)
{
    guarded(state, [&] { measure_open(state, *where); });
}

void recovery(benchmark::State &state, const folder *where, const char *strategy)
{
    guarded(state, [&] { measure_recovery(state, *where, strategy); });
}

} // namespace

void register_open_benchmarks(const folder &where)
{
    benchmark::RegisterBenchmark("open", open_close, &where)
        ->ArgName("arena_mib")
        ->Arg(16)
        ->Arg(16384)
        ->Arg(1048576)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(50);
    auto add = [&where](const char *name, const char *strategy) {
        benchmark::RegisterBenchmark(name, recovery, &where, strategy)
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond)
            ->Iterations(3);
    };
    add("recovery/take_over", nullptr);
    add("recovery/publish", "undo-fsync");
}
