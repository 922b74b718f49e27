/* SPDX-License-Identifier: MIT */
/*
 * Flaws of the original that using a storage shows, by their numbers in the table of the project:
 * D8 (the system stores into a block), D10 (pages past the old end of the file), D12 and D14
 * (short writes and reads), D16 (resizing and freeing), D17 (borders of the arena), D22 (a creation
 * that is cut off). D1, D4, D5, D7, D25: write_order_test.c; D3, D13: damaged_log_test.c; D6:
 * flaws_scattered_test.c; D11: full_disk_test.c; D15, D26: flaws_process_test.c; D18, D19, D21:
 * flaws_lock_test.c; D20: flaws_fork_test.c; D23, D24: flaws_signal_test.c. D2 and D9 take a
 * simulated disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define SIZE (64 * TEST_PAGE)

struct root {
    uint64_t number;
    unsigned char *block;
};

static int set_number(tmf_writer *writer, void *root, void *context)
{
    (void)context;
    ((struct root *)root)->block = tmf_alloc(writer, 3 * TEST_PAGE);
    ((struct root *)root)->number = 1;
    return 0;
}

static tmf_storage *create(const struct test_place *place, size_t size)
{
    const tmf_options options = {
        .size = size, .root_size = sizeof(struct root), .root_init = set_number};
    return test_open(place, &options);
}

static void check_number(tmf_storage *storage, uint64_t expected)
{
    tmf_reader *reader = test_read(storage);
    check(((const struct root *)tmf_reader_root(reader))->number == expected);
    tmf_read_end(reader);
}

/* ---- rollback */

