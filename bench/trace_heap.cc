/* SPDX-License-Identifier: MIT */
#include "trace_heap.h"

#include <algorithm>
#include <stdexcept>
#include <sys/mman.h>

extern "C" {
#include "txn/tmf.h"
}

void trace_heap::fail(int error)
{
    throw std::runtime_error(tmf_strerror(error));
}

static int note_first(void *context, const tmf_heap_block *block)
{
    *static_cast<std::size_t *>(context) = block->offset;
    return 1;
}

trace_heap::trace_heap(const std::string &index, std::size_t quantum, std::size_t size)
    : size_(size)
{
    region_ = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region_ == MAP_FAILED)
        throw std::runtime_error("no memory for the region");
    madvise(region_, size, MADV_NOHUGEPAGE);
    tmf_heap_config config = {};
    config.quantum = quantum;
    config.index = index.c_str();
    std::size_t first = 0;
    int error = tmf_heap_create(&heap_, region_, 0, size, &config);
    if (error == 0)
        tmf_heap_walk(&heap_, note_first, &first);
    if (error != 0) {
        munmap(region_, size);
        fail(error);
    }
    first_ = static_cast<const char *>(region_) + first;
}

trace_heap::~trace_heap()
{
    munmap(region_, size_);
}

void trace_heap::populate(std::size_t bytes)
{
    std::size_t before = static_cast<std::size_t>(first_ - static_cast<const char *>(region_));
    madvise(region_, std::min(size_, before + bytes), MADV_POPULATE_WRITE); /* or later */
}

tmf_heap_stats trace_heap::stats()
{
    tmf_heap_stats stats = {};
    must(tmf_heap_stats_get(&heap_, &stats));
    return stats;
}

void trace_heap::check_empty()
{
    tmf_heap_fault fault = {};
    if (tmf_heap_check(&heap_, &fault) != 0)
        throw std::runtime_error(fault.invariant);
    if (stats().used_blocks != 0)
        throw std::runtime_error("blocks are left that nobody has");
}
