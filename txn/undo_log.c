/* SPDX-License-Identifier: MIT */
/*
 * The undo log: see format.h for the bytes and what makes them valid.
 *
 * Records are appended with one write each, at sector borders, so that a torn write of one never
 * touches a sector of another. The file is zero-filled ahead of its use: writing into blocks that
 * are there already needs no journal commit of the file system, only the data and a flush.
 *
 * Why the syncs: tmf_log_sync() - the caller is about to let the page change; tmf_log_end() - the
 * caller is about to acknowledge; extending the log - its new size must be durable before a record
 * in the new part counts as synced (fdatasync covers a size that is needed to read the data back).
 * Cutting the log back to its kept size needs none: if that is lost, the log is longer than needed.
 */
#include "txn/undo_log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/checksum.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"

#define HEAD_SIZE       (3 * TMF_PAGE_SIZE)
#define EXTENSION_BYTES ((uint64_t)1 << 20)

/* The same structure at the start and in the middle, so that damage to one is outvoted. */
static void fill_twice(unsigned char *bytes, size_t bytes_size, const void *copy, size_t size)
{
    memset(bytes, 0, bytes_size);
    memcpy(bytes, copy, size);
    memcpy(bytes + bytes_size / 2, copy, size);
}

static uint64_t record_offset(uint64_t position)
{
    return TMF_LOG_RECORDS_OFFSET + position * TMF_LOG_RECORD_SIZE;
}

/* ---- slots */

static uint64_t slot_checksum(const struct tmf_log_slot *slot)
{
    return tmf_checksum(slot, offsetof(struct tmf_log_slot, checksum), slot->id);
}

static bool slot_is_valid(const struct tmf_log_slot *slot)
{
    return memcmp(slot->log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) == 0 &&
           slot->version == TMF_FORMAT_VERSION && slot->checksum == slot_checksum(slot);
}

/* Of the valid copies, of either slot, the one with the highest sequence. */
static bool slots_read(const unsigned char *head, struct tmf_log_slot *out)
{
    struct tmf_log_slot copy;
    bool found = false;
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_SECTOR_SIZE) {
        memcpy(&copy, head + at, sizeof(copy));
        if (!slot_is_valid(&copy) || (found && copy.sequence <= out->sequence))
            continue;
        *out = copy;
        found = true;
    }
    return found;
}

static int slot_write(struct tmf_log *log, uint64_t sequence)
{
    struct tmf_log_slot slot = {.version = TMF_FORMAT_VERSION,
                                .byte_order = TMF_BYTE_ORDER,
                                .id = log->id,
                                .salt = log->salt,
                                .sequence = sequence,
                                .size = log->size < log->size_kept ? log->size : log->size_kept};
    memcpy(slot.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE);
    slot.checksum = slot_checksum(&slot);
    unsigned char sectors[TMF_LOG_SLOT_SIZE];
    fill_twice(sectors, sizeof(sectors), &slot, sizeof(slot));
    log->bytes_written += sizeof(sectors);
    return tmf_file_write(log->fd, sectors, sizeof(sectors), TMF_LOG_SLOT_OFFSET(sequence));
}

/* ---- opening */

static int map_head(struct tmf_log *log)
{
    void *head = tmf_io->mmap(NULL, HEAD_SIZE, PROT_READ, MAP_SHARED, log->fd, 0);
    if (head == MAP_FAILED)
        return errno;
    if (tmf_io->madvise(head, HEAD_SIZE, MADV_DONTFORK) != 0) {
        int error = errno;
        (void)tmf_io->munmap(head, HEAD_SIZE);
        return error;
    }
    log->head = head;
    return 0;
}

int tmf_log_create(struct tmf_log *log, int fd, uint64_t id, uint64_t size)
{
    if (size < HEAD_SIZE)
        size = HEAD_SIZE;
    *log = (struct tmf_log){.fd = fd, .id = id, .size = size, .size_kept = size, .durable = true};
    if (tmf_io->getrandom(&log->salt, sizeof(log->salt), 0) != (ssize_t)sizeof(log->salt))
        return EIO;
    if (tmf_io->ftruncate(fd, 0) != 0)
        return errno;
    TMF_POINT("txn/create/log-empty");
    int error = tmf_file_zero(fd, 0, size);
    if (!error)
        error = slot_write(log, 0);
    TMF_POINT("txn/create/log-written");
    if (!error)
        error = tmf_log_sync(log);
    return error ? error : map_head(log);
}

