/* SPDX-License-Identifier: MIT */
/*
 * What is written is read again, operation by operation; and what was not written so is refused:
 * every cut of a file, every flipped bit of it, and, with the checksum made right again, everything
 * else that a file may say of itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "alloc/tmf_errors.h"
#include "harness/random.h"
#include "harness/trace.h"
#include "harness/trace_format.h"
#include "harness/trace_writer.h"

#define FILE_MAX ((size_t)1 << 16)
#define LIVE_MAX 300

static char path[64]; /* of a file in memory */
static int file_fd;
static unsigned char file[FILE_MAX];
static size_t file_size; /* bytes */

/* A process with each kind of operation, and one that its fork made. */
static const struct trace_operation operations[] = {
    {TRACE_ALLOCATE, 0, 0, 0, 100, 1, false},
    {TRACE_ALLOCATE, 1, 0, 1, 0, 1, true},
    {TRACE_ALLOCATE, 2, 0, 1, TRACE_SIZE_MAX / 2, 4096, false},
    {TRACE_RESIZE, 1, 0, 0, 70000, 1, false},
    {TRACE_FREE, 2, 0, 2, 0, 1, false},
    {TRACE_ALLOCATE, 2, 0, 0, 24, UINT64_C(1) << TRACE_ALIGNMENT_LOG_MAX, false},
    {TRACE_FREE, 0, 0, 0, 0, 1, false},
    {TRACE_EXIT, 0, 0, 0, 0, 1, false},
    {TRACE_ALLOCATE, 0, 1, 0, 1, 1, false},
    {TRACE_FREE, 0, 1, 0, 0, 1, false},
    {TRACE_EXIT, 0, 1, 0, 0, 1, false},
};
#define OPERATION_COUNT (sizeof(operations) / sizeof(*operations))

static void put_file(const unsigned char *bytes, size_t size)
{
    assert_int_equal(ftruncate(file_fd, 0), 0);
    assert_int_equal(pwrite(file_fd, bytes, size, 0), size);
}

static void get_file(void)
{
    ssize_t got = pread(file_fd, file, sizeof(file), 0);
    assert_true(got > 0 && (size_t)got < sizeof(file));
    file_size = (size_t)got;
}

static void write_example(void)
{
    struct trace_writer *writer = trace_writer_new();
    trace_writer_process(writer, "first", 0);
    for (size_t n = 0; n < OPERATION_COUNT; n++) {
        if (n > 0 && operations[n].process != operations[n - 1].process)
            trace_writer_process(writer, "a name that is longer than it may be", 1);
        trace_writer_add(writer, &operations[n]);
    }
    assert_int_equal(trace_writer_finish(writer, path), 0);
    trace_writer_free(writer);
    get_file();
}

static struct trace *open_trace(void)
{
    struct trace *trace = NULL;
    struct trace_fault fault = {{0}};
    if (trace_open(path, &trace, &fault) != 0)
        fail_msg("%s", fault.what);
    return trace;
}

/* Must be refused, and say why. */
static void expect_refused(int error, const char *what)
{
    struct trace *trace = NULL;
    struct trace_fault fault = {{0}};
    int got = trace_open(path, &trace, &fault);
    assert_null(trace);
    if (got != error || !strstr(fault.what, what))
        fail_msg("error %d, must be %d; '%s', must say '%s'", got, error, fault.what, what);
}

static void assert_same(const struct trace_operation *is, const struct trace_operation *must)
{
    assert_int_equal(is->kind, must->kind);
    assert_int_equal(is->process, must->process);
    if (must->kind == TRACE_EXIT)
        return;
    assert_int_equal(is->block, must->block);
    assert_int_equal(is->thread, must->thread);
    assert_int_equal(is->size, must->size);
    assert_int_equal(is->alignment, must->alignment);
    assert_int_equal(is->zeroed, must->zeroed);
}

