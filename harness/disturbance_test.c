/* SPDX-License-Identifier: MIT */
/*
 * What disturbs is found by name in an environment that has it, and by no other name; nothing in
 * one that has nothing of it, nor where nothing could be found out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "harness/disturbance.h"
#include "harness/environment.h"

#define GIB ((json_int_t)1 << 30)

static json_t *quiet_environment(void)
{
    return json_pack(
        "{s:i, s:{s:[f, f, f]}, s:{s:s, s:s, s:s, s:b}, s:{s:s, s:s, s:I}, s:s, s:{s:I, s:b, s:I}}",
        "cores", 4, "load", "at_start", 0.9, 9.0, 9.0, "build", "type", "RelWithDebInfo",
        "sanitizers", "", "coverage", "OFF", "fault_points", 0, "file_system", "dir", ".", "type",
        "ext4", "free_bytes", 3 * GIB, "governor", "performance", "limits", "memlock_bytes",
        (json_int_t)8 << 20, "memlock_ignored", 1, "address_space_bytes", (json_int_t)-1);
}

static void test_nothing_disturbs(void **state)
{
    (void)state;
    json_t *nothing_known = json_object(), *quiet = quiet_environment();
    json_t *of_nothing = disturbance_list(nothing_known, GIB);
    json_t *of_quiet = disturbance_list(quiet, 3 * GIB);
    assert_int_equal(json_array_size(of_nothing), 0);
    assert_int_equal(json_array_size(of_quiet), 0);
    json_decref(of_nothing);
    json_decref(of_quiet);
    json_decref(nothing_known);
    json_decref(quiet);
}

/* What is put into a quiet environment, as JSON, and what that is called. */
static const struct {
    const char *name, *change, *says;
} cases[] = {
    {"load", "{\"load\": {\"at_start\": [1.1, 0, 0]}}", "load is 1.10 on 4 cores"},
    {"build", "{\"build\": {\"type\": \"Debug\"}}", "'Debug'"},
    {"build", "{\"build\": {\"type\": \"\"}}", "not optimised"},
    {"sanitizer", "{\"build\": {\"sanitizers\": \"address\"}}", "sanitizers: address"},
    {"sanitizer", "{\"build\": {\"coverage\": \"ON\"}}", "counts what is run"},
    {"fault points", "{\"build\": {\"fault_points\": true}}", "fault points"},
    {"folder", "{\"file_system\": {\"type\": \"tmpfs\"}}", "in memory"},
    {"folder", "{\"file_system\": {\"type\": \"nfs4\"}}", "network"},
    {"folder", "{\"file_system\": {\"type\": \"fuse.sshfs\"}}", "network"},
    {"folder", "{\"file_system\": {\"type\": \"overlay\"}}", "another file system"},
    {"free disk", "{\"file_system\": {\"free_bytes\": 1048576}}", "1 MiB free"},
    {"governor", "{\"governor\": \"performance, powersave\"}", "powersave"},
    {"pinning", "{\"pinning_refused\": \"Operation not permitted\"}", "not permitted"},
    {"memlock", "{\"limits\": {\"memlock_ignored\": false}}", "8.0 MiB"},
    {"addresses", "{\"limits\": {\"address_space_bytes\": 1073741824}}", "1024 MiB"},
};

static void test_each_is_found(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        json_t *environment = quiet_environment();
        json_t *change = json_loads(cases[n].change, 0, NULL);
        assert_int_equal(json_object_update_recursive(environment, change), 0);
        json_t *list = disturbance_list(environment, 3 * GIB);
        const json_t *first = json_array_get(list, 0);
        assert_int_equal(json_array_size(list), 1);
        assert_string_equal(json_string_value(json_object_get(first, "name")), cases[n].name);
        const char *what = json_string_value(json_object_get(first, "what"));
        assert_non_null(strstr(what, cases[n].says));
        assert_null(strchr(what, '\n'));
        json_decref(list);
        json_decref(change);
        json_decref(environment);
    }
}

/* Every fact of the environment is there, in the shape that the judgements read. */
static void test_environment_has_what_is_judged(void **state)
{
    (void)state;
    json_t *here = environment_describe(".");
    environment_end(here);
    json_error_t flaw;
    const char *missing = "";
    int unpacked = json_unpack_ex(
        here, &flaw, JSON_VALIDATE_ONLY,
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:{s:I, s:I, s:s, s:s},"
        " s:{s:I, s:I, s:b, s:I, s:I, s:I}, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I},"
        " s:s, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:s}, s:{s:[FFF], s:[FFF]}}",
        "processor", "machine", "cores", "allowed_cores", "governor", "virtual", "kernel",
        "kernel_version", "memory", "total_bytes", "available_bytes", "transparent_huge_pages",
        "overcommit", "limits", "max_map_count", "memlock_bytes", "memlock_ignored", "open_files",
        "stack_bytes", "address_space_bytes", "file_system", "dir", "mounted_at", "type", "options",
        "device", "write_cache", "rotational", "scheduler", "free_bytes", "compiler", "build",
        "type", "flags", "sanitizers", "coverage", "libraries", "glibc", "jansson", "zstd", "lmdb",
        "sqlite", "libxxhash", "load", "at_start", "at_end");
    if (unpacked != 0)
        missing = flaw.text;
    assert_string_equal(missing, "");
    assert_string_not_equal(
        json_string_value(json_object_get(json_object_get(here, "file_system"), "type")),
        "unknown");
    json_decref(here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_disturbs),
        cmocka_unit_test(test_each_is_found),
        cmocka_unit_test(test_environment_has_what_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
