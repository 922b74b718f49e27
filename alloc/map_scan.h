/* SPDX-License-Identifier: MIT */
/*
 * Free runs by what the block map says, for indexes that let it say it. A free run is what lies
 * between the end of an allocated block and the next start. It belongs to the cell of the end
 * in front of it: one of the pieces that all quanta are cut into, from 0 on.
 */
#ifndef TMF_MAP_SCAN_H
#define TMF_MAP_SCAN_H

#include "map.h"

enum { TMF_MAP_CELL = 2048 }; /* quanta */

/*
 * The free runs that end where `run` begins, and begin where it ends; {0, 0} where none does. `run`
 * lies in [first, end). What is inside of it does not matter. TMF_ECORRUPT.
 */
int tmf_map_neighbours(const tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                       struct tmf_run *above);

/* The number of the cell that a free run at `at` belongs to. None is at 0. */
static inline uint64_t tmf_map_cell_of(uint64_t at)
{
    return at != 0 ? (at - 1) / TMF_MAP_CELL : 0;
}

/*
 * The lowest free run of exactly `quanta` that belongs to cell number `cell` and begins at `from`
 * or above, not in [skip.at, skip end). {0, 0}: there is none. Reads the pairs of one cell; in
 * words, not run by run.
 */
struct tmf_run tmf_map_scan(const tmf_heap *heap, uint64_t cell, uint64_t quanta, uint64_t from,
                            struct tmf_run skip);

#endif
