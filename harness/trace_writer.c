/* SPDX-License-Identifier: MIT */
#include "harness/trace_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "harness/trace_format.h"

#define LEVEL      19 /* of compression; a trace is written once and read often */
#define ROOM_MIN   ((size_t)1 << 16)
#define ITEM_BYTES ((size_t)64) /* no item takes more, its thread included */

struct trace_writer {
    unsigned char *decoded;
    size_t size, room; /* bytes */
    int error;         /* the first, an errno; nothing is added after it */
    uint64_t operations, blocks;
    uint32_t processes;
    uint32_t block, thread; /* of the operation before */
};

struct trace_writer *trace_writer_new(void)
{
    return calloc(1, sizeof(struct trace_writer));
}

void trace_writer_free(struct trace_writer *writer)
{
    if (writer)
        free(writer->decoded);
    free(writer);
}

static bool has_room(struct trace_writer *writer)
{
    if (writer->error == 0 && writer->room - writer->size < ITEM_BYTES) {
        size_t room = writer->room ? 2 * writer->room : ROOM_MIN;
        unsigned char *larger = realloc(writer->decoded, room);
        if (!larger) {
            writer->error = ENOMEM;
            return false;
        }
        writer->decoded = larger;
        writer->room = room;
    }
    return writer->error == 0;
}

static void put_byte(struct trace_writer *writer, unsigned byte)
{
    writer->decoded[writer->size++] = (unsigned char)byte;
}

static void put_varint(struct trace_writer *writer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(writer, (unsigned)(value & 0x7f) | 0x80);
    put_byte(writer, (unsigned)value);
}

static void put_block(struct trace_writer *writer, uint32_t block)
{
    int64_t difference = (int64_t)block - (int64_t)writer->block;
    put_varint(writer, difference >= 0 ? 2 * (uint64_t)difference : 2 * (uint64_t)-difference - 1);
    writer->block = block;
    if (block >= writer->blocks)
        writer->blocks = (uint64_t)block + 1;
}

static unsigned log_of(uint64_t power_of_two)
{
    unsigned log = (unsigned)__builtin_ctzll(power_of_two);
    return log < TRACE_ALIGNMENT_LOG_MAX ? log : TRACE_ALIGNMENT_LOG_MAX;
}

static void put_allocation(struct trace_writer *writer, const struct trace_operation *operation)
{
    bool aligned = operation->alignment > 1;
    put_byte(writer, TRACE_CODE_ALLOCATE | (aligned ? TRACE_CODE_ALIGNED : 0u) |
                         (operation->zeroed ? TRACE_CODE_ZEROED : 0u));
    if (aligned)
        put_byte(writer, log_of(operation->alignment));
    put_block(writer, operation->block);
    put_varint(writer, operation->size);
}

void trace_writer_process(struct trace_writer *writer, const char *name, uint32_t parent)
{
    size_t length = strnlen(name, TRACE_NAME_MAX - 1);
    if (!has_room(writer))
        return;
    put_byte(writer, TRACE_CODE_PROCESS);
    put_varint(writer, parent);
    put_varint(writer, length);
    for (size_t n = 0; n < length; n++)
        put_byte(writer, (unsigned char)name[n]);
    writer->block = writer->thread = 0;
    writer->processes++;
}

void trace_writer_add(struct trace_writer *writer, const struct trace_operation *operation)
{
    if (!has_room(writer))
        return;
    if (operation->kind == TRACE_EXIT) {
        put_byte(writer, TRACE_CODE_EXIT);
        return;
    }
    if (operation->thread != writer->thread) {
        writer->thread = operation->thread;
        put_byte(writer, TRACE_CODE_THREAD);
        put_varint(writer, writer->thread);
    }
    writer->operations++;
    if (operation->kind == TRACE_ALLOCATE) {
        put_allocation(writer, operation);
        return;
    }
    put_byte(writer, operation->kind == TRACE_FREE ? TRACE_CODE_FREE : TRACE_CODE_RESIZE);
    put_block(writer, operation->block);
    if (operation->kind == TRACE_RESIZE)
        put_varint(writer, operation->size);
}

static uint64_t larger_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

/* Of the file, so that it keeps the limits of its own size. */
static uint64_t file_size(const struct trace_writer *writer, size_t frame_size)
{
    uint64_t size = sizeof(struct trace_header) + frame_size;
    size = larger_of(size, divide_up(writer->size, TRACE_DECODED_LIMIT));
    size = larger_of(size, divide_up(writer->blocks, TRACE_BLOCKS_LIMIT));
    return larger_of(size, writer->processes);
}

/* Makes the content of the file; NULL: no memory. */
static unsigned char *make_file(const struct trace_writer *writer, uint64_t *out_size)
{
    size_t bound = ZSTD_compressBound(writer->size);
    unsigned char *frame = malloc(bound);
    if (!frame)
        return NULL;
    size_t frame_size = ZSTD_compress(frame, bound, writer->decoded, writer->size, LEVEL);
    unsigned char *file = NULL;
    if (!ZSTD_isError(frame_size)) {
        *out_size = file_size(writer, frame_size);
        file = calloc(1, *out_size);
    }
    if (file) {
        struct trace_header header = {.version = TRACE_VERSION,
                                      .processes = writer->processes,
                                      .file_size = *out_size,
                                      .frame_size = frame_size,
                                      .decoded_size = writer->size,
                                      .operations = writer->operations,
                                      .blocks = writer->blocks};
        memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
        memcpy(file, &header, sizeof(header));
        memcpy(file + sizeof(header), frame, frame_size);
        header.checksum = trace_checksum(file, *out_size);
        memcpy(file, &header, sizeof(header));
    }
    free(frame);
    return file;
}

static int write_all(int fd, const unsigned char *from, uint64_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        from += written;
        size -= (uint64_t)written;
    }
    return 0;
}

int trace_writer_finish(struct trace_writer *writer, const char *path)
{
    uint64_t size;
    if (writer->error)
        return writer->error;
    unsigned char *file = make_file(writer, &size);
    if (!file)
        return ENOMEM;
    int error = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        error = errno;
    else
        error = write_all(fd, file, size);
    if (fd >= 0 && close(fd) != 0 && error == 0)
        error = errno;
    free(file);
    return error;
}
