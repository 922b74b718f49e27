/* SPDX-License-Identifier: MIT */
/*
 * The facts of an environment, each found by a function of its own, which is given the folder that
 * was worked in. environment.c has the table of them all; they are spread by where they come from:
 * the machine, the folder's file system, the build.
 */
#ifndef HARNESS_ENVIRONMENT_FACTS_H
#define HARNESS_ENVIRONMENT_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define UNKNOWN  "unknown"
#define WORD_MAX ((size_t)256)

typedef json_t *fact_finder(const char *dir);

/* environment_machine.c */
fact_finder find_processor, find_machine, find_cores, find_allowed_cores, find_governor,
    find_virtual, find_kernel, find_kernel_version, find_memory, find_limits;
json_t *find_load(void);

/* environment_folder.c */
fact_finder find_file_system;

/* environment_build.c */
fact_finder find_compiler, find_build, find_version, find_revision, find_libraries;

/* The first line of a file without its end; false: there is none, `out` is as it was. */
bool fact_read_line(const char *path, char *out, size_t size);

/* Of a line as "always [madvise] never" the word that is chosen; other lines are themselves. */
void fact_keep_chosen(char *line);

#endif
