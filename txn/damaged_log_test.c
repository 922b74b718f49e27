/* SPDX-License-Identifier: MIT */
/*
 * Damage to the undo log of a storage whose writer was killed in mid-transaction: flipped bits,
 * lost sectors, lost ends, forged records, records of other times and other storages. Opening
 * brings back exactly the committed content, or says TMF_ECORRUPT and leaves both files as they
 * were; which of both it must be, the tables say.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "txn/checksum.h"
#include "txn/format.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define PAGES   5 /* of the block that the transaction changes */
#define RECORDS PAGES
#define LOG_END (TMF_LOG_RECORDS_OFFSET + (RECORDS + 1) * TMF_UNDO_RECORD_SIZE)

struct root {
    unsigned char *block; /* of PAGES pages */
};

static const tmf_options creation = {.size = 64 * TEST_PAGE,
                                     .root_size = sizeof(struct root),
                                     .strategy = "undo-fsync",
                                     .log_size = LOG_END};

static unsigned char committed[PAGES * TEST_PAGE];

static void create(const struct test_place *place)
{
    for (size_t at = 0; at < sizeof(committed); at++)
        committed[at] = (unsigned char)('A' + at / TEST_PAGE);
    tmf_storage *storage = test_open(place, &creation);
    tmf_writer *writer = test_write(storage);
    struct root *root = tmf_writer_root(writer);
    root->block = tmf_alloc_aligned(writer, TEST_PAGE, sizeof(committed));
    check(root->block);
    memcpy(root->block, committed, sizeof(committed));
    test_commit(writer);
    check_ok(tmf_close(storage));
}

static void change_pages(tmf_writer *writer, size_t pages)
{
    struct root *root = tmf_writer_root(writer);
    for (size_t page = 0; page < pages; page++)
        memset(root->block + page * TEST_PAGE, '!', TEST_PAGE);
}

static void change_and_die(const void *place)
{
    const tmf_options options = {.strategy = "undo-fsync", .log_size = LOG_END};
    change_pages(test_write(test_open(place, &options)), PAGES);
    test_die();
}

static void commit_pages(const struct test_place *place, size_t pages)
{
    tmf_storage *storage =
        test_open(place, &(tmf_options){.strategy = "undo-fsync", .log_size = LOG_END});
    tmf_writer *writer = test_write(storage);
    change_pages(writer, pages);
    struct root *root = tmf_writer_root(writer);
    memcpy(committed, root->block, sizeof(committed));
    test_commit(writer);
    check_ok(tmf_close(storage));
}

/* What the killed writer left. */
static void make_pending(const struct test_place *place, struct test_pair *out)
{
    create(place);
    test_child_died(test_child(change_and_die, place), SIGKILL);
    test_pair_load(place, out);
    check(memmem(out->odb.bytes, out->odb.size, "!!!!!!!!", 8));
}

enum verdict { EXACT = 1, REFUSED = 2, EITHER = EXACT | REFUSED };

/* Opens what lies there now. */
static enum verdict open_verdict(const struct test_place *place)
{
    struct test_pair before;
    tmf_storage *storage = NULL;
    test_pair_load(place, &before);
    int error = test_try_open(place->path, NULL, &storage);
    if (error) {
        check_error(TMF_ECORRUPT, error);
        check(strstr(tmf_explain(), place->path));
        check(test_pair_same(place, &before));
    } else {
        tmf_reader *reader = test_read(storage);
        const struct root *root = tmf_reader_root(reader);
        check(memcmp(root->block, committed, sizeof(committed)) == 0);
        check_ok(tmf_check(storage));
        tmf_read_end(reader);
        check_ok(tmf_close(storage));
    }
    test_pair_free(&before);
    return error ? REFUSED : EXACT;
}

static void check_verdict(const struct test_place *place, enum verdict expected)
{
    enum verdict got = open_verdict(place);
    if ((got & expected) == 0)
        print_error("%s\n", got == EXACT ? "recovered, not refused" : tmf_explain());
    check(got & expected);
}

static size_t record_at(size_t position)
{
    return TMF_LOG_RECORDS_OFFSET + position * TMF_UNDO_RECORD_SIZE;
}

/* ---- single bits */

