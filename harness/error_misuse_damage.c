/* SPDX-License-Identifier: MIT */
/*
 * Files that somebody has damaged: bytes that are others, files that are cut, and, with checksums
 * that are right, headers and records that nothing of ours would write. Each is put back before the
 * row ends. (The unit tests and the fuzz targets go deeper; here each way to refuse is gone once.)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/error_misuse.h"
#include "txn/checksum.h"
#include "txn/format.h"

#define HEAD ((size_t)3 * TMF_PAGE_SIZE) /* of a log: the slots, and the first records */
#define MANY (HEAD + 40 * TMF_PAGE_SIZE) /* of the records, too */

/* ---- the header of the .odb */

typedef void change_header(struct tmf_file_header *header);

static int with_header(struct misuse_scene *scene, change_header *change, bool sealed)
{
    struct tmf_file_header before, header;
    int error = misuse_bytes(scene, "odb", 0, &before, NULL, sizeof(before));
    if (error)
        return error;
    header = before;
    change(&header);
    if (sealed)
        header.checksum =
            tmf_checksum(&header, offsetof(struct tmf_file_header, checksum), header.id);
    error = misuse_bytes(scene, "odb", 0, NULL, &header, sizeof(header));
    int got = error ? error : misuse_open(scene);
    error = misuse_bytes(scene, "odb", 0, NULL, &before, sizeof(before));
    return error ? error : got;
}

#define HEADER(name, sealed, change)                                                               \
    static void change_##name(struct tmf_file_header *header)                                      \
    {                                                                                              \
        change;                                                                                    \
    }                                                                                              \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return with_header(scene, change_##name, sealed);                                          \
    }
HEADER(odb_magic, false, header->file_magic[0] ^= 1)
HEADER(odb_version, false, header->version++)
HEADER(odb_byte_order, false, header->byte_order = __builtin_bswap32(header->byte_order))
HEADER(odb_word_size, false, header->word_size = 3)
HEADER(odb_page_size, false, header->page_size = 17)
HEADER(odb_checksum, false, header->reserved[0]++)
HEADER(odb_id, true, header->id++)
HEADER(odb_size, true, header->size += TMF_PAGE_SIZE)
HEADER(odb_size_impossible, true, header->size = UINT64_MAX)
HEADER(odb_heap_elsewhere, true, header->heap_offset += 64)

/* ---- files that are cut */

static int with_size(struct misuse_scene *scene, const char *ending, off_t size)
{
    char file[KILL_PATH_MAX + 16], whole[KILL_PATH_MAX + 16];
    static unsigned char bytes[1 << 20];
    snprintf(file, sizeof(file), "%s.%s", scene->path, ending);
    snprintf(whole, sizeof(whole), "%s.whole", scene->path);
    FILE *from = fopen(file, "re");
    FILE *to = fopen(whole, "we");
    bool copied = from && to;
    for (size_t got; copied && (got = fread(bytes, 1, sizeof(bytes), from)) > 0;)
        copied = fwrite(bytes, 1, got, to) == got;
    copied = from && fclose(from) == 0 && copied;
    copied = to && fclose(to) == 0 && copied;
    if (!copied || truncate(file, size) != 0)
        return copied ? errno : EIO;
    int got = misuse_open(scene);
    return rename(whole, file) == 0 ? got : errno;
}

#define CUT(name, ending, size)                                                                    \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return with_size(scene, ending, size);                                                     \
    }
CUT(odb_cut_in_header, "odb", 100)
CUT(odb_cut, "odb", 4 * (off_t)TMF_PAGE_SIZE)
CUT(odb_empty, "odb", 0)
CUT(log_empty, "log", 0)
CUT(log_cut_in_slot, "log", 100)
CUT(log_cut, "log", 3 * (off_t)TMF_PAGE_SIZE)

/* ---- the log, of a storage that was closed or whose process died */

typedef void change_log(unsigned char *log);

static int with_log(struct misuse_scene *scene, change_log *change, bool is_open)
{
    static unsigned char before[MANY], log[MANY];
    tmf_storage *storage = scene->storage;
    tmf_writer *writer;
    struct stat about;
    char file[KILL_PATH_MAX + 8];
    snprintf(file, sizeof(file), "%s.log", scene->path);
    if (stat(file, &about) != 0)
        return errno;
    size_t size = about.st_size < (off_t)MANY ? (size_t)about.st_size : MANY;
    int error = misuse_bytes(scene, "log", 0, before, NULL, size);
    if (error)
        return error;
    memset(log, 0, sizeof(log));
    memcpy(log, before, size);
    change(log);
    error = misuse_bytes(scene, "log", 0, NULL, log, size);
    int got = error;
    if (!error && is_open) {
        got = tmf_write_begin(storage, &writer);
        if (!got)
            tmf_write_end(writer);
    } else if (!error) {
        got = misuse_open(scene);
    }
    error = misuse_bytes(scene, "log", 0, NULL, before, size);
    return error ? error : got;
}

