/* SPDX-License-Identifier: MIT */
#include "own_heap.h"

#include <stdexcept>

extern "C" {
#include "txn/tmf.h"
}

static void must(int error)
{
    if (error != 0)
        throw std::runtime_error(tmf_strerror(error));
}

own_heap::own_heap(const std::string &index, std::size_t quantum, std::size_t bytes) : memory(bytes)
{
    tmf_heap_config config = {};
    config.quantum = quantum;
    config.index = index.c_str();
    must(tmf_heap_create(&heap, memory.at, 0, memory.size, &config));
}

void *own_heap::allocate(std::size_t size)
{
    void *made = nullptr;
    must(tmf_heap_alloc(&heap, 0, size, &made));
    return made;
}

void own_heap::free(void *at, std::size_t size)
{
    must(tmf_heap_free(&heap, at, size));
}

tmf_heap_stats own_heap::stats()
{
    tmf_heap_stats stats = {};
    must(tmf_heap_stats_get(&heap, &stats));
    return stats;
}

void own_heap::check()
{
    tmf_heap_fault fault = {};
    if (tmf_heap_check(&heap, &fault) != 0)
        throw std::runtime_error(fault.invariant);
}

std::string own_kind::name() const
{
    return index + "/quantum:" + std::to_string(quantum);
}

static bool is_allowed(const own_kind &kind)
{
    try {
        own_heap probe(kind.index, kind.quantum, 16 << 20);
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

std::vector<own_kind> own_kinds()
{
    std::vector<own_kind> allowed;
    for (std::size_t i = 0; tmf_index_name(i) != nullptr; i++)
        for (std::size_t quantum : {16U, 32U, 64U, 128U}) {
            own_kind kind = {tmf_index_name(i), quantum};
            if (is_allowed(kind))
                allowed.push_back(kind);
        }
    return allowed;
}
