/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_zero),
        cmocka_unit_test(one_is_told_closely),
        cmocka_unit_test(quantiles_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
