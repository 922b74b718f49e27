/* SPDX-License-Identifier: MIT */
/* Whole reads and writes: short ones go on, interrupted ones are made again. 0 or an error. */
#ifndef TMF_FILE_H
#define TMF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads exactly `size` bytes; past the end of the file is TMF_EWRONGSIZE. */
int tmf_file_read(int fd, void *to, size_t size, uint64_t at);

/* Writes exactly `size` bytes. */
int tmf_file_write(int fd, const void *from, size_t size, uint64_t at);

/* Writes zeroes over [from, to), so that the blocks are there and their first use costs no more. */
int tmf_file_zero(int fd, uint64_t from, uint64_t to);

int tmf_file_size(int fd, uint64_t *out);

/* Opens with O_CLOEXEC. */
int tmf_file_open(const char *path, int flags, int *out);

/* Random bytes, at most 256. */
int tmf_draw(void *to, size_t size);

/* Makes the names in the folder of `path` durable. */
int tmf_file_sync_folder(const char *path);

#endif
