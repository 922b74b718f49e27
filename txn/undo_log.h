/* SPDX-License-Identifier: MIT */
/*
 * The undo log as a file: append pages, sync, end the transaction, undo what was not ended. The
 * format and its validity rule are in format.h; when to call what is the strategy's business.
 *
 * Who calls holds the storage's exclusive lock, but for tmf_log_look(), which the shared one
 * allows. Functions return 0 or an error; those marked [signal] are safe in a signal handler.
 */
#ifndef TMF_UNDO_LOG_H
#define TMF_UNDO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "txn/format.h"

struct tmf_log {
    int fd;
    const unsigned char *head; /* slots, poison and the first two records' sectors, mapped shared */
    uint64_t id, salt;
    uint64_t sequence;                         /* of the current transaction */
    uint64_t size;                             /* of the file */
    uint64_t size_kept;                        /* bytes that stay between transactions */
    uint64_t records;                          /* appended in this transaction */
    uint64_t synced;                           /* of which synced */
    bool durable;                              /* syncs are made */
    uint64_t bytes_written, syncs;             /* for measurement */
    unsigned char record[TMF_LOG_RECORD_SIZE]; /* being appended; a signal stack is too small */
};

/* What a look at the log's first pages tells. */
struct tmf_log_state {
    bool pending;  /* a transaction was not ended: it must be undone */
    bool poisoned; /* a sync failed */
};

/* Makes an empty log in `fd`: zero-filled, synced. */
int tmf_log_create(struct tmf_log *log, int fd, uint64_t id, uint64_t size);

/*
 * Reads an existing log. TMF_EWRONGFILETYPE, TMF_EWRONGVERSION, TMF_EWRONGENDIAN; TMF_ECORRUPT: no
 * valid slot, or cut off.
 */
int tmf_log_attach(struct tmf_log *log, int fd, uint64_t size_kept);

/* Unmaps; the descriptor stays the caller's. */
void tmf_log_detach(struct tmf_log *log);

/* Reads the current sequence afresh (another process may have moved it). No system call. */
int tmf_log_look(struct tmf_log *log, struct tmf_log_state *out);

/*
 * [signal] Appends the page's image as `arena_fd` has it; not durable before tmf_log_sync(). It is
 * read with a call, not through the mapping: an I/O error is an error then, and not a SIGBUS.
 */
int tmf_log_append(struct tmf_log *log, uint64_t page, int arena_fd);

/* [signal] Makes every appended record durable. */
int tmf_log_sync(struct tmf_log *log);

/* Ends the current transaction durably: all records are stale afterwards. */
int tmf_log_end(struct tmf_log *log);

/*
 * Writes the logged pages back into `arena_fd`, after all of them were checked. Neither syncs the
 * arena nor ends the transaction. `rewrite`: also pages that are as they were, after a failed sync.
 * TMF_ECORRUPT: something no crash leaves; nothing was written.
 */
int tmf_log_undo(struct tmf_log *log, int arena_fd, bool rewrite);

/* Marks the storage as poisoned for every process, or heals it. Best effort, never fails. */
void tmf_log_set_poison(struct tmf_log *log, int error);
int tmf_log_clear_poison(struct tmf_log *log);

/*
 * Whether `fd` is a file of ours that can be made anew: it begins with our magic, or its first
 * `zeroes` bytes, or all where it is shorter, are zero.
 */
int tmf_file_is_ours(int fd, const char magic[8], uint64_t zeroes, bool *out);

#endif
