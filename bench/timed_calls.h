/* SPDX-License-Identifier: MIT */
/*
 * Where the time of the library's system calls goes: while a timed_library lives, every call of the
 * table in txn/io.h adds its time to `spent`, by what it is for. Which file a descriptor is of is
 * known from its opening, so a storage has to be opened meanwhile. The clock takes some 50 ns a
 * call. For one thread.
 */
#ifndef TMF_BENCH_TIMED_CALLS_H
#define TMF_BENCH_TIMED_CALLS_H

#include <array>

struct tmf_io;

enum part {
    locks,      /* flock, fcntl */
    finding,    /* ioctl, getrusage, pread of the page map */
    protecting, /* mprotect, madvise, mlock, munlock */
    reading,    /* pread of the storage's files */
    log_writes, /* pwrite of the log */
    log_syncs,  /* fdatasync of the log */
    odb_writes, /* pwrite of the .odb */
    odb_syncs,  /* fdatasync of the .odb */
    parts
};

using seconds_of_parts = std::array<double, parts>;
extern seconds_of_parts spent;

double sum_of(const seconds_of_parts &seconds);

class timed_library
{
  public:
    timed_library();
    ~timed_library();
    timed_library(const timed_library &) = delete;
    timed_library &operator=(const timed_library &) = delete;

  private:
    const struct tmf_io *before_;
};

#endif
