/* SPDX-License-Identifier: MIT */
/*
 * Free runs by what the block map says, for indexes that let it say it. A free run is what lies
 * between the end of an allocated block and the next start. It belongs to the chunk (map.h) of the
 * end in front of it.
 */
#ifndef TMF_MAP_SCAN_H
#define TMF_MAP_SCAN_H

#include "map.h"

/*
 * The free runs that end where `run` begins, and begin where it ends; {0, 0} where none does. `run`
 * lies in [first, end). What is inside of it does not matter. TMF_ECORRUPT.
 */
int tmf_map_neighbours(const tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                       struct tmf_run *above);

/* The chunk that a free run at `at` belongs to; those of 0 are none. */
static inline uint64_t tmf_map_chunk_of(uint64_t at)
{
    return at != 0 ? (at - 1) / TMF_MAP_CHUNK : 0;
}

/*
 * The lowest free run of exactly `quanta` that belongs to chunk number `chunk` and begins in
 * [from, to). {0, 0}: there is none. Reads the pairs of one chunk; in words, not run by run.
 */
struct tmf_run tmf_map_scan(const tmf_heap *heap, uint64_t chunk, uint64_t quanta, uint64_t from,
                            uint64_t to);

#endif
