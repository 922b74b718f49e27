/* SPDX-License-Identifier: MIT */
/* Our heap in plain memory, as an allocator that the benchmarks give work to. */
#ifndef TMF_BENCH_OWN_HEAP_H
#define TMF_BENCH_OWN_HEAP_H

#include <cstddef>
#include <string>
#include <vector>

#include "heap_work.h"
#include "region.h"

extern "C" {
#include "alloc/heap.h"
}

class own_heap : public allocator
{
  public:
    own_heap(const std::string &index, std::size_t quantum, std::size_t bytes);
    void *allocate(std::size_t size) override;
    void free(void *at, std::size_t size) override;
    tmf_heap_stats stats();
    void check(); /* throws with the first invariant that is broken */

    region memory;
    tmf_heap heap = {};
};

/* An index at a quantum that it allows. */
struct own_kind {
    std::string index;
    std::size_t quantum;
    /* As names of benchmarks spell it: INDEX/quantum:Q */
    std::string name() const;
};

/* All of them, the default index first. */
std::vector<own_kind> own_kinds();

#endif
