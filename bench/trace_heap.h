/* SPDX-License-Identifier: MIT */
/* A heap of alloc/ for replays, in plain memory of pages of 4096 bytes. */
#ifndef TMF_BENCH_TRACE_HEAP_H
#define TMF_BENCH_TRACE_HEAP_H

#include <cstddef>
#include <string>

extern "C" {
#include "alloc/heap.h"
}

class trace_heap
{
  public:
    /* Throws std::runtime_error, as all functions here. */
    trace_heap(const std::string &index, std::size_t quantum, std::size_t size);
    ~trace_heap();
    trace_heap(const trace_heap &) = delete;
    trace_heap &operator=(const trace_heap &) = delete;

    void *allocate(std::size_t size, std::size_t alignment)
    {
        void *block = nullptr;
        must(tmf_heap_alloc(&heap_, alignment, size, &block));
        return block;
    }
    void *resize(void *block, std::size_t old_size, std::size_t new_size)
    {
        must(tmf_heap_resize(&heap_, block, old_size, new_size, &block));
        return block;
    }
    void free(void *block, std::size_t size)
    {
        must(tmf_heap_free(&heap_, block, size));
    }

    void populate(std::size_t bytes); /* what is stored to later costs no page fault */
    void check_empty();               /* it holds no block, and every invariant */
    tmf_heap_stats stats();
    std::uint64_t nodes_visited() const
    {
        return heap_.nodes_visited;
    }
    /* From the heap's first byte that may be in a block. */
    std::size_t offset(const void *block) const
    {
        return static_cast<std::size_t>(static_cast<const char *>(block) - first_);
    }
    void *region() const
    {
        return region_;
    }
    std::size_t region_size() const
    {
        return size_;
    }

  private:
    static void must(int error)
    {
        if (error != 0)
            fail(error);
    }
    [[noreturn]] static void fail(int error);

    tmf_heap heap_ = {};
    void *region_;
    std::size_t size_;
    const char *first_ = nullptr;
};

#endif
