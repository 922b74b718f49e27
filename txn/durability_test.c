/* SPDX-License-Identifier: MIT */
/*
 * What a commit with a redo log costs and promises: durability sync, group and process, tickets,
 * and what a power cut may leave of commits that nobody waited for: always a prefix, which holds
 * every ticket that was waited for.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/storage.h"
#include "txn/test_calls.h"
#include "txn/test_pages.h"

#define SIZE  (64 * TEST_PAGE)
#define PAGES ((size_t)8)
#define STEP  64 /* words */

static size_t page_count = PAGES;

static tmf_storage *open_with(const struct test_place *place, tmf_durability durability)
{
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = test_make_pages,
                                 .root_context = &page_count,
                                 .durability = durability};
    tmf_storage *storage = test_open(place, &options);
    tmf_write_end(test_write(storage)); /* the first one makes the log a redo log */
    return storage;
}

/* Every STEP-th word, so that a record takes several sectors. */
static void put_all(tmf_writer *writer, uint64_t value)
{
    uint64_t *block = test_pages_of(writer);
    for (size_t at = 0; at < PAGES * PAGE_WORDS; at += STEP)
        test_put(writer, block + at, value);
}

static uint64_t read_all(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const uint64_t *block = test_pages_seen(reader);
    for (size_t at = 0; at < PAGES * PAGE_WORDS; at += STEP)
        check(block[at] == block[0]);
    uint64_t value = block[0];
    tmf_read_end(reader);
    return value;
}

static uint64_t commit_nowait(tmf_storage *storage, uint64_t value)
{
    uint64_t ticket = 0;
    tmf_writer *writer = test_write(storage);
    put_all(writer, value);
    check_ok(tmf_commit_nowait(writer, &ticket));
    tmf_write_end(writer);
    return ticket;
}

static unsigned syncs(void)
{
    return test_calls_made(TEST_CALL_fdatasync) + test_calls_made(TEST_CALL_fsync);
}

/* ---- how many syncs */

static void test_sync_syncs_once(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_SYNC);
    test_calls_use(NULL);
    for (unsigned n = 1; n <= 5; n++) {
        uint64_t ticket = commit_nowait(storage, n);
        check(syncs() == n); /* nothing is left to wait for */
        check_ok(tmf_wait(storage, ticket));
        check(syncs() == n);
    }
    tmf_writer *writer = test_write(storage);
    check_ok(tmf_commit(writer)); /* of nothing */
    tmf_write_end(writer);
    check(syncs() == 5);
    check_ok(tmf_close(storage));
}

static void commit_without_syncs_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_PROCESS);
    test_calls_use(NULL);
    for (unsigned n = 1; n <= 5; n++)
        check_ok(tmf_wait(storage, commit_nowait(storage, n)));
    tmf_writer *writer = test_write(storage);
    put_all(writer, 6);
    check_ok(tmf_commit(writer));
    check(syncs() == 0);
    put_all(writer, 7);
    test_die();
}

