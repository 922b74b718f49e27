/* SPDX-License-Identifier: MIT */
/* The undo log's records: append pages, put them back. Who calls holds the exclusive lock. */
#ifndef TMF_UNDO_LOG_H
#define TMF_UNDO_LOG_H

#include "txn/log.h"

/* Whether one of the first records is of a later transaction than `sequence`. No system call. */
bool tmf_undo_log_is_later(const struct tmf_log *log, uint64_t sequence);

/* Whether a record that may be valid is there of the transaction that comes next. A few ns. */
bool tmf_undo_log_has_begun(const struct tmf_log *log);

/* Whether a transaction waits to be undone. No system call. */
int tmf_undo_log_look(const struct tmf_log *log, struct tmf_log_state *state);

/*
 * [signal] Appends the page's image as `arena_fd` has it; not durable before tmf_log_sync(). It is
 * read with a call, not through the mapping: an I/O error is an error then, and not a SIGBUS.
 */
int tmf_undo_log_append(struct tmf_log *log, uint64_t page, int arena_fd);

/*
 * Writes the logged pages back into `arena_fd`, after all of them were checked. Neither syncs the
 * arena nor ends the transaction. `rewrite`: also pages that are as they were, after a failed sync.
 * TMF_ECORRUPT: something no crash leaves; nothing was written.
 */
int tmf_undo_log_apply(struct tmf_log *log, int arena_fd, bool rewrite);

#endif
