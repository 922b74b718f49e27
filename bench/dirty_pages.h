/* SPDX-License-Identifier: MIT */
/*
 * Which pages of a region are stored to, counted exactly: while one of these lives the region is
 * read-only, the first store to a page traps, is counted, and lets the page be written until
 * take(). That is what a strategy of txn/ pays for. Timings taken meanwhile are worth nothing.
 */
#ifndef TMF_BENCH_DIRTY_PAGES_H
#define TMF_BENCH_DIRTY_PAGES_H

#include <csignal>
#include <cstddef>

class dirty_pages
{
  public:
    dirty_pages(void *region, std::size_t size); /* one at a time, region aligned to a page */
    ~dirty_pages();
    dirty_pages(const dirty_pages &) = delete;
    dirty_pages &operator=(const dirty_pages &) = delete;

    std::size_t take(); /* pages stored to since the last take(); they are read-only again */

  private:
    void *region_;
    std::size_t size_;
    struct sigaction previous_ = {};
};

#endif
