/* SPDX-License-Identifier: MIT */
/*
 * What the tests of txn/ share: a process and a fresh folder for every test, checks that work in
 * every thread and process, children that run a function, flags to wait for each other, and images
 * of the files.
 *
 * Each test runs in a child of cmocka's process: cmocka puts its own handlers of SIGSEGV and SIGBUS
 * around every test, in the place of those that the library installs once.
 */
#ifndef TMF_TEST_KIT_H
#define TMF_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "txn/tmf.h"

#define TEST_PAGE ((size_t)4096)
/* Free with and without sanitizers, and outside the zone that the library chooses from. */
#if UINTPTR_MAX == UINT32_MAX
#define TEST_ADDRESS ((void *)UINT32_C(0x30000000))
#else
#define TEST_ADDRESS ((void *)UINT64_C(0x7e8800000000))
#endif

/* ---- checks: one that does not hold ends the process, and so fails the test */

void test_check_failed(const char *what, const char *file, int line) __attribute__((noreturn));
void test_check_error(int expected, int got, const char *what, const char *file, int line);
/* What is being tried; printed by a check that fails, and by the parent of a child that dies. */
void test_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define check(condition)            ((condition) ? (void)0 : test_check_failed(#condition, __FILE__, __LINE__))
#define check_error(expected, call) test_check_error((expected), (call), #call, __FILE__, __LINE__)
#define check_ok(call)              check_error(0, call)

/* ---- a test: a function that is given a fresh folder, with the names of a storage in it */

struct test_place {
    char folder[256];
    char path[300], odb[310], log[310];
};

typedef void test_function(const struct test_place *place);
struct test_case {
    test_function *function;
};
int test_setup(void **state);
void test_run(void **state);
int test_teardown(void **state);
#define test_case(function)                                                                        \
    {                                                                                              \
#function, test_run, test_setup, test_teardown, &(struct test_case)                        \
        {                                                                                          \
            function                                                                               \
        }                                                                                          \
    }

/* Another storage's names in the same folder. */
struct test_place test_place_beside(const struct test_place *place, const char *name);
bool test_exists(const char *path);
size_t test_file_size(const char *path);
/* How many files the folder holds, so that what a failure leaves behind is seen. */
unsigned test_files(const struct test_place *place);
/* How many descriptors this process has open. */
unsigned test_descriptors(void);

/* ---- the strategy under test: TMF_TEST_STRATEGY of the environment, else undo-fsync */

const char *test_strategy(void);
/* Whether it keeps a redo log: readers of other processes go on while it writes. */
bool test_strategy_is_redo(void);
/* Whether every store outside a transaction traps; else it may be found, by the next writer. */
bool test_strategy_traps(void);
tmf_survival test_strategy_survives(void);
/* A store that is declared first, where the strategy must be told. */
void test_put(tmf_writer *writer, uint64_t *at, uint64_t value);
/* tmf_open() with the strategy under test, where `options` (or NULL) names none. */
int test_try_open(const char *path, const tmf_options *options, tmf_storage **out);

/* ---- storages: what must succeed */

tmf_storage *test_open(const struct test_place *place, const tmf_options *options);
tmf_reader *test_read(tmf_storage *storage);
tmf_writer *test_write(tmf_storage *storage);
void *test_alloc(tmf_writer *writer, size_t size);
/* Commits and ends. */
void test_commit(tmf_writer *writer);
/* The heap's invariants hold, and another transaction can be made: the lock is free. */
void test_storage_is_well(tmf_storage *storage);

/* ---- the files of a storage, to put back and to compare */

struct test_file {
    bool exists; /* as a regular file */
    size_t size;
    unsigned char *bytes;
};
struct test_pair {
    struct test_file odb, log;
};

void test_file_load(const char *path, struct test_file *out);
void test_file_store(const char *path, const struct test_file *file);
/* The first `length` bytes of `bytes` become the file. */
void test_file_make(const char *path, const void *bytes, size_t length);
void test_pair_load(const struct test_place *place, struct test_pair *out);
void test_pair_store(const struct test_place *place, const struct test_pair *pair);
void test_pair_free(struct test_pair *pair);
bool test_pair_same(const struct test_place *place, const struct test_pair *pair);
/* Writes into the middle of a file, and changes one bit of it. */
void test_poke(const char *path, size_t at, const void *bytes, size_t size);
void test_flip(const char *path, size_t at, unsigned bit);

/* ---- locks of a byte (process_lock.h), as another open file of the storage takes them */

/* F_RDLCK, F_WRLCK or F_UNLCK; 0, or -1 with errno set. */
int test_byte_lock(int fd, off_t at, short type);
/* Whether no other open file has it. */
bool test_byte_is_free(int fd, off_t at);

/* ---- children: the parent has one thread when it forks */

typedef void test_body(const void *context);

pid_t test_child(test_body *body, const void *context);
/* Waits; the child must have returned from its body with all its checks holding. */
void test_child_returned(pid_t child);
/* Waits; the child must have died of `signal`. */
void test_child_died(pid_t child, int signal);
/* Waits; whether it was killed (SIGKILL); else it must have returned. */
bool test_child_was_killed(pid_t child);
/* Both steps in one. */
void test_in_child(test_body *body, const void *context);
/* Kills the child and waits. */
void test_child_kill(pid_t child);
void test_die(void) __attribute__((noreturn)); /* by SIGKILL */

/* A flag that one thread or process raises and another waits for, as often as it was raised. */
struct test_flag {
    int ends[2];
};
void test_flag_make(struct test_flag *flag);
void test_flag_raise(const struct test_flag *flag);
void test_flag_wait(const struct test_flag *flag);
/* How often it was raised and not waited for. Lowers it. */
unsigned test_flag_count(const struct test_flag *flag);
void test_flag_free(const struct test_flag *flag);

/* ---- random numbers that replay */

/* TMF_SEED of the environment, else a fresh one; prints the line that replays it. */
uint64_t test_seed(const char *program);
uint64_t test_random(uint64_t *state);

#endif