static void example_is_read_again(void **state)
{
    (void)state;
    write_example();
    struct trace *trace = open_trace();
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    for (size_t n = 0; n < OPERATION_COUNT; n++) {
        assert_true(trace_next(&cursor, &operation));
        assert_same(&operation, &operations[n]);
    }
    assert_false(trace_next(&cursor, &operation));
    assert_false(trace_next(&cursor, &operation));
    const struct trace_facts *facts = trace_facts_of(trace);
    assert_int_equal(facts->operations, OPERATION_COUNT - 2);
    assert_int_equal(facts->allocations, 5);
    assert_int_equal(facts->resizes, 1);
    assert_int_equal(facts->frees, 3);
    assert_int_equal(facts->blocks_peak, 3);
    assert_int_equal(facts->bytes_peak, 100 + TRACE_SIZE_MAX / 2 + 70000);
    assert_int_equal(facts->block_size_max, TRACE_SIZE_MAX / 2);
    assert_int_equal(facts->threads, 4);
    assert_int_equal(facts->process_count, 2);
    assert_string_equal(trace_process_at(trace, 0)->name, "first");
    assert_string_equal(trace_process_at(trace, 1)->name, "a name that is longer than it m");
    assert_int_equal(trace_process_at(trace, 1)->parent, 1);
    assert_int_equal(trace_process_at(trace, 1)->operations, 2);
    assert_int_equal(trace_process_at(trace, 1)->bytes_peak, 1);
    trace_close(trace);
    trace_close(NULL);
}

/* A trace of `count` operations drawn from `seed`, called with each of them. */
static void draw(uint64_t seed, uint64_t count,
                 void (*take)(const struct trace_operation *operation, void *context),
                 void *context)
{
    bool live[LIVE_MAX] = {false};
    uint32_t used = 0;
    for (uint64_t n = 0; n < count; n++) {
        uint32_t block = (uint32_t)random_below(seed, n, 0, (uint64_t)used + 1);
        if (block == LIVE_MAX)
            block = 0;
        struct trace_operation operation = {.block = block,
                                            .size = random_bits(seed, n, 1) >>
                                                    random_below(seed, n, 2, 64) >> 10,
                                            .alignment = UINT64_C(1) << random_below(seed, n, 3, 6),
                                            .zeroed = random_below(seed, n, 4, 2)};
        used += block == used;
        operation.kind = !live[block] ? TRACE_ALLOCATE : TRACE_RESIZE + random_below(seed, n, 5, 2);
        live[block] = operation.kind != TRACE_FREE;
        if (operation.kind != TRACE_ALLOCATE)
            operation.alignment = 1, operation.zeroed = false;
        if (operation.kind == TRACE_FREE)
            operation.size = 0;
        take(&operation, context);
    }
    take(&(struct trace_operation){.kind = TRACE_EXIT}, context);
}

static void add_to_writer(const struct trace_operation *operation, void *writer)
{
    trace_writer_add(writer, operation);
}

static void compare_with_next(const struct trace_operation *operation, void *cursor)
{
    struct trace_operation is;
    assert_true(trace_next(cursor, &is));
    assert_same(&is, operation);
}

static void drawn_operations_are_read_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t count = UINT64_C(1) << (seed - 1) % 16;
        struct trace_writer *writer = trace_writer_new();
        trace_writer_process(writer, "drawn", 0);
        draw(seed, count, add_to_writer, writer);
        assert_int_equal(trace_writer_finish(writer, path), 0);
        trace_writer_free(writer);
        struct trace *trace = open_trace();
        assert_int_equal(trace_facts_of(trace)->operations, count);
        struct trace_cursor cursor = trace_begin(trace);
        draw(seed, count, compare_with_next, &cursor);
        trace_close(trace);
    }
}

/* So regular that it takes less of a file than a reader may believe. */
static void regular_trace_keeps_the_limits(void **state)
{
    (void)state;
    const uint64_t count = 1 << 20;
    struct trace_writer *writer = trace_writer_new();
    trace_writer_process(writer, "loop", 0);
    for (uint32_t n = 0; n < count; n++)
        trace_writer_add(writer,
                         &(struct trace_operation){
                             .kind = TRACE_ALLOCATE, .block = n, .size = 8, .alignment = 1});
    trace_writer_add(writer, &(struct trace_operation){.kind = TRACE_EXIT});
    assert_int_equal(trace_writer_finish(writer, path), 0);
    trace_writer_free(writer);
    struct trace *trace = open_trace();
    assert_int_equal(trace_facts_of(trace)->blocks_peak, count);
    trace_close(trace);
}