static void test_process_syncs_never(const struct test_place *place)
{
    check_ok(tmf_close(open_with(place, TMF_DURABILITY_SYNC)));
    test_child_died(test_child(commit_without_syncs_and_die, place), SIGKILL);
    tmf_storage *storage = open_with(place, TMF_DURABILITY_SYNC);
    check(read_all(storage) == 6);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_group_syncs_for_many(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    uint64_t tickets[10];
    test_calls_use(NULL);
    for (unsigned n = 0; n < 10; n++) {
        tickets[n] = commit_nowait(storage, n + 1);
        check(n == 0 || tickets[n] > tickets[n - 1]);
        check(read_all(storage) == n + 1); /* seen at once */
    }
    check(syncs() == 0);
    check_error(EINVAL, tmf_wait(storage, tickets[9] + 1));
    check_ok(tmf_wait(storage, tickets[4]));
    check(syncs() == 1);
    for (unsigned n = 0; n < 10; n++)
        check_ok(tmf_wait(storage, tickets[n])); /* all of them were there to be synced */
    check(syncs() == 1);
    tmf_writer *writer = test_write(storage);
    put_all(writer, 11);
    check_ok(tmf_commit(writer)); /* waits by itself */
    check(syncs() == 2);
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
}

/* ---- commits gather while a sync is under way */

#define THREADS 8

static struct {
    struct tmf_io table;
    struct test_flag entered, leave;
    _Atomic unsigned syncs;
} slow;

/* The first sync is as slow as the test wants it to be. */
static int slow_fdatasync(int fd)
{
    (void)fd;
    if (++slow.syncs > 1)
        return 0;
    test_flag_raise(&slow.entered);
    test_flag_wait(&slow.leave);
    return 0;
}

struct committer {
    tmf_storage *storage;
    struct test_flag *committed;
};

static void *commit_and_wait(void *context)
{
    const struct committer *committer = context;
    tmf_writer *writer = test_write(committer->storage);
    const uint64_t *block = test_pages_of(writer);
    uint64_t ticket;
    put_all(writer, block[0] + 1);
    check_ok(tmf_commit_nowait(writer, &ticket));
    tmf_write_end(writer);
    test_flag_raise(committer->committed);
    check_ok(tmf_wait(committer->storage, ticket));
    return NULL;
}

static void test_commits_gather_behind_a_sync(const struct test_place *place)
{
    struct test_flag committed;
    pthread_t threads[THREADS];
    struct committer committer = {open_with(place, TMF_DURABILITY_GROUP), &committed};
    test_flag_make(&committed);
    test_flag_make(&slow.entered);
    test_flag_make(&slow.leave);
    slow.table = tmf_io_system;
    slow.table.fdatasync = slow_fdatasync;
    tmf_io = &slow.table;
    check_ok(pthread_create(&threads[0], NULL, commit_and_wait, &committer));
    test_flag_wait(&slow.entered); /* the first one syncs, and does not hold up the others */
    for (size_t n = 1; n < THREADS; n++)
        check_ok(pthread_create(&threads[n], NULL, commit_and_wait, &committer));
    for (size_t n = 0; n < THREADS; n++)
        test_flag_wait(&committed);
    check(slow.syncs == 1);
    test_flag_raise(&slow.leave);
    for (size_t n = 0; n < THREADS; n++)
        check_ok(pthread_join(threads[n], NULL));
    check(slow.syncs == 2); /* one for the seven that came too late for the first */
    check(read_all(committer.storage) == THREADS);
    tmf_io = &tmf_io_system;
    check_ok(tmf_close(committer.storage));
    test_flag_free(&committed);
    test_flag_free(&slow.entered);
    test_flag_free(&slow.leave);
}

/* ---- what a power cut may leave: any of the sectors that were not synced */

#define WAITED_FOR 5
#define MADE       12
#define CUTS       200
#define LATER      UINT64_C(1000)

struct cut {
    struct test_pair synced, unsynced;
    uint64_t random;
};

static size_t sectors_of(const struct test_file *file)
{
    return file->size / TMF_SECTOR_SIZE;
}

/* The log as the medium may hold it: of each sector that differs, the old one or the new one. */
static void cut_power(const struct test_place *place, struct cut *cut, unsigned n)
{
    struct test_file log = cut->unsynced.log;
    unsigned char bytes[256 * TMF_SECTOR_SIZE];
    size_t differ = 0;
    check(cut->synced.log.size >= sizeof(bytes) && log.size == cut->synced.log.size);
    memcpy(bytes, cut->synced.log.bytes, sizeof(bytes));
    for (size_t at = 0; at < sectors_of(&log); at++) {
        size_t offset = at * TMF_SECTOR_SIZE;
        if (memcmp(cut->synced.log.bytes + offset, log.bytes + offset, TMF_SECTOR_SIZE) == 0)
            continue;
        check(offset < sizeof(bytes));
        bool arrives = n == 0 || (n > 1 && test_random(&cut->random) % (1 + n % 4) != 0);
        if (arrives)
            memcpy(bytes + offset, log.bytes + offset, TMF_SECTOR_SIZE);
        differ++;
    }
    check(differ >= MADE - WAITED_FOR);
    test_pair_store(place, &cut->synced);
    test_poke(place->log, 0, bytes, sizeof(bytes));
}

static void write_tickets(const void *context)
{
    const struct test_place *place = context;
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    struct test_pair pair;
    const struct test_place synced = test_place_beside(place, "synced");
    const struct test_place unsynced = test_place_beside(place, "unsynced");
    for (uint64_t n = 1; n <= MADE; n++) {
        uint64_t ticket = commit_nowait(storage, n);
        if (n != WAITED_FOR)
            continue;
        check_ok(tmf_wait(storage, ticket));
        test_pair_load(place, &pair);
        test_pair_store(&synced, &pair);
        test_pair_free(&pair);
    }
    test_pair_load(place, &pair);
    test_pair_store(&unsynced, &pair);
    test_pair_free(&pair);
    test_die();
}

static void commit_later_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    (void)commit_nowait(storage, LATER);
    test_die();
}

