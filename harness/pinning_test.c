/* SPDX-License-Identifier: MIT */
/*
 * Lists of cores are read and spelled; threads go where the list says, whatever mask they inherit.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness/pinning.h"

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text, *spelled; /* NULL: no list */
    } lists[] = {
        {"0", "0"},      {"3,0", "3,0"},  {"1-3,0", "1-3,0"}, {"1,2,3,0", "1-3,0"},
        {"", NULL},      {"x", NULL},     {"1,", NULL},       {",1", NULL},
        {"1,1", NULL},   {"3-1", NULL},   {"1-", NULL},       {"-1", NULL},
        {"0-3,2", NULL}, {"99999", NULL}, {"1 ", NULL},       {"99999999999999999999", NULL}};
    for (size_t n = 0; n < sizeof(lists) / sizeof(*lists); n++) {
        struct cores cores;
        char spelled[CORES_TEXT_MAX];
        assert_int_equal(pinning_parse(lists[n].text, &cores), lists[n].spelled != NULL);
        if (!lists[n].spelled)
            continue;
        pinning_spell(&cores, spelled);
        assert_string_equal(spelled, lists[n].spelled);
    }
}

static void test_choice(void **state)
{
    (void)state;
    struct cores allowed = pinning_allowed(), chosen;
    assert_true(allowed.count > 0);
    assert_true(pinning_choose(NULL, &chosen));
    assert_int_equal(chosen.count, allowed.count);
    if (allowed.count > 1)
        assert_int_not_equal(chosen.at[0], 0);
    char outside[32];
    snprintf(outside, sizeof(outside), "%u", CPU_SETSIZE - 1);
    assert_int_equal(pinning_choose(outside, &chosen),
                     allowed.at[allowed.count - 1] == CPU_SETSIZE - 1);
}

/* The cores that the calling thread may use, which are one where it was pinned. */
static void *take(void *number)
{
    static struct cores mine[8];
    size_t n = *(size_t *)number;
    assert_int_equal(pinning_take(n), 0);
    mine[n] = pinning_allowed();
    return &mine[n];
}

static void test_threads_spread(void **state)
{
    (void)state;
    struct cores all = pinning_allowed(), chosen;
    char list[CORES_TEXT_MAX];
    assert_true(pinning_choose(NULL, &chosen));
    pinning_spell(&chosen, list);
    setenv(PINNING_VARIABLE, list, 1);
    size_t numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    take(&numbers[0]); /* who starts the others, with a mask of one core */
    for (size_t n = 0; n < 8; n++) {
        pthread_t thread;
        void *found;
        assert_int_equal(pthread_create(&thread, NULL, take, &numbers[n]), 0);
        assert_int_equal(pthread_join(thread, &found), 0);
        const struct cores *of_thread = found;
        assert_int_equal(of_thread->count, 1);
        assert_int_equal(of_thread->at[0], chosen.at[n % all.count]);
    }
    unsetenv(PINNING_VARIABLE);
    assert_int_equal(pinning_take(3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_threads_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
