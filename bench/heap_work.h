/* SPDX-License-Identifier: MIT */
/*
 * The work that every allocator is given, ours and others, behind one small interface.
 *
 * The heap that a churn makes: N holes kept apart by pinned blocks of one quantum, and whatever is
 * left of the memory. L live blocks lie in the holes; each pair frees one of them, drawn at random,
 * and allocates another size. Blocks are split and joined all the while, yet the number of free
 * blocks cannot leave N by more than L: a live block adds one to it at most, or takes one.
 * (That holds for a heap that splits and joins at once. Of others it is only the same sequence of
 * requests.) All that is random is drawn ahead, so that drawing it is not measured.
 */
#ifndef TMF_BENCH_HEAP_WORK_H
#define TMF_BENCH_HEAP_WORK_H

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

class allocator
{
  public:
    virtual ~allocator() = default;
    virtual void *allocate(std::size_t size) = 0; /* throws where it cannot */
    virtual void free(void *at, std::size_t size) = 0;
    /* Does what was not freed outlive this object? */
    virtual bool is_shared() const
    {
        return false;
    }
};

/* Which sizes are asked for, and which the holes have. */
struct size_law {
    const char *name;                     /* as part of a benchmark's name */
    std::size_t hole_mean;                /* bytes, at most */
    std::size_t live_share;               /* one live block for so many holes: L = N / live_share */
    std::int64_t holes_first, holes_last; /* measured at, times ten each */
    std::size_t (*request)(std::mt19937_64 &random);
    std::size_t (*hole)(std::mt19937_64 &random);
};

/*
 * "": 1 to 1024 bytes, all as likely, in holes of 1025 to 2048, L = N / 4. "crowded": the same with
 * L = N, so that caches are as cold for an allocator that keeps no free blocks as for one that
 * does. "lognormal": median 64, sigma 1.2 (so mean 131, one in a hundred above 1043), at most
 * 16384, in holes of the same law, L = N / 4. "small": 1 to 256 in holes of 257 to 512, for numbers
 * of holes whose pages would fill the machine otherwise.
 */
constexpr std::size_t size_law_count = 4;
extern const size_law size_laws[size_law_count];
const size_law &size_law_named(const char *name); /* there must be one */

/* Those that take minutes only where TMF_BENCH_LARGE is set. */
bool is_wanted(const size_law &sizes);

/* Memory that a heap of so many holes needs. */
std::size_t bytes_needed(const size_law &sizes, std::size_t quantum, std::size_t holes);

/* May a benchmark touch so much? A small machine would measure its swap. */
bool fits_in_memory(std::size_t bytes);

class churn
{
  public:
    struct block {
        void *at;
        std::size_t size;
    };
    struct step {
        std::uint32_t victim; /* index of a live block */
        std::uint32_t size;
    };

    churn(allocator &under, const size_law &sizes, std::size_t holes, std::size_t quantum);
    ~churn();
    churn(const churn &) = delete;
    churn &operator=(const churn &) = delete;

    /* Draws the next `pairs`; from there on pair() makes one after the other of them. */
    void draw(std::size_t pairs);
    void pair()
    {
        free_next();
        allocate_next();
    }
    /* The halves of a pair, in this order. */
    void free_next()
    {
        block &victim = live[steps_[next_].victim];
        under_.free(victim.at, victim.size);
    }
    void allocate_next()
    {
        const step &now = steps_[next_++];
        live[now.victim] = {under_.allocate(now.size), now.size};
    }

    std::vector<block> live;

  private:
    block allocate(std::size_t size);
    void make_holes(std::size_t holes, std::size_t quantum);

    allocator &under_;
    const size_law &sizes_;
    std::vector<block> pins_; /* of a shared allocator only */
    std::vector<step> steps_;
    std::size_t next_ = 0;
    std::mt19937_64 random_{1};
};

#endif
