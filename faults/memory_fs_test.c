/* SPDX-License-Identifier: MIT */
/*
 * The file system in memory, against the promises of memory_fs.h: it shows the image that was
 * chosen, whatever stood there before; calls do what the system's do; mappings at a fixed address
 * show the file and reach it; what it is asked to do is recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "faults/memory_fs.h"
#include "txn/io.h"

#define MEMORY  ((size_t)16 << 20)
#define PATH    "folder/a"
#define OTHER   "folder/b"
#define ADDRESS ((unsigned char *)0x7e9100000000)

static struct disk_events events;
static struct sim_disk disk;

static void happen(struct disk_event event)
{
    disk_events_tick(&events);
    disk_events_add(&events, &event);
    sim_disk_apply(&disk, &events.at[events.count - 1]);
}

static void put(uint64_t at, unsigned char value)
{
    happen((struct disk_event){.kind = DISK_WRITE, .at = at, .size = 1, .bytes = &value});
}

/* A file of two pages, each of which may hold a byte or not. */
static int start(void **state)
{
    static bool made;
    (void)state;
    assert_true(made || memory_fs_make() == 0);
    made = true;
    assert_int_equal(disk_events_make(&events, MEMORY, 1024), 0);
    assert_int_equal(sim_disk_make(&disk, DISK_POSIX, DISK_PAGE, &events), 0);
    happen((struct disk_event){.kind = DISK_NAME, .name = disk_events_name(&events, PATH)});
    happen((struct disk_event){.kind = DISK_SIZE, .size = 2 * DISK_PAGE});
    happen((struct disk_event){.kind = DISK_SYNC});
    happen((struct disk_event){.kind = DISK_SYNC_FOLDER});
    put(5, 'x');
    put(DISK_PAGE + 5, 'y');
    sim_disk_vary(&disk);
    memory_fs_forget();
    memory_fs_use(true);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    memory_fs_use(false);
    memory_fs_record(NULL);
    sim_disk_free(&disk);
    disk_events_free(&events);
    return 0;
}

static void load(uint32_t first, uint32_t second)
{
    sim_disk_choose_all(&disk, false);
    sim_disk_choose(&disk, 0, first);
    sim_disk_choose(&disk, 1, second);
    memory_fs_load(&disk);
}

static int open_file(const char *path, int flags)
{
    int fd = tmf_io->open(path, O_RDWR | flags, 0666);
    assert_true(fd >= 0);
    return fd;
}

static unsigned char byte_at(int fd, off_t at)
{
    unsigned char byte = '?';
    assert_int_equal(tmf_io->pread(fd, &byte, 1, at), 1);
    return byte;
}

static uint64_t size_of(int fd)
{
    struct stat status;
    assert_int_equal(tmf_io->fstat(fd, &status), 0);
    return (uint64_t)status.st_size;
}

static void test_every_image_is_shown(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 8; n++) {
        load(n & 1, n / 2 & 1);
        int fd = open_file(PATH, 0);
        assert_int_equal(byte_at(fd, 5), n & 1 ? 'x' : 0);
        assert_int_equal(byte_at(fd, DISK_PAGE + 5), n / 2 & 1 ? 'y' : 0);
        /* What is done to one image is not seen in the next. */
        assert_int_equal(tmf_io->pwrite(fd, "z", 1, 5), 1);
        assert_int_equal(byte_at(fd, 5), 'z');
        assert_int_equal(tmf_io->ftruncate(fd, DISK_PAGE), 0);
        assert_int_equal(size_of(fd), DISK_PAGE);
        assert_int_equal(memory_fs_open_descriptors(), 1);
        assert_int_equal(tmf_io->close(fd), 0);
        assert_int_equal(memory_fs_open_descriptors(), 0);
    }
}

static void test_sizes_and_ends(void **state)
{
    unsigned char bytes[16];
    (void)state;
    load(1, 1);
    int fd = open_file(PATH, 0);
    assert_int_equal(tmf_io->pread(fd, bytes, sizeof(bytes), 2 * DISK_PAGE), 0);
    assert_int_equal(tmf_io->pread(fd, bytes, sizeof(bytes), 2 * DISK_PAGE - 4), 4);
    assert_int_equal(tmf_io->ftruncate(fd, DISK_PAGE), 0);
    assert_int_equal(tmf_io->pwrite(fd, "w", 1, 3 * DISK_PAGE - 1), 1);
    assert_int_equal(size_of(fd), 3 * DISK_PAGE);
    assert_int_equal(byte_at(fd, DISK_PAGE + 5), 0); /* was cut off in between */
}

