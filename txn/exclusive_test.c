/* SPDX-License-Identifier: MIT */
/*
 * TMF_EXCLUSIVE: the process holds the locks from open to close, so that a view costs no system
 * call, and nobody else comes in meanwhile. And what is opened costs the same whatever its size.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define SIZE (64 * TEST_PAGE)

/* Where the thread sanitizer leaves little room, and in 32 bits, large is less large. */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if UINTPTR_MAX == UINT32_MAX
#define LARGE ((size_t)1 << 28)
#elif defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define LARGE ((size_t)64 << 30)
#else
#define LARGE ((size_t)1 << 40)
#endif

#define LOG_SIZE ((size_t)1 << 20) /* by itself it grows with the arena, up to a bound */

struct root {
    uint64_t number;
};

static tmf_storage *open_with(const struct test_place *place, size_t size, unsigned flags)
{
    const tmf_options options = {
        .size = size, .root_size = sizeof(struct root), .log_size = LOG_SIZE, .flags = flags};
    return test_open(place, &options);
}

static void add_one(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    uint64_t *number = &((struct root *)tmf_writer_root(writer))->number;
    test_put(writer, number, *number + 1);
    test_commit(writer);
}

static uint64_t read_number(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    uint64_t number = ((const struct root *)tmf_reader_root(reader))->number;
    tmf_read_end(reader);
    return number;
}

static unsigned lock_calls(void)
{
    return test_calls_made(TEST_CALL_flock) + test_calls_made(TEST_CALL_fcntl_lock);
}

static void test_views_cost_no_call(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, SIZE, TMF_EXCLUSIVE);
    add_one(storage);
    test_calls_use(NULL);
    for (unsigned n = 0; n < 100; n++)
        check(read_number(storage) == 1);
    check(test_calls_made(TEST_CALL_ANY) == 0);
    for (unsigned n = 0; n < 100; n++)
        tmf_write_end(test_write(storage));
    add_one(storage);
    check(lock_calls() == 0);
    check(read_number(storage) == 2);
    check_ok(tmf_close(storage));

    storage = open_with(place, SIZE, 0); /* and without the flag they do */
    test_calls_use(NULL);
    check(read_number(storage) == 2);
    check(lock_calls() > 0);
    check_ok(tmf_close(storage));
}

/* ---- others */

struct outsider {
    const struct test_place *place;
    struct test_flag opened;
};

static void open_and_count(const void *context)
{
    const struct outsider *outsider = context;
    tmf_storage *storage = open_with(outsider->place, 0, 0);
    add_one(storage);
    test_flag_raise(&outsider->opened);
    check_ok(tmf_close(storage));
}

static bool log_is_locked(const struct test_place *place)
{
    FILE *log = fopen(place->log, "r");
    check(log);
    bool locked = flock(fileno(log), LOCK_SH | LOCK_NB) != 0;
    check(!locked || errno == EWOULDBLOCK);
    (void)fclose(log);
    return locked;
}

static void test_others_wait_for_its_close(const struct test_place *place)
{
    struct outsider outsider = {.place = place};
    test_flag_make(&outsider.opened);
    tmf_storage *storage = open_with(place, SIZE, TMF_EXCLUSIVE);
    pid_t child = test_child(open_and_count, &outsider);
    for (unsigned n = 0; n < 50; n++) {
        add_one(storage);
        check(log_is_locked(place)); /* between transactions too */
        check(test_flag_count(&outsider.opened) == 0);
    }
    check_ok(tmf_close(storage));
    test_child_returned(child);
    check(!log_is_locked(place));
    storage = open_with(place, 0, TMF_EXCLUSIVE);
    check(read_number(storage) == 51);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
    test_flag_free(&outsider.opened);
}

static void open_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, SIZE, TMF_EXCLUSIVE);
    add_one(storage);
    tmf_writer *writer = test_write(storage);
    test_put(writer, &((struct root *)tmf_writer_root(writer))->number, 7);
    test_die();
}

static void test_dead_owner_bars_nobody(const struct test_place *place)
{
    check_ok(tmf_close(open_with(place, SIZE, 0)));
    test_child_died(test_child(open_and_die, place), SIGKILL);
    tmf_storage *storage = open_with(place, 0, 0);
    check(read_number(storage) == 1);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- size */

struct cost {
    unsigned calls;
    size_t tables_kib, resident_kib;
};

static size_t status_kib(const char *format)
{
    char line[256];
    size_t kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    check(status);
    while (fgets(line, sizeof(line), status) && sscanf(line, format, &kib) != 1) {
    }
    (void)fclose(status);
    return kib;
}

/* Of opening what is there, a transaction and a view. */
struct measured {
    const struct test_place *place;
    int ends[2];
};

static void measure_in_child(const void *context)
{
    const struct measured *measured = context;
    size_t tables = status_kib("VmPTE: %zu");
    size_t resident = status_kib("RssAnon: %zu");
    test_calls_use(NULL);
    tmf_storage *storage = open_with(measured->place, 0, 0);
    add_one(storage);
    (void)read_number(storage);
    struct cost cost = {.calls = test_calls_made(TEST_CALL_ANY),
                        .tables_kib = status_kib("VmPTE: %zu") - tables,
                        .resident_kib = status_kib("RssAnon: %zu") - resident};
    check_ok(tmf_close(storage));
    check(write(measured->ends[1], &cost, sizeof(cost)) == (ssize_t)sizeof(cost));
}

static struct cost measure(const struct test_place *place, const char *name, size_t size)
{
    const struct test_place own = test_place_beside(place, name);
    struct measured measured = {.place = &own};
    struct cost cost;
    check(pipe(measured.ends) == 0);
    check_ok(tmf_close(open_with(&own, size, 0)));
    test_in_child(measure_in_child, &measured);
    check(read(measured.ends[0], &cost, sizeof(cost)) == (ssize_t)sizeof(cost));
    return cost;
}

static void test_size_costs_nothing(const struct test_place *place)
{
    struct cost small = measure(place, "small", (size_t)16 << 20);
    struct cost large = measure(place, "large", LARGE);
    print_message("%s: %u and %u calls, %zu and %zu KiB of page tables, %zu and %zu KiB resident\n",
                  test_strategy(), small.calls, large.calls, small.tables_kib, large.tables_kib,
                  small.resident_kib, large.resident_kib);
    check(large.calls <= small.calls + 4); /* a page fault of somebody else costs a scan */
    check(large.tables_kib <= small.tables_kib + 256);
    check(large.resident_kib <= small.resident_kib + 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_views_cost_no_call),
        test_case(test_others_wait_for_its_close),
        test_case(test_dead_owner_bars_nobody),
        test_case(test_size_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
