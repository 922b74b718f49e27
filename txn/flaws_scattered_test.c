/* SPDX-License-Identifier: MIT */
/*
 * Flaw D6 of the original: a transaction that changes more scattered pages than vm.max_map_count
 * allows pieces of the address space (65530 unless it was set) ends in an error of mprotect. Alone
 * in its program, since what it takes is the kernel's time, and no sanitizer sees more in the
 * thirty-thousandth page than in the others: it runs in the builds that have none.
 */
#include <sys/mman.h>

#include "txn/test_kit.h"

#define SCATTERED 70000 /* pages, of which every second one is stored to */

static uint64_t *scattered_word(unsigned char *block, size_t page)
{
    return (uint64_t *)(void *)(block + page * TEST_PAGE);
}

static void scatter(unsigned char *block, uint64_t value)
{
    for (size_t page = 0; page < SCATTERED; page += 2)
        *scattered_word(block, page) = value + page;
}

static void check_scattered(unsigned char *block, uint64_t value)
{
    for (size_t page = 0; page < SCATTERED; page += 2)
        check(*scattered_word(block, page) == value + page);
}

static void test_d6_many_scattered_pages(const struct test_place *place)
{
    const tmf_options options = {.size = (SCATTERED + SCATTERED / 8) * TEST_PAGE,
                                 .durability = TMF_DURABILITY_PROCESS};
    tmf_storage *storage = test_open(place, &options);
    tmf_writer *writer = test_write(storage);
    unsigned char *block = tmf_alloc_aligned(writer, TEST_PAGE, SCATTERED * TEST_PAGE);
    check(block);
    scatter(block, 1000);
    check_ok(tmf_commit(writer));
    check_scattered(block, 1000);
    scatter(block, 2000);
    check_ok(tmf_rollback(writer));
    check_scattered(block, 1000);
    tmf_write_end(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {test_case(test_d6_many_scattered_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
