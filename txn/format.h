/* SPDX-License-Identifier: MIT */
/*
 * What is on the medium, byte by byte. Numbers are in the byte order of the machine that made the
 * file; a machine of another order or word size refuses it. A page is 4096 bytes, a sector 512: the
 * smallest unit that a disk writes all or nothing.
 *
 * PATH.odb, the arena, mapped as it is:
 *
 *   OFFSET  SIZE  DESCRIPTION
 *        0   256  struct tmf_file_header
 *      256     r  the root object, r bytes
 *      ...        the heap (alloc/heap.h) to the end of the arena
 *
 *   The header changes only when the arena grows, and then as part of a transaction. The file may
 * be longer than the header says (a growth that was cut off), never shorter.
 *
 * PATH.log, an undo log or a redo log:
 *
 *   OFFSET  SIZE  DESCRIPTION
 *        0  1024  slot 0, two sectors that begin with struct tmf_log_slot each
 *     1024  1024  slot 1
 *     2048   512  poison, a sector that holds struct tmf_log_poison, or zeroes
 *     2560     8  notice, a hint among the living (process_lock.c); recovery does not read it
 *     4096   ...  records
 *
 *   The log belongs to the .odb with the same id. The valid slot with the highest turn (one valid
 *   copy is enough) is the current one. Slots take turns, so that writing one never harms the
 *   other: a slot makes every record under the one before stale. Both are valid from the start, and
 *   a slot that is torn still has valid copies, of the old or the new. Nothing is truncated to
 *   commit. A slot says which kind of records follow; any strategy recovers either kind.
 *
 * Undo log, the slot's sequence is the number of the transaction that it is for:
 *
 *     4096  4608  record 0: a sector that holds struct tmf_undo_record twice, then 4096 bytes, the
 *                 page as it was committed
 *     8704  4608  record 1, ...
 *
 *   A record is valid when one of its two copies carries the log's salt, the current sequence and
 *   its own position, and its checksums hold. Records are valid from 0 on without gaps; the first
 *   that is not ends the log. A commit is one slot with the next sequence.
 *
 *   What a crash may leave: a torn record behind the last one that was synced (its page was never
 *   changed, see undo.h, so it does not count); a new slot that did not arrive (the transaction is
 *   undone) or did (it is committed). What no crash leaves is damage, and refused as TMF_ECORRUPT:
 *   a record that is not valid below one that says it was synced; a record whose head is whole but
 *   whose image is not while the arena's page differs from the image that it announces; a first
 *   record of a later transaction than the slots know; a file shorter than its slot says; a slot
 *   without a valid copy, which may have been the current one. Every flipped bit and lost sector of
 *   a slot, and every flipped bit of an undo record's head, is outvoted by the second copy.
 *
 * Redo log (write-ahead), the slot's sequence is the number of the first transaction in it; the
 * .odb holds all before that, durably, and perhaps any part of those in the log:
 *
 *     4096   n    record of transaction `sequence`: struct tmf_redo_record, then runs, each a
 * struct tmf_redo_run and its bytes, filled up to 8; the whole filled up to a sector record of
 * transaction `sequence` + 1, ...
 *
 *   A record is valid when it carries the slot's turn, the next number and the checksum of the
 *   record before it, and its checksums hold: a record that was left over from a tail that was
 *   lost never continues another one. (But for the very same one, made again: before anything is
 *   appended in front of such records, a new slot makes them stale.) The first that is not valid
 *   ends the log. A valid record is a commit.
 *
 *   What a crash may leave: any of the records that were not synced missing or torn: the log ends
 *   at the first of them. What no crash leaves, and is refused: a record that is not valid in front
 *   of one of the same turn that says the missing one was durable when it was written; a record
 *   anywhere, or the first one of an undo log, that was written under a later slot than there is.
 *
 * What nothing bears witness of, and is not noticed: the last record of a log, lost or damaged
 * after it was synced; an older copy of the log of the same storage, put in its place by hand.
 *
 * Both files are made whole before PATH.odb gets its name, see create.c.
 */
#ifndef TMF_FORMAT_H
#define TMF_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define TMF_PAGE_SIZE      ((size_t)4096)
#define TMF_SECTOR_SIZE    ((size_t)512)
#define TMF_FORMAT_VERSION 3u
#define TMF_BYTE_ORDER     0x01020304u

#define TMF_FILE_MAGIC "TMFODB\r\n"
#define TMF_LOG_MAGIC  "TMFLOG\r\n"
#define TMF_MAGIC_SIZE ((size_t)8)

