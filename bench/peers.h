/* SPDX-License-Identifier: MIT */
/*
 * Allocators of others, given the same sequence of requests in the same process. What may be
 * compared with ours, and what not:
 *
 * boost-rbtree: Boost.Interprocess rbtree_best_fit as its managed segments have it, with offset
 * pointers, without a mutex, in a region as large as ours; boost-rbtree-raw: with plain pointers,
 * as our index has them, which is faster. Best fit too, but which of several blocks of one size it
 * takes is open; a block has a header of 16 bytes and sizes are multiples of 16; frees need no
 * size. It can live in a mapped file. Nothing read from there is checked, and there is no log: the
 * nearest relative of ours.
 *
 * jemalloc, mimalloc: no placement policy to speak of, thread caches, size classes, metadata
 * outside. Nothing of theirs could lie in a file: they are what the time of an allocation tends to
 * where nobody asks for that. malloc and free, as programs call them; jemalloc-sized frees with the
 * size, as ours does, and need not look up what a block is. How many blocks are free in them is
 * not known; N is that of ours after the same requests.
 *
 * Both are loaded with dlopen(), locally: the program's own malloc stays the C library's.
 */
#ifndef TMF_BENCH_PEERS_H
#define TMF_BENCH_PEERS_H

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "heap_work.h"

struct peer {
    std::string name;
    std::string missing; /* why it is not here; empty: it is */
    std::unique_ptr<allocator> (*make)(std::size_t bytes);
};

/* Every one that this was built for, here or not. */
std::vector<peer> peers();

/* Of those libraries that are loaded, in their own words; of those that are here. */
struct library_version {
    std::string name, version;
};
std::vector<library_version> peer_versions();

#endif
