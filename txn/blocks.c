/* SPDX-License-Identifier: MIT */
/* Blocks of the arena, by way of the heap; and what a storage tells about itself. */
#include <errno.h>

#include "alloc/heap.h"
#include "txn/error.h"
#include "txn/storage.h"

static void *refuse(int error)
{
    errno = error;
    return NULL;
}

/* A store of the heap may have doomed the transaction: then the block is of no use. */
static int check_doom(const struct tmf_storage *storage, int error)
{
    if (storage->state == TMF_DOOMED)
        return tmf_fail(storage->doom_error, "storing to '%s'; roll back", storage->odb_path);
    return error;
}

void *tmf_alloc(tmf_writer *writer, size_t size)
{
    return tmf_alloc_aligned(writer, 1, size);
}

void *tmf_alloc_aligned(tmf_writer *writer, size_t alignment, size_t size)
{
    void *block = NULL;
    int error = tmf_writer_check(writer);
    if (error)
        return refuse(error);
    struct tmf_storage *storage = writer->storage;
    storage->heap_stores = true;
    error = tmf_heap_alloc(&storage->heap, alignment, size, &block);
    storage->heap_stores = false;
    if (error)
        (void)tmf_fail(error, "allocating %zu bytes, aligned to %zu, in '%s'", size, alignment,
                       storage->odb_path);
    error = check_doom(storage, error);
    return error ? refuse(error) : block;
}

void *tmf_resize(tmf_writer *writer, void *block, size_t old_size, size_t new_size)
{
    void *resized = NULL;
    int error = tmf_writer_check(writer);
    if (error)
        return refuse(error);
    struct tmf_storage *storage = writer->storage;
    storage->heap_stores = true;
    error = tmf_heap_resize(&storage->heap, block, old_size, new_size, &resized);
    storage->heap_stores = false;
    if (error)
        (void)tmf_fail(error, "resizing the block at %p of '%s' from %zu to %zu bytes", block,
                       storage->odb_path, old_size, new_size);
    error = check_doom(storage, error);
    return error ? refuse(error) : resized;
}

int tmf_free(tmf_writer *writer, void *block, size_t size)
{
    if (!block)
        return 0;
    int error = tmf_writer_check(writer);
    if (error)
        return error;
    struct tmf_storage *storage = writer->storage;
    storage->heap_stores = true;
    error = tmf_heap_free(&storage->heap, block, size);
    storage->heap_stores = false;
    if (error)
        (void)tmf_fail(error, "freeing %zu bytes at %p of '%s'", size, block, storage->odb_path);
    return check_doom(storage, error);
}

/* ---- what a storage is and did */

void *tmf_address(const tmf_storage *storage)
{
    return storage->arena.base;
}

size_t tmf_size(const tmf_storage *storage)
{
    return storage->arena.size;
}

void tmf_stats_get(const tmf_storage *storage, tmf_stats *out)
{
    *out = storage->stats;
    out->log_bytes = storage->log.bytes_written;
    out->syncs += storage->log.syncs;
    out->nodes_visited = storage->heap.nodes_visited;
}

/*
 * What follows is for readers too, and they are many: each takes a handle of its own, since a
 * handle counts the nodes that are visited through it.
 */
static int check_mapped(const struct tmf_storage *storage)
{
    return storage->forked ? tmf_fail(TMF_EFORKED, "reading '%s'", storage->odb_path) : 0;
}

int tmf_info_get(tmf_storage *storage, tmf_info *out)
{
    tmf_heap_stats heap;
    int error = check_mapped(storage);
    if (error)
        return error;
    tmf_heap view = storage->heap;
    error = tmf_heap_stats_get(&view, &heap);
    if (error)
        return tmf_fail(error, "reading the heap of '%s'", storage->odb_path);
    const struct tmf_file_header *header = tmf_header(storage);
    *out = (tmf_info){.id = header->id,
                      .version = header->version,
                      .magic = header->magic,
                      .address = storage->arena.base,
                      .size = header->size,
                      .root_size = header->root_size,
                      .quantum = heap.quantum,
                      .index = heap.index,
                      .strategy = storage->strategy->name,
                      .durability = storage->durability,
                      .sequence = storage->strategy->is_redo ? storage->log.at.sequence
                                                             : storage->log.sequence,
                      .log_size = storage->log.size,
                      .used_bytes = heap.used_bytes,
                      .free_bytes = heap.free_bytes,
                      .metadata_bytes = heap.metadata_bytes,
                      .largest_free_bytes = heap.largest_free_bytes,
                      .used_blocks = heap.used_blocks,
                      .free_blocks = heap.free_blocks};
    return 0;
}

struct walk {
    int (*visit)(void *context, const tmf_block *block);
    void *context;
};

static int visit_block(void *context, const tmf_heap_block *block)
{
    const struct walk *walk = context;
    tmf_block outside = {block->offset, block->size, block->is_free};
    return walk->visit(walk->context, &outside);
}

int tmf_walk(tmf_storage *storage, int (*visit)(void *context, const tmf_block *block),
             void *context)
{
    struct walk walk = {visit, context};
    int error = check_mapped(storage);
    tmf_heap view = storage->heap;
    return error ? error : tmf_heap_walk(&view, visit_block, &walk);
}

int tmf_check(tmf_storage *storage)
{
    tmf_heap_fault fault = {0};
    int error = check_mapped(storage);
    if (error)
        return error;
    tmf_heap view = storage->heap;
    error = tmf_heap_check(&view, &fault);
    return error ? tmf_fail(error, "checking '%s': at offset %zu: %s", storage->odb_path,
                            fault.offset, fault.invariant ? fault.invariant : "")
                 : 0;
}
