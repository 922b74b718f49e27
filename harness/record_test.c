/* SPDX-License-Identifier: MIT */
/*
 * Runs `tmf record` on record_probe.c, whose every call is known, and compares the trace with it:
 * the story of each thread, as text, where a10001 is an allocation of so many bytes, r a resize to
 * them and f a free of a block that has them; a10001/64 is aligned, z10001 is zeroed.
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
#include "harness/trace.h"

#define SIZE_MIN      10001 /* the C library asks for less */
#define LIMIT_SECONDS 100
#define THREADS       4
#define ROUNDS        20000

static struct scratch scratch;
static char path[PATH_MAX];
static struct trace *trace;

static int run_tmf(void *context)
{
    char *const *words = context;
    execv(words[0], words);
    return 127;
}

/* Records the probe in this mode, which must end so, and opens the trace. */
static void record(const char *mode, int status)
{
    char *words[] = {(char *)(uintptr_t)TMF_PATH,
                     (char *)(uintptr_t) "record",
                     (char *)(uintptr_t) "--quiet",
                     (char *)(uintptr_t) "--dir",
                     scratch.path,
                     (char *)(uintptr_t) "--output",
                     path,
                     (char *)(uintptr_t) "--",
                     (char *)(uintptr_t)PROBE_PATH,
                     (char *)(uintptr_t)mode,
                     NULL};
    struct child_end end;
    struct trace_fault fault;
    assert_int_equal(child_run(run_tmf, words, LIMIT_SECONDS, &end), 0);
    assert_true(end.exited);
    assert_int_equal(end.code, status);
    trace_close(trace);
    trace = NULL;
    if (trace_open(path, &trace, &fault) != 0)
        fail_msg("%s", fault.what);
}

static void tell(FILE *to, const struct trace_operation *operation, uint64_t old_size)
{
    switch (operation->kind) {
    case TRACE_ALLOCATE:
        fprintf(to, "%s%c%ju", ftell(to) ? " " : "", operation->zeroed ? 'z' : 'a',
                (uintmax_t)operation->size);
        if (operation->alignment > 1)
            fprintf(to, "/%ju", (uintmax_t)operation->alignment);
        break;
    case TRACE_RESIZE:
        fprintf(to, " r%ju", (uintmax_t)operation->size);
        break;
    default:
        fprintf(to, " f%ju", (uintmax_t)old_size);
    }
}

/* What one thread of a process did with large blocks. To be freed. */
static char *story_of(uint32_t process, uint32_t thread)
{
    char *story = NULL;
    size_t length;
    FILE *to = open_memstream(&story, &length);
    uint64_t *sizes = calloc(trace_facts_of(trace)->blocks_peak + 1, sizeof(*sizes));
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    assert_non_null(to);
    assert_non_null(sizes);
    while (trace_next(&cursor, &operation)) {
        if (operation.kind == TRACE_EXIT || operation.process != process)
            continue;
        uint64_t old_size = sizes[operation.block];
        sizes[operation.block] = operation.size;
        if (operation.thread == thread && (operation.size >= SIZE_MIN || old_size >= SIZE_MIN))
            tell(to, &operation, old_size);
    }
    free(sizes);
    fclose(to);
    return story;
}

static void expect_story(uint32_t process, uint32_t thread, const char *must)
{
    char *story = story_of(process, thread);
    if (strcmp(story, must) != 0) {
        size_t same = 0;
        while (story[same] == must[same])
            same++;
        fail_msg("process %u, thread %u, at %zu: '%.60s', must be '%.60s'", process, thread, same,
                 story + same, must + same);
    }
    free(story);
}

static void resizes_are_recorded(void **state)
{
    (void)state;
    record("chain", 0);
    expect_story(0, 0, "a10001 r10002 r200003 r10004 f10004 a10005 f10005");
}

static void aligned_blocks_are_recorded(void **state)
{
    (void)state;
    record("aligned", 0);
    expect_story(0, 0,
                 "a10001/64 f10001 a10112/128 f10112 a10003/4096 f10003 a10004/4096 f10004 "
                 "a12288/4096 f12288 z10006 f10006");
}

