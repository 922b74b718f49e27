/* SPDX-License-Identifier: MIT */
/*
 * The scan for a run of `quanta` compares, 64 at a time, the ends of blocks with the starts that
 * are quanta + 1 further up. Where both have a bit it looks whether another start lies between the
 * two, which is rare. Only the last free run of a chunk can reach beyond it; it is looked at by
 * itself.
 */
#include "map_scan.h"

#include "map_pairs.h"

int tmf_map_neighbours(const tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                       struct tmf_run *above)
{
    uint64_t end = tmf_run_end(run);
    struct tmf_border lower = tmf_map_previous(heap, run.at - 1);
    struct tmf_border upper = {.at = heap->media->end, .is_start = true};
    if (end < heap->media->end) {
        upper = tmf_map_next(heap, end);
    }
    if (upper.at > heap->media->end) {
        upper = (struct tmf_border){.at = heap->media->end, .is_start = true};
    }
    if (lower.at >= run.at || !(lower.is_start || lower.is_end) || !upper.is_start) {
        return TMF_ECORRUPT;
    }
    uint64_t low = lower.is_end ? lower.at + 1 : run.at;
    *below = low < run.at ? (struct tmf_run){low, run.at - low} : (struct tmf_run){0};
    *above = end < upper.at ? (struct tmf_run){end, upper.at - end} : (struct tmf_run){0};
    return 0;
}

/* The first start in the chunk's pairs from quantum `at` of the chunk on; TMF_MAP_CHUNK: none. */
static unsigned start_from(const struct map_chunk *chunk, unsigned at)
{
    uint64_t mask = UINT64_MAX << (at % MAP_PAIR);
    for (unsigned n = at / MAP_PAIR; n < MAP_CHUNK_PAIRS; n++) {
        uint64_t starts = chunk->pairs[n].starts & mask;
        if (starts != 0) {
            return n * MAP_PAIR + (unsigned)__builtin_ctzll(starts);
        }
        mask = UINT64_MAX;
    }
    return TMF_MAP_CHUNK;
}

/* Bit i: a block starts `distance` behind quantum i of pair n, inside of the chunk. */
static inline uint64_t starts_behind(const struct map_chunk *chunk, unsigned n, unsigned distance)
{
    unsigned low = n + distance / MAP_PAIR;
    unsigned shift = distance % MAP_PAIR;
    uint64_t starts = low < MAP_CHUNK_PAIRS ? chunk->pairs[low].starts >> shift : 0;
    if (low + 1 < MAP_CHUNK_PAIRS) {
        starts |= chunk->pairs[low + 1].starts << 1 << (63 - shift);
    }
    return starts;
}

/*
 * The first end in [from, to), quanta of the chunk, that a start follows `distance` behind, and
 * none sooner; TMF_MAP_CHUNK: none.
 */
static unsigned end_before_start(const struct map_chunk *chunk, unsigned distance, unsigned from,
                                 unsigned to)
{
    uint64_t mask = UINT64_MAX << (from % MAP_PAIR);
    for (unsigned n = from / MAP_PAIR; n * MAP_PAIR < to; n++) {
        uint64_t ends = chunk->pairs[n].ends & starts_behind(chunk, n, distance) & mask;
        for (; ends != 0; ends &= ends - 1) {
            unsigned end = n * MAP_PAIR + (unsigned)__builtin_ctzll(ends);
            if (start_from(chunk, end + 1) == end + distance) {
                return end < to ? end : TMF_MAP_CHUNK;
            }
        }
        mask = UINT64_MAX;
    }
    return TMF_MAP_CHUNK;
}

/* The free run that begins in this chunk and does not stop in it; {0, 0}: there is none. */
static struct tmf_run crossing_run(const tmf_heap *heap, const struct map_chunk *chunk)
{
    uint64_t last = chunk->first + TMF_MAP_CHUNK - 1;
    struct tmf_border end = tmf_map_previous(heap, last);
    if (end.at > last || end.at < chunk->first || !end.is_end || end.at + 1 >= heap->media->end) {
        return (struct tmf_run){0};
    }
    struct tmf_border start = {.at = TMF_MAP_NOWHERE, .is_start = true};
    if (last + 1 < heap->media->end) {
        start = tmf_map_next(heap, last + 1);
    }
    uint64_t stop = tmf_min(start.at, heap->media->end);
    return start.is_start || start.at == TMF_MAP_NOWHERE
               ? (struct tmf_run){.at = end.at + 1, .quanta = stop - end.at - 1}
               : (struct tmf_run){0};
}

struct tmf_run tmf_map_scan(const tmf_heap *heap, uint64_t chunk_number, uint64_t quanta,
                            uint64_t from, uint64_t to)
{
    struct map_chunk chunk = map_chunk(heap, chunk_number * TMF_MAP_CHUNK);
    uint64_t low = tmf_max(from, chunk.first + 1);
    uint64_t high = tmf_min(to, chunk.first + TMF_MAP_CHUNK + 1);
    if (chunk.is_void || low >= high) {
        return (struct tmf_run){0};
    }
    if (quanta + 1 < TMF_MAP_CHUNK) {
        unsigned end =
            end_before_start(&chunk, (unsigned)quanta + 1, (unsigned)(low - 1 - chunk.first),
                             (unsigned)(high - 1 - chunk.first));
        if (end < TMF_MAP_CHUNK) {
            return (struct tmf_run){.at = chunk.first + end + 1, .quanta = quanta};
        }
    }
    struct tmf_run crossing = crossing_run(heap, &chunk);
    bool is_it = crossing.quanta == quanta && crossing.at >= low && crossing.at < high;
    return is_it ? crossing : (struct tmf_run){0};
}
