/* SPDX-License-Identifier: MIT */
/*
 * A plan keeps its limits, makes sense step by step, and ends with no block, whatever the trace;
 * and of a trace that fits it is every operation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "harness/random.h"
#include "harness/trace_plan.h"
#include "harness/trace_writer.h"

#define BLOCKS     600
#define OPERATIONS 40000

static char path[64]; /* of a file in memory */

/* Random operations on so many blocks of up to `size_max` bytes; two processes share them out. */
static struct trace *draw(uint64_t seed, uint32_t blocks, uint64_t size_max)
{
    struct trace_writer *writer = trace_writer_new();
    struct trace *trace = NULL;
    struct trace_fault fault;
    for (uint64_t process = 0; process < 2; process++) {
        bool live[BLOCKS] = {false};
        trace_writer_process(writer, "drawn", 0);
        for (uint64_t n = 0; n < OPERATIONS / 2; n++) {
            uint64_t number = process * OPERATIONS + n;
            uint32_t block = (uint32_t)(n < blocks ? n : random_below(seed, number, 0, blocks));
            struct trace_operation operation = {
                TRACE_ALLOCATE, block, 0, 0, random_below(seed, number, 1, size_max + 1), 1, false};
            if (live[block])
                operation.kind = TRACE_RESIZE + random_below(seed, number, 2, 2);
            else
                operation.alignment = UINT64_C(1) << random_below(seed, number, 3, 16);
            live[block] = operation.kind != TRACE_FREE;
            trace_writer_add(writer, &operation);
        }
        trace_writer_add(writer, &(struct trace_operation){.kind = TRACE_EXIT});
    }
    assert_int_equal(trace_writer_finish(writer, path), 0);
    trace_writer_free(writer);
    assert_int_equal(trace_open(path, &trace, &fault), 0);
    return trace;
}

struct table {
    bool used[PLAN_SLOTS];
    size_t sizes[PLAN_SLOTS];
    size_t blocks, bytes;
};

static void follow(struct table *table, const struct plan_step *step)
{
    bool *used = &table->used[step->slot];
    assert_int_equal(*used, step->kind != TRACE_ALLOCATE);
    table->bytes -= table->sizes[step->slot];
    table->blocks -= step->kind == TRACE_FREE;
    table->blocks += step->kind == TRACE_ALLOCATE;
    *used = step->kind != TRACE_FREE;
    table->sizes[step->slot] = *used ? step->size : 0;
    table->bytes += table->sizes[step->slot];
}

/* The number of steps. */
static size_t check_plan(const struct trace *trace)
{
    struct trace_plan plan;
    struct table table = {{0}, {0}, 0, 0};
    size_t blocks_peak = 0, bytes_peak = 0;
    assert_int_equal(trace_plan_init(&plan, trace), 0);
    for (size_t n = 0; n < plan.count; n++) {
        follow(&table, &plan.steps[n]);
        assert_in_range(plan.steps[n].alignment, 1, PLAN_ALIGN_MAX);
        assert_in_range(plan.steps[n].size, 0, PLAN_BLOCK_MAX);
        blocks_peak = table.blocks > blocks_peak ? table.blocks : blocks_peak;
        bytes_peak = table.bytes > bytes_peak ? table.bytes : bytes_peak;
    }
    assert_int_equal(table.blocks, 0);
    assert_int_equal(table.bytes, 0);
    assert_int_equal(plan.blocks_peak, blocks_peak);
    assert_int_equal(plan.bytes_peak, bytes_peak);
    assert_in_range(blocks_peak, 1, PLAN_SLOTS);
    assert_in_range(bytes_peak, 1, PLAN_BYTES_MAX);
    size_t count = plan.count;
    trace_plan_finish(&plan);
    return count;
}

static void what_fits_is_all_there(void **state)
{
    (void)state;
    struct trace *trace = draw(1, 200, 1000);
    const struct trace_facts *facts = trace_facts_of(trace);
    uint64_t left = facts->allocations - facts->frees; /* at exits */
    assert_int_equal(check_plan(trace), facts->operations + left);
    trace_close(trace);
}

static void limits_are_kept(void **state)
{
    (void)state;
    static const struct {
        uint32_t blocks;
        uint64_t size_max;
    } cases[] = {{600, 100}, {100, 20000}, {600, 40000}, {1, 70000}, {300, 3000}};
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct trace *trace = draw(n + 2, cases[n].blocks, cases[n].size_max);
        assert_true(check_plan(trace) > OPERATIONS / 10);
        trace_close(trace);
    }
}

static int make_path(void **state)
{
    (void)state;
    int fd = memfd_create("trace_plan_test", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return fd < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_all_there),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests(tests, make_path, NULL);
}
