/* SPDX-License-Identifier: MIT */
/* The pages that a transaction stores to, drawn anew for each from a fixed seed. */
#ifndef TMF_BENCH_DRAWN_PAGES_H
#define TMF_BENCH_DRAWN_PAGES_H

#include <cstddef>
#include <random>
#include <vector>

class drawn_pages
{
  public:
    /*
     * `count` of `total` pages. Scattered: one of `choices` from each of as many parts. Adjacent:
     * all in a row, which begins at one of `choices` places.
     */
    drawn_pages(std::size_t count, std::size_t total, std::size_t choices, bool adjacent = false)
        : pages(count), choices_(choices), adjacent_(adjacent),
          stride_(adjacent ? total - count : total / count)
    {
    }
    void draw()
    {
        std::size_t common = adjacent_ ? random_() % choices_ : 0;
        for (std::size_t i = 0; i < pages.size(); i++)
            choose(i, adjacent_ ? common : random_() % choices_);
    }
    void take_each(std::size_t choice)
    {
        for (std::size_t i = 0; i < pages.size(); i++)
            choose(i, choice);
    }
    std::vector<std::size_t> pages;

  private:
    void choose(std::size_t i, std::size_t choice)
    {
        pages[i] = (adjacent_ ? i : i * stride_) + choice * stride_ / choices_;
    }
    std::size_t choices_;
    bool adjacent_;
    std::size_t stride_;
    std::mt19937_64 random_{1};
};

#endif
