/* SPDX-License-Identifier: MIT */
/*
 * What a heap looks like on its medium, and the helpers its source files share.
 *
 *     region:  the caller's | header | index area | pad | map | blocks ... | map | blocks ...
 *              0            offset                        page  first                        end
 *
 * All places are quantum numbers, counted from the region's first byte: byte offset >>
 * quantum_shift. 0 is no place, since the header is in front of every block. All integers are
 * little-endian words of the machine that made the heap; whoever owns the file refuses another
 * machine's.
 *
 * Invariants, those marked * proven by tmf_heap_attach(), all of them by tmf_heap_check():
 *  1* the header's constants hold, and the places in it follow from `offset`, quantum and index
 *  2* map extents cover [0, covered) without a gap, covered >= end; their pages lie inside the
 * region, do not overlap, and those of the first end where the blocks begin 3* used_quanta +
 * free_quanta + the map pages behind `first` are the quanta of [first, end) 4  blocks and map pages
 * tile [first, end); no free block touches another 5  the map holds the borders of the allocated
 * blocks, of [0, first) and of its own pages, and not one bit more 6  the index holds the free
 * blocks, and not one more; the counters count
 *
 * The header carries no checksum: it changes with every allocation, and the transaction around it
 * protects its content. After attach its constants, `first`, `end` and the extents are believed.
 */
#ifndef TMF_MEDIA_H
#define TMF_MEDIA_H

#include "heap.h"
#include "tmf_errors.h"

#include <assert.h>

#define TMF_HEAP_MAGIC UINT64_C(0x0070616568666d74) /* "tmfheap" */

enum {
    TMF_HEAP_VERSION = 2,
    TMF_HEAP_ALIGNMENT = 64, /* of the header */
    TMF_HEAP_HOT = 1024,     /* bytes from where it begins that lie in one page */
    TMF_HEAP_PAGE = 4096,
    TMF_HEAP_QUANTUM_DEFAULT = 32,   /* every index has it; README tells what speaks for others */
    TMF_HEAP_QUANTUM_SHIFT_MAX = 12, /* blocks begin at the end of a page */
    TMF_MAP_EXTENTS_MAX = 32
};

/* Neighbouring quanta; {0, 0} is none. */
struct tmf_run {
    uint64_t at;
    uint64_t quanta;
};

/* A piece of the block map, see map.h. */
struct tmf_map_extent {
    uint64_t first;  /* the first quantum it covers */
    uint64_t quanta; /* how many it covers */
    uint64_t at;     /* the quantum where its pages begin */
};

struct tmf_heap_media {
    uint64_t magic;
    uint32_t version;
    uint32_t quantum_shift;
    uint32_t index_id;
    uint32_t link_bits;   /* width of a quantum number inside the index, see index.h */
    uint64_t end;         /* quanta of the region */
    uint64_t first;       /* where blocks begin */
    uint64_t used_quanta; /* in allocated blocks */
    uint64_t free_quanta;
    uint64_t used_blocks;
    uint64_t free_blocks;
    uint64_t extent_count;
    struct tmf_map_extent extents[TMF_MAP_EXTENTS_MAX]; /* the unused ones are zero */
    uint64_t index_area[];                              /* the index's own, zero when empty */
};

static_assert(sizeof(struct tmf_map_extent) == 24, "media");
static_assert(offsetof(struct tmf_heap_media, version) == 8, "media");
static_assert(offsetof(struct tmf_heap_media, quantum_shift) == 12, "media");
static_assert(offsetof(struct tmf_heap_media, index_id) == 16, "media");
static_assert(offsetof(struct tmf_heap_media, link_bits) == 20, "media");
static_assert(offsetof(struct tmf_heap_media, end) == 24, "media");
static_assert(offsetof(struct tmf_heap_media, first) == 32, "media");
static_assert(offsetof(struct tmf_heap_media, used_quanta) == 40, "media");
static_assert(offsetof(struct tmf_heap_media, free_quanta) == 48, "media");
static_assert(offsetof(struct tmf_heap_media, used_blocks) == 56, "media");
static_assert(offsetof(struct tmf_heap_media, free_blocks) == 64, "media");
static_assert(offsetof(struct tmf_heap_media, extent_count) == 72, "media");
static_assert(offsetof(struct tmf_heap_media, extents) == 80, "media");
static_assert(sizeof(struct tmf_heap_media) == 848, "media");
static_assert(1 << TMF_HEAP_QUANTUM_SHIFT_MAX == TMF_HEAP_PAGE, "media");

static inline void *tmf_heap_place(const tmf_heap *heap, uint64_t at)
{
    return heap->base + (at << heap->quantum_shift);
}

static inline uint64_t tmf_run_end(struct tmf_run run)
{
    return run.at + run.quanta;
}

static inline uint64_t tmf_round_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t tmf_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t tmf_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How many quanta a heap may have whose index keeps quantum numbers in `link_bits` bits. */
static inline uint64_t tmf_heap_limit(unsigned link_bits)
{
    return link_bits < 64 ? UINT64_C(1) << link_bits : UINT64_MAX;
}

/* Adds `run`, which borders on no free quantum that the index does not know, to the free space. */
int tmf_heap_give(tmf_heap *heap, struct tmf_run run);

/* The header's part of the invariants above: 0 or TMF_ECORRUPT. `offset`, `size` as for attach. */
int tmf_heap_media_check(const tmf_heap *heap);

/* Reports a broken invariant: TMF_ECORRUPT. `fault` may be NULL. */
int tmf_heap_broken(const tmf_heap *heap, tmf_heap_fault *fault, uint64_t at,
                    const char *invariant);

#endif
