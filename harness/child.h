/* SPDX-License-Identifier: MIT */
/*
 * Children that may die, and a place for them to work in. Whoever forks is single-threaded; a child
 * ends with _exit, so nothing of its parent's runs twice. Children die with their parent.
 */
#ifndef HARNESS_CHILD_H
#define HARNESS_CHILD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a child ended. */
struct child_end {
    bool exited;    /* by itself, with `code`; else by `signal` */
    bool timed_out; /* by the alarm, or that of ITIMER_PROF */
    int code;
    int signal;
};

/* Forks; the child runs body(context) and exits with what that returns, or is ended by SIGALRM
 * after `limit_seconds`. 0 or an errno. */
int child_start(int (*body)(void *context), void *context, unsigned limit_seconds, pid_t *out);
void child_wait(pid_t pid, struct child_end *out);
/* The same from what waitpid(2) has said. */
void child_end_of(int status, struct child_end *out);
int child_run(int (*body)(void *context), void *context, unsigned limit_seconds,
              struct child_end *out);

/* "was killed by signal 11 (Segmentation fault)", for messages. */
void child_explain(const struct child_end *end, char *to, size_t size);

/* Zeroed memory that a child shares with its parent; NULL: none. Never given back. */
void *child_shared(size_t size);

/*
 * A folder to work in: made under `dir` (NULL: $TMPDIR, or /tmp). 0 or an errno. However this
 * process ends, by Ctrl-C or SIGKILL too, and all its children with it, the folder goes; unless it
 * is kept, for a person to look at.
 */
struct scratch {
    char path[PATH_MAX - 64];
    int janitor; /* its ear; not open: nobody listens */
};
int scratch_make(const char *dir, struct scratch *out);
void scratch_keep(const struct scratch *scratch);

/* Whether one can work there: ENOENT where the folder is gone, ENOSPC where the disk is full. */
int scratch_check(const struct scratch *scratch);

/* Bytes on the disk of all that is in the folder. */
uint64_t scratch_size(const char *path);

/* Makes PATH/NAME, empty, whatever was there before; copies the files of a folder into it. */
int scratch_fresh(const struct scratch *scratch, const char *name, char path[PATH_MAX]);
int scratch_copy(const char *from, const char *to);

/* Removes a folder with all that it holds. */
void scratch_remove(const char *path);

#ifdef __cplusplus
}
#endif

#endif
