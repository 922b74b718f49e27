/* SPDX-License-Identifier: MIT */
/* What trace.h says of a file, as the reader and the writer share it. */
#ifndef HARNESS_TRACE_FORMAT_H
#define HARNESS_TRACE_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/checksum.h"

#define TRACE_MAGIC   "tmftrace"
#define TRACE_VERSION 1
/* For each byte of a file. */
#define TRACE_DECODED_LIMIT 256
#define TRACE_BLOCKS_LIMIT  16
/* Bytes; the place of a block is 32 bits, and no real trace comes near. */
#define TRACE_FILE_MAX (UINT64_C(1) << 30)
#define TRACE_SIZE_MAX ((uint64_t)INT64_MAX)

/* The first byte of what the frame holds. */
enum {
    TRACE_CODE_ALLOCATE = 0,
    TRACE_CODE_RESIZE = 1,
    TRACE_CODE_FREE = 2,
    TRACE_CODE_PROCESS = 3,
    TRACE_CODE_EXIT = 4,
    TRACE_CODE_THREAD = 5,
    TRACE_CODE_ALIGNED = 8,
    TRACE_CODE_ZEROED = 16,
};

/* In the byte order of the machine, which is checked to be little-endian by the build. */
struct trace_header {
    unsigned char magic[8];
    uint32_t version;
    uint32_t processes;
    uint64_t file_size; /* bytes, as are those that end in size */
    uint64_t checksum;
    uint64_t frame_size;
    uint64_t decoded_size;
    uint64_t operations;
    uint64_t blocks;
};
static_assert(sizeof(struct trace_header) == 64, "trace.h");
static_assert(offsetof(struct trace_header, processes) == 12, "trace.h");
static_assert(offsetof(struct trace_header, file_size) == 16, "trace.h");
static_assert(offsetof(struct trace_header, checksum) == 24, "trace.h");
static_assert(offsetof(struct trace_header, frame_size) == 32, "trace.h");
static_assert(offsetof(struct trace_header, decoded_size) == 40, "trace.h");
static_assert(offsetof(struct trace_header, operations) == 48, "trace.h");
static_assert(offsetof(struct trace_header, blocks) == 56, "trace.h");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "trace.h");

/* The checksum that belongs to a file; what stands in its place is not looked at. */
static inline uint64_t trace_checksum(const unsigned char *file, size_t size)
{
    const size_t place = offsetof(struct trace_header, checksum);
    uint64_t before = tmf_checksum(file, place, 0);
    size_t behind = place + sizeof(uint64_t);
    return tmf_checksum(file + behind, size - behind, before);
}

#endif
