/* SPDX-License-Identifier: MIT */
/*
 * See log.h, and format.h for the bytes.
 *
 * The file is zero-filled ahead of its use: writing into blocks that are there already needs no
 * journal commit of the file system, only the data and a flush.
 *
 * Why the syncs: tmf_log_sync() - the caller is about to let a page change, or to acknowledge;
 * tmf_log_start() - what the records before it told is in the arena durably, and the caller is
 * about to forget them; extending the log - its new size must be durable before a record in the new
 * part counts as synced (fdatasync covers a size that is needed to read the data back). Cutting the
 * log back to its kept size needs none: if that is lost, the log is longer than needed. It is never
 * cut below what a slot has promised, since every process maps as much.
 */
#include "txn/log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/point.h"
#include "txn/checksum.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo_log.h"
#include "txn/undo_log.h"

#define HEAD_SIZE       (3 * TMF_PAGE_SIZE) /* the least: slots, and two undo records' heads */
#define MAPPED_MOST     ((size_t)64 << 20)  /* beyond, news are looked for the long way */
#define NUMBER_MOST     (UINT64_MAX / 2) /* no storage gets so far, and so none counts back to 0 */
#define NUMBER_LAST     (NUMBER_MOST / 2)
#define EXTENSION_BYTES ((uint64_t)1 << 20)

/* ---- slots */

static uint64_t slot_checksum(const struct tmf_log_slot *slot)
{
    return tmf_checksum(slot, offsetof(struct tmf_log_slot, checksum), slot->id);
}

static bool slot_is_valid(const struct tmf_log_slot *slot)
{
    return memcmp(slot->log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) == 0 &&
           slot->version == TMF_FORMAT_VERSION && slot->kind <= TMF_LOG_REDO &&
           (slot->checksum == slot_checksum(slot) || TMF_MUTANT("slot-checksum-unchecked"));
}

/* Of the valid copies the one with the highest turn. A slot without one may have been the current
 * one, so that nobody may go on from the other. */
static bool slots_read(const unsigned char *head, struct tmf_log_slot *out)
{
    struct tmf_log_slot copy;
    bool valid[2] = {false, false};
    *out = (struct tmf_log_slot){0};
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_SECTOR_SIZE) {
        bool *is_valid = &valid[at / TMF_LOG_SLOT_SIZE];
        memcpy(&copy, head + at, sizeof(copy));
        if ((*is_valid && copy.turn <= out->turn) || !slot_is_valid(&copy))
            continue;
        *is_valid = true;
        if (copy.turn > out->turn)
            *out = copy;
    }
    if (TMF_MUTANT("lost-slot-passed-over"))
        return valid[0] || valid[1];
    return valid[0] && valid[1];
}

static void promise(struct tmf_log *log, uint64_t size)
{
    if (log->promised < size)
        log->promised = size;
    if (log->size_kept < log->promised)
        log->size_kept = log->promised;
}

/*
 * What the next slot may promise: no less than the one before, by which every process has mapped
 * the log; more, where we keep more and the file has it, which another one may have cut meanwhile.
 */
static int find_promise(struct tmf_log *log)
{
    if (log->size_kept <= log->promised)
        return 0;
    int error = tmf_file_size(log->fd, &log->size);
    uint64_t kept = log->size < log->size_kept ? log->size : log->size_kept;
    if (!error)
        promise(log, kept);
    return error;
}

static int slot_write(struct tmf_log *log, uint64_t turn, enum tmf_log_kind kind, uint64_t sequence)
{
    int error = find_promise(log);
    if (error)
        return error;
    if (turn > NUMBER_MOST || sequence > NUMBER_MOST) /* nobody would read it */
        return TMF_ECORRUPT;
    struct tmf_log_slot slot = {.version = TMF_FORMAT_VERSION,
                                .byte_order = TMF_BYTE_ORDER,
                                .id = log->id,
                                .salt = log->salt,
                                .turn = turn,
                                .kind = kind,
                                .sequence = sequence,
                                .size = log->promised};
    memcpy(slot.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE);
    slot.checksum = slot_checksum(&slot);
    unsigned char sectors[TMF_LOG_SLOT_SIZE] = {0};
    memcpy(sectors, &slot, sizeof(slot)); /* twice, so that damage to one is outvoted */
    memcpy(sectors + TMF_SECTOR_SIZE, &slot, sizeof(slot));
    log->bytes_written += sizeof(sectors);
    bool is_made = turn <= TMF_LOG_FIRST_TURN;
    uint64_t at = !is_made && TMF_MUTANT("slot-overwritten") ? TMF_LOG_FIRST_TURN : turn;
    return tmf_file_write(log->fd, sectors, sizeof(sectors), TMF_LOG_SLOT_OFFSET(at));
}

