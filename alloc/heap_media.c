/* SPDX-License-Identifier: MIT */
/*
 * Making, attaching and growing a heap: the only writers of the header's constants, and the gate
 * through which a header that was read from a medium is believed. Its format is in media.h.
 */
#include "index.h"
#include "map.h"
#include "point.h"

#include <errno.h>

/*
 * Where the header begins. It and the first words of the index area are written by every
 * allocation: they move to the next page rather than straddle two, so that one page becomes dirty
 * and not two.
 */
static uint64_t header_place(uint64_t offset)
{
    uint64_t at = tmf_round_up(offset, TMF_HEAP_ALIGNMENT);
    uint64_t in_page = at % TMF_HEAP_PAGE;
    return in_page + TMF_HEAP_HOT <= TMF_HEAP_PAGE ? at : tmf_round_up(at, TMF_HEAP_PAGE);
}

/* Where the first extent of the map begins, in bytes. */
static uint64_t map_place(uint64_t header, const struct tmf_index_ops *index)
{
    return tmf_round_up(header + sizeof(struct tmf_heap_media) + index->area_bytes, TMF_HEAP_PAGE);
}

static unsigned map_shift_of(const struct tmf_index_ops *index)
{
    return index->shares_map ? TMF_MAP_SHARED_SHIFT : TMF_MAP_WHOLE_SHIFT;
}

static bool is_region(const void *base, size_t offset, size_t size)
{
    return (uintptr_t)base % TMF_HEAP_PAGE == 0 && size % TMF_HEAP_PAGE == 0 &&
           size <= PTRDIFF_MAX && offset <= size;
}

static bool is_quantum(size_t quantum, const struct tmf_index_ops *index)
{
    return (quantum & (quantum - 1)) == 0 && quantum <= TMF_HEAP_PAGE &&
           index->link_bits(quantum) != 0;
}

/* The header of a heap without a block. ENOMEM: it and the map leave no room for one. */
static int media_init(tmf_heap *heap, uint64_t header, uint64_t end)
{
    unsigned shift = heap->quantum_shift;
    unsigned link_bits = heap->index->link_bits((size_t)1 << shift);
    uint64_t at = map_place(header, heap->index) >> shift;
    uint64_t covered = tmf_map_plan(heap, 0, end, tmf_heap_limit(link_bits), UINT32_MAX);
    uint64_t first = at + tmf_map_length(heap, 0, covered);
    if (end > tmf_heap_limit(link_bits)) {
        return TMF_ENOTSUPPORTED;
    }
    if (first >= end) {
        return ENOMEM;
    }
    heap->media->version = TMF_HEAP_VERSION;
    heap->media->quantum_shift = shift;
    heap->media->index_id = heap->index->id;
    heap->media->link_bits = link_bits;
    heap->media->end = end;
    heap->media->first = first;
    heap->media->extent_count = 1;
    heap->media->extents[0] = (struct tmf_map_extent){.first = 0, .quanta = covered, .at = at};
    return 0;
}

int tmf_heap_create(tmf_heap *heap, void *base, size_t offset, size_t size,
                    const tmf_heap_config *config)
{
    const char *name = config->index != NULL ? config->index : tmf_index_name(0);
    const struct tmf_index_ops *index = tmf_index_find(name);
    size_t quantum = config->quantum != 0 ? config->quantum : TMF_HEAP_QUANTUM_DEFAULT;
    if (index == NULL) {
        return ENOENT;
    }
    if (!is_region(base, offset, size) || !is_quantum(quantum, index)) {
        return EINVAL;
    }
    uint64_t header = header_place(offset);
    tmf_heap made = {.base = base, .index = index, .map_shift = map_shift_of(index)};
    made.quantum_shift = (unsigned)__builtin_ctzll(quantum);
    made.media = (void *)(made.base + header);
    int error = media_init(&made, header, size >> made.quantum_shift);
    if (error != 0) {
        return error;
    }
    uint64_t first = made.media->first;
    tmf_map_mark(&made, (struct tmf_run){.at = 0, .quanta = first}, true);
    error = tmf_heap_give(&made, (struct tmf_run){first, made.media->end - first});
    if (error != 0) {
        return error;
    }
    TMF_POINT("alloc/create/before-magic");
    made.media->magic = TMF_HEAP_MAGIC;
    *heap = made;
    return 0;
}

/* The counters agree with each other and with the size of the region. */
static bool counters_hold(const tmf_heap *heap)
{
    const struct tmf_heap_media *media = heap->media;
    uint64_t quanta = media->end - media->first - tmf_map_inside(heap);
    return media->used_quanta <= quanta && media->free_quanta == quanta - media->used_quanta &&
           media->used_blocks <= media->used_quanta && media->free_blocks <= media->free_quanta &&
           (media->used_blocks == 0) == (media->used_quanta == 0) &&
           (media->free_blocks == 0) == (media->free_quanta == 0);
}

int tmf_heap_media_check(const tmf_heap *heap)
{
    const struct tmf_heap_media *media = heap->media;
    uint64_t header = (uint64_t)((const unsigned char *)media - heap->base);
    uint64_t map = map_place(header, heap->index) >> heap->quantum_shift;
    bool holds = media->magic == TMF_HEAP_MAGIC && media->version == TMF_HEAP_VERSION &&
                 media->quantum_shift == heap->quantum_shift &&
                 media->index_id == heap->index->id &&
                 media->link_bits == heap->index->link_bits((size_t)1 << heap->quantum_shift) &&
                 media->end <= tmf_heap_limit(media->link_bits) && media->first < media->end &&
                 media->extents[0].at == map && tmf_map_extents_hold(heap) && counters_hold(heap);
    return holds ? 0 : TMF_ECORRUPT;
}

int tmf_heap_attach(tmf_heap *heap, void *base, size_t offset, size_t size)
{
    if (!is_region(base, offset, size)) {
        return EINVAL;
    }
    uint64_t header = header_place(offset);
    if (header + sizeof(struct tmf_heap_media) > size) {
        return TMF_ECORRUPT;
    }
    tmf_heap found = {.base = base};
    const struct tmf_heap_media *media = found.media = (void *)(found.base + header);
    found.index = tmf_index_find_id(media->index_id);
    found.quantum_shift = media->quantum_shift;
    if (found.index == NULL || found.quantum_shift > TMF_HEAP_QUANTUM_SHIFT_MAX ||
        !is_quantum((size_t)1 << found.quantum_shift, found.index)) {
        return TMF_ECORRUPT;
    }
    found.map_shift = map_shift_of(found.index);
    if (media->end > size >> found.quantum_shift || tmf_heap_media_check(&found) != 0) {
        return TMF_ECORRUPT;
    }
    *heap = found;
    return 0;
}

int tmf_heap_grow(tmf_heap *heap, size_t size)
{
    struct tmf_heap_media *media = heap->media;
    uint64_t end = size >> heap->quantum_shift;
    if (size % TMF_HEAP_PAGE != 0 || size > PTRDIFF_MAX || end < media->end) {
        return EINVAL;
    }
    if (end > tmf_heap_limit(media->link_bits)) {
        return TMF_ENOTSUPPORTED;
    }
    if (end == media->end) {
        return 0;
    }
    struct tmf_run grown = {.at = media->end, .quanta = end - media->end};
    int error = tmf_map_extend(heap, &grown);
    if (error != 0) {
        return error;
    }
    media->end = end;
    TMF_POINT("alloc/grow/after-end");
    return tmf_heap_give(heap, grown);
}
