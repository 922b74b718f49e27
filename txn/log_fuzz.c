/* SPDX-License-Identifier: MIT */
/*
 * The bytes are a log, of either kind, beside the .odb that it belongs to. The control says which
 * pair of fuzz_pair.h that is, what is put right in the log first, and who opens it.
 */
#include <string.h>

#include "alloc/fuzz.h"
#include "txn/checksum.h"
#include "txn/fuzz_pair.h"

#define RECORDS_MAX 64

enum {
    CONTROL_PAIR,
    CONTROL_MENDS,
    CONTROL_HOW, /* two bytes of it */
};

enum {
    MENDS_SLOTS = 1,    /* their checksums */
    MENDS_IDENTITY = 2, /* what a slot says about whose it is */
    MENDS_RECORDS = 4,  /* checksums of records and of what is in them */
    MENDS_SEQUENCE = 8, /* what makes a record the next one */
};

struct log {
    unsigned char bytes[FUZZ_LOG_SIZE];
    size_t size;
    struct tmf_log_slot slot; /* the current one, as far as that can be told */
    unsigned mends;
};

static bool has(const struct log *log, size_t at, size_t size)
{
    return at <= log->size && size <= log->size - at;
}

/* ---- slots */

static void mend_slot(const struct log *log, const struct fuzz_pair *pair,
                      struct tmf_log_slot *slot)
{
    if (log->mends & MENDS_IDENTITY) {
        memcpy(slot->log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE);
        slot->version = TMF_FORMAT_VERSION;
        slot->byte_order = TMF_BYTE_ORDER;
        slot->id = pair->slot.id;
        slot->kind &= 1;
    }
    if (log->mends & MENDS_SLOTS)
        slot->checksum = tmf_checksum(slot, offsetof(struct tmf_log_slot, checksum), slot->id);
}

static void mend_slots(struct log *log, const struct fuzz_pair *pair)
{
    log->slot = pair->slot;
    log->slot.turn = 0;
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_SECTOR_SIZE) {
        struct tmf_log_slot slot;
        if (!has(log, at, sizeof(slot)))
            return;
        memcpy(&slot, log->bytes + at, sizeof(slot));
        if (slot.turn == 0)
            continue; /* never written */
        mend_slot(log, pair, &slot);
        memcpy(log->bytes + at, &slot, sizeof(slot));
        if (slot.turn > log->slot.turn)
            log->slot = slot;
    }
}

/* ---- records */

static void mend_undo_head(struct log *log, size_t at, uint64_t position)
{
    struct tmf_undo_record head;
    memcpy(&head, log->bytes + at, sizeof(head));
    if (log->mends & MENDS_SEQUENCE) {
        head.position = position;
        head.sequence = log->slot.sequence;
    }
    size_t image = at / TMF_SECTOR_SIZE * TMF_SECTOR_SIZE + TMF_SECTOR_SIZE;
    head.image_checksum = tmf_checksum(log->bytes + image, TMF_PAGE_SIZE, log->slot.salt);
    head.checksum = tmf_checksum(&head, offsetof(struct tmf_undo_record, checksum), log->slot.salt);
    memcpy(log->bytes + at, &head, sizeof(head));
}

static void mend_undo_records(struct log *log)
{
    size_t at = TMF_LOG_RECORDS_OFFSET;
    for (uint64_t n = 0; has(log, at, TMF_UNDO_RECORD_SIZE); n++, at += TMF_UNDO_RECORD_SIZE) {
        mend_undo_head(log, at, n);
        mend_undo_head(log, at + TMF_COPY_OFFSET, n);
    }
}

/* The record at `at`; where the next one would begin. */
static size_t mend_redo_record(struct log *log, size_t at, uint64_t n, uint64_t *previous)
{
    struct tmf_redo_record head;
    memcpy(&head, log->bytes + at, sizeof(head));
    if (log->mends & MENDS_SEQUENCE) {
        head.turn = log->slot.turn;
        head.sequence = log->slot.sequence + n;
        head.previous = *previous;
    }
    size_t runs = at + sizeof(head);
    if (head.size <= log->size - runs)
        head.runs_checksum = tmf_checksum(log->bytes + runs, head.size, log->slot.salt);
    head.checksum = tmf_checksum(&head, offsetof(struct tmf_redo_record, checksum), log->slot.salt);
    memcpy(log->bytes + at, &head, sizeof(head));
    *previous = head.checksum;
    size_t size = head.size <= log->size - runs ? (size_t)head.size : 0;
    return (runs + size + TMF_SECTOR_SIZE - 1) / TMF_SECTOR_SIZE * TMF_SECTOR_SIZE;
}

static void mend_redo_records(struct log *log)
{
    uint64_t previous = 0;
    size_t at = TMF_LOG_RECORDS_OFFSET;
    for (uint64_t n = 0; n < RECORDS_MAX && has(log, at, sizeof(struct tmf_redo_record)); n++)
        at = mend_redo_record(log, at, n, &previous);
}

/* ---- the target */

static size_t seed(size_t n, unsigned char *to)
{
    static const unsigned char mends[] = {0, MENDS_SLOTS | MENDS_IDENTITY, MENDS_RECORDS,
                                          MENDS_SLOTS | MENDS_IDENTITY | MENDS_RECORDS |
                                              MENDS_SEQUENCE};
    size_t kinds = sizeof(mends) / sizeof(mends[0]);
    if (n >= fuzz_pair_count() * kinds)
        return 0;
    const struct fuzz_pair *pair = fuzz_pair_at(n / kinds);
    memset(to, 0, FUZZ_CONTROL);
    to[CONTROL_PAIR] = (unsigned char)(n / kinds);
    to[CONTROL_MENDS] = mends[n % kinds];
    to[CONTROL_HOW] = (unsigned char)(n * 31);
    memcpy(to + FUZZ_CONTROL, pair->log, pair->log_size);
    return FUZZ_CONTROL + pair->log_size;
}

static void run(const unsigned char *bytes, size_t size)
{
    static struct log log;
    const struct fuzz_pair *pair = fuzz_pair_at(bytes[CONTROL_PAIR] % fuzz_pair_count());
    log.size = size - FUZZ_CONTROL;
    log.mends = bytes[CONTROL_MENDS];
    memcpy(log.bytes, bytes + FUZZ_CONTROL, log.size);
    mend_slots(&log, pair);
    if ((log.mends & MENDS_RECORDS) && log.slot.kind == TMF_LOG_REDO)
        mend_redo_records(&log);
    else if (log.mends & MENDS_RECORDS)
        mend_undo_records(&log);
    fuzz_pair_lay(pair->odb, sizeof(pair->odb), log.bytes, log.size);
    fuzz_pair_use(bytes[CONTROL_HOW] + 256u * bytes[CONTROL_HOW + 1]);
}

const struct fuzz_target fuzz_target = {
    .name = "log_fuzz",
    .size_max = FUZZ_CONTROL + FUZZ_LOG_SIZE,
    .runs = 1500,
    .begin = fuzz_pairs_make,
    .seed = seed,
    .run = run,
};