/* What was lost leaves records behind that follow on where the next commit ends: not on it. */
static void check_goes_on(const struct test_place *place)
{
    test_child_died(test_child(commit_later_and_die, place), SIGKILL);
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    check(read_all(storage) == LATER);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_power_cut_leaves_a_prefix(const struct test_place *place)
{
    struct cut cut = {.random = test_seed("durability_test")};
    const struct test_place synced = test_place_beside(place, "synced");
    const struct test_place unsynced = test_place_beside(place, "unsynced");
    bool seen[MADE + 1] = {false};
    test_calls_use(NULL); /* nothing here needs the disk */
    check_ok(tmf_close(open_with(place, TMF_DURABILITY_GROUP)));
    test_child_died(test_child(write_tickets, place), SIGKILL);
    test_pair_load(&synced, &cut.synced);
    test_pair_load(&unsynced, &cut.unsynced);
    for (unsigned n = 0; n < CUTS; n++) {
        test_context("power cut %u", n);
        uint64_t random = cut.random;
        cut_power(place, &cut, n);
        tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
        uint64_t value = read_all(storage);
        check(value >= WAITED_FOR && value <= MADE);
        check(n > 1 || value == (n == 0 ? MADE : WAITED_FOR)); /* all arrived; none did */
        seen[value] = true;
        check_ok(tmf_close(storage));
        cut.random = random; /* the same cut again */
        cut_power(place, &cut, n);
        check_goes_on(place);
    }
    check(seen[WAITED_FOR + 1] && seen[WAITED_FOR + 2]); /* else nothing was cut in two */
    test_pair_free(&cut.synced);
    test_pair_free(&cut.unsynced);
}

/* ---- the same transactions once more */

static void commit_three_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    for (unsigned n = 1; n <= 3; n++)
        (void)commit_nowait(storage, n);
    test_die();
}

static void commit_one_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    check_ok(tmf_wait(storage, commit_nowait(storage, 1)));
    test_die();
}

/*
 * Of three commits that nobody waited for, power failure has taken a sector of the first. Who makes
 * that one again, to the same bytes, must not get the other two along with it.
 */
