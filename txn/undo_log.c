/* SPDX-License-Identifier: MIT */
/*
 * The undo log's records: see format.h for the bytes and what makes them valid.
 *
 * They are appended with one write each, at sector borders, so that a torn write of one never
 * touches a sector of another.
 */
#include "txn/undo_log.h"

#include <string.h>

#include "alloc/point.h"
#include "txn/checksum.h"
#include "txn/error.h"
#include "txn/file.h"

static uint64_t record_offset(uint64_t position)
{
    return TMF_LOG_RECORDS_OFFSET + position * TMF_UNDO_RECORD_SIZE;
}

/* ---- records */

static uint64_t record_checksum(const struct tmf_log *log, const struct tmf_undo_record *record)
{
    return tmf_checksum(record, offsetof(struct tmf_undo_record, checksum), log->salt);
}

/* Whether the sector holds the head of a record at `position`, of whatever transaction. */
static bool record_read_any(const struct tmf_log *log, const unsigned char *sector,
                            uint64_t position, struct tmf_undo_record *out)
{
    for (size_t at = 0; at < TMF_SECTOR_SIZE; at += TMF_COPY_OFFSET) {
        memcpy(out, sector + at, sizeof(*out));
        if ((out->position == position || TMF_MUTANT("position-unchecked")) &&
            (out->checksum == record_checksum(log, out) || TMF_MUTANT("head-checksum-unchecked")))
            return true;
    }
    return false;
}

/* The same, of this transaction. */
static bool record_read(const struct tmf_log *log, const unsigned char *sector, uint64_t position,
                        struct tmf_undo_record *out)
{
    return record_read_any(log, sector, position, out) &&
           (out->sequence == log->sequence || TMF_MUTANT("record-of-earlier-undone"));
}

/* Of the first or second record, whether it is of a transaction from `first` to `last`. A begin
 * asks that, and mostly they are of an earlier one: the number is looked at before the checksum. */
static bool head_is_of(const struct tmf_log *log, uint64_t position, uint64_t first, uint64_t last,
                       struct tmf_undo_record *out)
{
    const unsigned char *sector = log->head + record_offset(position);
    for (size_t at = 0; at < TMF_SECTOR_SIZE; at += TMF_COPY_OFFSET) {
        memcpy(&out->sequence, sector + at + offsetof(struct tmf_undo_record, sequence),
               sizeof(out->sequence));
        if (out->sequence >= first && out->sequence <= last)
            return record_read_any(log, sector, position, out) && out->sequence >= first &&
                   out->sequence <= last;
    }
    return false;
}

bool tmf_undo_log_is_later(const struct tmf_log *log, uint64_t sequence)
{
    struct tmf_undo_record record;
    return head_is_of(log, 0, sequence + 1, UINT64_MAX, &record) ||
           head_is_of(log, 1, sequence + 1, UINT64_MAX, &record);
}

bool tmf_undo_log_has_begun(const struct tmf_log *log)
{
    for (uint64_t position = 0; position < 2; position++) {
        uint64_t sequence;
        memcpy(&sequence,
               log->head + record_offset(position) + offsetof(struct tmf_undo_record, sequence),
               sizeof(sequence));
        if (sequence >= log->sequence)
            return true;
    }
    return false;
}

int tmf_undo_log_look(const struct tmf_log *log, struct tmf_log_state *state)
{
    struct tmf_undo_record record;
    state->pending = head_is_of(log, 0, state->sequence, state->sequence, &record);
    if (!state->pending && head_is_of(log, 1, state->sequence, state->sequence, &record) &&
        record.synced > 0)
        return TMF_ECORRUPT; /* the first record is gone */
    return 0;
}

int tmf_undo_log_append(struct tmf_log *log, uint64_t page, int arena_fd)
{
    uint64_t offset = record_offset(log->records);
    unsigned char *image = log->record + TMF_SECTOR_SIZE;
    int error = tmf_file_read(arena_fd, image, TMF_PAGE_SIZE, page * TMF_PAGE_SIZE);
    if (!error && offset + TMF_UNDO_RECORD_SIZE > log->size)
        error = tmf_log_extend(log, offset + TMF_UNDO_RECORD_SIZE);
    if (error)
        return error;
    struct tmf_undo_record record = {
        .sequence = log->sequence, .position = log->records, .synced = log->synced, .page = page};
    record.image_checksum = tmf_checksum(image, TMF_PAGE_SIZE, log->salt);
    record.checksum = record_checksum(log, &record);
    memset(log->record, 0, TMF_SECTOR_SIZE);
    memcpy(log->record, &record, sizeof(record)); /* twice, so that damage to one is outvoted */
    memcpy(log->record + TMF_COPY_OFFSET, &record, sizeof(record));
    error = tmf_file_write(log->fd, log->record, sizeof(log->record), offset);
    if (error)
        return error;
    log->records++;
    log->bytes_written += sizeof(log->record);
    return 0;
}

/* ---- undoing */

