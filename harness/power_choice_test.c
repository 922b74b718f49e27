/* SPDX-License-Identifier: MIT */
/*
 * Which images are looked at: all of them, each once, where they are few; the extremes in any case;
 * and an image that was written as text is the same when it is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/power_choice.h"

#define MEMORY     ((size_t)16 << 20)
#define PAGES      5
#define IMAGES_MAX 4096

static struct disk_events events;
static struct sim_disk disk;
static uint64_t hashes[IMAGES_MAX];
static size_t hash_count;

static void happen(struct disk_event event)
{
    disk_events_tick(&events);
    disk_events_add(&events, &event);
    sim_disk_apply(&disk, &events.at[events.count - 1]);
}

static void put(uint64_t page, unsigned char value)
{
    unsigned char bytes[DISK_PAGE];
    memset(bytes, value, sizeof(bytes));
    happen((struct disk_event){
        .kind = DISK_WRITE, .at = page * DISK_PAGE, .size = sizeof(bytes), .bytes = bytes});
}

/* Page n has n + 1 versions beside the durable one: 2 * 3 * 4 * 5 * 6 images. */
static int start(void **state)
{
    (void)state;
    assert_int_equal(disk_events_make(&events, MEMORY, 1024), 0);
    assert_int_equal(sim_disk_make(&disk, DISK_POSIX, DISK_PAGE, &events), 0);
    happen((struct disk_event){.kind = DISK_NAME, .name = disk_events_name(&events, "a")});
    happen((struct disk_event){.kind = DISK_SIZE, .size = PAGES * DISK_PAGE});
    happen((struct disk_event){.kind = DISK_SYNC});
    happen((struct disk_event){.kind = DISK_SYNC_FOLDER});
    for (unsigned page = 0; page < PAGES; page++) {
        for (unsigned n = 0; n <= page; n++)
            put(page, (unsigned char)(n + 1));
    }
    sim_disk_vary(&disk);
    hash_count = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sim_disk_free(&disk);
    disk_events_free(&events);
    return 0;
}

static bool is_known(uint64_t hash)
{
    for (size_t n = 0; n < hash_count; n++) {
        if (hashes[n] == hash)
            return true;
    }
    return false;
}

static uint64_t hash_of(const struct power_choice *choice)
{
    power_choice_apply(&disk, choice);
    return sim_disk_hash(&disk);
}

/* Looks at all of them; how many show something of their own. */
static size_t look(uint64_t limit, bool with_extremes)
{
    struct power_choice choice;
    uint64_t count = power_choice_count(&disk, limit, with_extremes);
    for (uint64_t n = 0; n < count; n++) {
        power_choose_nth(&disk, n, count, 7, &choice);
        uint64_t hash = hash_of(&choice);
        if (!is_known(hash))
            hashes[hash_count++] = hash;
    }
    return hash_count;
}

static void test_few_are_all_looked_at_once(void **state)
{
    (void)state;
    assert_int_equal(power_choice_count(&disk, IMAGES_MAX, false), 720);
    assert_int_equal(look(IMAGES_MAX, false), 720);
    double log = power_legal_log10(&disk);
    assert_true(log > 2.857 && log < 2.858);
}

static void test_many_are_sampled(void **state)
{
    (void)state;
    assert_int_equal(power_choice_count(&disk, 100, true), 100);
    size_t found = look(100, true);
    assert_true(found > 50 && found <= 100);
}

static void check_extreme(uint32_t single, bool inverted, bool is_single)
{
    sim_disk_choose_all(&disk, inverted);
    if (is_single)
        sim_disk_choose(&disk, single, inverted ? 0 : disk.variables[single].count - 1);
    assert_true(is_known(sim_disk_hash(&disk)));
}

static void test_extremes_are_always_there(void **state)
{
    (void)state;
    look(1, true);
    check_extreme(0, false, false);
    check_extreme(0, true, false);
    for (uint32_t n = 0; n < disk.variable_count; n++) {
        check_extreme(n, false, true);
        check_extreme(n, true, true);
    }
}

static void test_text_is_read_as_it_was_written(void **state)
{
    struct power_choice choice;
    struct power_choice read;
    char text[256];
    (void)state;
    for (uint64_t n = 0; n < 720; n++) {
        power_choose_nth(&disk, n, 720, 1, &choice);
        power_choice_format(&disk, &choice, text, sizeof(text));
        assert_true(power_choice_parse(&disk, text, &read));
        assert_true(hash_of(&choice) == hash_of(&read));
    }
}

static void test_wrong_text_is_refused(void **state)
{
    static const char *const wrong[] = {"",        "o",       "old+",     "old+0",   "old+0.9",
                                        "old+9.1", "old 0.1", "new+0.1x", "old+-1.1"};
    struct power_choice choice;
    (void)state;
    for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
        assert_false(power_choice_parse(&disk, wrong[n], &choice));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_few_are_all_looked_at_once), TEST(test_many_are_sampled),
        TEST(test_extremes_are_always_there),  TEST(test_text_is_read_as_it_was_written),
        TEST(test_wrong_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