static int with_log_of_dead(struct misuse_scene *scene, change_log *change)
{
    int error = misuse_leave_dead(scene);
    return error ? error : with_log(scene, change, false);
}

/* Every copy of every slot: changes it, and perhaps mends its checksum. */
static void each_slot(unsigned char *log, void change(struct tmf_log_slot *slot), bool sealed)
{
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_SECTOR_SIZE) {
        struct tmf_log_slot slot;
        memcpy(&slot, log + at, sizeof(slot));
        change(&slot);
        if (sealed)
            slot.checksum = tmf_checksum(&slot, offsetof(struct tmf_log_slot, checksum), slot.id);
        memcpy(log + at, &slot, sizeof(slot));
    }
}

#define SLOTS(name, sealed, is_open, change)                                                       \
    static void change_slot_##name(struct tmf_log_slot *slot)                                      \
    {                                                                                              \
        change;                                                                                    \
    }                                                                                              \
    static void change_##name(unsigned char *log)                                                  \
    {                                                                                              \
        each_slot(log, change_slot_##name, sealed);                                                \
    }                                                                                              \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return with_log(scene, change_##name, is_open);                                            \
    }
SLOTS(log_magic, false, false, slot->log_magic[0] ^= 1)
SLOTS(log_version, true, false, slot->version++)
SLOTS(log_byte_order, true, false,
      (slot->byte_order = __builtin_bswap32(slot->byte_order), slot->version = 0))
SLOTS(log_checksum, false, false, slot->checksum++)
SLOTS(log_of_another, true, false, slot->id++)
SLOTS(log_longer, true, false, slot->size *= 1000)
SLOTS(log_turn_impossible, true, false, slot->turn = UINT64_MAX - 1)
SLOTS(slots_lost_meanwhile, false, true, slot->checksum++)

/* ---- records */

#define SECTORS(name, change)                                                                      \
    static void change_##name(unsigned char *log)                                                  \
    {                                                                                              \
        change;                                                                                    \
    }                                                                                              \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return with_log_of_dead(scene, change_##name);                                             \
    }

static uint64_t salt_of(const unsigned char *log)
{
    struct tmf_log_slot slot;
    memcpy(&slot, log, sizeof(slot));
    return slot.salt;
}

/* The first record, of whichever kind, names what is not in the arena. */
static void name_elsewhere(unsigned char *log)
{
    unsigned char *at = log + TMF_LOG_RECORDS_OFFSET;
    struct tmf_undo_record undo;
    struct tmf_redo_record redo;
    struct tmf_redo_run run = {.offset = UINT64_C(1) << 40, .size = 8};
    memcpy(&undo, at, sizeof(undo));
    memcpy(&redo, at, sizeof(redo));
    if (undo.checksum ==
        tmf_checksum(&undo, offsetof(struct tmf_undo_record, checksum), salt_of(log))) {
        undo.page = UINT64_C(1) << 40;
        undo.checksum =
            tmf_checksum(&undo, offsetof(struct tmf_undo_record, checksum), salt_of(log));
        memcpy(at, &undo, sizeof(undo));
        memcpy(at + TMF_COPY_OFFSET, &undo, sizeof(undo));
        return;
    }
    memcpy(at + sizeof(redo), &run, sizeof(run));
    redo.runs_checksum = tmf_checksum(at + sizeof(redo), redo.size, salt_of(log));
    redo.checksum = tmf_checksum(&redo, offsetof(struct tmf_redo_record, checksum), salt_of(log));
    memcpy(at, &redo, sizeof(redo));
}

SECTORS(record_names_elsewhere, name_elsewhere(log))
SECTORS(first_record_lost, memset(log + TMF_LOG_RECORDS_OFFSET, 0, TMF_SECTOR_SIZE))
SECTORS(second_record_lost,
        memset(log + TMF_LOG_RECORDS_OFFSET + TMF_UNDO_RECORD_SIZE, 0, TMF_SECTOR_SIZE))
SECTORS(image_damaged, memset(log + TMF_LOG_RECORDS_OFFSET + TMF_SECTOR_SIZE, 0x5a, TMF_PAGE_SIZE))
SECTORS(slot_lost, memset(log, 0, TMF_LOG_SLOT_SIZE))
SECTORS(other_slot_lost, memset(log + TMF_LOG_SLOT_OFFSET(1), '!', TMF_LOG_SLOT_SIZE))
SECTORS(slots_older_than_records, memcpy(log + TMF_LOG_SLOT_OFFSET(1), log, TMF_LOG_SLOT_SIZE))
SECTORS(slots_older_than_records_too, memcpy(log, log + TMF_LOG_SLOT_OFFSET(1), TMF_LOG_SLOT_SIZE))

#define DAMAGE(title, error, body)                                                                 \
    {                                                                                              \
        .name = title, .expected = error, .run = body, .damages = true                             \
    }
#define DAMAGE_SEEN_OR_NOT(title, error, body)                                                     \
    {                                                                                              \
        .name = title, .expected = error, .run = body, .damages = true, .may_pass = true           \
    }

static const struct error_misuse damages[] = {
    DAMAGE("odb-magic", TMF_EWRONGFILETYPE, odb_magic),
    DAMAGE("odb-version", TMF_EWRONGVERSION, odb_version),
    DAMAGE("odb-byte-order", TMF_EWRONGENDIAN, odb_byte_order),
    DAMAGE("odb-word-size", TMF_EWRONGENDIAN, odb_word_size),
    DAMAGE("odb-page-size", TMF_ECORRUPT, odb_page_size),
    DAMAGE("odb-checksum", TMF_ECORRUPT, odb_checksum),
    DAMAGE("odb-id", TMF_ECORRUPT, odb_id),
    DAMAGE("odb-size", TMF_EWRONGSIZE, odb_size),
    DAMAGE("odb-size-impossible", TMF_ECORRUPT, odb_size_impossible),
    DAMAGE("odb-heap-elsewhere", TMF_ECORRUPT, odb_heap_elsewhere),
    DAMAGE("odb-cut-in-header", TMF_EWRONGSIZE, odb_cut_in_header),
    DAMAGE("odb-cut", TMF_EWRONGSIZE, odb_cut),
    DAMAGE("odb-empty", TMF_EWRONGFILETYPE, odb_empty),
    DAMAGE("log-empty", TMF_ECORRUPT, log_empty),
    DAMAGE("log-cut-in-slot", TMF_ECORRUPT, log_cut_in_slot),
    DAMAGE("log-cut", TMF_ECORRUPT, log_cut),
    DAMAGE("log-magic", TMF_EWRONGFILETYPE, log_magic),
    DAMAGE("log-version", TMF_EWRONGVERSION, log_version),
    DAMAGE("log-byte-order", TMF_EWRONGENDIAN, log_byte_order),
    DAMAGE("log-checksum", TMF_ECORRUPT, log_checksum),
    DAMAGE("log-of-another", TMF_ECORRUPT, log_of_another),
    DAMAGE("log-longer", TMF_ECORRUPT, log_longer),
    DAMAGE("log-turn-impossible", TMF_ECORRUPT, log_turn_impossible),
    {.name = "slots-lost-meanwhile",
     .run = slots_lost_meanwhile,
     .expected = TMF_ECORRUPT,
     .is_open = true,
     .damages = true},
    DAMAGE("record-names-elsewhere", TMF_ECORRUPT, record_names_elsewhere),
    DAMAGE_SEEN_OR_NOT("first-record-lost", TMF_ECORRUPT, first_record_lost),
    DAMAGE_SEEN_OR_NOT("second-record-lost", TMF_ECORRUPT, second_record_lost),
    DAMAGE_SEEN_OR_NOT("image-damaged", TMF_ECORRUPT, image_damaged),
    DAMAGE("slot-lost", TMF_ECORRUPT, slot_lost),
    DAMAGE("other-slot-lost", TMF_ECORRUPT, other_slot_lost),
    DAMAGE_SEEN_OR_NOT("slots-older-than-records", TMF_ECORRUPT, slots_older_than_records),
    DAMAGE_SEEN_OR_NOT("slots-older-than-records-too", TMF_ECORRUPT, slots_older_than_records_too),
};
#define DAMAGE_COUNT (sizeof(damages) / sizeof(damages[0]))

const struct error_misuse *error_misuse_damage_at(size_t n)
{
    return n < DAMAGE_COUNT ? &damages[n] : NULL;
}