static void test_repeated_commit_does_not_bring_back_lost_ones(const struct test_place *place)
{
    static const unsigned char zeroes[TMF_SECTOR_SIZE];
    check_ok(tmf_close(open_with(place, TMF_DURABILITY_GROUP)));
    test_child_died(test_child(commit_three_and_die, place), SIGKILL);
    test_poke(place->log, TMF_LOG_RECORDS_OFFSET + TMF_SECTOR_SIZE, zeroes, sizeof(zeroes));
    test_child_died(test_child(commit_one_and_die, place), SIGKILL);
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    check(read_all(storage) == 1);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- a sync that fails fails all that wait for it */

static void test_failed_sync_is_told_to_all_tickets(const struct test_place *place)
{
    const struct test_fault fault = {.call = TEST_CALL_fdatasync, .error = EIO, .nth = 1};
    tmf_storage *storage = open_with(place, TMF_DURABILITY_GROUP);
    uint64_t first = commit_nowait(storage, 1);
    check_ok(tmf_wait(storage, first));
    uint64_t second = commit_nowait(storage, 2);
    uint64_t third = commit_nowait(storage, 3);
    test_calls_use(&fault);
    check_error(EIO, tmf_wait(storage, second));
    check_error(TMF_EPOISONED, tmf_wait(storage, third));
    check_error(TMF_EPOISONED, tmf_wait(storage, second));
    check_ok(tmf_wait(storage, first)); /* is durable, whatever came after */
    check(syncs() == 1);
    check_ok(tmf_close(storage));
    test_calls_use(NULL);
    storage = open_with(place, TMF_DURABILITY_GROUP);
    check(syncs() > 0); /* what is shown now is on the medium */
    check(read_all(storage) >= 1 && read_all(storage) <= 3);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* A log whose every checksum is right, and which moves the header: to where nothing is mapped. */
static void commit_another_address(const void *place)
{
    tmf_writer *writer = test_write(open_with(place, TMF_DURABILITY_SYNC));
    struct tmf_file_header *header =
        (void *)((unsigned char *)tmf_writer_root(writer) - TMF_ROOT_OFFSET);
    check_ok(tmf_touch(writer, header, sizeof(*header)));
    header->address += SIZE;
    tmf_header_seal(header);
    check_ok(tmf_commit(writer));
    test_die();
}

static void test_log_that_moves_the_header(const struct test_place *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_SYNC);
    check_ok(tmf_close(storage));
    test_child_died(test_child(commit_another_address, place), SIGKILL);
    check_error(TMF_ECORRUPT, test_try_open(place->path, NULL, &storage));
}

static void commit_two_and_die(const void *place)
{
    tmf_storage *storage = open_with(place, TMF_DURABILITY_SYNC);
    for (uint64_t value = 2; value <= 3; value++)
        (void)commit_nowait(storage, value);
    test_die();
}

/* Both copies of the slot in force are lost: the slot before is none to go on from, since what was
 * acknowledged stands under the one that is gone. */
static void test_lost_slot_is_told(const struct test_place *place)
{
    static const unsigned char zeroes[TMF_LOG_SLOT_SIZE];
    struct test_pair pair;
    tmf_storage *storage = open_with(place, TMF_DURABILITY_SYNC);
    (void)commit_nowait(storage, 1);
    check_ok(tmf_close(storage));
    test_child_died(test_child(commit_two_and_die, place), SIGKILL);
    test_pair_load(place, &pair);
    for (size_t slot = 0; slot < 2; slot++) {
        test_context("slot %zu is lost", slot);
        test_pair_store(place, &pair);
        test_poke(place->log, slot * TMF_LOG_SLOT_SIZE, zeroes, sizeof(zeroes));
        int error = test_try_open(place->path, NULL, &storage);
        check(error == 0 || error == TMF_ECORRUPT);
        if (!error) {
            check(read_all(storage) == 3);
            check_ok(tmf_close(storage));
        }
    }
    test_pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_sync_syncs_once),
        test_case(test_process_syncs_never),
        test_case(test_group_syncs_for_many),
        test_case(test_commits_gather_behind_a_sync),
        test_case(test_power_cut_leaves_a_prefix),
        test_case(test_repeated_commit_does_not_bring_back_lost_ones),
        test_case(test_failed_sync_is_told_to_all_tickets),
        test_case(test_log_that_moves_the_header),
        test_case(test_lost_slot_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
