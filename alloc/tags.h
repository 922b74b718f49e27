/* SPDX-License-Identifier: MIT */
/*
 * Boundary tags: the length of a free run stands in its node and in its last word, so both
 * neighbours of a block are found without a search. Words are of 32 or 64 bits.
 *
 *     word 0    1     2     3                            last
 *     | link | link | ... | quanta |    ...free...    | quanta |
 *
 * Word 3 is the last one of a quantum of four words: there node and tag are one, and such a quantum
 * is the smallest that will do.
 *
 * Distrust: a tag is looked for only where the map shows free space, and believed if node and tag
 * say the same; a wild one among a user's bytes does not get that far while the map holds. Whoever
 * removes a run, or makes another of it, has its tags proven first, for they bound what it writes.
 */
#ifndef TMF_TAGS_H
#define TMF_TAGS_H

#include "gaps.h"

enum { TMF_TAG_NODE_WORDS = 4, TMF_TAG_WORD = 3 };

/* Sets node and tag of a run. A word is written only if it changes. */
void tmf_tags_write(tmf_heap *heap, bool wide, struct tmf_run run);

/* Do node and tag both say how long this run is? It lies in the region. */
bool tmf_tags_hold(const tmf_heap *heap, bool wide, struct tmf_run run);

/* The run that ends where quantum `at` begins, or that begins at `at`, as one does. TMF_ECORRUPT.
 */
int tmf_tags_below(tmf_heap *heap, bool wide, uint64_t at, struct tmf_run *out);
int tmf_tags_above(tmf_heap *heap, bool wide, uint64_t at, struct tmf_run *out);

/* adjacent() of an index all of whose runs have tags. */
int tmf_tags_adjacent(tmf_heap *heap, bool wide, struct tmf_run run, struct tmf_run *below,
                      struct tmf_run *above);

#endif
