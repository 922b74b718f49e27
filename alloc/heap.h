/* SPDX-License-Identifier: MIT */
/*
 * A heap inside a bare memory region: no file, no lock, no system call.
 *
 * Placement, exactly: of all free blocks that fit take the smallest, of those the one with the
 * lowest address; give the rest back; join free neighbours at once. Sizes are rounded up to the
 * quantum (0 bytes count as 1). A block has no header: frees are sized, and a side map (map.h)
 * knows every block's border, so a free of what is no block is refused instead of believed.
 *
 * Conventions: functions return 0 or an error (tmf_errors.h); outputs come last and are set only on
 * success. Sizes and offsets are bytes. One thread at a time per heap; the caller locks. Nothing in
 * the region is trusted: links, sizes and counts read from it are checked before they are followed,
 * and what does not hold is TMF_ECORRUPT. Nothing recurses and nothing allocates memory.
 */
#ifndef TMF_HEAP_H
#define TMF_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tmf_index_ops;
struct tmf_heap_media;

/* What is fixed when a heap is created. */
typedef struct tmf_heap_config {
    size_t quantum;    /* bytes, a power of two the index allows; 0: the default */
    const char *index; /* name of a free-space index; NULL: the default */
} tmf_heap_config;

/* Handle of a heap, in ordinary memory; valid while the region stays mapped at the same address. */
typedef struct tmf_heap {
    unsigned char *base;               /* the region's first byte */
    struct tmf_heap_media *media;      /* the heap's own header inside the region */
    const struct tmf_index_ops *index; /* the free-space index */
    unsigned quantum_shift;            /* log2 of the quantum */
    unsigned map_shift;                /* log2 of the quanta in a page of the block map */
    uint64_t nodes_visited;            /* index nodes read since attach, for measurement */
    uint64_t index_places[4];          /* what the index has computed from what never changes */
} tmf_heap;

typedef struct tmf_heap_stats {
    size_t size;           /* bytes of the whole region */
    size_t quantum;        /* bytes */
    const char *index;     /* name */
    size_t metadata_bytes; /* heap header, block map, what the index has outside of blocks */
    size_t used_bytes;     /* in allocated blocks, rounded up to the quantum */
    size_t free_bytes;     /* in free blocks */
    size_t used_blocks;
    size_t free_blocks;
    size_t largest_free_bytes;
} tmf_heap_stats;

typedef struct tmf_heap_block {
    size_t offset; /* from the region's first byte */
    size_t size;   /* bytes, a multiple of the quantum */
    bool is_free;
} tmf_heap_block;

/* The first broken invariant that tmf_heap_check() met. */
typedef struct tmf_heap_fault {
    const char *invariant; /* a sentence with static lifetime; NULL when all hold */
    size_t offset;         /* where, from the region's first byte */
} tmf_heap_fault;

/* Return 0 to go on, anything else to stop the walk with that value. */
typedef int tmf_heap_visit(void *context, const tmf_heap_block *block);

/*
 * Makes a heap in [base + offset, base + size). What lies before `offset` is the caller's. `base`
 * is aligned to 4096, `size` a multiple of 4096. The region from `offset` on must read as zeroes
 * (a new file does); only a few pages of it are written, however large it is.
 * EINVAL: an option out of range (quantum no power of two, below what the index needs, ...);
 * ENOMEM: the region is too small; ENOENT: no such index; TMF_ENOTSUPPORTED: beyond the link width
 * of the index.
 */
int tmf_heap_create(tmf_heap *heap, void *base, size_t offset, size_t size,
                    const tmf_heap_config *config);

/* Attaches to the heap made at `offset`, in O(1). TMF_ECORRUPT: its header does not hold. */
int tmf_heap_attach(tmf_heap *heap, void *base, size_t offset, size_t size);

/* The heap's size becomes `size` (larger, a multiple of 4096; the new bytes read as zeroes). */
int tmf_heap_grow(tmf_heap *heap, size_t size);

/*
 * Allocates `size` bytes at a multiple of `alignment` (a power of two; at most the quantum costs
 * nothing; 0 counts as 1). The content is not initialised.
 * ENOMEM: no free block fits; EINVAL: alignment no power of two; TMF_ECORRUPT.
 */
int tmf_heap_alloc(tmf_heap *heap, size_t alignment, size_t size, void **out);

/*
 * Changes a block's size: shrinks in place; grows in place where the free neighbour above is large
 * enough; else moves (allocate, copy min(old, new) bytes, free). On error the block is unchanged.
 * TMF_EBADBLOCK: `block` with `old_size` is no allocated block; ENOMEM; TMF_ECORRUPT.
 */
int tmf_heap_resize(tmf_heap *heap, void *block, size_t old_size, size_t new_size, void **out);

/* Frees a block of `size` bytes (any size that rounds to the same). TMF_EBADBLOCK; TMF_ECORRUPT. */
int tmf_heap_free(tmf_heap *heap, void *block, size_t size);

/* O(1) but for largest_free_bytes, which is O(log n). */
int tmf_heap_stats_get(tmf_heap *heap, tmf_heap_stats *out);

/* Visits every block, free or not, once, in address order. */
int tmf_heap_walk(tmf_heap *heap, tmf_heap_visit *visit, void *context);

/* 0, or TMF_ECORRUPT and the first broken invariant in `fault` (may be NULL). O(n log n). */
int tmf_heap_check(tmf_heap *heap, tmf_heap_fault *fault);

#endif