/* ---- opening */

static int map_head(struct tmf_log *log, uint64_t bytes)
{
    size_t size = bytes < MAPPED_MOST ? (size_t)bytes & ~(TMF_PAGE_SIZE - 1) : MAPPED_MOST;
    void *head = tmf_io->mmap(NULL, size, PROT_READ, MAP_SHARED, log->fd, 0);
    if (head == MAP_FAILED)
        return errno;
    if (tmf_io->madvise(head, size, MADV_DONTFORK) != 0) {
        int error = errno;
        (void)tmf_io->munmap(head, size);
        return error;
    }
    log->head = head;
    log->mapped = size;
    return 0;
}

int tmf_log_create(struct tmf_log *log, int fd, uint64_t id, uint64_t size)
{
    if (size < HEAD_SIZE)
        size = HEAD_SIZE;
    *log = (struct tmf_log){.fd = fd,
                            .id = id,
                            .turn = TMF_LOG_FIRST_TURN,
                            .turn_synced = TMF_LOG_FIRST_TURN,
                            .size = size,
                            .size_kept = size,
                            .durable = true};
    int error = tmf_draw(&log->salt, sizeof(log->salt));
    if (error)
        return error;
    if (tmf_io->ftruncate(fd, 0) != 0)
        return errno;
    TMF_POINT("txn/create/log-empty");
    error = tmf_file_zero(fd, 0, size);
    if (!error)
        error = slot_write(log, log->turn - 1, TMF_LOG_UNDO, 0); /* both slots are valid always */
    if (!error)
        error = slot_write(log, log->turn, TMF_LOG_UNDO, 0);
    TMF_POINT("txn/create/log-written");
    if (!error && !TMF_MUTANT("new-log-unsynced"))
        error = tmf_log_sync(log);
    tmf_log_follow(log, &(struct tmf_log_state){.turn = log->turn, .kind = TMF_LOG_UNDO});
    return error ? error : map_head(log, size);
}

/* A slot does not hold: says which of the reasons it is, as far as the bytes tell. */
static int why_no_slot(const unsigned char *head)
{
    struct tmf_log_slot copy;
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_SECTOR_SIZE) {
        memcpy(&copy, head + at, sizeof(copy));
        if (memcmp(copy.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) != 0)
            continue;
        if (copy.byte_order == __builtin_bswap32(TMF_BYTE_ORDER))
            return TMF_EWRONGENDIAN;
        return copy.version != TMF_FORMAT_VERSION ? TMF_EWRONGVERSION : TMF_ECORRUPT;
    }
    return TMF_EWRONGFILETYPE;
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

static int read_slot(struct tmf_log *log)
{
    struct tmf_log_slot slot;
    unsigned char head[TMF_LOG_POISON_OFFSET];
    int error = tmf_file_read(log->fd, head, sizeof(head), 0);
    if (error)
        return error;
    if (!slots_read(head, &slot))
        return why_no_slot(head);
    if (log->size < slot.size || slot.size < HEAD_SIZE)
        return TMF_ECORRUPT;
    log->id = slot.id;
    log->salt = slot.salt;
    promise(log, slot.size);
    return map_head(log, slot.size);
}

int tmf_log_attach(struct tmf_log *log, int fd, uint64_t size_kept)
{
    *log = (struct tmf_log){
        .fd = fd, .size_kept = size_kept, .durable = true, .turn_synced = TMF_LOG_FIRST_TURN};
    int error = tmf_file_size(fd, &log->size);
    if (!error && log->size < HEAD_SIZE)
        error = why_short(fd);
    return error ? error : read_slot(log);
}

void tmf_log_detach(struct tmf_log *log)
{
    if (log->head)
        (void)tmf_io->munmap((void *)(uintptr_t)log->head, log->mapped);
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
        has_magic = memcmp(sector, magic, TMF_MAGIC_SIZE) == 0;
        is_zero = memcmp(sector, zero_sector, sizeof(sector)) == 0;
    }
    if (!error)
        *out = has_magic || (is_zero && (size == 0 || !TMF_MUTANT("half-made-refused")));
    return error;
}

