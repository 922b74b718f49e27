/* SPDX-License-Identifier: MIT */
/*
 * Plays a trace on an allocator, a class with
 *
 *     void *allocate(std::size_t size, std::size_t alignment);
 *     void *resize(void *block, std::size_t old_size, std::size_t new_size);
 *     void free(void *block, std::size_t size);
 *
 * which throw where they fail. The table of blocks is as long as the most that live at once. Where
 * a process ends its blocks are gone without a call; so that the trace can be played once more
 * they are freed by drop(), in the order of their numbers, which belongs into no measurement.
 */
#ifndef TMF_BENCH_TRACE_PLAYER_H
#define TMF_BENCH_TRACE_PLAYER_H

#include "trace_steps.h"

template <class allocator> class trace_player
{
  public:
    struct block {
        void *at; /* nullptr: it does not live */
        std::size_t size;
    };

    trace_player(allocator &heap, const trace_steps &trace)
        : heap_(heap), blocks_(trace.facts.blocks_peak, block{nullptr, 0})
    {
    }

    /* Any step but an exit; returns its block. touch: one byte of what is new is stored to. */
    template <bool touch> const block &play(const trace_step &step)
    {
        block &mine = blocks_[step.block];
        switch (step.kind) {
        case TRACE_ALLOCATE:
            mine.at = heap_.allocate(step.size, std::size_t{1} << step.alignment_log);
            break;
        case TRACE_RESIZE:
            mine.at = heap_.resize(mine.at, mine.size, step.size);
            break;
        default:
            heap_.free(mine.at, mine.size);
            mine.at = nullptr;
            return mine;
        }
        mine.size = step.size;
        if (touch && step.size > 0)
            *static_cast<volatile char *>(mine.at) = 1;
        return mine;
    }

    /* As a process ends. */
    void drop()
    {
        for (block &each : blocks_) {
            if (each.at != nullptr)
                heap_.free(each.at, each.size);
            each.at = nullptr;
        }
    }

    const block &at(const trace_step &step) const
    {
        return blocks_[step.block];
    }

  private:
    allocator &heap_;
    std::vector<block> blocks_;
};

#endif