static const struct bits {
    const char *name;
    size_t at, size; /* bytes of the log */
    size_t step;     /* bits: 1 flips each of them */
    enum verdict verdict;
} bits[] = {
    {"slot 0", 0, sizeof(struct tmf_log_slot), 1, EXACT},
    {"slot 0, second copy", TMF_SECTOR_SIZE, sizeof(struct tmf_log_slot), 1, EXACT},
    {"slot 1", TMF_LOG_SLOT_SIZE, sizeof(struct tmf_log_slot), 1, EXACT},
    {"slot 1, second copy", TMF_LOG_SLOT_SIZE + TMF_SECTOR_SIZE, sizeof(struct tmf_log_slot), 1,
     EXACT},
    {"rest of the slots", 0, 2 * TMF_LOG_SLOT_SIZE, 61, EXACT},
    {"poison", TMF_LOG_POISON_OFFSET, sizeof(struct tmf_log_poison), 1, EXACT},
    {"rest of the first page", TMF_LOG_POISON_OFFSET, TEST_PAGE - TMF_LOG_POISON_OFFSET, 251,
     EXACT},
};

/* Relative to each record. */
static const struct bits record_bits[] = {
    {"head", 0, sizeof(struct tmf_undo_record), 1, EXACT},
    {"head, second copy", TMF_COPY_OFFSET, sizeof(struct tmf_undo_record), 1, EXACT},
    {"rest of the sector", 0, TMF_SECTOR_SIZE, 61, EXACT},
    {"image", TMF_SECTOR_SIZE, TEST_PAGE, 509, REFUSED},
};

static void flip_each(const struct test_place *place, const struct test_pair *pending,
                      const struct bits *region, size_t offset)
{
    for (size_t n = 0; n < region->size * 8; n += region->step) {
        size_t at = offset + region->at + n / 8;
        test_context("bit %zu of byte %zu of the log flipped: %s at %zu", n % 8, at, region->name,
                     offset);
        test_pair_store(place, pending);
        test_flip(place->log, at, (unsigned)(n % 8));
        check_verdict(place, region->verdict);
    }
}

static void test_flipped_bits(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    for (size_t n = 0; n < sizeof(bits) / sizeof(bits[0]); n++)
        flip_each(place, &pending, &bits[n], 0);
    for (size_t n = 0; n < sizeof(record_bits) / sizeof(record_bits[0]); n++) {
        for (size_t position = 0; position < RECORDS; position++)
            flip_each(place, &pending, &record_bits[n], record_at(position));
    }
    flip_each(place, &pending,
              &(struct bits){"behind the last record", 0, TMF_UNDO_RECORD_SIZE, 509, EXACT},
              record_at(RECORDS));
    test_pair_free(&pending);
}

/* ---- sectors that were lost */

static void fill_sector(const struct test_place *place, size_t at, unsigned char filler)
{
    unsigned char sector[TMF_SECTOR_SIZE];
    memset(sector, filler, sizeof(sector));
    test_poke(place->log, at, sector, sizeof(sector));
}

/* A slot is there twice; without a record nothing can be undone. */
static void test_lost_sectors(const struct test_place *place)
{
    static const unsigned char fillers[] = {0, 0xff, '!'};
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    for (size_t n = 0; n < sizeof(fillers); n++) {
        for (size_t sector = 0; sector < LOG_END / TMF_SECTOR_SIZE; sector++) {
            size_t at = sector * TMF_SECTOR_SIZE;
            bool needed = at >= TMF_LOG_RECORDS_OFFSET && at < record_at(RECORDS);
            /* No later record bears witness of the last one. */
            bool last_head = at == record_at(RECORDS - 1);
            if (last_head)
                continue;
            test_context("sector %zu of the log is all %#x", sector, fillers[n]);
            test_pair_store(place, &pending);
            fill_sector(place, at, fillers[n]);
            check_verdict(place, needed ? REFUSED : EXACT);
        }
    }
    test_pair_free(&pending);
}

/* One copy of a slot is enough. Without any, the slot that is left may be the one before, by which
 * a commit would be taken back, and its turns would be given out again. */