/* What the probe's churn() does, said once more. */
static char *churn_story(void)
{
    char *story = NULL;
    size_t length, sizes[8] = {0};
    FILE *to = open_memstream(&story, &length);
    assert_non_null(to);
    for (size_t n = 0; n < ROUNDS; n++) {
        size_t *size = &sizes[n % 8];
        const char *space = n ? " " : "";
        size_t resized = 20001 + n % 5 * 1000;
        if (n % 3 != 0 && *size)
            fprintf(to, "%sf%zu", space, *size);
        if (n % 3 != 0)
            fprintf(to, "%sa20001", space);
        else
            fprintf(to, "%s%c%zu", space, *size ? 'r' : 'a', resized);
        *size = n % 3 != 0 ? 20001 : resized;
    }
    for (size_t n = 0; n < 8; n++)
        fprintf(to, " f%zu", sizes[n]);
    fclose(to);
    return story;
}

static void expect_churn(uint32_t process)
{
    char *must = churn_story();
    assert_int_equal(trace_process_at(trace, process)->threads, THREADS + 1);
    for (uint32_t thread = 1; thread <= THREADS; thread++)
        expect_story(process, thread, must);
    free(must);
}

static void threads_are_recorded_in_order(void **state)
{
    (void)state;
    record("threads", 0);
    assert_int_equal(trace_facts_of(trace)->process_count, 1);
    expect_churn(0);
}

static void forks_are_recorded(void **state)
{
    (void)state;
    const uint32_t children = 20;
    char *must = NULL;
    size_t length;
    FILE *to = open_memstream(&must, &length);
    for (uint32_t n = 0; n < children; n++)
        fprintf(to, "%sa10001 f10001", n ? " " : "");
    fclose(to);
    record("forks", 0);
    assert_int_equal(trace_facts_of(trace)->process_count, 2 * children + 1);
    expect_churn(0);
    expect_story(0, 0, must);
    free(must);
    for (uint32_t n = 1; n <= 2 * children; n += 2) {
        assert_int_equal(trace_process_at(trace, n)->parent, 1);
        expect_story(n, 0, "a10002 f10002 a10003");
        assert_int_equal(trace_process_at(trace, n + 1)->parent, n + 1);
        expect_story(n + 1, 0, "a10004 f10004");
    }
}

static void exec_begins_a_process(void **state)
{
    (void)state;
    record("exec", 0);
    assert_int_equal(trace_facts_of(trace)->process_count, 3);
    expect_story(0, 0, "a10001 f10001 a10003 f10003");
    expect_story(1, 0, "a10002 f10002");
    expect_story(2, 0, "a10002 f10002");
    assert_int_equal(trace_process_at(trace, 1)->parent, 1);
    assert_string_equal(trace_process_at(trace, 2)->name, "record_probe");
}

static void deaths_lose_nothing(void **state)
{
    (void)state;
    record("ends", 7);
    expect_story(0, 0, "a10001 f10001");
    record("killed", 128 + SIGABRT);
    expect_story(0, 0, "a10001 f10001 a10002");
}

static void closed_descriptors_do_no_harm(void **state)
{
    (void)state;
    record("closed", 0);
    char *story = story_of(0, 0);
    size_t length = strlen(story), pair = strlen("a10001 f10001 ");
    assert_int_equal(length, ((size_t)2 * 65536 + 1) * pair - 1);
    assert_string_equal(story + (size_t)2 * 65536 * pair, "a10002 f10002");
    free(story);
}

/* The first chunk of the stream is all that there is room for. */
static void full_stream_ends_the_recording_alone(void **state)
{
    (void)state;
    record("limited", 0);
    assert_in_range(trace_facts_of(trace)->operations, 65000, 65536);
}

static int make_scratch(void **state)
{
    (void)state;
    int error = scratch_make(NULL, &scratch);
    snprintf(path, sizeof(path), "%s/probe.trace", scratch.path);
    return error;
}

static int remove_scratch(void **state)
{
    (void)state;
    trace_close(trace);
    scratch_remove(scratch.path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_are_recorded),
        cmocka_unit_test(aligned_blocks_are_recorded),
        cmocka_unit_test(threads_are_recorded_in_order),
        cmocka_unit_test(forks_are_recorded),
        cmocka_unit_test(exec_begins_a_process),
        cmocka_unit_test(deaths_lose_nothing),
        cmocka_unit_test(closed_descriptors_do_no_harm),
        cmocka_unit_test(full_stream_ends_the_recording_alone),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
