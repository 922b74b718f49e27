/* SPDX-License-Identifier: MIT */
/*
 * See redo_log.h, and format.h for the bytes and what makes them valid.
 *
 * Records begin at sector borders, so that a torn write of one never harms the one before. Runs
 * are found 64 bytes at a time and trimmed to words; stretches that are closer than a run's head is
 * long are one run.
 */
#include "txn/redo_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/point.h"
#include "txn/checksum.h"
#include "txn/error.h"
#include "txn/file.h"

#define HEAD         sizeof(struct tmf_redo_record)
#define RUN_HEAD     sizeof(struct tmf_redo_run)
#define BUFFER_FIRST ((size_t)64 << 10)
#define BUFFER_KEPT  ((size_t)4 << 20)
#define CHUNK        ((size_t)64)
#define WORD         sizeof(uint64_t)
#define SCAN_BYTES   ((size_t)64 << 10)

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

/* ---- the buffer */

void tmf_redo_buffer_free(struct tmf_redo_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct tmf_redo_buffer){0};
}

void tmf_redo_buffer_clear(struct tmf_redo_buffer *buffer)
{
    if (buffer->capacity > BUFFER_KEPT)
        tmf_redo_buffer_free(buffer);
    buffer->size = 0;
}

/* Makes room for `size` bytes and the zeroes that fill them up to a sector. */
static int reserve(struct tmf_redo_buffer *buffer, size_t size)
{
    size_t needed = round_up(size, TMF_SECTOR_SIZE);
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST;
    if (needed < size)
        return ENOMEM;
    if (needed <= buffer->capacity)
        return 0;
    while (capacity < needed)
        capacity += capacity / 2;
    unsigned char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return ENOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

static int put_run(struct tmf_redo_buffer *buffer, uint64_t offset, const unsigned char *bytes,
                   size_t size)
{
    size_t at = buffer->size ? buffer->size : HEAD;
    int error = reserve(buffer, at + RUN_HEAD + size);
    if (error)
        return error;
    struct tmf_redo_run run = {.offset = offset, .size = size};
    memcpy(buffer->bytes + at, &run, sizeof(run));
    memcpy(buffer->bytes + at + RUN_HEAD, bytes, size);
    buffer->size = at + RUN_HEAD + size;
    return 0;
}

static bool word_differs(const unsigned char *a, const unsigned char *b, size_t at)
{
    uint64_t left;
    uint64_t right;
    memcpy(&left, a + at, WORD);
    memcpy(&right, b + at, WORD);
    return left != right;
}

/* The first word from `at` on that differs; the page's size: none does. */
static size_t find_difference(const unsigned char *a, const unsigned char *b, size_t at)
{
    while (at < TMF_PAGE_SIZE) {
        if (at % CHUNK == 0 &&
            memcmp(a + at, b + at, CHUNK - (TMF_MUTANT("last-word-not-compared") ? WORD : 0)) == 0)
            at += CHUNK;
        else if (word_differs(a, b, at))
            return at;
        else
            at += WORD;
    }
    return TMF_PAGE_SIZE;
}

/* Where the run that starts at `at` ends: more equal bytes follow than a run's head takes. */
static size_t find_end(const unsigned char *a, const unsigned char *b, size_t at)
{
    size_t end = at + WORD;
    for (at = end; at < TMF_PAGE_SIZE && at - end <= RUN_HEAD; at += WORD) {
        if (word_differs(a, b, at))
            end = at + WORD;
    }
    return end;
}

int tmf_redo_buffer_diff(struct tmf_redo_buffer *buffer, uint64_t offset, const unsigned char *page,
                         const unsigned char *committed, bool *changed)
{
    int error = 0;
    size_t at = find_difference(page, committed, 0);
    *changed = at < TMF_PAGE_SIZE;
    while (!error && at < TMF_PAGE_SIZE) {
        size_t end = find_end(page, committed, at);
        size_t lost = TMF_MUTANT("run-cut-short") && end - at > WORD ? WORD : 0;
        error = put_run(buffer, offset + at, page + at, end - at - lost);
        at = find_difference(page, committed, end);
    }
    return error;
}

int tmf_redo_buffer_each(const struct tmf_redo_buffer *buffer, tmf_redo_visit *visit, void *context)
{
    struct tmf_redo_run run;
    int error = 0;
    for (size_t at = HEAD; !error && at < buffer->size; at += RUN_HEAD + round_up(run.size, WORD)) {
        if (buffer->size - at < RUN_HEAD)
            return TMF_ECORRUPT;
        memcpy(&run, buffer->bytes + at, sizeof(run));
        if (run.size > buffer->size - at - RUN_HEAD || run.size == 0)
            return TMF_ECORRUPT;
        error = visit(context, run.offset, buffer->bytes + at + RUN_HEAD, (size_t)run.size);
    }
    return error;
}

/* ---- records */

static uint64_t head_checksum(const struct tmf_log *log, const struct tmf_redo_record *head)
{
    return tmf_checksum(head, offsetof(struct tmf_redo_record, checksum), log->salt);
}

static bool head_holds(const struct tmf_log *log, uint64_t turn, const struct tmf_redo_record *head)
{
    return (head->turn == turn || TMF_MUTANT("turn-unchecked")) &&
           (head->checksum == head_checksum(log, head) || TMF_MUTANT("record-checksum-unchecked"));
}

uint64_t tmf_redo_log_end(const struct tmf_log *log, const struct tmf_redo_buffer *buffer)
{
    return log->at.offset + round_up(buffer->size, TMF_SECTOR_SIZE);
}

int tmf_redo_log_append(struct tmf_log *log, struct tmf_redo_buffer *buffer)
{
    struct tmf_redo_record head = {.turn = log->turn,
                                   .sequence = log->at.sequence,
                                   .size = buffer->size - HEAD,
                                   .durable = log->durable_below,
                                   .previous = log->at.previous};
    size_t whole = round_up(buffer->size, TMF_SECTOR_SIZE);
    head.runs_checksum = tmf_checksum(buffer->bytes + HEAD, buffer->size - HEAD, log->salt);
    head.checksum = head_checksum(log, &head);
    memcpy(buffer->bytes, &head, sizeof(head));
    memset(buffer->bytes + buffer->size, 0, whole - buffer->size);
    TMF_POINT("txn/redo/before-append");
    int error = tmf_file_write(log->fd, buffer->bytes, whole, log->at.offset);
    if (error)
        return error;
    TMF_POINT("txn/redo/appended");
    log->bytes_written += whole;
    whole -= whole > TMF_SECTOR_SIZE && TMF_MUTANT("next-record-too-low") ? TMF_SECTOR_SIZE : 0;
    log->at = (struct tmf_redo_cursor){head.sequence + 1, log->at.offset + whole, head.checksum};
    log->appended = log->at.sequence;
    return 0;
}

static bool is_next(const struct tmf_log *log, const struct tmf_redo_cursor *cursor,
                    const struct tmf_redo_record *head)
{
    if (TMF_MUTANT("stale-record-believed"))
        return head->checksum == head_checksum(log, head);
    return head_holds(log, log->turn, head) &&
           (head->sequence == cursor->sequence || TMF_MUTANT("sequence-unchecked")) &&
           (head->previous == cursor->previous || TMF_MUTANT("chain-unchecked"));
}

static int read_runs(const struct tmf_log *log, uint64_t offset, const struct tmf_redo_record *head,
                     struct tmf_redo_buffer *buffer)
{
    uint64_t file_size;
    int error = tmf_file_size(log->fd, &file_size);
    if (error || head->size > SIZE_MAX / 2 || offset + HEAD + head->size > file_size)
        return error;
    size_t size = HEAD + (size_t)head->size;
    error = reserve(buffer, size);
    if (!error)
        error = tmf_file_read(log->fd, buffer->bytes + HEAD, size - HEAD, offset + HEAD);
    uint64_t checksum = 0;
    if (!error)
        checksum = tmf_checksum(buffer->bytes + HEAD, size - HEAD, log->salt);
    if (!error && (checksum == head->runs_checksum || TMF_MUTANT("runs-checksum-unchecked"))) {
        memcpy(buffer->bytes, head, HEAD);
        buffer->size = size;
    }
    return error;
}

int tmf_redo_log_read(const struct tmf_log *log, struct tmf_redo_cursor *cursor,
                      struct tmf_redo_buffer *buffer)
{
    struct tmf_redo_record head;
    tmf_redo_buffer_clear(buffer);
    int error = tmf_file_read(log->fd, &head, sizeof(head), cursor->offset);
    if (error == TMF_EWRONGSIZE) /* the file ends here: so do the records */
        return 0;
    if (error || !is_next(log, cursor, &head))
        return error;
    error = read_runs(log, cursor->offset, &head, buffer);
    if (error || !buffer->size)
        return error;
    uint64_t whole = round_up(buffer->size, TMF_SECTOR_SIZE);
    *cursor = (struct tmf_redo_cursor){head.sequence + 1, cursor->offset + whole, head.checksum};
    return 0;
}

static bool is_of_later(const struct tmf_log *log, uint64_t turn,
                        const struct tmf_redo_record *head)
{
    return head->turn > turn && head->checksum == head_checksum(log, head);
}

/* What stands behind the end of the records. */
struct remains {
    bool is_later;      /* a record that was written under a later slot; the others: of the same */
    bool is_witness;    /* a record which says that the one at the end was durable */
    bool has_leftovers; /* records that may continue one that is written at the end */
};

static void look_for_remains(const struct tmf_log *log, const struct tmf_redo_cursor *end,
                             const unsigned char *bytes, size_t size, struct remains *out)
{
    struct tmf_redo_record head;
    for (size_t at = 0; at + sizeof(head) <= size; at += TMF_SECTOR_SIZE) {
        memcpy(&head, bytes + at, sizeof(head));
        out->is_later = out->is_later || is_of_later(log, log->turn, &head);
        if (!head_holds(log, log->turn, &head))
            continue;
        out->is_witness = out->is_witness || head.durable > end->sequence;
        out->has_leftovers = out->has_leftovers || head.sequence > end->sequence;
    }
}

/* A writer goes on while we look: then what stands behind the end is no remains. */
static int is_there_by_now(const struct tmf_log *log, const struct tmf_redo_cursor *end, bool *out)
{
    struct tmf_redo_cursor at = *end;
    struct tmf_redo_buffer buffer = {0};
    int error = tmf_redo_log_read(log, &at, &buffer);
    tmf_redo_buffer_free(&buffer);
    *out = at.sequence != end->sequence;
    return error;
}

static int judge_remains(const struct tmf_log *log, const struct tmf_redo_cursor *end,
                         struct remains *remains)
{
    bool is_there = false;
    if (remains->is_later)
        return TMF_ECORRUPT;
    if (!remains->is_witness && !remains->has_leftovers)
        return 0;
    int error = is_there_by_now(log, end, &is_there);
    if (is_there)
        *remains = (struct remains){0};
    return !error && remains->is_witness ? TMF_ECORRUPT : error;
}

int tmf_redo_log_check_end(const struct tmf_log *log, const struct tmf_redo_cursor *end,
                           bool *has_leftovers)
{
    uint64_t size;
    struct remains remains = {0};
    int error = tmf_file_size(log->fd, &size);
    unsigned char *bytes = malloc(SCAN_BYTES);
    if (!bytes)
        return ENOMEM;
    for (uint64_t at = end->offset; !error && !remains.is_witness && at < size; at += SCAN_BYTES) {
        size_t part = size - at < SCAN_BYTES ? (size_t)(size - at) : SCAN_BYTES;
        error = tmf_file_read(log->fd, bytes, part, at);
        if (!error)
            look_for_remains(log, end, bytes, part, &remains);
    }
    free(bytes);
    if (!error)
        error = judge_remains(log, end, &remains);
    *has_leftovers = remains.has_leftovers;
    return error;
}

/* ---- publishing */

struct target {
    int fd;
    uint64_t size;
};

static int write_run(void *context, uint64_t offset, const unsigned char *bytes, size_t size)
{
    const struct target *target = context;
    if (offset > target->size || size > target->size - offset)
        return tmf_fail(TMF_ECORRUPT, "publishing: the log names byte %llu, the arena has %llu",
                        (unsigned long long)offset, (unsigned long long)target->size);
    size -= size > WORD && TMF_MUTANT("run-published-short") ? WORD : 0;
    int error = tmf_file_write(target->fd, bytes, size, offset);
    TMF_POINT("txn/publish/run-written");
    return error;
}

int tmf_redo_log_publish(const struct tmf_log *log, int arena_fd, struct tmf_redo_buffer *buffer,
                         struct tmf_redo_cursor *end)
{
    struct target target = {.fd = arena_fd};
    *end = (struct tmf_redo_cursor){log->sequence, TMF_LOG_RECORDS_OFFSET, 0};
    int error = tmf_file_size(arena_fd, &target.size);
    while (!error) {
        error = tmf_redo_log_read(log, end, buffer);
        if (error || !buffer->size)
            break;
        error = tmf_redo_buffer_each(buffer, write_run, &target);
    }
    tmf_redo_buffer_clear(buffer);
    bool has_leftovers; /* whoever publishes starts the log anew */
    return error ? error : tmf_redo_log_check_end(log, end, &has_leftovers);
}

int tmf_redo_log_rewrite(const struct tmf_log *log, struct tmf_redo_buffer *buffer)
{
    struct tmf_redo_cursor at = {log->sequence, TMF_LOG_RECORDS_OFFSET, 0};
    int error = 0;
    while (!error) {
        uint64_t offset = at.offset;
        error = tmf_redo_log_read(log, &at, buffer);
        if (error || !buffer->size)
            break;
        error = tmf_file_write(log->fd, buffer->bytes, buffer->size, offset);
    }
    return error;
}

/* ---- looking */

bool tmf_redo_log_is_later(const struct tmf_log *log, uint64_t turn)
{
    struct tmf_redo_record head;
    memcpy(&head, log->head + TMF_LOG_RECORDS_OFFSET, sizeof(head));
    return is_of_later(log, turn, &head);
}

int tmf_redo_log_look(const struct tmf_log *log, struct tmf_log_state *state)
{
    struct tmf_redo_record head;
    memcpy(&head, log->head + TMF_LOG_RECORDS_OFFSET, sizeof(head));
    state->pending =
        head_holds(log, state->turn, &head) && head.sequence == state->sequence && !head.previous;
    return 0;
}

bool tmf_redo_log_has_next(const struct tmf_log *log)
{
    uint64_t words[2];
    if (log->at.offset + sizeof(words) > log->mapped)
        return true;
    memcpy(words, log->head + log->at.offset, sizeof(words));
    return words[0] == log->turn && words[1] == log->at.sequence;
}