static void test_lost_slots_of_a_closed_storage(const struct test_place *place)
{
    struct test_pair closed;
    test_calls_use(NULL);
    create(place);
    for (unsigned n = 0; n < 2; n++) {
        commit_pages(place, 1 + n);
        test_pair_load(place, &closed);
        for (size_t sector = 0; sector < 4; sector++) {
            test_context("commit %u, sector %zu of the slots is lost", n, sector);
            test_pair_store(place, &closed);
            fill_sector(place, sector * TMF_SECTOR_SIZE, 0);
            check_verdict(place, EXACT);
        }
        for (size_t slot = 0; slot < 2; slot++) {
            test_context("commit %u, slot %zu is lost", n, slot);
            test_pair_store(place, &closed);
            fill_sector(place, slot * TMF_LOG_SLOT_SIZE, 0);
            fill_sector(place, slot * TMF_LOG_SLOT_SIZE + TMF_SECTOR_SIZE, 0);
            check_verdict(place, REFUSED);
        }
        test_pair_store(place, &closed);
        test_pair_free(&closed);
    }
}

/* What the second record tells must not be taken for one of a transaction that is yet to come. */
static void test_lost_slot_and_first_record(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    for (size_t slot = 0; slot < 2; slot++) {
        test_context("slot %zu and the first record are lost", slot);
        test_pair_store(place, &pending);
        fill_sector(place, slot * TMF_LOG_SLOT_SIZE, 0);
        fill_sector(place, slot * TMF_LOG_SLOT_SIZE + TMF_SECTOR_SIZE, 0);
        fill_sector(place, record_at(0), 0);
        check_verdict(place, REFUSED);
    }
    test_pair_free(&pending);
}

/* ---- an end that was lost */

static void test_lost_ends(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    for (size_t position = 0; position <= RECORDS; position++) {
        const size_t lengths[] = {record_at(position),
                                  record_at(position) + 1,
                                  record_at(position) + sizeof(struct tmf_undo_record),
                                  record_at(position) + TMF_COPY_OFFSET + 100,
                                  record_at(position) + TMF_SECTOR_SIZE,
                                  record_at(position) + TMF_SECTOR_SIZE + 1000,
                                  record_at(position + 1) - 1};
        for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
            test_context("the log ends at %zu, in record %zu of %d", lengths[n], position, RECORDS);
            test_pair_store(place, &pending);
            check(truncate(place->log, (off_t)lengths[n]) == 0);
            check_verdict(place, position < RECORDS ? REFUSED : EITHER);
        }
    }
    test_pair_free(&pending);
}

/* ---- forged records: every checksum is right */

static void forge_head(const struct test_place *place, const struct test_pair *pending,
                       size_t position, uint64_t page)
{
    struct tmf_undo_record record;
    struct tmf_log_slot slot;
    memcpy(&slot, pending->log.bytes, sizeof(slot));
    memcpy(&record, pending->log.bytes + record_at(position), sizeof(record));
    record.page = page;
    record.checksum = tmf_checksum(&record, offsetof(struct tmf_undo_record, checksum), slot.salt);
    test_poke(place->log, record_at(position), &record, sizeof(record));
    test_poke(place->log, record_at(position) + TMF_COPY_OFFSET, &record, sizeof(record));
}

static void test_d13_forged_page_numbers(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    const uint64_t pages = creation.size / TEST_PAGE;
    const uint64_t forged[] = {pages, pages + 1, UINT32_MAX, UINT64_MAX / TEST_PAGE, UINT64_MAX};
    for (size_t position = 0; position < RECORDS; position++) {
        for (size_t n = 0; n < sizeof(forged) / sizeof(forged[0]); n++) {
            test_context("record %zu names page %#llx", position, (unsigned long long)forged[n]);
            test_pair_store(place, &pending);
            forge_head(place, &pending, position, forged[n]);
            check_verdict(place, REFUSED);
        }
    }
    test_pair_free(&pending);
}

static void forge_number(const struct test_place *place, const struct test_pair *pending,
                         size_t field, uint64_t number)
{
    struct tmf_log_slot slot;
    test_pair_store(place, pending);
    memcpy(&slot, pending->log.bytes, sizeof(slot));
    memcpy((unsigned char *)&slot + field, &number, sizeof(number));
    slot.checksum = tmf_checksum(&slot, offsetof(struct tmf_log_slot, checksum), slot.id);
    for (size_t at = 0; at < 2 * TMF_LOG_SLOT_SIZE; at += TMF_SECTOR_SIZE)
        test_poke(place->log, at, &slot, sizeof(slot));
}