/* No slot holds: says which of the reasons it is, as far as the bytes tell. */
static int why_no_slot(const unsigned char *head)
{
    struct tmf_log_slot slot;
    memcpy(&slot, head, sizeof(slot));
    if (memcmp(slot.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) != 0)
        return TMF_EWRONGFILETYPE;
    if (slot.byte_order == __builtin_bswap32(TMF_BYTE_ORDER))
        return TMF_EWRONGENDIAN;
    return slot.version != TMF_FORMAT_VERSION ? TMF_EWRONGVERSION : TMF_ECORRUPT;
}

/* Too short for a log of ours: cut off, or never one. */
static int why_short(int fd)
{
    bool ours = false;
    int error = tmf_file_is_ours(fd, TMF_LOG_MAGIC, UINT64_MAX, &ours);
    if (error)
        return error;
    return ours ? TMF_ECORRUPT : TMF_EWRONGFILETYPE;
}

int tmf_log_attach(struct tmf_log *log, int fd, uint64_t size_kept)
{
    *log = (struct tmf_log){.fd = fd, .size_kept = size_kept, .durable = true};
    if (log->size_kept < HEAD_SIZE)
        log->size_kept = HEAD_SIZE;
    int error = tmf_file_size(fd, &log->size);
    if (!error && log->size < HEAD_SIZE)
        error = why_short(fd);
    if (!error)
        error = map_head(log);
    if (error)
        return error;
    struct tmf_log_slot slot;
    if (!slots_read(log->head, &slot)) {
        error = why_no_slot(log->head);
        tmf_log_detach(log);
        return error;
    }
    log->id = slot.id;
    log->salt = slot.salt;
    log->sequence = slot.sequence;
    if (log->size >= slot.size)
        return 0;
    tmf_log_detach(log);
    return TMF_ECORRUPT;
}

void tmf_log_detach(struct tmf_log *log)
{
    if (log->head)
        (void)tmf_io->munmap((void *)(uintptr_t)log->head, HEAD_SIZE);
    log->head = NULL;
}

int tmf_file_is_ours(int fd, const char magic[8], uint64_t zeroes, bool *out)
{
    unsigned char sector[TMF_SECTOR_SIZE] = {0};
    static const unsigned char zero_sector[TMF_SECTOR_SIZE];
    uint64_t size;
    bool is_zero = true;
    bool has_magic = false;
    int error = tmf_file_size(fd, &size);
    for (uint64_t at = 0; !error && is_zero && at < size && at < zeroes; at += sizeof(sector)) {
        uint64_t left = size - at;
        error = tmf_file_read(fd, sector, left < sizeof(sector) ? left : sizeof(sector), at);
        has_magic = has_magic || (at == 0 && memcmp(sector, magic, TMF_MAGIC_SIZE) == 0);
        is_zero = memcmp(sector, zero_sector, sizeof(sector)) == 0;
    }
    if (!error)
        *out = has_magic || is_zero;
    return error;
}

/* ---- records */

static uint64_t record_checksum(const struct tmf_log *log, const struct tmf_log_record *record)
{
    return tmf_checksum(record, offsetof(struct tmf_log_record, checksum), log->salt);
}

/* Whether the sector holds the head of a record at `position`, of whatever transaction. */
static bool record_read_any(const struct tmf_log *log, const unsigned char *sector,
                            uint64_t position, struct tmf_log_record *out)
{
    for (size_t at = 0; at < TMF_SECTOR_SIZE; at += TMF_COPY_OFFSET) {
        memcpy(out, sector + at, sizeof(*out));
        if (out->position == position && out->checksum == record_checksum(log, out))
            return true;
    }
    return false;
}

/* The same, of this transaction. */
static bool record_read(const struct tmf_log *log, const unsigned char *sector, uint64_t position,
                        struct tmf_log_record *out)
{
    return record_read_any(log, sector, position, out) && out->sequence == log->sequence;
}

int tmf_log_look(struct tmf_log *log, struct tmf_log_state *out)
{
    struct tmf_log_slot slot;
    if (!slots_read(log->head, &slot) || slot.id != log->id)
        return TMF_ECORRUPT;
    log->salt = slot.salt;
    log->sequence = slot.sequence;
    struct tmf_log_record record;
    struct tmf_log_poison poison;
    memcpy(&poison, log->head + TMF_LOG_POISON_OFFSET, sizeof(poison));
    bool has_record = record_read_any(log, log->head + record_offset(0), 0, &record);
    if (has_record && record.sequence > log->sequence)
        return TMF_ECORRUPT; /* the slot it was written under is gone */
    out->pending = has_record && record.sequence == log->sequence;
    if (!out->pending && record_read(log, log->head + record_offset(1), 1, &record) &&
        record.synced > 0)
        return TMF_ECORRUPT; /* the first record is gone */
    out->poisoned = memcmp(poison.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) == 0;
    return 0;
}

