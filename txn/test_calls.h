/* SPDX-License-Identifier: MIT */
/*
 * A table of system calls that counts, and in which one call fails, comes back short, or kills the
 * process. Syncs are counted, not made: nothing here loses the page cache, and the tests are quick.
 */
#ifndef TMF_TEST_CALLS_H
#define TMF_TEST_CALLS_H

#include <stdbool.h>

#include "txn/io.h"

enum test_call {
#define TEST_CALL(result, name, parameters, arguments) TEST_CALL_##name,
    TMF_IO_CALLS(TEST_CALL)
#undef TEST_CALL
        TEST_CALLS,
    TEST_CALL_ANY = TEST_CALLS
};

enum test_fault_kind {
    TEST_FAIL,  /* returns -1 and `error`; close and munmap do their work nevertheless */
    TEST_SHORT, /* pread and pwrite do half */
    TEST_KILL   /* SIGKILL in place of the call */
};

struct test_fault {
    enum test_call call;
    enum test_fault_kind kind;
    int error;
    unsigned nth; /* 1: the first from now on */
    bool sticky;  /* and every later one */
};

/* Puts the table in tmf_io, counts from zero; `fault` strikes (NULL: nothing does). */
void test_calls_use(const struct test_fault *fault);
/* Whether the fault has struck. */
bool test_calls_struck(void);
unsigned test_calls_made(enum test_call call);
const char *test_call_name(enum test_call call);

#endif
