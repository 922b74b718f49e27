/* SPDX-License-Identifier: MIT */
/*
 * Shadows: copies of pages as they were committed. Every page whose committed content is in the
 * redo log and not in the .odb yet has one; after a checkpoint they are kept as long as there is
 * room, since comparing with memory is faster than reading. Whoever has none is committed as the
 * .odb has it.
 */
#ifndef TMF_SHADOW_H
#define TMF_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tmf_shadows {
    uint32_t *slots; /* of each page: its slot plus one; 0: no shadow */
    size_t slots_size;
    unsigned char **chunks; /* slots come in chunks of memory */
    size_t chunk_count;
    uint64_t *pages; /* of each slot in use */
    uint32_t count;
};

int tmf_shadows_open(struct tmf_shadows *shadows, uint64_t page_count);
int tmf_shadows_resize(struct tmf_shadows *shadows, uint64_t page_count);
void tmf_shadows_close(struct tmf_shadows *shadows);

/* The page's shadow, or NULL. */
unsigned char *tmf_shadow_find(const struct tmf_shadows *shadows, uint64_t page);

/* A new shadow for a page that has none, of undefined content. 0 or an errno. */
int tmf_shadow_add(struct tmf_shadows *shadows, uint64_t page, unsigned char **out);

/* Takes the shadow back that was added last. */
void tmf_shadow_drop_last(struct tmf_shadows *shadows);

/* Forgets all, and gives the memory back but for one chunk: who misses checkpoints comes here
 * often. */
void tmf_shadows_clear(struct tmf_shadows *shadows);

#endif
