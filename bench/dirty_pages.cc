/* SPDX-License-Identifier: MIT */
/* The handler can reach only what is static; nothing in it allocates. */
#include "dirty_pages.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>

static constexpr std::size_t page_size = 4096;
static constexpr std::size_t pages_max = 65536; /* between two takes; far above any operation */

static std::array<void *, pages_max> stored_to;
static volatile std::size_t stored_count;
static std::uintptr_t region_first, region_end;

static void protect(void *at, std::size_t size, int protection)
{
    if (mprotect(at, size, protection) != 0)
        std::abort(); /* a count that misses stores would be a lie */
}

static void count_store(int, siginfo_t *info, void *)
{
    std::uintptr_t at = reinterpret_cast<std::uintptr_t>(info->si_addr);
    std::size_t count = stored_count;
    if (at < region_first || at >= region_end || count == pages_max)
        std::abort();
    stored_to[count] = reinterpret_cast<void *>(at & ~(page_size - 1));
    protect(stored_to[count], page_size, PROT_READ | PROT_WRITE);
    stored_count = count + 1;
}

dirty_pages::dirty_pages(void *region, std::size_t size) : region_(region), size_(size)
{
    region_first = reinterpret_cast<std::uintptr_t>(region);
    region_end = region_first + size;
    stored_count = 0;
    struct sigaction action = {};
    action.sa_sigaction = count_store;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &previous_);
    protect(region_, size_, PROT_READ);
}

dirty_pages::~dirty_pages()
{
    protect(region_, size_, PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &previous_, nullptr);
}

std::size_t dirty_pages::take()
{
    std::size_t count = stored_count;
    for (std::size_t i = 0; i < count; i++)
        protect(stored_to[i], page_size, PROT_READ);
    stored_count = 0;
    return count;
}