static int extend(struct tmf_log *log, uint64_t end)
{
    uint64_t size = log->size + EXTENSION_BYTES;
    while (size < end)
        size += EXTENSION_BYTES;
    int error = tmf_file_zero(log->fd, log->size, size);
    if (!error)
        log->size = size;
    return error;
}

int tmf_log_append(struct tmf_log *log, uint64_t page, int arena_fd)
{
    uint64_t offset = record_offset(log->records);
    unsigned char *image = log->record + TMF_SECTOR_SIZE;
    int error = tmf_file_read(arena_fd, image, TMF_PAGE_SIZE, page * TMF_PAGE_SIZE);
    if (!error && offset + TMF_LOG_RECORD_SIZE > log->size)
        error = extend(log, offset + TMF_LOG_RECORD_SIZE);
    if (error)
        return error;
    struct tmf_log_record record = {
        .sequence = log->sequence, .position = log->records, .synced = log->synced, .page = page};
    record.image_checksum = tmf_checksum(image, TMF_PAGE_SIZE, log->salt);
    record.checksum = record_checksum(log, &record);
    fill_twice(log->record, TMF_SECTOR_SIZE, &record, sizeof(record));
    error = tmf_file_write(log->fd, log->record, sizeof(log->record), offset);
    if (error)
        return error;
    log->records++;
    log->bytes_written += sizeof(log->record);
    return 0;
}

int tmf_log_sync(struct tmf_log *log)
{
    if (log->durable) {
        if (tmf_io->fdatasync(log->fd) != 0)
            return errno;
        log->syncs++;
    }
    log->synced = log->records;
    return 0;
}

int tmf_log_end(struct tmf_log *log)
{
    int error = slot_write(log, log->sequence + 1);
    TMF_POINT("txn/log/end-written");
    if (!error)
        error = tmf_log_sync(log);
    if (error)
        return error;
    TMF_POINT("txn/log/end-synced");
    log->sequence++;
    log->records = log->synced = 0;
    if (log->size > log->size_kept && tmf_io->ftruncate(log->fd, (off_t)log->size_kept) == 0)
        log->size = log->size_kept;
    return 0;
}

/* ---- undoing */

/* Below `records` all is valid. Did any record above say that more than those had been synced? */
static int check_nothing_missing(const struct tmf_log *log, uint64_t records)
{
    unsigned char sector[TMF_SECTOR_SIZE];
    struct tmf_log_record record;
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
static int check_page_unchanged(const struct tmf_log *log, const struct tmf_log_record *record,
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
                       unsigned char bytes[TMF_LOG_RECORD_SIZE], struct tmf_log_record *record,
                       enum record_state *state)
{
    *state = RECORD_NONE;
    if (record_offset(position + 1) > log->size)
        return 0;
    int error = tmf_file_read(log->fd, bytes, TMF_LOG_RECORD_SIZE, record_offset(position));
    if (error || !record_read(log, bytes, position, record))
        return error;
    uint64_t checksum = tmf_checksum(bytes + TMF_SECTOR_SIZE, TMF_PAGE_SIZE, log->salt);
    *state = checksum == record->image_checksum ? RECORD_WHOLE : RECORD_TORN;
    return 0;
}

/* Counts the valid records, after checking that what ends them is what a crash may leave. */
static int check_records(const struct tmf_log *log, int arena_fd, uint64_t pages, uint64_t *out)
{
    unsigned char bytes[TMF_LOG_RECORD_SIZE];
    struct tmf_log_record record;
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

int tmf_log_undo(struct tmf_log *log, int arena_fd, bool rewrite)
{
    unsigned char bytes[TMF_LOG_RECORD_SIZE];
    struct tmf_log_record record;
    enum record_state state;
    uint64_t arena_size;
    uint64_t records = 0;
    int error = tmf_file_size(log->fd, &log->size);
    if (!error)
        error = tmf_file_size(arena_fd, &arena_size);
    if (!error)
        error = check_records(log, arena_fd, arena_size / TMF_PAGE_SIZE, &records);
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

/* ---- poison */

void tmf_log_set_poison(struct tmf_log *log, int error)
{
    struct tmf_log_poison poison = {.error = (uint64_t)error};
    memcpy(poison.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE);
    poison.checksum = tmf_checksum(&poison, offsetof(struct tmf_log_poison, checksum), log->id);
    /* The page cache is enough: it tells the other processes, and a reboot recovers anyway. */
    (void)tmf_file_write(log->fd, &poison, sizeof(poison), TMF_LOG_POISON_OFFSET);
}

int tmf_log_clear_poison(struct tmf_log *log)
{
    int error = tmf_file_zero(log->fd, TMF_LOG_POISON_OFFSET,
                              TMF_LOG_POISON_OFFSET + sizeof(struct tmf_log_poison));
    return error ? error : tmf_log_sync(log);
}