/* Below `records` all is valid. Did any record above say that more than those had been synced? */
static int check_nothing_missing(const struct tmf_log *log, uint64_t records)
{
    unsigned char sector[TMF_SECTOR_SIZE];
    struct tmf_undo_record record;
    for (uint64_t at = records; record_offset(at + 1) <= log->size; at++) {
        int error = tmf_file_read(log->fd, sector, sizeof(sector), record_offset(at));
        if (error)
            return error;
        if (record_read(log, sector, at, &record) && record.synced > records) {
            return tmf_fail(TMF_ECORRUPT,
                            "undoing transaction %llu: record %llu of the log is damaged, though "
                            "record %llu says that it was durable; restore a backup",
                            (unsigned long long)log->sequence, (unsigned long long)records,
                            (unsigned long long)at);
        }
    }
    return 0;
}

/*
 * A whole head announces an image that is not whole. A crash leaves that only where the record was
 * not synced, and then the page was not changed: it still is the image.
 */
static int check_page_unchanged(const struct tmf_log *log, const struct tmf_undo_record *record,
                                int arena_fd)
{
    unsigned char page[TMF_PAGE_SIZE];
    int error = tmf_file_read(arena_fd, page, sizeof(page), record->page * TMF_PAGE_SIZE);
    if (error)
        return error;
    if (tmf_checksum(page, sizeof(page), log->salt) == record->image_checksum)
        return 0;
    return tmf_fail(
        TMF_ECORRUPT,
        "undoing transaction %llu: the image of page %llu in the log is damaged and the "
        "page has changed; restore a backup",
        (unsigned long long)log->sequence, (unsigned long long)record->page);
}

enum record_state { RECORD_NONE, RECORD_TORN, RECORD_WHOLE };

static int load_record(const struct tmf_log *log, uint64_t position,
                       unsigned char bytes[TMF_UNDO_RECORD_SIZE], struct tmf_undo_record *record,
                       enum record_state *state)
{
    *state = RECORD_NONE;
    if (record_offset(position + 1) > log->size)
        return 0;
    int error = tmf_file_read(log->fd, bytes, TMF_UNDO_RECORD_SIZE, record_offset(position));
    if (error || !record_read(log, bytes, position, record))
        return error;
    uint64_t checksum = tmf_checksum(bytes + TMF_SECTOR_SIZE, TMF_PAGE_SIZE, log->salt);
    bool is_whole = checksum == record->image_checksum || TMF_MUTANT("image-checksum-unchecked");
    *state = is_whole ? RECORD_WHOLE : RECORD_TORN;
    return 0;
}

/* Counts the valid records, after checking that what ends them is what a crash may leave. */
static int check_records(const struct tmf_log *log, int arena_fd, uint64_t pages, uint64_t *out)
{
    unsigned char bytes[TMF_UNDO_RECORD_SIZE];
    struct tmf_undo_record record;
    enum record_state state;
    uint64_t position = 0;
    for (;; position++) {
        int error = load_record(log, position, bytes, &record, &state);
        if (error)
            return error;
        if (state != RECORD_NONE && record.page >= pages)
            return tmf_fail(TMF_ECORRUPT, "undoing: the log names page %llu, the arena has %llu",
                            (unsigned long long)record.page, (unsigned long long)pages);
        if (state != RECORD_WHOLE)
            break;
    }
    if (state == RECORD_TORN) {
        int error = check_page_unchanged(log, &record, arena_fd);
        if (error)
            return error;
    }
    *out = position;
    return check_nothing_missing(log, position);
}

/*
 * A page that is as it was need not be written, and on a full disk perhaps cannot: it may be a hole
 * still. If a sync failed, though, the medium need not have what the cache has.
 */
static int put_back(const unsigned char *image, uint64_t page, int arena_fd, bool rewrite)
{
    unsigned char now[TMF_PAGE_SIZE];
    if (!rewrite) {
        int error = tmf_file_read(arena_fd, now, sizeof(now), page * TMF_PAGE_SIZE);
        if (error || memcmp(now, image, sizeof(now)) == 0)
            return error;
    }
    return tmf_file_write(arena_fd, image, TMF_PAGE_SIZE, page * TMF_PAGE_SIZE);
}

int tmf_undo_log_apply(struct tmf_log *log, int arena_fd, bool rewrite)
{
    unsigned char bytes[TMF_UNDO_RECORD_SIZE];
    struct tmf_undo_record record;
    enum record_state state;
    uint64_t arena_size;
    uint64_t records = 0;
    int error = tmf_file_size(log->fd, &log->size);
    if (!error)
        error = tmf_file_size(arena_fd, &arena_size);
    if (!error)
        error = check_records(log, arena_fd, arena_size / TMF_PAGE_SIZE, &records);
    records -= records > 1 && TMF_MUTANT("undoes-one-too-few");
    for (uint64_t position = 0; !error && position < records; position++) {
        error = load_record(log, position, bytes, &record, &state);
        if (!error && state != RECORD_WHOLE)
            error = TMF_ECORRUPT;
        if (!error)
            error = put_back(bytes + TMF_SECTOR_SIZE, record.page, arena_fd, rewrite);
        TMF_POINT("txn/undo/page-written");
    }
    return error;
}
