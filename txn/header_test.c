/* SPDX-License-Identifier: MIT */
/*
 * tmf.h by itself: it compiles as C11 (this file) and as C++17 (header_test_cxx.cpp) without a
 * warning, and tmf_strerror() and the lists of strategies and indexes know all they should.
 */
#include "txn/tmf.h" /* first, to show that it needs nothing before it */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#if __STDC_VERSION__ != 201112L
#error "this file is to be compiled as C11"
#endif

int header_test_cxx(void);

static const int errors[] = {
#define ERROR_NUMBER(name, number, text) name,
    TMF_ERRORS(ERROR_NUMBER)
#undef ERROR_NUMBER
};
#define ERROR_COUNT (sizeof(errors) / sizeof(errors[0]))

static void test_every_error_has_a_sentence(void **state)
{
    (void)state;
    for (size_t n = 0; n < ERROR_COUNT; n++) {
        assert_true(errors[n] < 0);
        assert_true(strlen(tmf_strerror(errors[n])) > 10);
        assert_string_not_equal(tmf_strerror(errors[n]), tmf_strerror(-1000));
        for (size_t other = 0; other < n; other++)
            assert_string_not_equal(tmf_strerror(errors[n]), tmf_strerror(errors[other]));
    }
}

/* The numbers are a contract: programs compare with them, and files of results hold them. */
static void test_errors_keep_their_numbers(void **state)
{
    (void)state;
    assert_int_equal(ERROR_COUNT, 13);
    assert_int_equal(TMF_EWRONGFILETYPE, -1);
    assert_int_equal(TMF_EWRONGVERSION, -2);
    assert_int_equal(TMF_EWRONGENDIAN, -3);
    assert_int_equal(TMF_EWRONGMAGIC, -4);
    assert_int_equal(TMF_EWRONGADDRESS, -5);
    assert_int_equal(TMF_EWRONGSIZE, -6);
    assert_int_equal(TMF_ECORRUPT, -7);
    assert_int_equal(TMF_EPOISONED, -8);
    assert_int_equal(TMF_EFORKED, -9);
    assert_int_equal(TMF_ENOTOWNER, -10);
    assert_int_equal(TMF_EBADBLOCK, -11);
    assert_int_equal(TMF_ENOTSUPPORTED, -12);
    assert_int_equal(TMF_ESTRAY, -13);
}

static void test_system_errors_have_sentences(void **state)
{
    (void)state;
    assert_string_equal(tmf_strerror(0), "success");
    assert_string_equal(tmf_strerror(ENOSPC), strerror(ENOSPC));
    assert_string_equal(tmf_strerror(EDEADLK), strerror(EDEADLK));
    assert_non_null(tmf_strerror(-1000));
    assert_non_null(tmf_strerror(1000000));
    assert_string_equal(tmf_strerror(-1000), tmf_strerror(1000000));
}

static void check_list(const char *(*name)(size_t n), const char *(*about)(size_t n))
{
    size_t count = 0;
    for (; name(count); count++) {
        assert_true(strlen(about(count)) > 10);
        for (size_t other = 0; other < count; other++)
            assert_string_not_equal(name(count), name(other));
    }
    assert_true(count > 0);
    assert_null(about(count));
    assert_null(name(SIZE_MAX));
    assert_null(about(SIZE_MAX));
}

static void test_lists_have_names_and_sentences(void **state)
{
    (void)state;
    check_list(tmf_strategy_name, tmf_strategy_about);
    check_list(tmf_index_name, tmf_index_about);
}

static void test_cxx_sees_the_same(void **state)
{
    (void)state;
    assert_int_equal(header_test_cxx(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error_has_a_sentence),
        cmocka_unit_test(test_errors_keep_their_numbers),
        cmocka_unit_test(test_system_errors_have_sentences),
        cmocka_unit_test(test_lists_have_names_and_sentences),
        cmocka_unit_test(test_cxx_sees_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
