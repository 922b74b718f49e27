/* SPDX-License-Identifier: MIT */
/*
 * The scan for a run of `quanta` compares, 64 at a time, the ends of blocks with the starts that
 * are quanta + 1 further up. Where both have a bit it looks whether another start lies between the
 * two, which is rare. Only the last free run of a cell can reach beyond it; it is looked at by
 * itself.
 */
#include "map_scan.h"

#include "map_pairs.h"
#include "point.h"

enum { CELL_PAIRS = TMF_MAP_CELL / MAP_PAIR };

static_assert(TMF_MAP_CHUNK % TMF_MAP_CELL == 0, "a cell is void or not");

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

/* The pairs of one cell. */
struct cell {
    const struct map_pair *pairs;
    uint64_t first; /* quantum */
};

/* The first start from quantum `at` of the cell on; TMF_MAP_CELL: none. */
static unsigned start_from(const struct cell *cell, unsigned at)
{
    uint64_t mask = UINT64_MAX << (at % MAP_PAIR);
    for (unsigned n = at / MAP_PAIR; n < CELL_PAIRS; n++) {
        uint64_t starts = cell->pairs[n].starts & mask;
        if (starts != 0) {
            return n * MAP_PAIR + (unsigned)__builtin_ctzll(starts);
        }
        mask = UINT64_MAX;
    }
    return TMF_MAP_CELL;
}

/* Is there a gap from the end at `end` of the cell to a start `distance` behind, and it counts? */
static inline bool is_gap(const struct cell *cell, unsigned end, unsigned distance,
                          struct tmf_run skip)
{
    return end + distance < TMF_MAP_CELL && start_from(cell, end + 1) == end + distance &&
           cell->first + end + 1 - skip.at >= skip.quanta;
}

/*
 * The first end from quantum `from` of the cell on that a start follows `distance` behind, and none
 * sooner, and that is not in front of a run in `skip`; TMF_MAP_CELL: none. distance < TMF_MAP_CELL.
 * Behind the cell's last pair are pairs or the summary: what is read there is not believed.
 */
static unsigned end_before_start(const struct cell *cell, unsigned distance, unsigned from,
                                 struct tmf_run skip)
{
    const struct map_pair *pairs = cell->pairs;
    const struct map_pair *ahead = pairs + distance / MAP_PAIR;
    unsigned shift = distance % MAP_PAIR;
    unsigned count = CELL_PAIRS - distance / MAP_PAIR;
    for (unsigned n = from / MAP_PAIR; n < count; n++) {
        uint64_t behind = ahead[n].starts >> shift | ahead[n + 1].starts << 1 << (63 - shift);
        for (uint64_t ends = pairs[n].ends & behind; ends != 0; ends &= ends - 1) {
            unsigned end = n * MAP_PAIR + (unsigned)__builtin_ctzll(ends);
            if (end >= from && is_gap(cell, end, distance, skip)) {
                return end;
            }
        }
    }
    return TMF_MAP_CELL;
}

/* The last border of the cell, if it is an end; TMF_MAP_CELL: it is not, or there is none. */
static unsigned last_end(const struct cell *cell)
{
    for (unsigned n = CELL_PAIRS; n-- > 0;) {
        const struct map_pair *pair = &cell->pairs[n];
        uint64_t borders = pair->starts | pair->ends;
        if (borders != 0) {
            unsigned bit = 63 - (unsigned)__builtin_clzll(borders);
            return (pair->ends >> bit & 1) != 0 ? n * MAP_PAIR + bit : TMF_MAP_CELL;
        }
    }
    return TMF_MAP_CELL;
}

/*
 * The free run that begins in this cell and does not stop in it, if it may have `quanta`: no fewer
 * than what the cell has of it. {0, 0}: it has not, or there is none.
 */
static struct tmf_run crossing_run(const tmf_heap *heap, const struct cell *cell, uint64_t quanta)
{
    unsigned end = last_end(cell);
    uint64_t at = cell->first + end + 1;
    uint64_t next_cell = cell->first + TMF_MAP_CELL;
    if (end == TMF_MAP_CELL || TMF_MUTANT("run-across-cells-unseen") ||
        at + quanta < tmf_min(next_cell, heap->media->end)) {
        return (struct tmf_run){0};
    }
    struct tmf_border start = {.at = TMF_MAP_NOWHERE, .is_start = true};
    if (next_cell < heap->media->end) {
        start = tmf_map_next(heap, next_cell);
    }
    uint64_t stop = tmf_min(start.at, heap->media->end);
    return (start.is_start || start.at == TMF_MAP_NOWHERE) && stop > at
               ? (struct tmf_run){.at = at, .quanta = stop - at}
               : (struct tmf_run){0};
}

struct tmf_run tmf_map_scan(const tmf_heap *heap, uint64_t cell_number, uint64_t quanta,
                            uint64_t from, struct tmf_run skip)
{
    uint64_t first = cell_number * TMF_MAP_CELL;
    uint64_t low = tmf_max(from, first + 1);
    struct map_chunk chunk = map_chunk(heap, first);
    struct cell cell = {.pairs = &chunk.pairs[map_pair_in_chunk(first)], .first = first};
    if (chunk.is_void || low > first + TMF_MAP_CELL) {
        return (struct tmf_run){0};
    }
    if (quanta + 1 < TMF_MAP_CELL) {
        unsigned end =
            end_before_start(&cell, (unsigned)quanta + 1, (unsigned)(low - 1 - first), skip);
        if (end < TMF_MAP_CELL) {
            return (struct tmf_run){.at = first + end + 1, .quanta = quanta};
        }
    }
    struct tmf_run crossing = crossing_run(heap, &cell, quanta);
    bool is_it =
        crossing.quanta == quanta && crossing.at >= low && crossing.at - skip.at >= skip.quanta;
    return is_it ? crossing : (struct tmf_run){0};
}
