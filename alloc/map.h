/* SPDX-License-Identifier: MIT */
/*
 * The block map: where allocated blocks begin and end.
 *
 * Blocks have no headers and frees are sized, so what free() is told must be proven by something
 * the caller did not write. The map has two bits for each quantum, "a block starts here" and "a
 * block ends here", set for allocated blocks only: their borders. {at, quanta} is an allocated
 * block exactly if its first start bit and its last end bit are set and no other bit between them
 * is. What lies in front of the first block, and pages of map among the blocks, have borders too,
 * so that free space always begins behind an end and stops at a start, or at the region's end.
 *
 * The bits of 64 quanta are a pair of words, so both borders of a small block are usually in one
 * cache line; one page holds the pairs of 16384 quanta. An index may have the second half of each
 * page for itself: then what it knows of 8192 quanta is in the page that is written anyway.
 *
 * Above the pairs lies a summary: one bit for each chunk of 4096 quanta (64 pairs, 1 KiB of map),
 * set if there is a border in it; above 64 words of it one word with a bit for each that is not
 * zero; and so on, up to a level of one word. The next border in either direction is thereby found
 * in O(levels) and not in O(size): what a free run of 2^36 quanta costs is what one of 100 costs.
 * A small block changes the summary only when it is the first in its chunk, or was the last.
 *
 * A chunk whose bit is not set is void: its pairs read as zero, whatever they hold, and are zeroed
 * before the bit is set. So nobody need read the pages of map that free space has, not even the
 * checker, and the map of an arena that is mostly free is mostly a hole in its file.
 *
 *     extent:  pairs, 1 page for 16384 quanta | summary, lowest level first | the index's own
 *              at                               at + pages of pairs           aligned to 1024
 *
 * The map's pages come in extents. The first lies behind the heap's header and covers half as much
 * again as the region holds; growth beyond adds an extent at the *end* of the new bytes, so that
 * they still join the last free block. It too covers half as much again, but takes no more than a
 * quarter of the new bytes unless it must. Extents cover whole pages of map, each from where the
 * one before stops, and each has a summary of its own.
 */
#ifndef TMF_MAP_H
#define TMF_MAP_H

#include "media.h"

/* Quanta to a bit of the lowest level of the summary. */
enum { TMF_MAP_CHUNK = 4096 };

/* log2 of the quanta in a page of map, whole or shared with the index. */
enum { TMF_MAP_WHOLE_SHIFT = 14, TMF_MAP_SHARED_SHIFT = 13 };

/* A quantum with a bit set. */
struct tmf_border {
    uint64_t at; /* TMF_MAP_NOWHERE: there is none */
    bool is_start;
    bool is_end; /* neither: the summary promised a border that is not there */
};

#define TMF_MAP_NOWHERE UINT64_MAX

/*
 * What an extent covers that takes up to `room` pages, reaches from `covered` to `end` at least and
 * beyond `limit` only to fill its last page.
 */
uint64_t tmf_map_plan(const tmf_heap *heap, uint64_t covered, uint64_t end, uint64_t limit,
                      uint64_t room);

/*
 * Quanta that the pages of an extent take which covers `quanta` from `first` on: the map's, and
 * behind them what the index asks for.
 */
uint64_t tmf_map_length(const tmf_heap *heap, uint64_t first, uint64_t quanta);

/* The bytes of the index in extent n, aligned to 1024, and how many they are. */
void *tmf_map_side(const tmf_heap *heap, uint64_t n);
uint64_t tmf_map_side_bytes(const tmf_heap *heap, uint64_t n);

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

/* The first border at `at` or above, which the extents cover. */
struct tmf_border tmf_map_next(const tmf_heap *heap, uint64_t at);

/* The last border at `at` or below, which the extents cover. */
struct tmf_border tmf_map_previous(const tmf_heap *heap, uint64_t at);

/* Is this exactly one allocated block? `run` lies in [0, covered). */
bool tmf_map_holds(const tmf_heap *heap, struct tmf_run run);

/* Has this not one bit set? */
bool tmf_map_is_clear(const tmf_heap *heap, struct tmf_run run);

/* Is this free according to the map: not one bit set, and none of the map's own pages in it? */
bool tmf_map_is_free(const tmf_heap *heap, struct tmf_run run);

/* The quanta of the allocated block that starts at `at`; 0: none does, or it has no end. */
uint64_t tmf_map_block(const tmf_heap *heap, uint64_t at);

/* Sets or clears the two bits of a block. */
void tmf_map_mark(tmf_heap *heap, struct tmf_run run, bool allocated);

/*
 * The levels of the summary agree. That they agree with the pairs is met by whoever goes from
 * border to border: a chunk with a bit and no border ends a search.
 */
int tmf_map_check(const tmf_heap *heap, tmf_heap_fault *fault);

#endif