static void test_names(void **state)
{
    struct stat status;
    (void)state;
    load(1, 1);
    assert_int_equal(tmf_io->open(OTHER, O_RDWR, 0), -1);
    assert_int_equal(errno, ENOENT);
    int made = open_file(OTHER, O_CREAT);
    assert_int_equal(size_of(made), 0);
    int old = open_file(PATH, 0);
    assert_int_equal(tmf_io->rename(PATH, OTHER), 0);
    assert_int_equal(tmf_io->open(PATH, O_RDWR, 0), -1);
    int renamed = open_file(OTHER, 0);
    assert_int_equal(byte_at(renamed, 5), 'x');
    assert_int_equal(tmf_io->fstat(made, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal(tmf_io->unlink(OTHER), 0);
    assert_int_equal(tmf_io->unlink(OTHER), -1);
    assert_int_equal(byte_at(old, 5), 'x');
}

static void test_a_new_file_is_empty(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        load(1, 1);
        int fd = open_file(OTHER, O_CREAT);
        assert_int_equal(size_of(fd), 0);
        assert_int_equal(tmf_io->ftruncate(fd, DISK_PAGE), 0);
        assert_int_equal(byte_at(fd, 5), 0);
        assert_int_equal(tmf_io->pwrite(fd, "w", 1, 5), 1);
    }
}

static unsigned char *map(int fd, int flags)
{
    unsigned char *at = tmf_io->mmap(ADDRESS, 2 * DISK_PAGE, PROT_READ, flags | MAP_FIXED, fd, 0);
    assert_ptr_equal(at, ADDRESS);
    return at;
}

static void test_a_shared_mapping_is_the_file(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 4; n++) {
        load(n & 1, n / 2);
        int fd = open_file(PATH, 0);
        unsigned char *at = map(fd, MAP_SHARED);
        assert_int_equal(at[5], n & 1 ? 'x' : 0);
        assert_int_equal(at[DISK_PAGE + 5], n / 2 ? 'y' : 0);
        assert_int_equal(tmf_io->pwrite(fd, "w", 1, 6), 1);
        assert_int_equal(at[6], 'w');
        assert_int_equal(tmf_io->mprotect(at, DISK_PAGE, PROT_READ | PROT_WRITE), 0);
        at[7] = 's';
        assert_int_equal(byte_at(fd, 7), 's');
        assert_int_equal(tmf_io->munmap(at, 2 * DISK_PAGE), 0);
    }
}

static void test_a_private_mapping_keeps_what_is_stored(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 4; n++) {
        load(n & 1, n / 2);
        int fd = open_file(PATH, 0);
        unsigned char *at = map(fd, MAP_PRIVATE);
        assert_int_equal(at[5], n & 1 ? 'x' : 0);
        assert_int_equal(tmf_io->mprotect(at, DISK_PAGE, PROT_READ | PROT_WRITE), 0);
        at[7] = 's';
        assert_int_equal(byte_at(fd, 7), 0);
        assert_int_equal(tmf_io->pwrite(fd, "w", 1, 6), 1);
        assert_int_equal(tmf_io->pwrite(fd, "w", 1, DISK_PAGE + 6), 1);
        assert_int_equal(at[6], 0);               /* the page is our own now */
        assert_int_equal(at[DISK_PAGE + 6], 'w'); /* this one follows the file */
        assert_int_equal(tmf_io->madvise(at, DISK_PAGE, MADV_DONTNEED), 0);
        assert_true(at[6] == 'w' && at[7] == 0);
        assert_int_equal(tmf_io->munmap(at, 2 * DISK_PAGE), 0);
    }
}

static void test_anonymous_memory_is_zero(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        unsigned char *at = tmf_io->mmap(NULL, DISK_PAGE, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(at != MAP_FAILED && at[0] == 0 && at[DISK_PAGE - 1] == 0);
        memset(at, 1, DISK_PAGE);
        assert_int_equal(tmf_io->munmap(at, DISK_PAGE), 0);
    }
}

/* The disk that is told of the recording is where the file system is. */
static void test_a_recording_leads_to_the_same_disk(void **state)
{
    struct disk_events recorded;
    struct sim_disk other;
    (void)state;
    load(1, 0);
    assert_int_equal(disk_events_make(&recorded, MEMORY, 64), 0);
    assert_int_equal(sim_disk_make(&other, DISK_POSIX, DISK_PAGE, &recorded), 0);
    assert_int_equal(disk_events_name(&recorded, PATH), 0);
    assert_int_equal(disk_events_name(&recorded, OTHER), 1);
    assert_int_equal(disk_events_name(&events, OTHER), 1);
    sim_disk_start(&other, &disk);
    memory_fs_record(&recorded);
    int fd = open_file(PATH, 0);
    assert_int_equal(tmf_io->pwrite(fd, "w", 1, DISK_PAGE + 5), 1);
    assert_int_equal(tmf_io->rename(PATH, OTHER), 0);
    assert_int_equal(tmf_io->ftruncate(fd, 3 * DISK_PAGE), 0);
    unsigned char *at = map(fd, MAP_SHARED);
    assert_int_equal(tmf_io->mprotect(at, DISK_PAGE, PROT_READ | PROT_WRITE), 0);
    at[9] = 's';
    assert_int_equal(tmf_io->fdatasync(fd), 0);
    assert_int_equal(memory_fs_changes(), 5);
    for (size_t n = 0; n < recorded.count; n++)
        sim_disk_apply(&other, &recorded.at[n]);
    sim_disk_vary(&other);
    assert_int_equal(other.variable_count, 2); /* the names; all else is synced */
    sim_disk_choose_all(&other, true);
    assert_int_equal(sim_disk_file_of(&other, 0), DISK_NO_FILE);
    assert_int_equal(sim_disk_file_of(&other, 1), 0);
    assert_int_equal(sim_disk_size(&other, 0), 3 * DISK_PAGE);
    assert_int_equal(sim_disk_unit(&other, 0, 0)->bytes[9], 's');
    assert_int_equal(sim_disk_unit(&other, 0, 0)->bytes[5], 'x');
    assert_int_equal(sim_disk_unit(&other, 0, 1)->bytes[5], 'w');
    sim_disk_free(&other);
    disk_events_free(&recorded);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_image_is_shown),
        TEST(test_sizes_and_ends),
        TEST(test_names),
        TEST(test_a_new_file_is_empty),
        TEST(test_a_shared_mapping_is_the_file),
        TEST(test_a_private_mapping_keeps_what_is_stored),
        TEST(test_anonymous_memory_is_zero),
        TEST(test_a_recording_leads_to_the_same_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
