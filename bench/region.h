/* SPDX-License-Identifier: MIT */
/*
 * A piece of plain memory in pages of 4096 bytes, as a mapped file has them, whatever this machine
 * does with huge pages. It reads as zeroes and costs nothing where it is not stored to.
 */
#ifndef TMF_BENCH_REGION_H
#define TMF_BENCH_REGION_H

#include <cstddef>
#include <stdexcept>
#include <sys/mman.h>

class region
{
  public:
    static constexpr std::size_t page_size = 4096;

    /* Rounded up to whole pages. */
    explicit region(std::size_t bytes) : size((bytes + page_size - 1) / page_size * page_size)
    {
        at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED)
            throw std::runtime_error("no memory for the region");
        madvise(at, size, MADV_NOHUGEPAGE);
    }
    ~region()
    {
        munmap(at, size);
    }
    region(const region &) = delete;
    region &operator=(const region &) = delete;

    void *at;
    std::size_t size;
};

#endif
