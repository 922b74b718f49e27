/* SPDX-License-Identifier: MIT */
/*
 * Rows: for each of 512 lengths a set of segments of the arena (gaps.h), as bits over bits.
 *
 *     LEVEL   A NODE COVERS    BYTES   ITS ROW OF A LENGTH
 *     0       2^13 quanta       2048   32 bits, one for each segment
 *     1       2^21 quanta      16384   256 bits, one for each node of level 0 below
 *     2       2^27 quanta       4096   64 bits, one for each node of level 1 below
 *     3       2^33 quanta       4096   the same
 *     4       2^39 quanta       4096   the same
 *     header  all                 64   512 bits, one for each length
 *
 * A node holds its rows one behind the other: what happens at one place in the arena, to runs of
 * whatever lengths, writes to one node. A node of level 0 is the second half of the page of the map
 * that has the same quanta in its first, so it is in a page that is written anyway. The others lie
 * behind the map's pages, level by level. There are no more levels than it takes for one node, the
 * root, to cover all that the map covers. Node n of a level is in the extent that covers the first
 * quantum the node covers; node 0, in the one which covers the first that node 0 of the level below
 * does not. So it comes into being when it becomes the root: growing sets its bits. The place of a
 * node is computed, no link is stored.
 *
 *     extent | pairs, level 0 | pairs, level 0 | ... | level 1 ... | level 2 ... | 3 ... | 4 |
 *
 * A row counts if the bit for it above is set, and all bits above that, up to the header's.
 * Whatever else is in a node means nothing and is overwritten when its row comes to count. So the
 * nodes of what is free are holes in the file that nobody reads, not even the checker.
 *
 * Invariant: a row that counts is not empty. So the first segment of a length is found from the top
 * by one row of each level, the next one by going up and down again; setting or clearing a bit
 * writes to one row, and to that above it only where a row comes to count or ceases to. A bit that
 * contradicts those beside it is TMF_ECORRUPT.
 */
#ifndef TMF_ROWS_H
#define TMF_ROWS_H

#include "media.h"

enum { TMF_ROWS = 512, TMF_ROWS_LINK_BITS = 39, TMF_ROWS_AREA_WORDS = TMF_ROWS / 64 };

/* Bytes of the nodes of an extent behind the map's pages. */
uint64_t tmf_rows_bytes(uint64_t first, uint64_t quanta);

/* Gives new levels their bits, when the extents that covered so many quanta cover more. */
void tmf_rows_extended(tmf_heap *heap, uint64_t covered);

bool tmf_rows_has(tmf_heap *heap, unsigned row, uint64_t segment);

/* No-op if it is set. */
void tmf_rows_set(tmf_heap *heap, unsigned row, uint64_t segment);

/* TMF_ECORRUPT: it, or a bit above that has to go with it, is not set. */
int tmf_rows_clear(tmf_heap *heap, unsigned row, uint64_t segment);

/*
 * The first segment of a row that is not below `from`. ENOMEM: there is none. Who asks for all
 * segments of a row, one after the other, has all its bits checked on all levels.
 */
int tmf_rows_next(tmf_heap *heap, unsigned row, uint64_t from, uint64_t *segment);

/* The first row from `row` on that is not empty; TMF_ROWS: none is. */
unsigned tmf_rows_first(const tmf_heap *heap, unsigned row);

/* The last row that is not empty; TMF_ROWS: all are. */
unsigned tmf_rows_last(const tmf_heap *heap);

#endif
