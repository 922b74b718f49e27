/* SPDX-License-Identifier: MIT */
#include "harness/record_join.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/record_stream.h"
#include "harness/trace_writer.h"

#define NO_BLOCK UINT32_MAX

struct stream {
    const unsigned char *file; /* mapped */
    size_t file_size;          /* bytes */
    const struct record_head *head;
    uint64_t count; /* of records */
};

/* A thread of a stream; its number is its place in the table. */
struct thread {
    uint32_t recorded; /* as the stream calls it */
    uint32_t resizing; /* the block that it is about to resize, or NO_BLOCK */
    uint64_t address;  /* of that */
};

struct live_block {
    uint64_t address;
    uint32_t number;
};

/* Of the stream that is being joined. */
struct join {
    struct trace_writer *writer;
    struct record_facts *facts;
    uint64_t operations_max;
    void *blocks;    /* those that live, a tree of struct live_block by address */
    uint32_t *freed; /* numbers to use again, the last first */
    size_t freed_count, freed_room;
    uint32_t next; /* the lowest number never used */
    struct thread *threads;
    uint32_t thread_count, thread_room;
    int error; /* ENOMEM */
};

static int compare_blocks(const void *left, const void *right)
{
    uint64_t a = ((const struct live_block *)left)->address;
    uint64_t b = ((const struct live_block *)right)->address;
    return (a > b) - (a < b);
}

static void *grow(struct join *join, void *table, size_t room, size_t item)
{
    void *larger = reallocarray(table, room, item);
    if (!larger)
        join->error = ENOMEM;
    return larger;
}

/* ---- blocks ---- */

static uint32_t take_number(struct join *join)
{
    return join->freed_count > 0 ? join->freed[--join->freed_count] : join->next++;
}

static void give_number(struct join *join, uint32_t number)
{
    if (join->freed_count == join->freed_room) {
        size_t room = join->freed_room ? 2 * join->freed_room : 1024;
        uint32_t *larger = grow(join, join->freed, room, sizeof(*larger));
        if (!larger)
            return;
        join->freed = larger;
        join->freed_room = room;
    }
    join->freed[join->freed_count++] = number;
}

static void insert_block(struct join *join, uint64_t address, uint32_t number)
{
    struct live_block *block = malloc(sizeof(*block));
    if (block) {
        *block = (struct live_block){address, number};
        if (tsearch(block, &join->blocks, compare_blocks))
            return;
        free(block);
    }
    join->error = ENOMEM;
}

/* Its number, or NO_BLOCK where none lives at this address. */
static uint32_t remove_block(struct join *join, uint64_t address)
{
    struct live_block key = {.address = address};
    struct live_block **found = tfind(&key, &join->blocks, compare_blocks);
    if (!found)
        return NO_BLOCK;
    struct live_block *block = *found;
    uint32_t number = block->number;
    tdelete(&key, &join->blocks, compare_blocks);
    free(block);
    return number;
}

/* ---- operations ---- */

static void add(struct join *join, enum trace_kind kind, uint32_t block,
                const struct record *record, uint32_t thread)
{
    if (join->facts->operations == join->operations_max) {
        join->facts->cut = 1;
        return;
    }
    join->facts->operations++;
    trace_writer_add(join->writer,
                     &(struct trace_operation){.kind = kind,
                                               .block = block,
                                               .thread = thread,
                                               .size = record->size,
                                               .alignment = UINT64_C(1) << record->alignment_log,
                                               .zeroed = record->kind == RECORD_ALLOCATED_ZEROED});
}

static void join_free(struct join *join, const struct record *record, uint32_t thread)
{
    uint32_t number = remove_block(join, record->address);
    if (number == NO_BLOCK) {
        join->facts->left_out++;
        return;
    }
    add(join, TRACE_FREE, number, record, thread);
    give_number(join, number);
}

static void join_allocation(struct join *join, const struct record *record, uint32_t thread)
{
    uint32_t missed = remove_block(join, record->address);
    if (missed != NO_BLOCK) {
        join->facts->mended++;
        add(join, TRACE_FREE, missed, record, thread);
        give_number(join, missed);
    }
    uint32_t number = take_number(join);
    insert_block(join, record->address, number);
    add(join, TRACE_ALLOCATE, number, record, thread);
}

/* The block has no address until the thread's next record. */
static void join_resizes(struct join *join, const struct record *record, uint32_t thread)
{
    join->threads[thread].resizing = remove_block(join, record->address);
    join->threads[thread].address = record->address;
}

static void join_resized(struct join *join, const struct record *record, uint32_t thread)
{
    struct thread *own = &join->threads[thread];
    uint32_t number = own->resizing;
    own->resizing = NO_BLOCK;
    if (number == NO_BLOCK) {
        if (record->address)
            join_allocation(join, record, thread);
        else
            join->facts->left_out += record->size == 0;
    } else if (record->address) {
        insert_block(join, record->address, number);
        add(join, TRACE_RESIZE, number, record, thread);
    } else if (record->size > 0) {
        insert_block(join, own->address, number); /* it failed */
    } else {
        add(join, TRACE_FREE, number, record, thread);
        give_number(join, number);
    }
}

/* The place of the thread in the table; without memory the first. */
static uint32_t find_thread(struct join *join, uint32_t recorded)
{
    for (uint32_t n = join->thread_count; n-- > 0;) {
        if (join->threads[n].recorded == recorded)
            return n;
    }
    if (join->thread_count == join->thread_room) {
        uint32_t room = join->thread_room ? 2 * join->thread_room : 16;
        struct thread *larger = grow(join, join->threads, room, sizeof(*larger));
        if (!larger)
            return 0;
        join->threads = larger;
        join->thread_room = room;
    }
    join->threads[join->thread_count] = (struct thread){recorded, NO_BLOCK, 0};
    return join->thread_count++;
}