/* A slot from which to count on would lead back to 0. */
static void test_forged_numbers_of_slots(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    const size_t fields[] = {offsetof(struct tmf_log_slot, turn),
                             offsetof(struct tmf_log_slot, sequence)};
    for (size_t n = 0; n < 2 * sizeof(fields) / sizeof(fields[0]); n++) {
        const uint64_t last = n % 2 ? UINT64_MAX : UINT64_MAX / 2 + 1;
        const size_t field = fields[n / 2];
        test_context("the number at %zu of each slot is %#llx", field, (unsigned long long)last);
        forge_number(place, &pending, field, last);
        check_verdict(place, REFUSED);
    }
    test_pair_free(&pending);
}

/* Nor may a commit be acknowledged from behind which nobody counts on (found by log_fuzz). */
static void test_forged_numbers_take_no_commit(const struct test_place *place)
{
    struct test_pair pair;
    test_calls_use(NULL);
    create(place);
    test_pair_load(place, &pair);
    const uint64_t last = UINT64_MAX / 2; /* the greatest that is read */
    const uint64_t numbers[] = {last, last - 8, last / 2 + 1};
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        tmf_storage *storage;
        tmf_writer *writer = NULL;
        test_context("turn %#llx", (unsigned long long)numbers[n]);
        forge_number(place, &pair, offsetof(struct tmf_log_slot, turn), numbers[n]);
        for (int time = 0; time < 3; time++) {
            const tmf_options options = {.flags = time < 2 ? 0 : TMF_EXCLUSIVE};
            int error = test_try_open(place->path, &options, &storage);
            if (error && n == 0) /* opening may write a slot, and there is no further one */
                continue;
            check_ok(error);
            tmf_read_end(test_read(storage));
            check_error(TMF_ECORRUPT, tmf_write_begin(storage, &writer));
            check(strstr(tmf_explain(), place->log));
            check_ok(tmf_close(storage));
        }
    }
    test_pair_free(&pair);
}

/* The first record brings another header than the one that was looked at before it was applied: it
 * is looked at again (found by log_fuzz). */
static void test_forged_header(const struct test_place *place)
{
    struct test_pair pending;
    struct tmf_file_header header;
    struct tmf_undo_record record;
    struct tmf_log_slot slot;
    tmf_storage *storage;
    test_calls_use(NULL);
    make_pending(place, &pending);
    memcpy(&slot, pending.log.bytes, sizeof(slot));
    memcpy(&record, pending.log.bytes + record_at(0), sizeof(record));
    memcpy(&header, pending.odb.bytes, sizeof(header));
    header.version++;
    header.checksum = tmf_checksum(&header, offsetof(struct tmf_file_header, checksum), header.id);
    memcpy(pending.odb.bytes, &header, sizeof(header));
    record.image_checksum = tmf_checksum(pending.odb.bytes, TEST_PAGE, slot.salt);
    memcpy(pending.log.bytes + record_at(0), &record, sizeof(record));
    forge_head(place, &pending, 0, 0);
    test_poke(place->log, record_at(0) + TMF_SECTOR_SIZE, pending.odb.bytes, TEST_PAGE);
    for (int time = 0; time < 2; time++) {
        test_context("time %d", time);
        check_error(TMF_EWRONGVERSION, test_try_open(place->path, NULL, &storage));
    }
    test_pair_free(&pending);
}

/* ---- records of another time, and of another storage */

/* A record of a redo log under a slot that is yet to come, wherever it stands: its slot was lost,
 * and with it what it made stale (found by log_fuzz). Under one that was, it is left over. */
