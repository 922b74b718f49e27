/* SPDX-License-Identifier: MIT */
/*
 * Is this file what the caller asked for? The checks of struct tmf_file_header against the options,
 * each with a sentence that says what to do. Identity first: it never changes after creation, so it
 * is right even while a transaction waits to be undone; nothing is written before it is known.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "txn/checksum.h"
#include "txn/error.h"
#include "txn/storage.h"

static uint64_t header_checksum(const struct tmf_file_header *header)
{
    return tmf_checksum(header, offsetof(struct tmf_file_header, checksum), header->id);
}

void tmf_header_seal(struct tmf_file_header *header)
{
    header->checksum = header_checksum(header);
}

static int check_kind(const char *path, const struct tmf_file_header *header)
{
    if (memcmp(header->file_magic, TMF_FILE_MAGIC, TMF_MAGIC_SIZE) != 0)
        return tmf_fail(TMF_EWRONGFILETYPE, "opening '%s': give the path of a storage without .odb",
                        path);
    if (header->byte_order == __builtin_bswap32(TMF_BYTE_ORDER))
        return tmf_fail(TMF_EWRONGENDIAN, "opening '%s': open it on the kind of machine it is from",
                        path);
    if (header->version != TMF_FORMAT_VERSION)
        return tmf_fail(TMF_EWRONGVERSION,
                        "opening '%s': its format is version %" PRIu32 ", this library's is %u",
                        path, header->version, TMF_FORMAT_VERSION);
    if (header->byte_order != TMF_BYTE_ORDER || header->word_size != sizeof(void *))
        return tmf_fail(TMF_EWRONGENDIAN,
                        "opening '%s': it is from a machine of %" PRIu32
                        "-byte words, this one has %zu",
                        path, header->word_size, sizeof(void *));
    if (header->page_size != TMF_PAGE_SIZE)
        return tmf_fail(TMF_ECORRUPT, "opening '%s': its page size is %" PRIu32 ", not %zu", path,
                        header->page_size, TMF_PAGE_SIZE);
    return 0;
}

int tmf_header_check_identity(const struct tmf_storage *storage,
                              const struct tmf_file_header *header, const tmf_options *options)
{
    const char *path = storage->odb_path;
    int error = check_kind(path, header);
    if (error)
        return error;
    if (options->magic && options->magic != header->magic)
        return tmf_fail(TMF_EWRONGMAGIC,
                        "opening '%s': its magic is %#" PRIx64 ", %#" PRIx64 " was asked for", path,
                        header->magic, options->magic);
    if (options->address && (uintptr_t)options->address != header->address)
        return tmf_fail(TMF_EWRONGADDRESS,
                        "opening '%s' at %p: it was made for %#" PRIx64 "; leave the address out",
                        path, options->address, header->address);
    if (options->root_size && options->root_size != header->root_size)
        return tmf_fail(TMF_EWRONGSIZE,
                        "opening '%s': its root object has %" PRIu64 " bytes, not %zu", path,
                        header->root_size, options->root_size);
    return 0;
}

/* Whether a mapping, a root and a heap can be as it says; a forged header has a good checksum. */
static bool describes_memory(const struct tmf_file_header *header)
{
    return header->size > 0 && header->size <= PTRDIFF_MAX && header->size % TMF_PAGE_SIZE == 0 &&
           header->address > 0 && header->address % TMF_PAGE_SIZE == 0 &&
           header->address <= UINTPTR_MAX - header->size && header->heap_offset <= header->size &&
           header->heap_offset >= TMF_ROOT_OFFSET &&
           header->root_size <= header->heap_offset - TMF_ROOT_OFFSET;
}

int tmf_header_check_state(const struct tmf_storage *storage, const struct tmf_file_header *header,
                           uint64_t file_size)
{
    const char *path = storage->odb_path;
    if (header->checksum != header_checksum(header))
        return tmf_fail(TMF_ECORRUPT,
                        "opening '%s': the checksum of its header is wrong; restore a "
                        "backup",
                        path);
    int error = check_kind(path, header); /* once more: a log may have brought another header */
    if (error)
        return error;
    if (!describes_memory(header))
        return tmf_fail(TMF_ECORRUPT,
                        "opening '%s': its header describes what no memory can hold; restore a "
                        "backup",
                        path);
    if (header->id != storage->log.id)
        return tmf_fail(TMF_ECORRUPT,
                        "opening '%s': '%s' belongs to another storage; put its own "
                        "log back",
                        path, storage->log_path);
    if (header->size > file_size)
        return tmf_fail(TMF_EWRONGSIZE,
                        "opening '%s': %" PRIu64 " bytes are left of %" PRIu64 "; restore a backup",
                        path, file_size, header->size);
    return 0;
}

int tmf_header_check_heap(struct tmf_storage *storage, const tmf_options *options)
{
    tmf_heap_stats stats;
    int error = tmf_heap_stats_get(&storage->heap, &stats);
    if (error)
        return tmf_fail(error, "opening '%s': its heap is damaged", storage->odb_path);
    if (options->quantum && options->quantum != stats.quantum)
        return tmf_fail(EINVAL, "opening '%s' with a quantum of %zu: it was made with %zu",
                        storage->odb_path, options->quantum, stats.quantum);
    if (options->index && strcmp(options->index, stats.index) != 0)
        return tmf_fail(EINVAL, "opening '%s' with index %s: it was made with %s",
                        storage->odb_path, options->index, stats.index);
    return 0;
}
