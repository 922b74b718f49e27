/* SPDX-License-Identifier: MIT */
/*
 * The log as a file: its slots, its poison, its size, its syncs. What stands in it as records is
 * the matter of undo_log.h and redo_log.h. The format and its validity rules are in format.h.
 *
 * Who changes the log holds the storage's lock that excludes every other writer; tmf_log_look() and
 * tmf_log_is_stale() need none. Functions return 0 or an error; those marked [signal] are safe in a
 * signal handler.
 */
#ifndef TMF_LOG_H
#define TMF_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/format.h"

/* A place in a redo log: between two records. */
struct tmf_redo_cursor {
    uint64_t sequence; /* of the record that comes next */
    uint64_t offset;   /* where it stands */
    uint64_t previous; /* checksum of the record before; 0: none */
};

struct tmf_log {
    int fd;
    const unsigned char *head; /* the first `mapped` bytes, mapped shared */
    size_t mapped;
    uint64_t id, salt;
    uint64_t turn;        /* of the slot that we know; 0: none, all of the log is news */
    uint64_t turn_synced; /* of a slot that we know to be durable */
    enum tmf_log_kind kind;
    uint64_t sequence;  /* of that slot: the undo log's transaction, or the redo log's first */
    uint64_t size;      /* of the file, as far as we know */
    uint64_t size_kept; /* bytes that stay between transactions */
    uint64_t promised;  /* bytes that the file has at least, by the slot that we know */
    bool durable;       /* syncs are made */
    _Atomic uint64_t bytes_written, syncs; /* for measurement */

    uint64_t records;                           /* undo: appended in this transaction */
    uint64_t synced;                            /* of which synced */
    unsigned char record[TMF_UNDO_RECORD_SIZE]; /* being appended; a signal stack is too small */

    bool has_leftovers;             /* redo: nothing may be appended in this turn, see recovery.c */
    struct tmf_redo_cursor at;      /* redo: behind the last record that the arena shows */
    _Atomic uint64_t appended;      /* at.sequence, for threads that are no writer */
    _Atomic uint64_t durable_below; /* every transaction below this number is durable */
};

/* What a look at the log's head tells. */
struct tmf_log_state {
    uint64_t turn, sequence, promised; /* of the current slot */
    enum tmf_log_kind kind;
    bool pending;  /* the .odb is not what was committed: undo, or publish */
    bool poisoned; /* a sync failed */
};

/*
 * Is the log counted so far that what is committed under it might not be opened again? Only a
 * forged slot leads there; half of all numbers are left for recovering what it says.
 */
bool tmf_log_is_spent(const struct tmf_log *log);

/* Makes an empty undo log in `fd`: zero-filled, synced. */
int tmf_log_create(struct tmf_log *log, int fd, uint64_t id, uint64_t size);

/*
 * Reads an existing log; `size_kept` bytes at least are kept between transactions from now on.
 * TMF_EWRONGFILETYPE, TMF_EWRONGVERSION, TMF_EWRONGENDIAN; TMF_ECORRUPT: no valid slot, or cut off.
 */
int tmf_log_attach(struct tmf_log *log, int fd, uint64_t size_kept);

/* Unmaps; the descriptor stays the caller's. */
void tmf_log_detach(struct tmf_log *log);

/* Reads the current slot and what follows it. Changes nothing, makes no system call. */
int tmf_log_look(const struct tmf_log *log, struct tmf_log_state *out);

/* Takes what a look has told for what we know; no record of it is known. */
void tmf_log_follow(struct tmf_log *log, const struct tmf_log_state *state);

/* Whether another process may have written since our last look or write: a hint, in a few ns. */
bool tmf_log_is_stale(const struct tmf_log *log);

/* Under the lock that keeps writers out: whether there is nothing to be found by a look, since
 * nobody has written, died at it, or failed to sync since our last one. In a few ns. */
bool tmf_log_is_quiet(const struct tmf_log *log);

/* Makes the file `end` bytes or more, of zeroes. */
int tmf_log_extend(struct tmf_log *log, uint64_t end);

/* [signal] Makes every appended record durable. */
int tmf_log_sync(struct tmf_log *log);

/* A new slot, durably: the records before it are stale, the file is cut back to what is kept. */
int tmf_log_start(struct tmf_log *log, enum tmf_log_kind kind, uint64_t sequence);

/* Marks the storage as poisoned for every process, or heals it. The first is best effort. */
void tmf_log_set_poison(struct tmf_log *log, int error);
int tmf_log_clear_poison(struct tmf_log *log);

/*
 * Whether `fd` is a file of ours that can be made anew: it begins with our magic, or with sectors
 * of zeroes and then our magic, in the second copy of a slot whose first was torn off; or its first
 * `zeroes` bytes, or all where it is shorter, are zero.
 */
int tmf_file_is_ours(int fd, const char magic[8], uint64_t zeroes, bool *out);

#endif
