/* SPDX-License-Identifier: MIT */
/*
 * split/STRATEGY/pages:K: where the time of one transaction goes: begin, K stores of 8 bytes to
 * scattered pages, commit, end. Every call of the table in txn/io.h is timed, and each part of the
 * transaction; so the parts add up to the whole, but for the clock's own 50 ns a call.
 *
 * Counters, microseconds per transaction: locks (flock, fcntl), stores (with the page faults and
 * signals they cost, less what the handler writes and syncs), find (ioctl, pread of the pagemap,
 * getrusage), log (pwrite), sync, protect (mprotect, madvise, mlock), and rest: comparing, copying,
 * checksums, and all else that the library does between its calls.
 *
 * Held fixed: as in txn_bench.cc, but the pages are drawn from 64 times K, so that they come back:
 * what a first store to a page costs is paid before.
 */
#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "bench.h"
#include "storage.h"

extern "C" {
#include "txn/io.h"
}

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::size_t working_set = 64; /* pages drawn from, for each page stored to */
constexpr int transactions_before = 300;

enum part { locks, find, log_writes, syncs, protect, others, parts };
std::array<double, parts> spent; /* seconds */

class timer
{
  public:
    explicit timer(part of) : of_(of), start_(steady::now())
    {
    }
    ~timer()
    {
        spent[of_] += std::chrono::duration<double>(steady::now() - start_).count();
    }
    timer(const timer &) = delete;
    timer &operator=(const timer &) = delete;

  private:
    part of_;
    steady::time_point start_;
};

int timed_flock(int fd, int operation)
{
    timer time(locks);
    return tmf_io_system.flock(fd, operation);
}

int timed_fcntl_lock(int fd, int command, struct flock *range)
{
    timer time(locks);
    return tmf_io_system.fcntl_lock(fd, command, range);
}

int timed_ioctl(int fd, unsigned long request, void *argument)
{
    timer time(find);
    return tmf_io_system.ioctl(fd, request, argument);
}

ssize_t timed_pread(int fd, void *to, std::size_t size, off_t at)
{
    timer time(find);
    return tmf_io_system.pread(fd, to, size, at);
}

int timed_getrusage(int who, struct rusage *out)
{
    timer time(find);
    return tmf_io_system.getrusage(who, out);
}

ssize_t timed_pwrite(int fd, const void *from, std::size_t size, off_t at)
{
    timer time(log_writes);
    return tmf_io_system.pwrite(fd, from, size, at);
}

int timed_fdatasync(int fd)
{
    timer time(syncs);
    return tmf_io_system.fdatasync(fd);
}

int timed_mprotect(void *at, std::size_t size, int protection)
{
    timer time(protect);
    return tmf_io_system.mprotect(at, size, protection);
}

int timed_madvise(void *at, std::size_t size, int advice)
{
    timer time(protect);
    return tmf_io_system.madvise(at, size, advice);
}

int timed_mlock(const void *at, std::size_t size)
{
    timer time(protect);
    return tmf_io_system.mlock(at, size);
}

int timed_munlock(const void *at, std::size_t size)
{
    timer time(protect);
    return tmf_io_system.munlock(at, size);
}

const struct tmf_io *timed_calls()
{
    static struct tmf_io table;
    table = tmf_io_system;
    table.flock = timed_flock;
    table.fcntl_lock = timed_fcntl_lock;
    table.ioctl = timed_ioctl;
    table.pread = timed_pread;
    table.getrusage = timed_getrusage;
    table.pwrite = timed_pwrite;
    table.fdatasync = timed_fdatasync;
    table.mprotect = timed_mprotect;
    table.madvise = timed_madvise;
    table.mlock = timed_mlock;
    table.munlock = timed_munlock;
    return &table;
}

/* The library makes its calls through the table while this lives. */
class timed_library
{
  public:
    timed_library() : before_(tmf_io)
    {
        tmf_io = timed_calls();
    }
    ~timed_library()
    {
        tmf_io = before_;
    }
    timed_library(const timed_library &) = delete;
    timed_library &operator=(const timed_library &) = delete;

  private:
    const struct tmf_io *before_;
};

double in_calls()
{
    double sum = 0;
    for (double each : spent)
        sum += each;
    return sum;
}

/* What the stores took, less what the handler's calls did of it. */
double store_all(storage &store, tmf_writer *writer, bool must_touch,
                 const std::vector<std::size_t> &pages)
{
    double calls_before = in_calls();
    auto start = steady::now();
    for (std::size_t page : pages) {
        std::uint64_t &at = store.number(page);
        if (must_touch)
            storage_must(tmf_touch(writer, &at, sizeof(at)));
        at++;
    }
    std::chrono::duration<double> whole = steady::now() - start;
    return whole.count() - (in_calls() - calls_before);
}

struct times {
    double whole = 0, stores = 0;
};

void transact(storage &store, bool must_touch, const std::vector<std::size_t> &pages, times &sum)
{
    tmf_writer *writer = nullptr;
    auto start = steady::now();
    storage_must(tmf_write_begin(store.handle, &writer));
    sum.stores += store_all(store, writer, must_touch, pages);
    int error = tmf_commit(writer);
    tmf_write_end(writer);
    storage_must(error);
    std::chrono::duration<double> whole = steady::now() - start;
    sum.whole += whole.count();
}

void report(benchmark::State &state, const times &sum)
{
    auto counter = [&state](const char *name, double seconds) {
        state.counters[name] =
            benchmark::Counter(1e6 * seconds, benchmark::Counter::kAvgIterations);
    };
    counter("locks_us", spent[locks]);
    counter("stores_us", sum.stores);
    counter("find_us", spent[find]);
    counter("log_us", spent[log_writes]);
    counter("sync_us", spent[syncs]);
    counter("protect_us", spent[protect]);
    counter("rest_us", sum.whole - sum.stores - in_calls());
}

void measure(benchmark::State &state, const folder &where, const strategy &how)
{
    std::vector<std::size_t> pages(static_cast<std::size_t>(state.range(0)));
    std::size_t stride = storage_pages / pages.size();
    std::size_t step = stride > working_set ? stride / working_set : 1;
    std::mt19937_64 random(1);
    timed_library timed;
    storage store(where, how.name);
    times sum;
    auto next = [&] {
        for (std::size_t i = 0; i < pages.size(); i++)
            pages[i] = i * stride + random() % working_set * step % stride;
        transact(store, how.must_touch, pages, sum);
    };
    for (int i = 0; i < transactions_before; i++)
        next();
    sum = times();
    spent = {};
    while (state.KeepRunning()) {
        double before = sum.whole;
        next();
        state.SetIterationTime(sum.whole - before);
    }
    report(state, sum);
}

void split(benchmark::State &state, const folder *where, const strategy &how)
{
    try {
        measure(state, *where, how);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_split_benchmarks(const folder &where)
{
    for (std::size_t i = 0; tmf_strategy_name(i) != nullptr; i++) {
        strategy how(i);
        std::string name = std::string("split/") + how.name;
        if (!how.available || how.is_control)
            continue;
        auto *family = benchmark::RegisterBenchmark(name.c_str(), split, &where, how);
        family->ArgName("pages")->UseManualTime()->Unit(benchmark::kMicrosecond);
        for (std::int64_t count : {1, 64})
            family->Arg(count);
    }
}
