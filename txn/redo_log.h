/* SPDX-License-Identifier: MIT */
/*
 * The redo log's records: append one, read the next, write all of them into the .odb. A record is
 * built in memory, in a buffer that is kept; so a commit is one contiguous write.
 */
#ifndef TMF_REDO_LOG_H
#define TMF_REDO_LOG_H

#include "txn/log.h"

/* A record: room for its head, then runs. All zeroes is an empty one. */
struct tmf_redo_buffer {
    unsigned char *bytes;
    size_t size; /* with the head; 0: nothing was put in */
    size_t capacity;
};

void tmf_redo_buffer_free(struct tmf_redo_buffer *buffer);

/* Makes the buffer empty, and gives memory back that only a large record needed. */
void tmf_redo_buffer_clear(struct tmf_redo_buffer *buffer);

/*
 * Adds a run for each stretch in which `page`, the arena's page at `offset`, differs from what was
 * committed. ENOMEM. *changed: whether there is any.
 */
int tmf_redo_buffer_diff(struct tmf_redo_buffer *buffer, uint64_t offset, const unsigned char *page,
                         const unsigned char *committed, bool *changed);

/* The runs of a record that was read. TMF_ECORRUPT: their lengths do not add up. */
typedef int tmf_redo_visit(void *context, uint64_t offset, const unsigned char *bytes, size_t size);
int tmf_redo_buffer_each(const struct tmf_redo_buffer *buffer, tmf_redo_visit *visit,
                         void *context);

/* Where the log ends after the record in the buffer is appended. */
uint64_t tmf_redo_log_end(const struct tmf_log *log, const struct tmf_redo_buffer *buffer);

/* Appends the record at log->at, and moves that behind it; not durable before tmf_log_sync(). */
int tmf_redo_log_append(struct tmf_log *log, struct tmf_redo_buffer *buffer);

/* Reads the record at the cursor and moves that behind it; an empty buffer: there is none. */
int tmf_redo_log_read(const struct tmf_log *log, struct tmf_redo_cursor *cursor,
                      struct tmf_redo_buffer *buffer);

/*
 * Looks at what stands behind the end. TMF_ECORRUPT: a record there says that the missing one was
 * durable, or was written under a later slot than there is. *has_leftovers: there are records that
 * were lost with the missing one, and would be valid again behind one that is written in its place
 * with the very same content.
 */
int tmf_redo_log_check_end(const struct tmf_log *log, const struct tmf_redo_cursor *end,
                           bool *has_leftovers);

/*
 * Writes every record from the slot's first on into `arena_fd`; *end is where the log ends. Syncs
 * nothing. TMF_ECORRUPT.
 */
int tmf_redo_log_publish(const struct tmf_log *log, int arena_fd, struct tmf_redo_buffer *buffer,
                         struct tmf_redo_cursor *end);

/* Writes all records where they are, so that a sync covers them that one has failed to. */
int tmf_redo_log_rewrite(const struct tmf_log *log, struct tmf_redo_buffer *buffer);

/* Whether the first record stands under a later slot than that of the turn. No system call. */
bool tmf_redo_log_is_later(const struct tmf_log *log, uint64_t turn);

/* Whether there is a first record. No system call. */
int tmf_redo_log_look(const struct tmf_log *log, struct tmf_log_state *state);

/* Whether a record seems to follow log->at: a hint, no system call. */
bool tmf_redo_log_has_next(const struct tmf_log *log);

#endif