struct tmf_file_header {
    char file_magic[8];    /* TMF_FILE_MAGIC */
    uint32_t version;      /* TMF_FORMAT_VERSION */
    uint32_t byte_order;   /* TMF_BYTE_ORDER, in the order of the machine */
    uint32_t word_size;    /* sizeof(void *) */
    uint32_t page_size;    /* TMF_PAGE_SIZE */
    uint64_t id;           /* random, drawn at creation; the log carries it too */
    uint64_t magic;        /* the application's */
    uint64_t address;      /* where the arena is mapped */
    uint64_t size;         /* of the arena, bytes, a multiple of the page */
    uint64_t root_size;    /* bytes */
    uint64_t heap_offset;  /* of the heap's first byte */
    uint64_t reserved[22]; /* zero */
    uint64_t checksum;     /* of all bytes before it */
};
static_assert(sizeof(struct tmf_file_header) == 256, "the root object follows at 256");
static_assert(offsetof(struct tmf_file_header, id) == 24, "byte table");
static_assert(offsetof(struct tmf_file_header, size) == 48, "byte table");
static_assert(offsetof(struct tmf_file_header, checksum) == 248, "byte table");
#define TMF_ROOT_OFFSET sizeof(struct tmf_file_header)

enum tmf_log_kind { TMF_LOG_UNDO, TMF_LOG_REDO };

struct tmf_log_slot {
    char log_magic[8];   /* TMF_LOG_MAGIC */
    uint32_t version;    /* TMF_FORMAT_VERSION */
    uint32_t byte_order; /* TMF_BYTE_ORDER */
    uint64_t id;         /* of the .odb it belongs to */
    uint64_t salt;       /* random, drawn when the log was made; seeds every checksum in it */
    uint64_t turn;       /* counts the slots ever written, below 2^63; odd ones stand in slot 1 */
    uint64_t kind;       /* enum tmf_log_kind */
    uint64_t sequence;   /* of the undo log's transaction, or the redo log's first; below 2^63 */
    uint64_t size;       /* bytes that the file has at least from here on */
    uint64_t checksum;   /* of all bytes before it */
};
static_assert(sizeof(struct tmf_log_slot) == 72, "byte table");
static_assert(offsetof(struct tmf_log_slot, turn) == 32, "byte table");
static_assert(offsetof(struct tmf_log_slot, checksum) == 64, "byte table");

struct tmf_log_poison {
    char log_magic[8]; /* TMF_LOG_MAGIC */
    uint64_t error;    /* errno of the sync that failed */
    uint64_t checksum; /* of all bytes before it */
};
static_assert(sizeof(struct tmf_log_poison) == 24, "byte table");

struct tmf_undo_record {
    uint64_t sequence;       /* of its transaction */
    uint64_t position;       /* 0 for the first record */
    uint64_t synced;         /* so many records had been synced when this one was written */
    uint64_t page;           /* number of the page, from the arena's first */
    uint64_t image_checksum; /* of the 4096 bytes that follow the sector */
    uint64_t checksum;       /* of all bytes before it */
};
static_assert(sizeof(struct tmf_undo_record) == 48, "byte table");

struct tmf_redo_record {
    uint64_t turn;          /* of the slot it stands under */
    uint64_t sequence;      /* of its transaction */
    uint64_t size;          /* of the runs that follow, bytes */
    uint64_t durable;       /* every transaction below this number was durable by then */
    uint64_t previous;      /* checksum of the record before; 0: the first */
    uint64_t runs_checksum; /* of the runs */
    uint64_t checksum;      /* of all bytes before it */
};
static_assert(sizeof(struct tmf_redo_record) == 56, "byte table");

struct tmf_redo_run {
    uint64_t offset; /* from the arena's first byte */
    uint64_t size;   /* of the bytes that follow */
};
static_assert(sizeof(struct tmf_redo_run) == 16, "byte table");

#define TMF_LOG_FIRST_TURN        UINT64_C(2) /* even: the file begins with its magic */
#define TMF_LOG_SLOT_SIZE         (2 * TMF_SECTOR_SIZE)
#define TMF_LOG_SLOT_OFFSET(turn) (((turn)&1) * TMF_LOG_SLOT_SIZE)
#define TMF_LOG_POISON_OFFSET     (2 * TMF_LOG_SLOT_SIZE)
#define TMF_LOG_NOTICE_OFFSET     (TMF_LOG_POISON_OFFSET + TMF_SECTOR_SIZE)
#define TMF_LOG_RECORDS_OFFSET    TMF_PAGE_SIZE
#define TMF_UNDO_RECORD_SIZE      (TMF_SECTOR_SIZE + TMF_PAGE_SIZE)
#define TMF_COPY_OFFSET           (TMF_SECTOR_SIZE / 2) /* of an undo record's second head */

#endif
