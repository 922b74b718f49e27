/* SPDX-License-Identifier: MIT */
/*
 * The oracle must see every wrong byte: each workload is run for a while, then bytes are flipped in
 * its root and in all of its blocks, one at a time; blocks are leaked; numbers are wrong; and
 * claims are made about a storage that do not hold for it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/child.h"
#include "harness/oracle.h"
#include "harness/random.h"
#include "harness/trace_writer.h"

#define SEED             7
#define TRANSACTIONS     UINT64_C(9)
#define LIMIT_SECONDS    120
#define QUANTUM          64
#define TRACE_BLOCKS     20
#define TRACE_OPERATIONS 270
#define STRIDE           5 /* between the bytes that are flipped in blocks; coprime to 8 */

/* Tests run in children, where cmocka cannot go on after a failure. */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(EXIT_FAILURE);                                                                   \
        }                                                                                          \
    } while (0)

struct fixture {
    struct workload_place place;
    struct scratch scratch;
    char path[PATH_MAX];
    tmf_storage *storage;
    tmf_writer *writer;
    struct oracle *oracle;
};
static struct fixture fixture;

static struct view view_now(void)
{
    return (struct view){tmf_writer_root(fixture.writer), tmf_address(fixture.storage),
                         tmf_size(fixture.storage)};
}

static bool content_is(uint64_t k)
{
    struct view view = view_now();
    struct difference difference = {{0}};
    bool equal = oracle_equal(fixture.oracle, &view, k, &difference);
    check(equal || strlen(difference.what) > 5);
    return equal;
}

static void begin(const struct workload *workload)
{
    fixture = (struct fixture){.place = {.workload = workload,
                                         .seed = SEED,
                                         .strategy = tmf_strategy_name(0),
                                         .index = tmf_index_name(0),
                                         .quantum = QUANTUM,
                                         .durability = TMF_DURABILITY_PROCESS}};
    check((scratch_make(NULL, &fixture.scratch)) == 0);
    snprintf(fixture.path, sizeof(fixture.path), "%s/storage", fixture.scratch.path);
    check((workload_create(&fixture.place, fixture.path, &fixture.storage)) == 0);
    check((tmf_write_begin(fixture.storage, &fixture.writer)) == 0);
    fixture.oracle = oracle_new(workload, SEED);
    check(fixture.oracle);
    for (uint64_t k = 1; k <= TRANSACTIONS; k++) {
        check((workload_step(&fixture.place, fixture.writer, k)) == 0);
        check((tmf_commit(fixture.writer)) == 0);
        check(content_is(k));
    }
}

static void end(void)
{
    tmf_write_end(fixture.writer);
    check((tmf_close(fixture.storage)) == 0);
    oracle_free(fixture.oracle);
    scratch_remove(fixture.scratch.path);
}

static bool flip_is_seen(unsigned char *byte)
{
    *byte ^= 0x10;
    bool seen = !content_is(TRANSACTIONS);
    *byte ^= 0x10;
    return seen;
}

/* The address of an empty block shows only where the heap is compared. */
static bool flip_in_root_is_seen(unsigned char *byte)
{
    struct difference difference;
    *byte ^= 0x10;
    bool seen = !oracle_verify(fixture.oracle, fixture.storage, tmf_writer_root(fixture.writer),
                               &difference);
    *byte ^= 0x10;
    return seen;
}

/* Only what rounding added may go unseen: the end of a block, a quantum at most. */
static int flip_block(void *context, const tmf_block *block)
{
    unsigned char *bytes = (unsigned char *)tmf_address(fixture.storage) + block->offset;
    size_t *flips = context;
    size_t seen_end = 0;
    for (size_t n = 0; n < block->size && !block->is_free; n += STRIDE) {
        if (flip_is_seen(bytes + n)) {
            check(seen_end == n);
            seen_end = n + STRIDE;
            *flips += 1;
        }
    }
    check(block->is_free || seen_end + QUANTUM >= block->size);
    return 0;
}

static void test_every_flipped_byte_is_seen(const struct workload *workload)
{
    size_t flips = 0;
    begin(workload);
    unsigned char *root = tmf_writer_root(fixture.writer);
    for (size_t n = 0; n < workload->root_size; n++)
        check(flip_in_root_is_seen(root + n));
    check((tmf_walk(fixture.storage, flip_block, &flips)) == 0);
    check(flips > 100);
    check(content_is(TRANSACTIONS));
    end();
}

static void test_other_numbers_are_seen(const struct workload *workload)
{
    begin(workload);
    for (uint64_t k = 0; k <= 2 * TRANSACTIONS; k++)
        check(content_is(k) == (k == TRANSACTIONS));
    check(!content_is(UINT64_MAX));
    end();
}

static void test_leaked_block_is_seen(const struct workload *workload)
{
    struct difference difference;
    begin(workload);
    const void *root = tmf_writer_root(fixture.writer);
    check(oracle_verify(fixture.oracle, fixture.storage, root, &difference));
    check(tmf_alloc(fixture.writer, 100));
    check(!oracle_verify(fixture.oracle, fixture.storage, root, &difference));
    check(strstr(difference.what, "nobody has"));
    end();
}

/* Judges a storage at transaction TRANSACTIONS by a claim. */
static struct verdict judge(const struct workload *workload, const struct claim *claim)
{
    struct verdict verdict;
    begin(workload);
    tmf_write_end(fixture.writer);
    check((tmf_close(fixture.storage)) == 0);
    oracle_judge(&fixture.place, fixture.path, claim, &verdict);
    oracle_free(fixture.oracle);
    scratch_remove(fixture.scratch.path);
    return verdict;
}

