/* SPDX-License-Identifier: MIT */
/* The mappings of memory_fs.c: one of a file at a fixed address, and anonymous memory. */
#ifndef FAULTS_MEMORY_MAP_H
#define FAULTS_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_file {
    uint32_t number;
    unsigned char *bytes; /* DISK_FILE_BYTES, never moved */
    uint64_t size;
};

/* As mmap(2) gives it back. The file at its address, the whole or what it has grown by. */
void *memory_map_file(struct memory_file *file, void *at, size_t size, int flags, uint64_t offset,
                      bool writable);
void *memory_map_anonymous(size_t size, int flags);
void memory_unmap(void *at, size_t size);
/* Whatever was left mapped is not any more. */
void memory_map_reset(void);

/* The page may be stored to from now on; its private copy is dropped. */
void memory_map_open(void *at, size_t size);
void memory_map_drop(void *at, size_t size);

/* Changes the file's bytes, and the mapping's where they follow. */
void memory_map_write(struct memory_file *file, uint64_t at, const void *from, size_t size);
/* The file's page at `at` was changed otherwise. */
void memory_map_file_changed(const struct memory_file *file, uint64_t at);

/* Brings what was stored into a shared mapping to the file. `note` is called for each page. */
void memory_map_look(void note(struct memory_file *file, uint64_t at, uint64_t size));

#endif