static void trace_of_nothing_is_read(void **state)
{
    (void)state;
    struct trace_writer *writer = trace_writer_new();
    assert_int_equal(trace_writer_finish(writer, path), 0);
    trace_writer_free(writer);
    struct trace *trace = open_trace();
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    assert_false(trace_next(&cursor, &operation));
    trace_close(trace);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    write_example();
    for (size_t size = 0; size < file_size; size++) {
        put_file(file, size);
        if (size < sizeof(struct trace_header))
            expect_refused(TMF_EWRONGFILETYPE, "it is no trace");
        else
            expect_refused(TMF_ECORRUPT, "it was cut");
    }
    put_file(file, file_size + 1);
    expect_refused(TMF_ECORRUPT, "it was cut");
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    write_example();
    for (size_t bit = 0; bit < 8 * file_size; bit++) {
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
        put_file(file, file_size);
        if (bit < 64)
            expect_refused(TMF_EWRONGFILETYPE, "it is no trace");
        else if (bit < 96)
            expect_refused(TMF_EWRONGVERSION, "version");
        else
            expect_refused(TMF_ECORRUPT, bit / 64 == 2 ? "it was cut" : "it was changed");
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

/* Puts together a file that is right in all but what it says. */
static void forge(const struct trace_header *said, const void *decoded, size_t size)
{
    struct trace_header header = *said;
    size_t room = sizeof(file) - sizeof(header);
    size_t frame = ZSTD_compress(file + sizeof(header), room, decoded, size, 1);
    assert_false(ZSTD_isError(frame));
    memcpy(header.magic, TRACE_MAGIC, sizeof(header.magic));
    header.version = TRACE_VERSION;
    if (!header.frame_size)
        header.frame_size = frame;
    header.file_size = file_size = sizeof(header) + frame;
    memcpy(file, &header, sizeof(header));
    header.checksum = trace_checksum(file, file_size);
    memcpy(file, &header, sizeof(header));
    put_file(file, file_size);
}

static void headers_that_lie_are_refused(void **state)
{
    (void)state;
    static const unsigned char decoded[] = {3, 0, 1, 'x', 0, 0, 9, 4};
    const struct trace_header right = {
        .processes = 1, .decoded_size = sizeof(decoded), .operations = 1, .blocks = 1};
    forge(&right, decoded, sizeof(decoded));
    trace_close(open_trace());
    struct {
        struct trace_header header;
        const char *what;
    } lies[] = {
        {right, "a frame of 1000 bytes is not in it"},
        {right, "does not hold so much"},
        {right, "does not hold so much"},
        {right, "does not hold so much"},
        {right, "does not hold so much"},
        {right, "the frame decodes to 8 bytes"},
        {right, "the frame does not decode"},
        {right, "more processes"},
        {right, "counts other"},
        {right, "counts other"},
        {right, "a block's number is beyond"},
        {right, "the frame does not decode"},
    };
    lies[0].header.frame_size = 1000;
    lies[1].header.processes = UINT32_MAX;
    lies[2].header.decoded_size = UINT64_MAX / 300;
    lies[3].header.operations = 100;
    lies[4].header.blocks = UINT64_MAX;
    lies[5].header.decoded_size = 9;
    lies[6].header.decoded_size = 7;
    lies[7].header.processes = 0;
    lies[8].header.operations = 2;
    lies[9].header.blocks = 2;
    lies[10].header.blocks = 0;
    lies[11].header.frame_size = 5;
    for (size_t n = 0; n < sizeof(lies) / sizeof(*lies); n++) {
        forge(&lies[n].header, decoded, sizeof(decoded));
        expect_refused(TMF_ECORRUPT, lies[n].what);
    }
}

static void operations_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned char decoded[40];
        size_t size;
        const char *what;
    } cases[] = {
        {{0, 0, 9}, 3, "in no process"},
        {{4}, 1, "in no process"},
        {{3, 0, 0}, 3, "no exit"},
        {{3, 0, 0, 3, 0, 0, 4}, 7, "inside another"},
        {{3, 5, 0, 4}, 4, "comes later"},
        {{3, 0, 32}, 3, "no operation"},
        {{3, 0, 32, [35] = 4}, 36, "no operation"},
        {{3, 0, 2, 'x'}, 4, "no operation"},
        {{3, 0, 0, 4, 0, 0, 9}, 7, "in no process"},
        {{3, 0, 0, 0, 2, 9, 4}, 7, "a block's number is left out"},
        {{3, 0, 0, 0, 1, 9, 4}, 7, "no operation"},
        {{3, 0, 0, 0, 0, 9, 0, 0, 9, 4}, 10, "lives already"},
        {{3, 0, 0, 2, 0, 4}, 6, "does not live"},
        {{3, 0, 0, 1, 0, 9, 4}, 7, "does not live"},
        {{3, 0, 0, 0, 0, 9, 2, 0, 2, 0, 4}, 11, "does not live"},
        {{3, 0, 0, 0, 0, 9, 4, 3, 0, 0, 2, 0, 4}, 13, "does not live"},
        {{3, 0, 0, 5, 1, 0, 0, 9, 4}, 9, "a thread's number is left out"},
        {{3, 0, 0, 8, 41, 0, 9, 4}, 8, "no operation"},
        {{3, 0, 0, 32, 0, 9, 4}, 7, "no operation"},
        {{3, 0, 0, 0, 0, 9}, 6, "no exit"},
        {{3, 0, 0, 0, 0}, 5, "no operation"},
        {{3, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 4}, 16, "no operation"},
        {{3, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 4}, 16, "more bytes live"},
        {{3, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0, 2, 1, 4},
         18,
         "more bytes"},
    };
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        forge(&(struct trace_header){.processes = 2,
                                     .decoded_size = cases[n].size,
                                     .operations = cases[n].size,
                                     .blocks = 2},
              cases[n].decoded, cases[n].size);
        expect_refused(TMF_ECORRUPT, cases[n].what);
    }
}

