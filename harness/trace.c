/* SPDX-License-Identifier: MIT */
/*
 * Reading in three steps, each of which believes only what the one before has proven: the file is
 * as it was written (size, checksum); the header keeps the limits and the frame decodes to as many
 * bytes as it says; the operations make sense, one by one. Memory is taken by the first two alone.
 */
#include "harness/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "alloc/tmf_errors.h"
#include "harness/trace_format.h"

#define NOT_LIVE UINT64_MAX /* as the size of a block */

struct trace {
    struct trace_facts facts;
    struct trace_process *processes;
    unsigned char *decoded;
    size_t decoded_size; /* bytes */
};

static int refuse(struct trace_fault *fault, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(struct trace_fault *fault, int error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(fault->what, sizeof(fault->what), format, list);
    va_end(list);
    return error;
}

/* ---- decoding ---- */

/* What stands next in the decoded bytes. */
enum item { ITEM_OPERATION, ITEM_PROCESS, ITEM_END, ITEM_WRONG };

struct process_start {
    uint64_t parent;
    const unsigned char *name;
    uint64_t name_length;
};

static bool read_byte(struct trace_cursor *cursor, unsigned *out)
{
    if (cursor->at == cursor->end)
        return false;
    *out = *cursor->at++;
    return true;
}

static bool read_varint(struct trace_cursor *cursor, uint64_t *out)
{
    uint64_t value = 0;
    unsigned byte;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!read_byte(cursor, &byte) || (shift == 63 && byte > 1))
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_number(struct trace_cursor *cursor, uint32_t *out)
{
    uint64_t value;
    if (!read_varint(cursor, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* Wraps where the difference is nonsense; the number is checked by whoever looks it up. */
static bool read_block(struct trace_cursor *cursor, struct trace_operation *out)
{
    uint64_t coded;
    if (!read_varint(cursor, &coded))
        return false;
    uint64_t difference = (coded >> 1) ^ (0 - (coded & 1));
    uint64_t block = cursor->block + difference;
    if (block > UINT32_MAX)
        return false;
    out->block = cursor->block = (uint32_t)block;
    return true;
}

static bool read_alignment(struct trace_cursor *cursor, uint64_t *out)
{
    unsigned log;
    if (!read_byte(cursor, &log) || log > TRACE_ALIGNMENT_LOG_MAX)
        return false;
    *out = UINT64_C(1) << log;
    return true;
}

static bool read_operation(struct trace_cursor *cursor, unsigned code, struct trace_operation *out)
{
    const unsigned flags = TRACE_CODE_ALIGNED | TRACE_CODE_ZEROED;
    *out = (struct trace_operation){
        .process = cursor->process - 1, .thread = cursor->thread, .alignment = 1};
    switch (code) {
    case TRACE_CODE_RESIZE:
        out->kind = TRACE_RESIZE;
        return read_block(cursor, out) && read_varint(cursor, &out->size);
    case TRACE_CODE_FREE:
        out->kind = TRACE_FREE;
        return read_block(cursor, out);
    case TRACE_CODE_EXIT:
        out->kind = TRACE_EXIT;
        return true;
    default:
        out->kind = TRACE_ALLOCATE;
        out->zeroed = (code & TRACE_CODE_ZEROED) != 0;
        return (code & ~flags) == TRACE_CODE_ALLOCATE &&
               (!(code & TRACE_CODE_ALIGNED) || read_alignment(cursor, &out->alignment)) &&
               read_block(cursor, out) && read_varint(cursor, &out->size);
    }
}

static bool read_process(struct trace_cursor *cursor, struct process_start *out)
{
    if (!read_varint(cursor, &out->parent) || !read_varint(cursor, &out->name_length) ||
        out->name_length >= TRACE_NAME_MAX ||
        out->name_length > (uint64_t)(cursor->end - cursor->at))
        return false;
    out->name = cursor->at;
    cursor->at += out->name_length;
    cursor->block = cursor->thread = 0;
    cursor->process++;
    return true;
}

static enum item read_item(struct trace_cursor *cursor, struct trace_operation *operation,
                           struct process_start *start)
{
    unsigned code;
    while (read_byte(cursor, &code)) {
        if (code == TRACE_CODE_PROCESS)
            return read_process(cursor, start) ? ITEM_PROCESS : ITEM_WRONG;
        if (code != TRACE_CODE_THREAD)
            return read_operation(cursor, code, operation) ? ITEM_OPERATION : ITEM_WRONG;
        if (!read_number(cursor, &cursor->thread))
            return ITEM_WRONG;
    }
    return ITEM_END;
}

/* ---- checking ---- */

struct check {
    struct trace *trace;
    const struct trace_header *header;
    uint64_t *sizes; /* of the blocks of the process, up to its blocks_peak */
    struct trace_process *process;
    bool inside;    /* a process, between its beginning and its exit */
    uint64_t bytes; /* of the blocks that live now */
    const char *wrong;
};

static bool is_wrong(struct check *check, const char *what)
{
    check->wrong = what;
    return false;
}

static bool check_process(struct check *check, const struct process_start *start)
{
    struct trace_facts *facts = &check->trace->facts;
    if (check->inside)
        return is_wrong(check, "a process begins inside another");
    if (facts->process_count == check->header->processes)
        return is_wrong(check, "there are more processes than the header says");
    if (start->parent > facts->process_count)
        return is_wrong(check, "a process was forked by one that comes later");
    check->process = &check->trace->processes[facts->process_count++];
    check->process->parent = (uint32_t)start->parent;
    memcpy(check->process->name, start->name, start->name_length);
    check->inside = true;
    check->bytes = 0;
    return true;
}

static bool check_thread(struct check *check, const struct trace_operation *operation)
{
    struct trace_process *process = check->process;
    if (operation->thread > process->threads)
        return is_wrong(check, "a thread's number is left out");
    if (operation->thread == process->threads) {
        process->threads++;
        check->trace->facts.threads++;
    }
    return true;
}

static bool add_bytes(struct check *check, uint64_t size)
{
    struct trace_facts *facts = &check->trace->facts;
    if (size > TRACE_SIZE_MAX - check->bytes)
        return is_wrong(check, "more bytes live than there can be");
    check->bytes += size;
    if (check->bytes > check->process->bytes_peak)
        check->process->bytes_peak = check->bytes;
    if (size > facts->block_size_max)
        facts->block_size_max = size;
    return true;
}

static bool check_allocation(struct check *check, const struct trace_operation *operation)
{
    struct trace_process *process = check->process;
    if (operation->block > process->blocks_peak)
        return is_wrong(check, "a block's number is left out");
    if (operation->block == check->header->blocks)
        return is_wrong(check, "a block's number is beyond what the header says");
    if (operation->block == process->blocks_peak)
        process->blocks_peak++;
    else if (check->sizes[operation->block] != NOT_LIVE)
        return is_wrong(check, "a block is allocated that lives already");
    check->trace->facts.allocations++;
    check->sizes[operation->block] = operation->size;
    return add_bytes(check, operation->size);
}

static bool check_old_block(struct check *check, const struct trace_operation *operation)
{
    bool is_free = operation->kind == TRACE_FREE;
    uint32_t block = operation->block;
    if (block >= check->process->blocks_peak || check->sizes[block] == NOT_LIVE)
        return is_wrong(check, "a block is freed or resized that does not live");
    check->bytes -= check->sizes[block];
    check->sizes[block] = is_free ? NOT_LIVE : operation->size;
    check->trace->facts.frees += is_free;
    check->trace->facts.resizes += !is_free;
    return is_free || add_bytes(check, operation->size);
}

static bool check_exit(struct check *check)
{
    struct trace_facts *facts = &check->trace->facts;
    const struct trace_process *process = check->process;
    if (process->bytes_peak > facts->bytes_peak)
        facts->bytes_peak = process->bytes_peak;
    if (process->blocks_peak > facts->blocks_peak)
        facts->blocks_peak = process->blocks_peak;
    check->inside = false;
    return true;
}

static bool check_operation(struct check *check, const struct trace_operation *operation)
{
    if (!check->inside)
        return is_wrong(check, "an operation is in no process");
    if (operation->kind == TRACE_EXIT)
        return check_exit(check);
    check->trace->facts.operations++;
    check->process->operations++;
    if (!check_thread(check, operation))
        return false;
    return operation->kind == TRACE_ALLOCATE ? check_allocation(check, operation)
                                             : check_old_block(check, operation);
}

static bool check_end(struct check *check)
{
    const struct trace_facts *facts = &check->trace->facts;
    if (check->inside)
        return is_wrong(check, "the last process has no exit");
    if (facts->operations != check->header->operations ||
        facts->process_count != check->header->processes ||
        facts->blocks_peak != check->header->blocks)
        return is_wrong(check, "the header counts other operations, processes or blocks");
    return true;
}

static int check_all(struct check *check, struct trace_fault *fault)
{
    struct trace_cursor cursor = trace_begin(check->trace), before;
    struct trace_operation operation;
    struct process_start start;
    enum item item;
    bool holds;
    do {
        before = cursor;
        item = read_item(&cursor, &operation, &start);
        if (item == ITEM_OPERATION)
            holds = check_operation(check, &operation);
        else if (item == ITEM_PROCESS)
            holds = check_process(check, &start);
        else
            holds = item == ITEM_END ? check_end(check) : is_wrong(check, "this is no operation");
    } while (holds && item != ITEM_END);
    if (holds)
        return 0;
    return refuse(fault, TMF_ECORRUPT, "%s: operation %" PRIu64 ", byte %td of the decoded %zu",
                  check->wrong, check->trace->facts.operations, before.at - check->trace->decoded,
                  check->trace->decoded_size);
}

/* ---- the file ---- */

static int check_header(const unsigned char *file, size_t size, struct trace_header *out,
                        struct trace_fault *fault)
{
    if (size < sizeof(*out) || memcmp(file, TRACE_MAGIC, sizeof(out->magic)) != 0)
        return refuse(fault, TMF_EWRONGFILETYPE, "it is no trace: it does not begin with '%s'",
                      TRACE_MAGIC);
    memcpy(out, file, sizeof(*out));
    if (out->version != TRACE_VERSION)
        return refuse(fault, TMF_EWRONGVERSION, "it has version %" PRIu32 " of the format, not %d",
                      out->version, TRACE_VERSION);
    if (out->file_size != size)
        return refuse(fault, TMF_ECORRUPT, "it was cut: it has %zu bytes, not %" PRIu64, size,
                      out->file_size);
    if (trace_checksum(file, size) != out->checksum)
        return refuse(fault, TMF_ECORRUPT, "it was changed: the checksum of its %zu bytes is wrong",
                      size);
    if (out->frame_size > size - sizeof(*out))
        return refuse(fault, TMF_ECORRUPT, "byte 32: a frame of %" PRIu64 " bytes is not in it",
                      out->frame_size);
    if (out->processes > size || out->decoded_size > size * TRACE_DECODED_LIMIT ||
        out->operations > out->decoded_size || out->blocks > size * TRACE_BLOCKS_LIMIT)
        return refuse(fault, TMF_ECORRUPT,
                      "bytes 12 and 40 to 64: a file of %zu bytes does not hold so much", size);
    return 0;
}

/* Fills in `decoded`. */
static int decode_frame(struct trace *trace, const unsigned char *file,
                        const struct trace_header *header, struct trace_fault *fault)
{
    trace->decoded_size = header->decoded_size;
    trace->decoded = malloc(trace->decoded_size + 1);
    if (!trace->decoded)
        return refuse(fault, ENOMEM, "no memory for %zu bytes", trace->decoded_size);
    size_t decoded = ZSTD_decompress(trace->decoded, trace->decoded_size, file + sizeof(*header),
                                     header->frame_size);
    if (ZSTD_isError(decoded))
        return refuse(fault, TMF_ECORRUPT, "byte %zu: the frame does not decode: %s",
                      sizeof(*header), ZSTD_getErrorName(decoded));
    if (decoded != trace->decoded_size)
        return refuse(fault, TMF_ECORRUPT, "byte 40: the frame decodes to %zu bytes, not %zu",
                      decoded, trace->decoded_size);
    return 0;
}

static int parse(struct trace *trace, const unsigned char *file, size_t size,
                 struct trace_fault *fault)
{
    struct trace_header header = {0};
    int error = check_header(file, size, &header, fault);
    if (error == 0)
        error = decode_frame(trace, file, &header, fault);
    if (error)
        return error;
    struct check check = {.trace = trace, .header = &header};
    check.sizes = malloc(((size_t)header.blocks + 1) * sizeof(*check.sizes));
    trace->processes = calloc((size_t)header.processes + 1, sizeof(*trace->processes));
    if (check.sizes && trace->processes)
        error = check_all(&check, fault);
    else
        error = refuse(fault, ENOMEM, "no memory for a trace of %" PRIu64 " blocks", header.blocks);
    free(check.sizes);
    return error;
}

/* Fills `to`; 0 or an errno. EIO: the file ends before. */
static int read_all(int fd, unsigned char *to, size_t size)
{
    while (size > 0) {
        ssize_t got = read(fd, to, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        to += got;
        size -= (size_t)got;
    }
    return 0;
}

static int load(int fd, unsigned char **out, size_t *size, struct trace_fault *fault)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return refuse(fault, errno, "%s", strerror(errno));
    if (!S_ISREG(about.st_mode))
        return refuse(fault, TMF_EWRONGFILETYPE, "it is no file");
    if ((uint64_t)about.st_size > TRACE_FILE_MAX)
        return refuse(fault, EFBIG, "it has %jd bytes, more than any trace",
                      (intmax_t)about.st_size);
    *size = (size_t)about.st_size;
    *out = malloc(*size + 1);
    if (!*out)
        return refuse(fault, ENOMEM, "no memory for %zu bytes", *size);
    int error = read_all(fd, *out, *size);
    if (error)
        refuse(fault, error, "reading it failed: %s", strerror(error));
    return error;
}

int trace_open(const char *path, struct trace **out, struct trace_fault *fault)
{
    unsigned char *file = NULL;
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe shall not make us wait */
    if (fd < 0)
        return refuse(fault, errno, "%s", strerror(errno));
    int error = load(fd, &file, &size, fault);
    close(fd);
    struct trace *trace = calloc(1, sizeof(*trace));
    if (error == 0)
        error = trace ? parse(trace, file, size, fault) : refuse(fault, ENOMEM, "no memory");
    free(file);
    if (error)
        trace_close(trace);
    else
        *out = trace;
    return error;
}

void trace_close(struct trace *trace)
{
    if (trace) {
        free(trace->decoded);
        free(trace->processes);
    }
    free(trace);
}

const struct trace_facts *trace_facts_of(const struct trace *trace)
{
    return &trace->facts;
}

const struct trace_process *trace_process_at(const struct trace *trace, uint32_t n)
{
    return &trace->processes[n];
}

struct trace_cursor trace_begin(const struct trace *trace)
{
    return (struct trace_cursor){.at = trace->decoded, .end = trace->decoded + trace->decoded_size};
}

bool trace_next(struct trace_cursor *cursor, struct trace_operation *out)
{
    struct process_start start;
    enum item item;
    do
        item = read_item(cursor, out, &start);
    while (item == ITEM_PROCESS);
    return item == ITEM_OPERATION;
}
