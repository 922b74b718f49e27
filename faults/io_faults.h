/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail: the n-th use of one call of txn/io.h, or the n-th and every later one,
 * gives an error that it may give, or does less than it was asked for. The library's memory is
 * allocated by one more such call (memory_faults.c). Which faults there are is a table,
 * fault_table.c.
 *
 * A sync that fails behaves as Linux has it: see medium.h. Syncs are not made at all: who looks
 * afterwards looks at the page cache, or at the medium of that model.
 *
 * A child inherits what is armed; counts lie in memory shared with it.
 */
#ifndef FAULTS_IO_FAULTS_H
#define FAULTS_IO_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/io.h"

enum faults_call {
#define FAULTS_CALL(result, name, parameters, arguments) FAULTS_CALL_##name,
    TMF_IO_CALLS(FAULTS_CALL)
#undef FAULTS_CALL
        FAULTS_CALL_scan, /* the ioctl that scans /proc/self/pagemap; all others are `ioctl` */
    FAULTS_CALL_memory,   /* malloc, calloc, realloc */
    FAULTS_CALL_room,     /* no call: a file system with room for `nth` pages; see the harness */
    FAULTS_CALLS
};

enum faults_kind {
    FAULTS_FAIL,   /* with an errno */
    FAULTS_LOSE,   /* a sync that fails: what was dirty is lost */
    FAULTS_ONE,    /* one byte */
    FAULTS_HALF,   /* half of the bytes */
    FAULTS_NOTHING /* none, and no error */
};

/* How long. Some errors would be waited out for ever, or cannot pass. */
enum faults_span { FAULTS_ONCE = 1, FAULTS_STICKY = 2, FAULTS_BOTH = 3 };

/* What the library owes. */
enum faults_answer {
    FAULTS_MAY_FAIL,  /* the error, or a way around it; never an acknowledgement of what is not */
    FAULTS_MUST_GO_ON /* nobody hears of it */
};

struct faults_row {
    enum faults_call call;
    enum faults_kind kind;
    int error;        /* that is reported, an errno; 0: none */
    const char *name; /* in a case, as "ENOSPC" or "half" */
    enum faults_span spans;
    enum faults_answer answer;
    const char *reason; /* why the call may do so: its manual page, in our words */
};

/* The n-th row; NULL past the last. And by names; NULL: there is none. */
const struct faults_row *faults_row_at(size_t n);
const struct faults_row *faults_row_find(const char *call, const char *name);

const char *faults_call_name(enum faults_call call);

struct faults_fault {
    const struct faults_row *row; /* NULL: nothing fails */
    uint64_t nth;                 /* from 1 */
    bool sticky;                  /* every later one too */
};

/* 0 or an errno. Once in a process. */
int faults_io_init(void);

/* Arms a fault. Counts start at 0, and nothing is lost yet on the medium. */
void faults_io_arm(const struct faults_fault *fault);

/* Makes it the library's table; no storage is open. */
void faults_io_install(void);

/* While suspended nothing is counted and nothing fails. */
void faults_io_suspend(bool suspended);

/* How often a call was made, and how often the fault struck, since it was armed. */
uint64_t faults_io_made(enum faults_call call);
uint64_t faults_io_struck(void);

/* Where in the program the n-th use of a call was made while nothing was armed: equal for those
 * that were made on the same way through it. 0: it was not made, or is beyond FAULTS_PLACES. */
#define FAULTS_PLACES ((uint64_t)2048)
uint64_t faults_io_place(enum faults_call call, uint64_t nth);

/* [signal] Counts a use of the call; whether the fault strikes it. */
bool faults_io_strikes(enum faults_call call);

#endif
