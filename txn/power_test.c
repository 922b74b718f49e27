/* SPDX-License-Identifier: MIT */
/*
 * A first, coarse power cut, for every strategy. At a sync, before each write into the arena's
 * file, and in the middle of the stores of a transaction, each file is taken in one of two states:
 * as its last sync left it, or as the page cache has it, which the kernel may have written back at
 * any instant, for whatever reason. Three pairs of these are opened: both as synced; the log as
 * synced and the arena as cached, the order of write-back that an undo log must fear; and the other
 * way round, the one of a redo log.
 *
 * What is found must be a committed state, no older than the last acknowledged one - of a strategy
 * that says it survives power loss. Of one that says it does not, undo-mlock and the control, at
 * least one image must be wrong, or the check could not fail. mlock is no help: it keeps a page
 * from eviction, not from write-back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txn/io.h"
#include "txn/test_pages.h"

#define SIZE         (64 * TEST_PAGE)
#define PAGES        ((size_t)6)
#define TRANSACTIONS 3
#define IMAGES_MOST  512
#define LEAST_LOG    1 /* byte: every transaction finds the log full */

static size_t page_count = PAGES;

/* ---- a disk that knows what was synced: it keeps that in files of its own. With undo-fsync a sync
 * is made in a signal handler, so nothing here asks for memory. */

static struct {
    const struct test_place *place;
    struct test_place synced;
    struct tmf_io table;
    uint64_t acknowledged, begun; /* transactions */
    unsigned images;
} disk;

/* What an image must show. */
struct bounds {
    uint64_t least, most;
};
static struct bounds bounds[IMAGES_MOST];

static void copy_file(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t got;
    check(source >= 0 && target >= 0);
    do {
        got = copy_file_range(source, NULL, target, NULL, SIZE, 0);
    } while (got > 0);
    check(got == 0);
    (void)close(source);
    (void)close(target);
}

static struct test_place place_of(unsigned image)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "image-%u", image);
    return test_place_beside(disk.place, name);
}

static void keep(const struct test_place *odb_of, const struct test_place *log_of)
{
    struct test_place place = place_of(disk.images);
    check(disk.images < IMAGES_MOST);
    bounds[disk.images++] = (struct bounds){disk.acknowledged, disk.begun};
    copy_file(odb_of->odb, place.odb);
    copy_file(log_of->log, place.log);
}

/* Power may fail here. */
static void take_images(void)
{
    keep(&disk.synced, &disk.synced);
    keep(disk.place, &disk.synced);
    keep(&disk.synced, disk.place);
}

static bool is_log(int fd)
{
    struct stat file, log;
    check(fstat(fd, &file) == 0 && stat(disk.place->log, &log) == 0);
    return file.st_ino == log.st_ino;
}

static void note_synced(int fd)
{
    if (is_log(fd))
        copy_file(disk.place->log, disk.synced.log);
    else
        copy_file(disk.place->odb, disk.synced.odb);
}

static int image_and_sync(int fd)
{
    take_images();
    note_synced(fd);
    take_images();
    return 0;
}

static ssize_t image_and_pwrite(int fd, const void *from, size_t size, off_t at)
{
    if (!is_log(fd))
        take_images();
    return tmf_io_system.pwrite(fd, from, size, at);
}

static void use_disk(const struct test_place *place)
{
    disk.place = place;
    disk.table = tmf_io_system;
    disk.table.fdatasync = image_and_sync;
    disk.table.fsync = image_and_sync;
    disk.table.pwrite = image_and_pwrite;
    disk.synced = test_place_beside(place, "synced");
    copy_file(place->odb, disk.synced.odb);
    copy_file(place->log, disk.synced.log);
    tmf_io = &disk.table;
}

/* ---- a life under it */

static void put_pages(tmf_writer *writer, size_t first, uint64_t value)
{
    uint64_t *block = test_pages_of(writer);
    for (size_t page = first; page < PAGES; page += 2)
        test_put(writer, block + page * PAGE_WORDS, value);
}

/* With durability group nobody waits: no commit is acknowledged, but what is seen is whole. */
static void live(const struct test_place *place, tmf_durability durability)
{
    const tmf_options options = {.durability = durability, .log_size = LEAST_LOG};
    tmf_storage *storage = test_open(place, &options);
    uint64_t ticket;
    use_disk(place);
    for (uint64_t n = 1; n <= TRANSACTIONS; n++) {
        tmf_writer *writer = test_write(storage);
        disk.begun = n;
        put_pages(writer, 0, n);
        take_images();
        put_pages(writer, 1, n);
        check_ok(tmf_commit_nowait(writer, &ticket));
        if (durability == TMF_DURABILITY_SYNC)
            disk.acknowledged = n;
        take_images();
        tmf_write_end(writer);
    }
    check_ok(tmf_close(storage));
    tmf_io = &tmf_io_system;
}

/* ---- what is found */

static bool shows_committed(tmf_storage *storage, const struct bounds *expected)
{
    tmf_reader *reader;
    if (tmf_read_begin(storage, &reader) != 0)
        return false;
    const uint64_t *block = test_pages_seen(reader);
    bool same = true;
    for (size_t page = 1; page < PAGES; page++)
        same &= block[page * PAGE_WORDS] == block[0];
    bool in_bounds = block[0] >= expected->least && block[0] <= expected->most;
    tmf_read_end(reader);
    return same && in_bounds;
}

static bool recovers(unsigned image)
{
    const struct test_place place = place_of(image);
    tmf_storage *storage;
    if (test_try_open(place.path, NULL, &storage) != 0)
        return false;
    bool holds = shows_committed(storage, &bounds[image]);
    check_ok(tmf_close(storage));
    return holds;
}

static void cut_power(const struct test_place *place, tmf_durability durability)
{
    static const char *const states[] = {"both as synced", "the arena written back",
                                         "the log written back"};
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = test_make_pages,
                                 .root_context = &page_count};
    check_ok(tmf_close(test_open(place, &options)));
    memset(&disk, 0, sizeof(disk));
    live(place, durability);
    unsigned wrong = 0;
    for (unsigned image = 0; image < disk.images; image++) {
        if (recovers(image))
            continue;
        if (wrong++ == 0)
            print_message("%s: acknowledged %u, begun %u, %s: lost\n", test_strategy(),
                          (unsigned)bounds[image].least, (unsigned)bounds[image].most,
                          states[image % 3]);
    }
    print_message("%s: %u of %u images are wrong\n", test_strategy(), wrong, disk.images);
    check((wrong == 0) == (test_strategy_survives() == TMF_SURVIVES_POWER));
}

static void test_power_cut(const struct test_place *place)
{
    cut_power(place, TMF_DURABILITY_SYNC);
}

static void test_power_cut_while_nobody_waits(const struct test_place *place)
{
    cut_power(place, TMF_DURABILITY_GROUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_power_cut),
        test_case(test_power_cut_while_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
