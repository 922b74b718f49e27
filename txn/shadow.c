/* SPDX-License-Identifier: MIT */
/* See shadow.h. */
#include "txn/shadow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "txn/arena.h"
#include "txn/format.h"
#include "txn/io.h"

#define CHUNK_SHADOWS 256u

static int map_slots(uint64_t page_count, uint32_t **slots, size_t *size)
{
    *size = tmf_page_round((size_t)page_count * sizeof(**slots));
    void *memory = tmf_io->mmap(NULL, *size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    *slots = memory;
    return 0;
}

int tmf_shadows_open(struct tmf_shadows *shadows, uint64_t page_count)
{
    *shadows = (struct tmf_shadows){0};
    return map_slots(page_count, &shadows->slots, &shadows->slots_size);
}

int tmf_shadows_resize(struct tmf_shadows *shadows, uint64_t page_count)
{
    uint32_t *slots = NULL;
    size_t size = 0;
    int error = map_slots(page_count, &slots, &size);
    if (!slots)
        return error;
    for (uint32_t n = 0; n < shadows->count; n++)
        slots[shadows->pages[n]] = n + 1;
    (void)tmf_io->munmap(shadows->slots, shadows->slots_size);
    shadows->slots = slots;
    shadows->slots_size = size;
    return 0;
}

static void drop_all(struct tmf_shadows *shadows, size_t chunks_kept)
{
    while (shadows->count > 0)
        tmf_shadow_drop_last(shadows);
    while (shadows->chunk_count > chunks_kept)
        (void)tmf_io->munmap(shadows->chunks[--shadows->chunk_count],
                             CHUNK_SHADOWS * TMF_PAGE_SIZE);
}

void tmf_shadows_close(struct tmf_shadows *shadows)
{
    if (!shadows->slots)
        return;
    drop_all(shadows, 0);
    free(shadows->chunks);
    free(shadows->pages);
    (void)tmf_io->munmap(shadows->slots, shadows->slots_size);
    *shadows = (struct tmf_shadows){0};
}

static unsigned char *memory_of(const struct tmf_shadows *shadows, uint32_t slot)
{
    return shadows->chunks[slot / CHUNK_SHADOWS] + slot % CHUNK_SHADOWS * TMF_PAGE_SIZE;
}

unsigned char *tmf_shadow_find(const struct tmf_shadows *shadows, uint64_t page)
{
    uint32_t slot = shadows->slots[page];
    return slot ? memory_of(shadows, slot - 1) : NULL;
}

static int add_chunk(struct tmf_shadows *shadows)
{
    size_t count = shadows->chunk_count + 1;
    unsigned char **chunks = realloc(shadows->chunks, count * sizeof(*chunks));
    if (!chunks)
        return ENOMEM;
    shadows->chunks = chunks;
    uint64_t *pages = realloc(shadows->pages, count * CHUNK_SHADOWS * sizeof(*pages));
    if (!pages)
        return ENOMEM;
    shadows->pages = pages;
    void *memory = tmf_io->mmap(NULL, CHUNK_SHADOWS * TMF_PAGE_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    chunks[shadows->chunk_count++] = memory;
    return 0;
}

int tmf_shadow_add(struct tmf_shadows *shadows, uint64_t page, unsigned char **out)
{
    bool is_full = shadows->count == shadows->chunk_count * CHUNK_SHADOWS;
    int error = is_full ? add_chunk(shadows) : 0;
    if (error)
        return error;
    uint32_t slot = shadows->count++;
    shadows->pages[slot] = page;
    shadows->slots[page] = slot + 1;
    *out = memory_of(shadows, slot);
    return 0;
}

void tmf_shadow_drop_last(struct tmf_shadows *shadows)
{
    shadows->slots[shadows->pages[--shadows->count]] = 0;
}

void tmf_shadows_clear(struct tmf_shadows *shadows)
{
    drop_all(shadows, 1);
}
