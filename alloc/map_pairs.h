/* SPDX-License-Identifier: MIT */
/* The pairs of the block map and where they are, for the files that read their bits; see map.h. */
#ifndef TMF_MAP_PAIRS_H
#define TMF_MAP_PAIRS_H

#include "map.h"
#include "map_summary.h"

enum { MAP_PAIR = 64, MAP_CHUNK_PAIRS = TMF_MAP_CHUNK / MAP_PAIR };

struct map_pair {
    uint64_t starts;
    uint64_t ends;
};

/* The pairs of TMF_MAP_CHUNK quanta; if it is void they are not to be read. */
struct map_chunk {
    struct map_pair *pairs;
    uint64_t first; /* quantum */
    bool is_void;
};

static_assert(sizeof(struct map_pair) == 16, "media");
static_assert(MAP_CHUNK_PAIRS * sizeof(struct map_pair) == 1024, "media");

/* The extent that covers `at`; one does. */
static inline const struct tmf_map_extent *map_extent(const tmf_heap *heap, uint64_t at)
{
    const struct tmf_map_extent *extent = heap->media->extents;
    while (at >= extent->first + extent->quanta) {
        extent++;
    }
    return extent;
}

static inline uint64_t *map_summary(const tmf_heap *heap, const struct tmf_map_extent *extent)
{
    unsigned char *pages = tmf_heap_place(heap, extent->at);
    return (void *)(pages + (extent->quanta >> heap->map_shift) * TMF_HEAP_PAGE);
}

static inline unsigned map_pair_in_chunk(uint64_t at)
{
    return (unsigned)(at / MAP_PAIR % MAP_CHUNK_PAIRS);
}

/* The page of map that has the bits of quantum `at` of an extent. */
static inline void *map_page(const tmf_heap *heap, const struct tmf_map_extent *extent, uint64_t at)
{
    uint64_t page = (at - extent->first) >> heap->map_shift;
    return (unsigned char *)tmf_heap_place(heap, extent->at) + page * TMF_HEAP_PAGE;
}

/* The chunk that holds `at`. */
static inline struct map_chunk map_chunk(const tmf_heap *heap, uint64_t at)
{
    const struct tmf_map_extent *extent = map_extent(heap, at);
    struct map_pair *pairs = map_page(heap, extent, at);
    uint64_t chunk = (at - extent->first) / TMF_MAP_CHUNK;
    uint64_t chunks_in_page = (UINT64_C(1) << heap->map_shift) / TMF_MAP_CHUNK;
    return (struct map_chunk){
        .pairs = pairs + chunk % chunks_in_page * MAP_CHUNK_PAIRS,
        .first = extent->first + chunk * TMF_MAP_CHUNK,
        .is_void = !tmf_summary_has(map_summary(heap, extent), chunk),
    };
}

#endif
