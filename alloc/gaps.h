/* SPDX-License-Identifier: MIT */
/*
 * Gaps: short free runs as the block map shows them. A gap begins behind an end in the map, and
 * reaches to the next start, or to the region's end. So an index need not keep where short free
 * runs are, if it knows where to look.
 *
 * A segment is 256 quanta: one cache line of the map. A gap is of the segment in which the quantum
 * in front of it lies, whose end bit opens it.
 *
 * Nothing is written here and no link followed: whatever the map's bits are, what is read lies
 * inside the map, and a gap inside the region.
 */
#ifndef TMF_GAPS_H
#define TMF_GAPS_H

#include "map.h"

enum { TMF_SEGMENT_SHIFT = 8, TMF_SEGMENT_QUANTA = 1 << TMF_SEGMENT_SHIFT };
enum { TMF_GAP_MAX = 512 };

/* The segment of the gap that begins at `at`. */
static inline uint64_t tmf_gap_segment(uint64_t at)
{
    return (at - 1) >> TMF_SEGMENT_SHIFT;
}

/* Does the map show free space right below `at`, or right at it? O(1). */
bool tmf_gap_is_below(const tmf_heap *heap, uint64_t at);
bool tmf_gap_is_above(const tmf_heap *heap, uint64_t at);

/*
 * The first gap of `segment` that is exactly `quanta` long, TMF_GAP_MAX at most, begins at `from`
 * or behind, and not inside of `skip`; 0: there is none. Reads a cache line of the map, and of the
 * following ones as many as a gap of this length may reach into.
 */
uint64_t tmf_gap_find(const tmf_heap *heap, uint64_t segment, uint64_t quanta, uint64_t from,
                      struct tmf_run skip);

#endif