static void join_record(struct join *join, const struct record *record)
{
    unsigned kind = record->kind;
    if (kind == RECORD_NONE) {
        join->facts->unfinished++;
        return;
    }
    uint32_t thread = find_thread(join, record->thread);
    if (join->error)
        return;
    switch (kind) {
    case RECORD_FREES:
        join_free(join, record, thread);
        break;
    case RECORD_RESIZES:
        join_resizes(join, record, thread);
        break;
    case RECORD_RESIZED:
        join_resized(join, record, thread);
        break;
    default:
        join_allocation(join, record, thread);
    }
}

static void join_finish(struct join *join)
{
    while (join->blocks) {
        struct live_block *block = *(struct live_block **)join->blocks;
        tdelete(block, &join->blocks, compare_blocks);
        free(block);
    }
    free(join->freed);
    free(join->threads);
}

/* The number of the stream that was the parent when stream n began; as a trace says it. */
static uint32_t parent_of(const struct stream *streams, uint32_t n)
{
    for (uint32_t before = n; before-- > 0;) {
        if (streams[before].head->pid == streams[n].head->parent)
            return before + 1;
    }
    return 0;
}

static int join_stream(const struct stream *streams, uint32_t n, struct trace_writer *writer,
                       uint64_t operations_max, struct record_facts *facts)
{
    const struct stream *stream = &streams[n];
    const struct record *records = (const void *)(stream->file + RECORD_HEAD_BYTES);
    struct join join = {.writer = writer, .facts = facts, .operations_max = operations_max};
    char name[sizeof(stream->head->name) + 1] = {0};
    memcpy(name, stream->head->name, sizeof(stream->head->name));
    trace_writer_process(writer, name, parent_of(streams, n));
    for (uint64_t ticket = 0; ticket < stream->count && !join.error && !facts->cut; ticket++)
        join_record(&join, &records[ticket]);
    trace_writer_add(writer, &(struct trace_operation){.kind = TRACE_EXIT});
    facts->processes++;
    if (stream->head->failed) {
        facts->stopped++;
        facts->error = stream->head->error;
    }
    join_finish(&join);
    return join.error;
}

/* ---- the files ---- */

/* How many records there are: of the tickets taken those that have room in the file. */
static uint64_t count_records(const struct stream *stream)
{
    uint64_t count = stream->head->next;
    uint64_t room = (stream->file_size - RECORD_HEAD_BYTES) / sizeof(struct record);
    if (stream->head->failed && stream->head->failed - 1 < count)
        count = stream->head->failed - 1;
    return count < room ? count : room;
}

/* 0, ENODATA where the process died before it had begun its stream, or an errno. */
static int open_stream(const char *folder, const char *name, struct stream *out)
{
    char path[4096];
    struct stat about;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
        return ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fstat(fd, &about) != 0 ? errno : 0;
    out->file_size = (size_t)about.st_size;
    if (error == 0 && out->file_size < RECORD_HEAD_BYTES)
        error = ENODATA;
    void *file = MAP_FAILED;
    if (error == 0)
        file = mmap(NULL, out->file_size, PROT_READ, MAP_SHARED, fd, 0);
    if (error == 0 && file == MAP_FAILED)
        error = errno;
    close(fd);
    if (error)
        return error;
    out->file = file;
    out->head = file;
    if (out->head->magic != RECORD_MAGIC) {
        munmap(file, out->file_size);
        return ENODATA;
    }
    out->count = count_records(out);
    return 0;
}

static void close_streams(struct stream *streams, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        munmap((void *)(uintptr_t)streams[n].file, streams[n].file_size);
    free(streams);
}

static int compare_streams(const void *left, const void *right)
{
    const struct record_head *a = ((const struct stream *)left)->head;
    const struct record_head *b = ((const struct stream *)right)->head;
    return (a->started_ns > b->started_ns) - (a->started_ns < b->started_ns);
}

static int is_stream(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* All of the folder, in the order in which they began. */
static int open_streams(const char *folder, struct stream **out, uint32_t *out_count)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_stream, NULL);
    if (count < 0)
        return errno;
    struct stream *streams = calloc((size_t)count + 1, sizeof(*streams));
    uint32_t opened = 0;
    int error = streams ? 0 : ENOMEM;
    for (int n = 0; n < count; n++) {
        if (error == 0)
            error = open_stream(folder, entries[n]->d_name, &streams[opened]);
        opened += error == 0;
        if (error == ENODATA)
            error = 0;
        free(entries[n]);
    }
    free(entries);
    if (error) {
        close_streams(streams, opened);
        return error;
    }
    qsort(streams, opened, sizeof(*streams), compare_streams);
    *out = streams;
    *out_count = opened;
    return 0;
}

int record_join(const char *folder, uint64_t operations_max, const char *path,
                struct record_facts *out)
{
    struct stream *streams = NULL;
    uint32_t count = 0;
    *out = (struct record_facts){0};
    int error = open_streams(folder, &streams, &count);
    if (error)
        return error;
    struct trace_writer *writer = trace_writer_new();
    if (!writer)
        error = ENOMEM;
    for (uint32_t n = 0; n < count && error == 0 && !out->cut; n++)
        error = join_stream(streams, n, writer, operations_max, out);
    if (error == 0 && out->operations > 0)
        error = trace_writer_finish(writer, path);
    trace_writer_free(writer);
    close_streams(streams, count);
    return error;
}
