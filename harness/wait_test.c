/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/random.h"
#include "harness/wait.h"

static void none_is_zero(void **state)
{
    (void)state;
    struct waits waits = {0};
    assert_int_equal(waits_count(&waits), 0);
    assert_int_equal(waits_quantile_ns(&waits, 0.5), 0);
}

/* Every power of two, its neighbours, and the ends of the scale: none is told shorter than it was,
 * or longer by more than a sixteenth. */
static void one_is_told_closely(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t ns = (UINT64_C(1) << bit) + (uint64_t)off;
            struct waits waits = {0};
            waits_add(&waits, ns);
            waits_add(&waits, UINT64_MAX); /* or the maximum would hide the bucket's end */
            uint64_t told = waits_quantile_ns(&waits, 0.5);
            assert_true(told >= ns);
            assert_true(told - ns <= ns / 16);
            assert_true(waits_quantile_ns(&waits, 1) == UINT64_MAX);
        }
    }
}

static void quantiles_are_in_order(void **state)
{
    (void)state;
    struct waits waits = {0};
    for (uint64_t ns = 1; ns <= 1000; ns++)
        waits_add(&waits, ns);
    assert_int_equal(waits_count(&waits), 1000);
    assert_in_range(waits_quantile_ns(&waits, 0.5), 500, 531);
    assert_in_range(waits_quantile_ns(&waits, 0.99), 990, 1000);
    assert_int_equal(waits_quantile_ns(&waits, 1), 1000);
    assert_int_equal(waits.max_ns, 1000);
}

/* However the waits are spread over histograms, what is merged is the same. */
static void merging_loses_nothing(void **state)
{
    (void)state;
    static struct waits all, parts[3], merged;
    for (uint64_t n = 0; n < 10000; n++) {
        uint64_t ns = random_bits(1, n, 0) >> random_below(1, n, 1, 64);
        waits_add(&all, ns);
        waits_add(&parts[random_below(1, n, 2, 3)], ns);
    }
    for (size_t n = 0; n < 3; n++)
        waits_merge(&merged, &parts[n]);
    assert_memory_equal(&merged, &all, sizeof(all));
}

static void buckets_are_told_in_order(void **state)
{
    (void)state;
    struct waits waits = {0};
    size_t bucket = 0;
    uint64_t count, most_ns;
    assert_false(waits_next(&waits, &bucket, &count, &most_ns));
    waits_add(&waits, 3);
    waits_add(&waits, 3);
    waits_add(&waits, UINT64_MAX);
    bucket = 0;
    assert_true(waits_next(&waits, &bucket, &count, &most_ns));
    assert_true(count == 2 && most_ns == 3);
    assert_true(waits_next(&waits, &bucket, &count, &most_ns));
    assert_true(count == 1 && most_ns == UINT64_MAX);
    assert_false(waits_next(&waits, &bucket, &count, &most_ns));
}

static void fairness_is_from_one_to_a_share(void **state)
{
    (void)state;
    const uint64_t same[] = {7, 7, 7, 7}, one[] = {0, 9, 0, 0}, half[] = {5, 0, 5, 0};
    assert_true(fairness_of(same, 4) == 1);
    assert_true(fairness_of(one, 4) == 0.25);
    assert_true(fairness_of(half, 4) == 0.5);
    assert_true(fairness_of(one, 0) == 1 && fairness_of(one, 1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_zero),
        cmocka_unit_test(one_is_told_closely),
        cmocka_unit_test(quantiles_are_in_order),
        cmocka_unit_test(merging_loses_nothing),
        cmocka_unit_test(buckets_are_told_in_order),
        cmocka_unit_test(fairness_is_from_one_to_a_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
