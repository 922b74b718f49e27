/* SPDX-License-Identifier: MIT */
/*
 * The free-space index: which runs of quanta are free. Indexes are interchangeable behind this
 * interface; an index sees only the bytes that it asked for, behind the header and in the extents
 * of the block map, the inside of free blocks, and the map, to read it.
 *
 * Every function returns 0, TMF_ECORRUPT where what it reads contradicts itself, or what is said
 * beside it. No function follows a link, or believes a size, before it has checked it. An all-zero
 * area is the empty index. Order below means (quanta, address), ascending.
 */
#ifndef TMF_INDEX_H
#define TMF_INDEX_H

#include "media.h"

struct tmf_index_ops {
    const char *name;
    const char *about;
    uint32_t id;         /* on the medium; never used again for something else */
    uint32_t area_bytes; /* of its own behind the heap's header, a multiple of 8 */
    bool is_inexact;     /* find() gives any run that fits, not the first in order */
    bool shares_map;     /* half of each page of the map is the index's own, see map.h */

    /* Bits of a quantum number at this quantum, at most 64; 0: the quantum is too small. */
    unsigned (*link_bits)(size_t quantum);

    /*
     * Bytes of its own behind the map's pages of an extent that covers `quanta` from `first` on.
     * They grow with the arena, and are zero in an empty index. NULL: none.
     */
    uint64_t (*side_bytes)(uint64_t first, uint64_t quanta);

    /* The extents, which covered so many quanta, have just become one more. NULL: nothing to do. */
    void (*extended)(tmf_heap *heap, uint64_t covered);

    /* A run becomes free; it touches no other free run. */
    int (*insert)(tmf_heap *heap, struct tmf_run run);
    int (*remove)(tmf_heap *heap, struct tmf_run run);

    /* As remove(from) and insert(to), where no other free run lies between the two. */
    int (*change)(tmf_heap *heap, struct tmf_run from, struct tmf_run to);

    /*
     * The first run, in order, that does not come before `least`. ENOMEM: there is none. An index
     * that is not exact heeds least.quanta alone, gives any run that is as long, and may say ENOMEM
     * although there is one; its file says when.
     */
    int (*find)(tmf_heap *heap, struct tmf_run least, struct tmf_run *out);

    /* One of the longest; one of the longest class if not exact. ENOMEM: the index is empty. */
    int (*largest)(tmf_heap *heap, struct tmf_run *out);

    /*
     * The free runs that end where `run` begins, and begin where it ends; {0, 0} where none does.
     * The map must be right about the quantum on either side of `run`, not about `run` itself.
     */
    int (*adjacent)(tmf_heap *heap, struct tmf_run run, struct tmf_run *below,
                    struct tmf_run *above);

    /* Every invariant of its own, and how many runs it holds. `fault` may be NULL. */
    int (*check)(tmf_heap *heap, tmf_heap_fault *fault, uint64_t *count);
};

extern const struct tmf_index_ops tmf_index_rb_twin;
extern const struct tmf_index_ops tmf_index_rb_twin32;
extern const struct tmf_index_ops tmf_index_rb_tags;
extern const struct tmf_index_ops tmf_index_btree;
extern const struct tmf_index_ops tmf_index_bins;
extern const struct tmf_index_ops tmf_index_tlsf;

/* NULL: there is no such index. */
const struct tmf_index_ops *tmf_index_find(const char *name);
const struct tmf_index_ops *tmf_index_find_id(uint32_t id);

/* The n-th index, the default first; NULL past the last. Public, see txn/tmf.h. */
const char *tmf_index_name(size_t n);
const char *tmf_index_about(size_t n);

#endif