/* A rollback leaves alone what lies between its pages, though it was stored to before. */
static void test_rolls_back_between_pages_of_earlier_transactions(const struct test_place *place)
{
    const size_t pages = 256, apart = 24;
    const tmf_options options = {.size = 2 * pages * TEST_PAGE};
    tmf_storage *storage = test_open(place, &options);
    tmf_writer *writer = test_write(storage);
    unsigned char *block = tmf_alloc_aligned(writer, TEST_PAGE, pages * TEST_PAGE);
    check(block);
    for (size_t page = 0; page < pages; page++)
        block[page * TEST_PAGE] = 1;
    check_ok(tmf_commit(writer));
    for (size_t page = 0; page < pages; page += apart)
        block[page * TEST_PAGE] = 2;
    check_ok(tmf_rollback(writer));
    for (size_t page = 0; page < pages; page++)
        check(block[page * TEST_PAGE] == 1);
    tmf_write_end(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- D8: system calls that store into the arena */

static void test_d8_system_stores_into_a_block(const struct test_place *place)
{
    unsigned char source[3 * TEST_PAGE];
    char path[sizeof(place->folder) + 16];
    memset(source, 's', sizeof(source));
    (void)snprintf(path, sizeof(path), "%s/source", place->folder);
    test_file_make(path, source, sizeof(source));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0);

    tmf_storage *storage = create(place, SIZE);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    check_ok(tmf_touch(writer, root->block, sizeof(source)));
    check(read(fd, root->block, sizeof(source)) == (ssize_t)sizeof(source));
    check_ok(tmf_commit(writer));
    check(memcmp(root->block, source, sizeof(source)) == 0);
    check_ok(tmf_touch(writer, root->block + 100, TEST_PAGE));
    check(pread(fd, root->block + 100, TEST_PAGE, 0) == (ssize_t)TEST_PAGE);
    check(getcwd((char *)root->block + 200, 100));
    check_ok(tmf_rollback(writer));
    check(memcmp(root->block, source, sizeof(source)) == 0);

    char *arena = tmf_address(storage);
    check_error(EINVAL, tmf_touch(writer, arena - 1, 1));
    check_error(EINVAL, tmf_touch(writer, arena + SIZE, 1));
    check_error(EINVAL, tmf_touch(writer, arena, SIZE + 1));
    check_error(EINVAL, tmf_touch(writer, arena + 1, SIZE_MAX));
    check_ok(tmf_touch(writer, arena + SIZE - 1, 1));
    check_ok(tmf_touch(writer, arena, 0));
    check_ok(tmf_touch(writer, arena, SIZE)); /* all of it */
    tmf_write_end(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
    (void)close(fd);
}

/* ---- D10: pages that the file did not have when it was made */

static void grow_store_and_die(const void *place)
{
    const tmf_options larger = {.size = 8 * SIZE};
    tmf_storage *storage = test_open(place, &larger);
    tmf_writer *writer = test_write(storage);
    ((struct root *)tmf_writer_root(writer))->number = 99;
    memset(test_alloc(writer, 4 * SIZE), 'x', 4 * SIZE);
    test_die();
}

static void test_d10_stores_past_the_old_end(const struct test_place *place)
{
    check_ok(tmf_close(create(place, SIZE)));
    test_child_died(test_child(grow_store_and_die, place), SIGKILL);
    tmf_storage *storage = test_open(place, NULL);
    check(tmf_size(storage) == 8 * SIZE);
    check_number(storage, 1);
    tmf_writer *writer = test_write(storage);
    unsigned char *block = test_alloc(writer, 4 * SIZE);
    for (size_t at = 0; at < 4 * SIZE; at += TEST_PAGE)
        block[at + 1] = 'y';
    check_ok(tmf_rollback(writer));
    check(test_alloc(writer, 4 * SIZE) == block);
    for (size_t at = TEST_PAGE; at < 4 * SIZE; at += TEST_PAGE)
        check(block[at + 1] == 0);
    test_commit(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- D12, D14: every write and every read does half of what it was asked for */

static void store_in_short_writes_and_die(const void *place)
{
    const struct test_fault halves = {
        .call = TEST_CALL_pwrite, .kind = TEST_SHORT, .nth = 1, .sticky = true};
    tmf_storage *storage = test_open(place, NULL);
    test_calls_use(&halves);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->number = 2;
    memset(root->block, 'c', 3 * TEST_PAGE);
    check_ok(tmf_commit(writer));
    root->number = 3;
    memset(root->block, 'd', 3 * TEST_PAGE);
    check(test_calls_struck());
    test_die();
}

static void test_d12_d14_short_writes_and_reads(const struct test_place *place)
{
    const struct test_fault halves = {
        .call = TEST_CALL_pread, .kind = TEST_SHORT, .nth = 1, .sticky = true};
    check_ok(tmf_close(create(place, SIZE)));
    test_child_died(test_child(store_in_short_writes_and_die, place), SIGKILL);
    test_calls_use(&halves);
    tmf_storage *storage = test_open(place, NULL);
    check(test_calls_struck());
    tmf_reader *reader = test_read(storage);
    const struct root *root = tmf_reader_root(reader);
    check(root->number == 2);
    for (size_t at = 0; at < 3 * TEST_PAGE; at++)
        check(root->block[at] == 'c');
    tmf_read_end(reader);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- D16: blocks */

static void test_d16_resizes_keep_what_fits(const struct test_place *place)
{
    static const size_t sizes[] = {1, 16, 63, 64, 65, 200, 4096, 10000, 64, 63, 1, 20000, 0, 33};
    tmf_storage *storage = create(place, SIZE);
    tmf_writer *writer = test_write(storage);
    size_t size = sizes[0];
    unsigned char *block = test_alloc(writer, size);
    unsigned char *fence = test_alloc(writer, 1); /* so that growth has to move */
    memset(block, 'b', size);
    *fence = 'f';
    for (size_t n = 1; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        test_context("resize of %zu to %zu bytes", size, sizes[n]);
        block = tmf_resize(writer, block, size, sizes[n]);
        check(block);
        for (size_t at = 0; at < size && at < sizes[n]; at++)
            check(block[at] == 'b');
        size = sizes[n];
        memset(block, 'b', size);
        check(*fence == 'f');
        check_ok(tmf_check(storage));
    }
    check_ok(tmf_free(writer, block, size));
    check_ok(tmf_free(writer, fence, 1));
    test_commit(writer);
    check_ok(tmf_close(storage));
}

static void test_d16_zero_sizes_and_alignments(const struct test_place *place)
{
    tmf_storage *storage = create(place, SIZE);
    tmf_writer *writer = test_write(storage);
    unsigned char *blocks[16];
    for (size_t n = 0; n < 16; n++) {
        blocks[n] = test_alloc(writer, 0);
        check(n == 0 || blocks[n] != blocks[n - 1]);
    }
    for (size_t n = 0; n < 16; n++)
        check_ok(tmf_free(writer, blocks[n], 0));
    for (size_t alignment = 1; alignment <= 8 * TEST_PAGE; alignment *= 2) {
        unsigned char *block = tmf_alloc_aligned(writer, alignment, 100);
        check(block && (uintptr_t)block % alignment == 0);
        block[99] = 'x';
    }
    errno = 0;
    check(!tmf_alloc_aligned(writer, 3, 100) && errno == EINVAL);
    check(!tmf_alloc(writer, SIZE) && errno == ENOMEM);
    check(!tmf_alloc(writer, SIZE_MAX) && errno == ENOMEM);
    check_ok(tmf_check(storage));
    test_commit(writer);
    check_ok(tmf_close(storage));
}

static void test_d16_bad_frees_change_nothing(const struct test_place *place)
{
    tmf_storage *storage = create(place, SIZE);
    tmf_writer *writer = test_write(storage);
    unsigned char *low = test_alloc(writer, 1000);
    unsigned char *block = test_alloc(writer, 1000);
    unsigned char *high = test_alloc(writer, 1000);
    unsigned char *freed = test_alloc(writer, 1000);
    unsigned char *arena = tmf_address(storage);
    char elsewhere = 0;
    check_ok(tmf_free(writer, freed, 1000));
    check_ok(tmf_commit(writer));
    const struct {
        const char *name;
        void *at;
        size_t size;
    } bad[] = {
        {"twice", freed, 1000},
        {"too small", block, 500},
        {"too large", block, 2000},
        {"two blocks", block, 2048},
        {"the middle", block + 64, 1000 - 64},
        {"across blocks", low + 512, 1000},
        {"inside the quantum", block + 1, 1000},
        {"the header", arena, 256},
        {"the root", tmf_writer_root(writer), sizeof(struct root)},
        {"past the end", arena + SIZE, 64},
        {"the last byte", arena + SIZE - 1, 1},
        {"before the arena", arena - 64, 64},
        {"not of the arena", &elsewhere, 1},
        {"all memory", block, SIZE_MAX},
    };
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        test_context("free: %s", bad[n].name);
        check_error(TMF_EBADBLOCK, tmf_free(writer, bad[n].at, bad[n].size));
        check(!tmf_resize(writer, bad[n].at, bad[n].size, 10) && errno == TMF_EBADBLOCK);
        check_ok(tmf_check(storage));
    }
    check_ok(tmf_free(writer, NULL, 0));
    check_ok(tmf_free(writer, block, 1000));
    check_ok(tmf_free(writer, low, 1000));
    check_ok(tmf_free(writer, high, 1000));
    test_commit(writer);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- D17: sizes and borders */

static void test_d17_root_as_large_as_can_be(const struct test_place *place)
{
    tmf_options options = {.size = SIZE, .root_size = SIZE};
    tmf_storage *storage = NULL;
    while (test_try_open(place->path, &options, &storage) != 0) {
        check(options.root_size > SIZE / 2);
        options.root_size -= 16;
    }
    test_context("root of %zu bytes", options.root_size);
    tmf_writer *writer = test_write(storage);
    unsigned char *root = tmf_writer_root(writer);
    memset(root, 'r', options.root_size);
    check_ok(tmf_commit(writer));
    check_ok(tmf_check(storage));
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
    storage = test_open(place, NULL);
    tmf_reader *reader = test_read(storage);
    const unsigned char *same_root = tmf_reader_root(reader);
    for (size_t at = 0; at < options.root_size; at++)
        check(same_root[at] == 'r');
    tmf_read_end(reader);
    check_ok(tmf_close(storage));
}

static int keep_end(void *context, const tmf_block *block)
{
    *(size_t *)context = block->offset + block->size;
    return 0;
}

/* The largest block there can be, to its last bytes. */
static void use_to_the_end(tmf_storage *storage, const tmf_info *info)
{
    tmf_writer *writer = test_write(storage);
    size_t end_offset = 0;
    unsigned char *block = test_alloc(writer, info->largest_free_bytes);
    check_ok(tmf_walk(storage, keep_end, &end_offset));
    check(end_offset <= info->size && end_offset > info->size - TEST_PAGE);
    unsigned char *end = block + info->largest_free_bytes;
    for (size_t back = 1; back <= 16; back++)
        end[-(ptrdiff_t)back] = (unsigned char)back;
    check_ok(tmf_commit(writer));
    memset(end - 16, 'x', 16);
    check_ok(tmf_rollback(writer));
    for (size_t back = 1; back <= 16; back++)
        check(end[-(ptrdiff_t)back] == back);
    tmf_write_end(writer);
}

static void test_d17_last_bytes_of_the_arena(const struct test_place *place)
{
    for (size_t size = SIZE; size < SIZE + 2 * TEST_PAGE; size += 1000) {
        char name[32];
        (void)snprintf(name, sizeof(name), "size-%zu", size);
        const struct test_place sized = test_place_beside(place, name);
        tmf_storage *storage = create(&sized, size);
        tmf_info info;
        tmf_reader *reader = test_read(storage);
        check_ok(tmf_info_get(storage, &info));
        tmf_read_end(reader);
        check(info.size % TEST_PAGE == 0 && info.size >= size && info.size < size + TEST_PAGE);
        use_to_the_end(storage, &info);
        check_ok(tmf_close(storage));
    }
}

/* ---- D22: a creation that is cut off */

struct cut {
    const struct test_place *place;
    unsigned nth; /* call, at which it is killed */
    bool *done;   /* shared: it came to an end before */
};

static void create_until_cut(const void *context)
{
    const struct cut *cut = context;
    const struct test_fault fault = {.call = TEST_CALL_ANY, .kind = TEST_KILL, .nth = cut->nth};
    test_calls_use(&fault);
    check_ok(tmf_close(create(cut->place, SIZE)));
    *cut->done = true;
    test_die();
}

static bool is_cut(const struct cut *cut)
{
    test_child_died(test_child(create_until_cut, cut), SIGKILL);
    return !*cut->done;
}

static void test_d22_creation_may_be_cut_off(const struct test_place *place)
{
    void *shared = mmap(NULL, TEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    for (struct cut cut = {place, 1, shared}; is_cut(&cut); cut.nth++) {
        test_context("creation killed at call %u", cut.nth);
        tmf_storage *storage = NULL;
        if (test_exists(place->odb))
            storage = test_open(place, NULL); /* whole */
        else
            check_error(ENOENT, test_try_open(place->path, NULL, &storage));
        check_ok(tmf_close(storage));
        storage = create(place, SIZE);
        check_number(storage, 1);
        test_storage_is_well(storage);
        check_ok(tmf_close(storage));
        check(test_files(place) == 2);
        check(unlink(place->odb) == 0 && unlink(place->log) == 0);
    }
}

/* Cut off by a power failure: any sector of its log may be missing, the first as well. */
static void test_d22_torn_log_is_made_anew(const struct test_place *place)
{
    static const unsigned char zeroes[TMF_SECTOR_SIZE];
    for (size_t torn = 0; torn < 2; torn++) {
        check_ok(tmf_close(create(place, SIZE)));
        check(unlink(place->odb) == 0);
        test_poke(place->log, torn * TMF_SECTOR_SIZE, zeroes, sizeof(zeroes));
        check_ok(tmf_close(create(place, SIZE)));
        check(unlink(place->odb) == 0 && unlink(place->log) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_rolls_back_between_pages_of_earlier_transactions),
        test_case(test_d8_system_stores_into_a_block),
        test_case(test_d10_stores_past_the_old_end),
        test_case(test_d12_d14_short_writes_and_reads),
        test_case(test_d16_resizes_keep_what_fits),
        test_case(test_d16_zero_sizes_and_alignments),
        test_case(test_d16_bad_frees_change_nothing),
        test_case(test_d17_root_as_large_as_can_be),
        test_case(test_d17_last_bytes_of_the_arena),
        test_case(test_d22_creation_may_be_cut_off),
        test_case(test_d22_torn_log_is_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
