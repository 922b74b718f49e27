/* SPDX-License-Identifier: MIT */
/*
 * One storage for each size of the arena, made once per run and opened by each benchmark with the
 * strategy it measures: any strategy opens what any other left. Its root object points to one block
 * of aligned pages, nine tenths of the arena, every one of which was written and synced, so that no
 * benchmark pays for the disk's first allocation of a block.
 */
#ifndef TMF_BENCH_STORAGE_H
#define TMF_BENCH_STORAGE_H

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "folder.h"
#include "txn/tmf.h"

constexpr std::size_t storage_page_size = 4096;
constexpr std::size_t storage_size = std::size_t{160} << 20; /* the usual one */

/* Of the block in an arena of so many bytes. */
constexpr std::size_t pages_of_arena(std::size_t size)
{
    return size / storage_page_size / 10 * 9;
}
constexpr std::size_t storage_pages = pages_of_arena(storage_size); /* 144 MiB */

/* Throws with tmf_explain()'s sentence. */
void storage_must(int error);

/* The n-th strategy, as far as a benchmark has to know it. */
struct strategy {
    explicit strategy(std::size_t n);
    const char *name;
    bool must_touch; /* stores are declared to it */
    bool is_control; /* survives nothing, keeps no count of pages */
    bool copies;     /* stores go to private copies of the pages */
    bool available;  /* here */
};

/* The strategy that survives nothing. */
const char *control_name();

/* TMF_BENCH_DURABILITY: sync, group or process. */
tmf_durability durability_asked_for();

class storage
{
  public:
    /* strategy_name: NULL is the default. flags: of tmf_options. */
    storage(const folder &where, const char *strategy_name,
            tmf_durability durability = durability_asked_for(), unsigned flags = 0,
            std::size_t size = storage_size);
    ~storage();
    storage(const storage &) = delete;
    storage &operator=(const storage &) = delete;

    /* The number at the start of page i of the block; the caller holds a reader or writer. */
    std::uint64_t &number(std::size_t page)
    {
        return *reinterpret_cast<std::uint64_t *>(pages_ + page * storage_page_size);
    }
    tmf_stats stats() const
    {
        tmf_stats stats = {};
        tmf_stats_get(handle, &stats);
        return stats;
    }

    tmf_storage *handle = nullptr;

  private:
    char *pages_;
};

#endif