/* ---- looking */

int tmf_log_look(const struct tmf_log *log, struct tmf_log_state *out)
{
    struct tmf_log_slot slot;
    struct tmf_log_poison poison;
    if (!slots_read(log->head, &slot) || slot.id != log->id || slot.turn > NUMBER_MOST ||
        slot.sequence > NUMBER_MOST)
        return TMF_ECORRUPT;
    memcpy(&poison, log->head + TMF_LOG_POISON_OFFSET, sizeof(poison));
    *out = (struct tmf_log_state){.turn = slot.turn,
                                  .sequence = slot.sequence,
                                  .promised = slot.size,
                                  .kind = (enum tmf_log_kind)slot.kind,
                                  .poisoned =
                                      memcmp(poison.log_magic, TMF_LOG_MAGIC, TMF_MAGIC_SIZE) == 0};
    if (tmf_undo_log_is_later(log, slot.sequence) || tmf_redo_log_is_later(log, slot.turn))
        return TMF_ECORRUPT; /* the slot that its records were written under is gone */
    return slot.kind == TMF_LOG_UNDO ? tmf_undo_log_look(log, out) : tmf_redo_log_look(log, out);
}

bool tmf_log_is_spent(const struct tmf_log *log)
{
    return log->turn > NUMBER_LAST || log->sequence > NUMBER_LAST;
}

void tmf_log_follow(struct tmf_log *log, const struct tmf_log_state *state)
{
    log->turn = state->turn;
    log->kind = state->kind;
    log->sequence = state->sequence;
    promise(log, state->promised);
    log->records = log->synced = 0;
    log->has_leftovers = false;
    log->at = (struct tmf_redo_cursor){state->sequence, TMF_LOG_RECORDS_OFFSET, 0};
    log->appended = state->sequence;
    log->durable_below = state->sequence;
}

static uint64_t turn_at(const struct tmf_log *log, uint64_t turn)
{
    uint64_t word;
    memcpy(&word, log->head + TMF_LOG_SLOT_OFFSET(turn) + offsetof(struct tmf_log_slot, turn),
           sizeof(word));
    return word;
}

bool tmf_log_is_stale(const struct tmf_log *log)
{
    if (turn_at(log, 0) > log->turn || turn_at(log, 1) > log->turn)
        return true;
    return log->kind == TMF_LOG_REDO && tmf_redo_log_has_next(log);
}

bool tmf_log_is_quiet(const struct tmf_log *log)
{
    uint64_t poison;
    memcpy(&poison, log->head + TMF_LOG_POISON_OFFSET, sizeof(poison));
    if (!log->turn || (poison && !TMF_MUTANT("poison-taken-for-quiet")) || tmf_log_is_stale(log))
        return false;
    return log->kind == TMF_LOG_REDO || !tmf_undo_log_has_begun(log) ||
           TMF_MUTANT("dead-taken-for-quiet");
}

/* ---- changing */

int tmf_log_extend(struct tmf_log *log, uint64_t end)
{
    uint64_t size = 0;
    int error = tmf_file_size(log->fd, &log->size); /* another process may have made it longer */
    if (error || log->size >= end || TMF_MUTANT("log-not-extended"))
        return error;
    for (size = log->size + EXTENSION_BYTES; size < end;)
        size += EXTENSION_BYTES;
    error = tmf_file_zero(log->fd, log->size, size);
    TMF_POINT("txn/log/extended");
    if (!error)
        log->size = size;
    return error;
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

int tmf_log_start(struct tmf_log *log, enum tmf_log_kind kind, uint64_t sequence)
{
    struct tmf_log_state state = {.turn = log->turn + 1, .sequence = sequence, .kind = kind};
    int error = slot_write(log, state.turn, kind, sequence);
    TMF_POINT("txn/log/start-written");
    if (!error && !TMF_MUTANT("slot-unsynced"))
        error = tmf_log_sync(log);
    if (error)
        return error;
    TMF_POINT("txn/log/start-synced");
    tmf_log_follow(log, &state);
    if (log->durable)
        log->turn_synced = state.turn;
    if (log->size > log->size_kept && tmf_io->ftruncate(log->fd, (off_t)log->size_kept) == 0)
        log->size = log->size_kept;
    return 0;
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