static void test_records_of_other_slots(const struct test_place *place)
{
    struct test_pair closed;
    struct tmf_log_slot slot;
    test_calls_use(NULL);
    create(place);
    commit_pages(place, PAGES);
    test_pair_load(place, &closed);
    memcpy(&slot, closed.log.bytes, sizeof(slot));
    memcpy(&slot, closed.log.bytes + TMF_LOG_SLOT_OFFSET(slot.turn + 1), sizeof(slot));
    for (size_t at = TMF_LOG_RECORDS_OFFSET; at < closed.log.size; at += TMF_SECTOR_SIZE) {
        for (uint64_t turn = slot.turn - 2; turn <= slot.turn + 3; turn++) {
            struct tmf_redo_record record = {.turn = turn, .sequence = slot.sequence + 10};
            record.checksum =
                tmf_checksum(&record, offsetof(struct tmf_redo_record, checksum), slot.salt);
            test_context("a record of turn %llu at %zu", (unsigned long long)turn, at);
            test_pair_store(place, &closed);
            test_poke(place->log, at, &record, sizeof(record));
            bool is_later = turn > slot.turn + 1;
            check_verdict(place, is_later ? REFUSED : turn > slot.turn - 1 ? EITHER : EXACT);
        }
    }
    test_pair_free(&closed);
}

static void change_one_page_and_die(const void *place)
{
    const tmf_options options = {.log_size = LOG_END};
    tmf_writer *writer = test_write(test_open(place, &options));
    ((struct root *)tmf_writer_root(writer))->block[0] = '?';
    test_die();
}

/* A large transaction leaves its records behind the few of the next, which is killed. */
static void test_d3_stale_records_are_not_applied(const struct test_place *place)
{
    create(place);
    commit_pages(place, PAGES);
    test_child_died(test_child(change_one_page_and_die, place), SIGKILL);
    check_verdict(place, EXACT);
    check_verdict(place, EXACT); /* the second time nothing is left to do */
}

static void test_d3_foreign_log_is_not_applied(const struct test_place *place)
{
    struct test_pair pending, other_pending;
    const struct test_place other = test_place_beside(place, "other");
    test_calls_use(NULL);
    make_pending(place, &pending);
    make_pending(&other, &other_pending);
    test_file_store(place->log, &other_pending.log);
    check_verdict(place, REFUSED);
    /* Its records behind the slots of a log that has none: they bear another salt. */
    test_pair_store(place, &pending);
    check_verdict(place, EXACT);
    test_poke(place->log, TMF_LOG_RECORDS_OFFSET, other_pending.log.bytes + TMF_LOG_RECORDS_OFFSET,
              RECORDS * TMF_UNDO_RECORD_SIZE);
    check_verdict(place, EXACT);
    test_pair_free(&other_pending);
    test_pair_free(&pending);
}

/* What a cut in the write of a record leaves: its page was not changed, so nothing is missing. */
static void test_d3_torn_record_is_left_out(const struct test_place *place)
{
    struct test_pair pending;
    test_calls_use(NULL);
    make_pending(place, &pending);
    for (size_t torn = 0; torn < TMF_UNDO_RECORD_SIZE; torn += TMF_SECTOR_SIZE) {
        test_context("%zu bytes of record %d arrived", torn, RECORDS - 1);
        test_pair_store(place, &pending);
        const size_t at = record_at(RECORDS - 1);
        static const unsigned char zeroes[TMF_UNDO_RECORD_SIZE];
        test_poke(place->log, at + torn, zeroes, TMF_UNDO_RECORD_SIZE - torn);
        struct tmf_undo_record record;
        memcpy(&record, pending.log.bytes + at, sizeof(record));
        test_poke(place->odb, record.page * TEST_PAGE, pending.log.bytes + at + TMF_SECTOR_SIZE,
                  TEST_PAGE);
        check_verdict(place, EXACT);
    }
    test_pair_free(&pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_flipped_bits),
        test_case(test_lost_sectors),
        test_case(test_lost_slots_of_a_closed_storage),
        test_case(test_lost_slot_and_first_record),
        test_case(test_lost_ends),
        test_case(test_d13_forged_page_numbers),
        test_case(test_forged_numbers_of_slots),
        test_case(test_forged_numbers_take_no_commit),
        test_case(test_forged_header),
        test_case(test_records_of_other_slots),
        test_case(test_d3_stale_records_are_not_applied),
        test_case(test_d3_foreign_log_is_not_applied),
        test_case(test_d3_torn_record_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
