/* SPDX-License-Identifier: MIT */
#include "timed_calls.h"

#include <chrono>
#include <numeric>
#include <string_view>

extern "C" {
#include "txn/io.h"
}

seconds_of_parts spent;

namespace
{

using steady = std::chrono::steady_clock;

enum class file { other, odb, log };
std::array<file, 1024> opened; /* by descriptor */

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

bool ends_in(std::string_view path, std::string_view end)
{
    return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
}

file &file_of(int fd)
{
    static file unknown;
    auto at = static_cast<std::size_t>(fd);
    unknown = file::other;
    return fd >= 0 && at < opened.size() ? opened[at] : unknown;
}

int noted_open(const char *path, int flags, mode_t mode)
{
    int fd = tmf_io_system.open(path, flags, mode);
    file_of(fd) = ends_in(path, ".odb")   ? file::odb
                  : ends_in(path, ".log") ? file::log
                                          : file::other;
    return fd;
}

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
    timer time(finding);
    return tmf_io_system.ioctl(fd, request, argument);
}

ssize_t timed_pread(int fd, void *to, std::size_t size, off_t at)
{
    timer time(file_of(fd) == file::other ? finding : reading);
    return tmf_io_system.pread(fd, to, size, at);
}

int timed_getrusage(int who, struct rusage *out)
{
    timer time(finding);
    return tmf_io_system.getrusage(who, out);
}

ssize_t timed_pwrite(int fd, const void *from, std::size_t size, off_t at)
{
    timer time(file_of(fd) == file::odb ? odb_writes : log_writes);
    return tmf_io_system.pwrite(fd, from, size, at);
}

int timed_fdatasync(int fd)
{
    timer time(file_of(fd) == file::odb ? odb_syncs : log_syncs);
    return tmf_io_system.fdatasync(fd);
}

int timed_mprotect(void *at, std::size_t size, int protection)
{
    timer time(protecting);
    return tmf_io_system.mprotect(at, size, protection);
}

int timed_madvise(void *at, std::size_t size, int advice)
{
    timer time(protecting);
    return tmf_io_system.madvise(at, size, advice);
}

int timed_mlock(const void *at, std::size_t size)
{
    timer time(protecting);
    return tmf_io_system.mlock(at, size);
}

int timed_munlock(const void *at, std::size_t size)
{
    timer time(protecting);
    return tmf_io_system.munlock(at, size);
}

const struct tmf_io *timed_calls()
{
    static struct tmf_io table;
    table = tmf_io_system;
    table.open = noted_open;
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

} // namespace

double sum_of(const seconds_of_parts &seconds)
{
    return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

timed_library::timed_library() : before_(tmf_io)
{
    tmf_io = timed_calls();
}

timed_library::~timed_library()
{
    tmf_io = before_;
}
