/* SPDX-License-Identifier: MIT */
/*
 * The block map: where allocated blocks begin and end.
 *
 * Blocks have no headers and frees are sized, so what free() is told must be proven by something
 * the caller did not write. The map has two bits for each quantum, "a block starts here" and "a
 * block ends here", set for allocated blocks only. {at, quanta} is an allocated block exactly if
 * its first start bit and its last end bit are set and no other bit between them is.
 *
 * The bits of 64 quanta are a pair of words, so both borders of a small block are usually in one
 * cache line; one page holds the pairs of 16384 quanta. Free space has no bits, so the map of an
 * arena that is mostly free is mostly a hole in its file.
 *
 * The map's pages come in extents. The first lies behind the heap's header and covers half as much
 * again as the region holds; growth beyond adds an extent at the *end* of the new bytes, so that
 * they still join the last free block. It too covers half as much again, but takes no more than a
 * quarter of the new bytes unless it must. Extents cover whole pages of map, each from where the
 * one before stops.
 */
#ifndef TMF_MAP_H
#define TMF_MAP_H

#include "media.h"

/*
 * What an extent covers that takes up to `room` pages, reaches from `covered` to `end` at least and
 * beyond `limit` only to fill its last page.
 */
uint64_t tmf_map_plan(uint64_t covered, uint64_t end, uint64_t limit, uint64_t room);

/* Quanta that the pages of an extent take which covers `quanta`. */
uint64_t tmf_map_length(unsigned quantum_shift, uint64_t quanta);

/* Quanta that the map's pages take among the blocks, that is without the first extent. */
uint64_t tmf_map_inside(const tmf_heap *heap);

/* How far the extents cover. */
uint64_t tmf_map_covered(const tmf_heap *heap);

/* The map's pages among the blocks that begin at `at`; {0, 0}: none do. */
struct tmf_run tmf_map_pages(const tmf_heap *heap, uint64_t at);

/* Invariant 2 of media.h. */
bool tmf_map_extents_hold(const tmf_heap *heap);

/*
 * Makes the map cover what `grown` adds to the region, taking the pages for it off its end.
 * ENOMEM: they do not fit into it, or the table of extents is full; nothing was changed.
 */
int tmf_map_extend(tmf_heap *heap, struct tmf_run *grown);

/* Is this exactly one allocated block? Reads quanta / 64 pairs. `run` lies in [0, covered). */
bool tmf_map_holds(const tmf_heap *heap, struct tmf_run run);

/* Has this not one bit set? Cost as above. */
bool tmf_map_is_clear(const tmf_heap *heap, struct tmf_run run);

/* Is this free according to the map: not one bit set, and none of the map's own pages in it? */
bool tmf_map_is_free(const tmf_heap *heap, struct tmf_run run);

/* The quanta of the allocated block that starts at `at`; 0: none does, or it has no end. */
uint64_t tmf_map_block(const tmf_heap *heap, uint64_t at);

/* Sets or clears the two bits of a block. */
void tmf_map_mark(tmf_heap *heap, struct tmf_run run, bool allocated);

#endif