/* Whatever stands in a file whose checksum is right: it is refused, or it is a trace. */
static void replay_if_it_opens(void)
{
    struct trace *trace = NULL;
    struct trace_fault fault = {{0}};
    if (trace_open(path, &trace, &fault) != 0) {
        assert_true(fault.what[0]);
        return;
    }
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    uint64_t count = 0;
    while (trace_next(&cursor, &operation)) {
        count += operation.kind != TRACE_EXIT;
        assert_true(operation.kind == TRACE_EXIT ||
                    operation.block < trace_facts_of(trace)->blocks_peak);
    }
    assert_int_equal(count, trace_facts_of(trace)->operations);
    trace_close(trace);
}

static void every_flipped_bit_with_its_checksum_does_no_harm(void **state)
{
    (void)state;
    write_example();
    for (size_t bit = 0; bit < 8 * file_size; bit++) {
        struct trace_header header;
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
        memcpy(&header, file, sizeof(header));
        header.checksum = trace_checksum(file, file_size);
        unsigned char kept[sizeof(header)];
        memcpy(kept, file, sizeof(kept));
        memcpy(file, &header, sizeof(header));
        put_file(file, file_size);
        replay_if_it_opens();
        memcpy(file, kept, sizeof(kept));
        file[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

/* The same for what the frame decodes to, where the operations stand. */
static void every_flipped_bit_of_the_operations_does_no_harm(void **state)
{
    (void)state;
    write_example();
    struct trace_header header;
    memcpy(&header, file, sizeof(header));
    unsigned char decoded[512];
    assert_in_range(header.decoded_size, 1, sizeof(decoded));
    size_t size =
        ZSTD_decompress(decoded, sizeof(decoded), file + sizeof(header), header.frame_size);
    assert_int_equal(size, header.decoded_size);
    header.frame_size = 0; /* forge() fills it in */
    for (size_t bit = 0; bit < 8 * size; bit++) {
        decoded[bit / 8] ^= (unsigned char)(1u << bit % 8);
        forge(&header, decoded, size);
        replay_if_it_opens();
        decoded[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct trace *trace = NULL;
    struct trace_fault fault = {{0}};
    assert_int_equal(trace_open("/nonexistent/trace", &trace, &fault), ENOENT);
    assert_string_equal(fault.what, "No such file or directory");
    assert_int_equal(trace_open("/tmp", &trace, &fault), TMF_EWRONGFILETYPE);
    assert_int_equal(trace_open("/dev/zero", &trace, &fault), TMF_EWRONGFILETYPE);
    assert_int_equal(trace_open("/proc/self/exe", &trace, &fault), TMF_EWRONGFILETYPE);
    assert_null(trace);
    struct trace_writer *writer = trace_writer_new();
    assert_int_equal(trace_writer_finish(writer, "/nonexistent/trace"), ENOENT);
    assert_int_equal(trace_writer_finish(writer, "/dev/full"), ENOSPC);
    trace_writer_free(writer);
}

static int make_path(void **state)
{
    (void)state;
    file_fd = memfd_create("trace_test", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
    return file_fd < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_is_read_again),
        cmocka_unit_test(drawn_operations_are_read_again),
        cmocka_unit_test(regular_trace_keeps_the_limits),
        cmocka_unit_test(trace_of_nothing_is_read),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(operations_that_make_no_sense_are_refused),
        cmocka_unit_test(every_flipped_bit_with_its_checksum_does_no_harm),
        cmocka_unit_test(every_flipped_bit_of_the_operations_does_no_harm),
        cmocka_unit_test(what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_path, NULL);
}
