/* SPDX-License-Identifier: MIT */
/*
 * Of the repetitions of made-up benchmarks: the first is thrown away where one more was made than
 * was asked for, and only there; what is left has the mean, median and spread that it has; the fit
 * of a family is that of its members.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "harness/bench_repetitions.h"
#include "harness/bench_rows.h"

static void add_run(json_t *rows, const char *name, int repetitions, int index, double time)
{
    json_array_append_new(rows, json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "run_name", name,
                                          "run_type", "iteration", "repetitions", repetitions,
                                          "repetition_index", index, "real_time", time, "cpu_time",
                                          time / 2, "time_unit", "ns"));
}

static void add_of_google(json_t *rows, const char *name, const char *aggregate)
{
    json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:f, s:f}", "run_name", name, "run_type",
                                          "aggregate", "aggregate_name", aggregate, "rms", 99.0,
                                          "cpu_coefficient", 99.0));
}

/* One process: times 100 (to warm up), 1, 2 and 9 in any order of the rows. */
static void add_process(struct repetitions *all, const char *name, double more)
{
    json_t *rows = json_array();
    add_run(rows, name, 4, 2, 2 + more);
    add_run(rows, name, 4, 0, 100);
    add_run(rows, name, 4, 3, 9 + more);
    add_run(rows, name, 4, 1, 1 + more);
    add_of_google(rows, name, "median");
    repetitions_add(all, rows, 3);
    json_decref(rows);
}

static double aggregate_of(const json_t *rows, const char *name, const char *aggregate)
{
    return row_number(rows_find(rows, name, aggregate), "real_time");
}

static void test_the_warm_up_does_not_count(void **state)
{
    (void)state;
    struct repetitions all = repetitions_new();
    add_process(&all, "a", 0);
    json_t *rows = repetitions_finish(&all);
    assert_int_equal(json_array_size(rows), 3 + 4);
    assert_int_equal((int)row_number(json_array_get(rows, 0), "repetitions"), 3);
    assert_true(fabs(aggregate_of(rows, "a", "mean") - 4) < 1e-9);
    assert_true(fabs(aggregate_of(rows, "a", "median") - 2) < 1e-9);
    assert_true(fabs(aggregate_of(rows, "a", "stddev") - sqrt(19)) < 1e-9);
    assert_true(fabs(aggregate_of(rows, "a", "cv") - sqrt(19) / 4) < 1e-9);
    json_decref(rows);
}

static void test_processes_add_up(void **state)
{
    (void)state;
    struct repetitions all = repetitions_new();
    add_process(&all, "a", 0);
    add_process(&all, "a", 1);
    json_t *rows = repetitions_finish(&all);
    assert_true(fabs(aggregate_of(rows, "a", "median") - 2.5) < 1e-9); /* 1 2 2 3 9 10 */
    assert_int_equal((int)row_number(json_array_get(rows, 5), "repetition_index"), 5);
    assert_int_equal((int)row_number(json_array_get(rows, 5), "repetitions"), 6);
    json_decref(rows);
}

/* Those that say themselves how often they run; and a warm-up that has failed is a failure. */
static void test_what_is_kept(void **state)
{
    (void)state;
    struct repetitions all = repetitions_new();
    json_t *rows = json_array();
    add_run(rows, "own", 1, 0, 5);
    add_run(rows, "failed", 4, 0, 5);
    json_object_set_new(json_array_get(rows, 1), "error_occurred", json_true());
    repetitions_add(&all, rows, 3);
    json_decref(rows);
    rows = repetitions_finish(&all);
    assert_int_equal(json_array_size(rows), 2);
    assert_true(row_stands_for_benchmark(json_array_get(rows, 0)));
    assert_false(row_stands_for_benchmark(json_array_get(rows, 1)));
    json_decref(rows);
}

/* Times of exactly 3 ns * log2(N) of the processor, but for the warm-ups. */
static void test_the_fit_is_of_what_counts(void **state)
{
    (void)state;
    struct repetitions all = repetitions_new();
    json_t *rows = json_array();
    for (int index = 0; index < 2; index++) {
        add_run(rows, "f/free_blocks:256", 2, index, index == 0 ? 999 : 2 * 3 * 8);
        add_run(rows, "f/free_blocks:1024", 2, index, index == 0 ? 999 : 2 * 3 * 10);
        add_run(rows, "f/other/free_blocks:4", 2, index, 77);
    }
    add_of_google(rows, "f", "BigO");
    add_of_google(rows, "f", "RMS");
    repetitions_add(&all, rows, 1);
    json_decref(rows);
    rows = repetitions_finish(&all);
    double slope = row_number(rows_find(rows, "f", "BigO"), "cpu_coefficient");
    assert_true(fabs(slope - 3) < 1e-9);
    assert_true(fabs(row_number(rows_find(rows, "f", "RMS"), "rms")) < 1e-6);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_warm_up_does_not_count),
        cmocka_unit_test(test_processes_add_up),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_the_fit_is_of_what_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