static void test_claims_are_judged(const struct workload *workload)
{
    static const struct {
        struct claim claim;
        bool holds;
    } cases[] = {
        {{true, TRANSACTIONS, TRANSACTIONS, 0}, true},
        {{true, TRANSACTIONS - 1, TRANSACTIONS, 0}, true},
        {{true, TRANSACTIONS, TRANSACTIONS + 1, 0}, true},
        {{true, TRANSACTIONS + 1, TRANSACTIONS + 1, 0}, false}, /* R is too small */
        {{true, TRANSACTIONS - 1, TRANSACTIONS - 1, 0}, false}, /* R is too large */
        {{true, TRANSACTIONS, TRANSACTIONS, SIZE_MAX}, false},  /* growth is lost */
    };
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct verdict verdict = judge(workload, &cases[n].claim);
        check(verdict.holds == cases[n].holds);
        check((verdict.recovered) == TRANSACTIONS);
    }
}

static void test_another_seed_is_seen(const struct workload *workload)
{
    begin(workload);
    tmf_write_end(fixture.writer);
    check((tmf_close(fixture.storage)) == 0);
    struct claim claim = {true, TRANSACTIONS, TRANSACTIONS, 0};
    struct verdict verdict;
    fixture.place.seed = SEED + 1;
    oracle_judge(&fixture.place, fixture.path, &claim, &verdict);
    check(!verdict.holds);
    oracle_free(fixture.oracle);
    scratch_remove(fixture.scratch.path);
}

static void test_lost_storage_is_seen(const struct workload *workload)
{
    struct verdict verdict;
    struct claim claim = {true, 0, 0, 0};
    struct scratch scratch;
    char path[PATH_MAX];
    struct workload_place place = {.workload = workload, .strategy = tmf_strategy_name(0)};
    check((scratch_make(NULL, &scratch)) == 0);
    snprintf(path, sizeof(path), "%s/storage", scratch.path);
    oracle_judge(&place, path, &claim, &verdict);
    check(!verdict.holds);
    check(verdict.recovered == VERDICT_UNKNOWN);
    scratch_remove(scratch.path);
}

/* The library's handlers must be the last that were installed, and cmocka installs its own. */
struct test {
    void (*body)(const struct workload *workload);
    const struct workload *workload;
};
static int run_in_child(void *context)
{
    const struct test *test = context;
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    test->body(test->workload);
    return EXIT_SUCCESS;
}

static void run_with(const struct workload *workload, void (*body)(const struct workload *workload))
{
    struct test test = {body, workload};
    struct child_end end;
    assert_int_equal(child_run(run_in_child, &test, LIMIT_SECONDS, &end), 0);
    if (!end.exited || end.code != EXIT_SUCCESS)
        fail_msg("workload %s: exit status %d, signal %d", workload->name, end.code, end.signal);
}

/* A trace of blocks that come, change their size and go, and come again when it is over. */
static const struct workload *make_trace(void)
{
    static char name[] = WORKLOAD_TRACE "/tmp/oracle_test.XXXXXX";
    char *path = name + strlen(WORKLOAD_TRACE);
    struct difference why;
    struct trace_writer *writer = trace_writer_new();
    bool live[TRACE_BLOCKS] = {false};
    trace_writer_process(writer, "oracle_test", 0);
    for (uint32_t n = 0; n < TRACE_OPERATIONS; n++) {
        uint32_t block = n < TRACE_BLOCKS ? n : (uint32_t)random_below(SEED, n, 0, TRACE_BLOCKS);
        struct trace_operation operation = {
            TRACE_ALLOCATE, block, 0, 0, random_below(SEED, n, 1, 900), 1, false};
        if (live[block])
            operation.kind = TRACE_RESIZE + random_below(SEED, n, 2, 2);
        else
            operation.alignment = UINT64_C(1) << random_below(SEED, n, 3, 9);
        live[block] = operation.kind != TRACE_FREE;
        trace_writer_add(writer, &operation);
    }
    trace_writer_add(writer, &(struct trace_operation){.kind = TRACE_EXIT});
    close(mkstemp(path));
    assert_int_equal(trace_writer_finish(writer, path), 0);
    trace_writer_free(writer);
    const struct workload *workload = workload_trace(name, &why);
    unlink(path);
    return workload;
}

static void run_for_each_workload(void (*body)(const struct workload *workload))
{
    static const struct workload *trace;
    if (!trace)
        trace = make_trace();
    assert_non_null(trace);
    for (size_t n = 0; workload_at(n); n++)
        run_with(workload_at(n), body);
    run_with(trace, body);
}

#define FOR_EACH_WORKLOAD(test)                                                                    \
    static void each_##test(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        run_for_each_workload(test);                                                               \
    }
FOR_EACH_WORKLOAD(test_every_flipped_byte_is_seen)
FOR_EACH_WORKLOAD(test_other_numbers_are_seen)
FOR_EACH_WORKLOAD(test_leaked_block_is_seen)
FOR_EACH_WORKLOAD(test_claims_are_judged)
FOR_EACH_WORKLOAD(test_another_seed_is_seen)
FOR_EACH_WORKLOAD(test_lost_storage_is_seen)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_test_every_flipped_byte_is_seen),
        cmocka_unit_test(each_test_other_numbers_are_seen),
        cmocka_unit_test(each_test_leaked_block_is_seen),
        cmocka_unit_test(each_test_claims_are_judged),
        cmocka_unit_test(each_test_another_seed_is_seen),
        cmocka_unit_test(each_test_lost_storage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
