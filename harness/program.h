/* SPDX-License-Identifier: MIT */
/*
 * Other programs that a command runs to do its work, and where they are found: built or installed
 * beside this one, so that a build directory may be moved, and two of them stand side by side.
 */
#ifndef HARNESS_PROGRAM_H
#define HARNESS_PROGRAM_H

#include <limits.h>

#include "harness/child.h"

/* PATH as seen from the folder of the running executable. 0 or an errno, as ENOENT. */
int program_beside(const char *relative, char path[PATH_MAX]);

/* Becomes argv[0] (a path); returns an errno where that fails. The list of words ends in NULL. */
int program_become(const char *const argv[]);

struct program {
    const char *const *argv; /* argv[0] is a path; ends in NULL */
    const char *output;      /* file for its standard output; NULL: where ours goes */
    const char *tmpdir;      /* its TMPDIR; NULL: ours */
    const char *mutant;      /* that is awake in it (faults/mutants.h); NULL: none */
    unsigned limit_seconds;  /* 0: none */
};

/* Starts it: *out is to be waited for. The program lives as long as that. 0 or an errno. */
int program_start(const struct program *program, pid_t *out);

/* What it may need. It and all its children together use the memory, as Linux shares it out (Pss).
 */
struct program_bounds {
    const char *path;      /* of the folder whose bytes on the disk are counted */
    uint64_t disk, memory; /* bytes */
};

/* Waits for its end, which comes at once (SIGKILL) where a bound is passed. NULL, or which that
 * was: "disk" or "memory". */
const char *program_oversee(pid_t pid, const struct program_bounds *bounds, struct child_end *out);

/* Runs it and waits. 0 or an errno; one that could not be started, which was said, exited with 127.
 */
int program_run(const struct program *program, struct child_end *out);

#endif
