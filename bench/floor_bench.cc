/* SPDX-License-Identifier: MIT */
/*
 * floor/pages:K: what no strategy on this kernel and disk can beat that learns from write-protected
 * pages what was stored to, with nothing of the library in it: K stores to scattered pages of a
 * private mapping that the kernel (userfaultfd, asynchronous write protection) notes and lets pass,
 * one PAGEMAP_SCAN that finds them, each protected again, then one write of a log record for each
 * and one fdatasync. limit/pages:K (txn_bench.cc) leaves out all but the last step: where a page
 * fault is dear, as in a virtual machine without nested paging, the floor lies far above it.
 *
 * Held fixed: 144 MiB, every page copied before; the pages, one drawn from each K-th part from a
 * fixed seed; 8 bytes stored per page; 64 bytes of log each. Checked: as many pages are found as
 * were stored to. Counters, microseconds: stores_us, find_us, protect_us, sync_us (the write too).
 */
#include <benchmark/benchmark.h>

#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <random>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "bench.h"
#include "storage.h"
#include "written_file.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr std::size_t area = storage_pages * storage_page_size;
constexpr std::size_t record_size = 64; /* of the log, for each page */

/* Newer than the headers of Debian 12; see txn/redo_wp.c. */
constexpr std::uint64_t feature_wp_async = 1 << 15;
constexpr std::uint64_t page_written = 1 << 1;
struct scanned_region {
    std::uint64_t start, end, categories;
};
struct scan_request {
    std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

void must(bool done, const char *what)
{
    if (!done)
        throw std::system_error(errno, std::generic_category(), what);
}

/* A private mapping of a file, every page of it copied, and protected until stored to. */
class watched_area
{
  public:
    explicit watched_area(int file);
    ~watched_area()
    {
        close(pagemap_);
        close(uffd_);
        munmap(base_, area);
    }
    watched_area(const watched_area &) = delete;
    watched_area &operator=(const watched_area &) = delete;

    void store(std::size_t page)
    {
        auto *at = reinterpret_cast<volatile std::uint64_t *>(base_ + page * storage_page_size);
        *at = *at + 1;
    }
    /* How many pages were stored to. */
    std::size_t find()
    {
        scan_request request = {};
        request.size = sizeof(request);
        request.start = address(0);
        request.end = address(storage_pages);
        request.vec = reinterpret_cast<std::uintptr_t>(found_.data());
        request.vec_len = found_.size();
        request.category_mask = request.return_mask = page_written;
        regions_ = ioctl(pagemap_, _IOWR('f', 16, scan_request), &request);
        must(regions_ >= 0, "PAGEMAP_SCAN (Linux 6.7)");
        std::size_t bytes = 0;
        for (int i = 0; i < regions_; i++)
            bytes += found_[i].end - found_[i].start;
        return bytes / storage_page_size;
    }
    void protect_found()
    {
        for (int i = 0; i < regions_; i++)
            protect((found_[i].start - address(0)) / storage_page_size,
                    (found_[i].end - found_[i].start) / storage_page_size);
    }

  private:
    std::uint64_t address(std::size_t page) const
    {
        return reinterpret_cast<std::uintptr_t>(base_) + page * storage_page_size;
    }
    void protect(std::size_t first, std::size_t count)
    {
        struct uffdio_writeprotect request = {{address(first), count * storage_page_size},
                                              UFFDIO_WRITEPROTECT_MODE_WP};
        must(ioctl(uffd_, UFFDIO_WRITEPROTECT, &request) == 0, "UFFDIO_WRITEPROTECT");
    }

    char *base_;
    int uffd_, pagemap_;
    std::vector<scanned_region> found_;
    int regions_ = 0;
};

watched_area::watched_area(int file)
    : base_(static_cast<char *>(mmap(nullptr, area, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0))),
      uffd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY))),
      pagemap_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), found_(storage_pages)
{
    must(base_ != MAP_FAILED, "mmap");
    must(uffd_ >= 0, "userfaultfd");
    must(pagemap_ >= 0, "/proc/self/pagemap");
    struct uffdio_api api = {UFFD_API, feature_wp_async, 0};
    must(ioctl(uffd_, UFFDIO_API, &api) == 0, "asynchronous write protection (Linux 6.7)");
    for (std::size_t page = 0; page < storage_pages; page++)
        store(page);
    struct uffdio_register watch = {{address(0), area}, UFFDIO_REGISTER_MODE_WP, 0};
    must(ioctl(uffd_, UFFDIO_REGISTER, &watch) == 0, "UFFDIO_REGISTER");
    protect(0, storage_pages);
}

/* The time since the last lap. */
class stopwatch
{
  public:
    double lap()
    {
        auto now = steady::now();
        std::chrono::duration<double> passed = now - last_;
        last_ = now;
        return passed.count();
    }

  private:
    steady::time_point last_ = steady::now();
};

struct spent {
    double stores = 0, find = 0, protect = 0, sync = 0;
};

spent commit_once(watched_area &pages, const written_file &log,
                  const std::vector<std::size_t> &drawn, const std::vector<char> &record)
{
    spent time;
    stopwatch watch;
    for (std::size_t page : drawn)
        pages.store(page);
    time.stores = watch.lap();
    std::size_t found = pages.find();
    time.find = watch.lap();
    pages.protect_found();
    time.protect = watch.lap();
    log.write(record.data(), record.size(), 0);
    log.sync();
    time.sync = watch.lap();
    if (found != drawn.size())
        throw std::runtime_error("not as many pages were found as were stored to");
    return time;
}

void measure_floor(benchmark::State &state, const folder &where)
{
    written_file file(where.path("limit"), area);
    written_file log(where.path("floor.log"), 1 << 20);
    watched_area pages(file.descriptor());
    std::vector<std::size_t> drawn(static_cast<std::size_t>(state.range(0)));
    std::vector<char> record(drawn.size() * record_size, 1);
    std::mt19937_64 random(1);
    spent sum;
    while (state.KeepRunning()) {
        std::size_t stride = storage_pages / drawn.size();
        for (std::size_t i = 0; i < drawn.size(); i++)
            drawn[i] = i * stride + random() % stride;
        spent time = commit_once(pages, log, drawn, record);
        state.SetIterationTime(time.stores + time.find + time.protect + time.sync);
        sum.stores += time.stores, sum.find += time.find;
        sum.protect += time.protect, sum.sync += time.sync;
    }
    auto average_us = [](double seconds) {
        return benchmark::Counter(seconds * 1e6, benchmark::Counter::kAvgIterations);
    };
    state.counters["stores_us"] = average_us(sum.stores);
    state.counters["find_us"] = average_us(sum.find);
    state.counters["protect_us"] = average_us(sum.protect);
    state.counters["sync_us"] = average_us(sum.sync);
}

void floor_of(benchmark::State &state, const folder *where)
{
    try {
        measure_floor(state, *where);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

} // namespace

void register_floor_benchmarks(const folder &where)
{
    auto *family = benchmark::RegisterBenchmark("floor", floor_of, &where);
    family->ArgName("pages")->UseManualTime()->Unit(benchmark::kMicrosecond);
    for (std::int64_t count : {1, 4, 16, 64, 256})
        family->Arg(count);
}
