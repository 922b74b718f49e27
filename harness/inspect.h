/* SPDX-License-Identifier: MIT */
/* An existing storage, opened to be looked at: what `tmf check` and `tmf dump` share. */
#ifndef HARNESS_INSPECT_H
#define HARNESS_INSPECT_H

#include "harness/result.h"
#include "txn/log.h"

struct inspection {
    tmf_storage *storage;
    tmf_reader *reader;
    tmf_info info;
    struct tmf_log_state log; /* as it is on the disk; its strategy may be another one's */
};

/*
 * Opens the storage that the command's word names (PATH, or PATH.odb) as it is, which recovers what
 * a process that died left behind, and begins to read. STATUS_HELD, or what the command ends with,
 * said already: STATUS_VIOLATION where the files are damaged, STATUS_CANNOT where they cannot be
 * opened.
 */
int inspect_begin(const struct arguments *arguments, struct inspection *out);
void inspect_end(struct inspection *inspection);

/* The facts of it, into "metrics". */
void inspect_measure(const struct inspection *inspection, json_t *metrics);

/* "undo", "redo". */
const char *inspect_log_kind(const struct inspection *inspection);

/* "12.3 KiB", in a buffer that the caller owns. */
#define BYTES_TEXT_MAX ((size_t)32)
const char *bytes_text(size_t bytes, char to[BYTES_TEXT_MAX]);

#endif
