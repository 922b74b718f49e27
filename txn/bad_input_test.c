/* SPDX-License-Identifier: MIT */
/*
 * Files and options that tmf_open() must refuse: each ends in the error that fits, with a sentence
 * that names the path, with nothing left open, and with the files byte for byte as they were.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "txn/format.h"
#include "txn/storage.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define MAGIC     UINT64_C(0x1122334455667788)
#define ROOT_SIZE ((size_t)64)
#define SIZE      (64 * TEST_PAGE)
#define TEXT      "Dear diary, today somebody called me a storage.\n"

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {
        .size = SIZE, .magic = MAGIC, .root_size = ROOT_SIZE, .log_size = 1};
    return test_open(place, &options);
}

/* Nothing is left behind, and the folder holds what it held. */
static void check_refused(const struct test_place *place, const tmf_options *options, int error)
{
    struct test_pair before;
    test_pair_load(place, &before);
    unsigned files = test_files(place);
    unsigned descriptors = test_descriptors();
    tmf_storage *storage = NULL;
    check_error(error, test_try_open(place->path, options, &storage));
    check(!storage);
    check(strstr(tmf_explain(), place->path));
    check(strlen(tmf_explain()) > strlen(place->path) + 10);
    check(test_pair_same(place, &before));
    check(test_files(place) == files);
    check(test_descriptors() == descriptors);
    test_pair_free(&before);
}

/* ---- files that were a storage once */

static void make_text(const char *path)
{
    char text[3 * TEST_PAGE];
    for (size_t at = 0; at < sizeof(text); at++)
        text[at] = TEXT[at % (sizeof(TEXT) - 1)];
    test_file_make(path, text, sizeof(text));
}

static void odb_text(const struct test_place *place, size_t argument)
{
    (void)argument;
    make_text(place->odb);
}

static void odb_short_text(const struct test_place *place, size_t argument)
{
    test_file_make(place->odb, TEXT, argument);
}

static void odb_cut(const struct test_place *place, size_t argument)
{
    check(truncate(place->odb, (off_t)argument) == 0);
}

static void odb_missing(const struct test_place *place, size_t argument)
{
    (void)argument;
    check(unlink(place->odb) == 0);
}

static void odb_folder(const struct test_place *place, size_t argument)
{
    (void)argument;
    check(unlink(place->odb) == 0 && symlink(place->folder, place->odb) == 0);
}

static void odb_loop(const struct test_place *place, size_t argument)
{
    (void)argument;
    check(unlink(place->odb) == 0 && symlink(place->odb, place->odb) == 0);
}

static void odb_version(const struct test_place *place, size_t argument)
{
    const uint32_t version = (uint32_t)argument;
    test_poke(place->odb, offsetof(struct tmf_file_header, version), &version, sizeof(version));
}

static void odb_byte_order(const struct test_place *place, size_t argument)
{
    (void)argument;
    const uint32_t swapped = __builtin_bswap32(TMF_BYTE_ORDER);
    test_poke(place->odb, offsetof(struct tmf_file_header, byte_order), &swapped, sizeof(swapped));
}

static struct tmf_file_header load_header(const struct test_place *place)
{
    struct test_file odb;
    struct tmf_file_header header;
    test_file_load(place->odb, &odb);
    memcpy(&header, odb.bytes, sizeof(header));
    free(odb.bytes);
    return header;
}

static void store_header(const struct test_place *place, struct tmf_file_header *header)
{
    tmf_header_seal(header);
    test_poke(place->odb, 0, header, sizeof(*header));
}

/* As a machine of such words makes it: all is well, but its arena may be out of reach here. */
static void odb_word_size(const struct test_place *place, size_t argument)
{
    struct tmf_file_header header = load_header(place);
    header.word_size = (uint32_t)argument;
    header.address |= UINT64_C(1) << 45;
    store_header(place, &header);
}

/* A number that loses this bit, and is right again, where it is taken for one of 32 bits. */
static void odb_bit_63(const struct test_place *place, size_t argument)
{
    struct tmf_file_header header = load_header(place);
    *(uint64_t *)(void *)((unsigned char *)&header + argument) |= UINT64_C(1) << 63;
    store_header(place, &header);
}

/* A number that is no multiple any more, or leaves no room for another. */
static void odb_one_less(const struct test_place *place, size_t argument)
{
    struct tmf_file_header header = load_header(place);
    --*(uint64_t *)(void *)((unsigned char *)&header + argument);
    store_header(place, &header);
}

static void odb_zero(const struct test_place *place, size_t argument)
{
    struct tmf_file_header header = load_header(place);
    *(uint64_t *)(void *)((unsigned char *)&header + argument) = 0;
    store_header(place, &header);
}

static void odb_last_page(const struct test_place *place, size_t argument)
{
    (void)argument;
    struct tmf_file_header header = load_header(place);
    header.address = UINTPTR_MAX - TEST_PAGE + 1;
    store_header(place, &header);
}

static void odb_heap(const struct test_place *place, size_t argument)
{
    static const unsigned char junk[4096] = {0xff};
    test_poke(place->odb, TMF_ROOT_OFFSET + ROOT_SIZE, junk, argument);
}

static void log_text(const struct test_place *place, size_t argument)
{
    (void)argument;
    make_text(place->log);
}

static void log_short_text(const struct test_place *place, size_t argument)
{
    test_file_make(place->log, TEXT, argument);
}

static void log_cut(const struct test_place *place, size_t argument)
{
    check(truncate(place->log, (off_t)argument) == 0);
}

static void log_missing(const struct test_place *place, size_t argument)
{
    (void)argument;
    check(unlink(place->log) == 0);
}

static void log_of_another(const struct test_place *place, size_t argument)
{
    (void)argument;
    const struct test_place other = test_place_beside(place, "other");
    check_ok(tmf_close(create(&other)));
    check(rename(other.log, place->log) == 0);
    check(unlink(other.odb) == 0);
}

static void log_version(const struct test_place *place, size_t argument)
{
    const uint32_t version = (uint32_t)argument;
    for (size_t at = 0; at < 2 * TMF_SECTOR_SIZE; at += TMF_COPY_OFFSET)
        test_poke(place->log, at + offsetof(struct tmf_log_slot, version), &version,
                  sizeof(version));
}

static void log_zeroes(const struct test_place *place, size_t argument)
{
    static const unsigned char zeroes[4 * TMF_SECTOR_SIZE];
    check(argument <= sizeof(zeroes));
    test_poke(place->log, 0, zeroes, argument);
}

static void as_it_was(const struct test_place *place, size_t argument)
{
    (void)place, (void)argument;
}

#define HEADER(field)   offsetof(struct tmf_file_header, field)
#define OTHER_WORD_SIZE (12 - sizeof(void *))

struct bad_files {
    const char *name;
    void (*spoil)(const struct test_place *place, size_t argument);
    size_t argument;
    tmf_options options;
    int error;
};

static const struct bad_files bad_files[] = {
    {".odb is text", odb_text, 0, {0}, TMF_EWRONGFILETYPE},
    {".odb is text, a size is given", odb_text, 0, {.size = SIZE}, TMF_EWRONGFILETYPE},
    {".odb is empty", odb_short_text, 0, {0}, TMF_EWRONGFILETYPE},
    {".odb is empty, a size is given", odb_short_text, 0, {.size = SIZE}, TMF_EWRONGFILETYPE},
    {".odb is a letter", odb_short_text, 1, {0}, TMF_EWRONGFILETYPE},
    {".odb has part of its magic", odb_cut, 7, {0}, TMF_EWRONGFILETYPE},
    {".odb ends in its header", odb_cut, 8, {0}, TMF_EWRONGSIZE},
    {".odb ends in its header's last byte", odb_cut, 255, {0}, TMF_EWRONGSIZE},
    {".odb is a header", odb_cut, 256, {0}, TMF_EWRONGSIZE},
    {".odb is a page", odb_cut, 4096, {0}, TMF_EWRONGSIZE},
    {".odb lacks its last page", odb_cut, SIZE - 4096, {0}, TMF_EWRONGSIZE},
    {".odb lacks its last byte", odb_cut, SIZE - 1, {0}, TMF_EWRONGSIZE},
    {".odb lacks its last byte, and is to grow",
     odb_cut,
     SIZE - 1,
     {.size = 2 * SIZE},
     TMF_EWRONGSIZE},
    {".odb is missing", odb_missing, 0, {0}, ENOENT},
    {".odb is a folder", odb_folder, 0, {0}, EISDIR},
    {".odb is a link to itself", odb_loop, 0, {.size = SIZE}, ELOOP},
    {"version 0", odb_version, 0, {0}, TMF_EWRONGVERSION},
    {"version 1", odb_version, 1, {0}, TMF_EWRONGVERSION},
    {"a later version", odb_version, TMF_FORMAT_VERSION + 1, {0}, TMF_EWRONGVERSION},
    {"the other byte order", odb_byte_order, 0, {0}, TMF_EWRONGENDIAN},
    {"the other word size", odb_word_size, OTHER_WORD_SIZE, {0}, TMF_EWRONGENDIAN},
    {"words of 16 bytes", odb_word_size, 16, {0}, TMF_EWRONGENDIAN},
    {"a size out of reach", odb_bit_63, HEADER(size), {0}, TMF_ECORRUPT},
    {"a root size out of reach", odb_bit_63, HEADER(root_size), {0}, TMF_ECORRUPT},
    {"a heap out of reach", odb_bit_63, HEADER(heap_offset), {0}, TMF_ECORRUPT},
    {"an arena that goes on behind the last address", odb_last_page, 0, {0}, TMF_ECORRUPT},
    {"a size of no whole pages", odb_one_less, HEADER(size), {0}, TMF_ECORRUPT},
    {"no size", odb_zero, HEADER(size), {0}, TMF_ECORRUPT},
    {"an address inside of a page", odb_one_less, HEADER(address), {0}, TMF_ECORRUPT},
    {"no address", odb_zero, HEADER(address), {0}, TMF_ECORRUPT},
    {"a heap that begins in the root", odb_one_less, HEADER(heap_offset), {0}, TMF_ECORRUPT},
#if UINTPTR_MAX == UINT32_MAX
    {"an address out of reach", odb_bit_63, HEADER(address), {0}, TMF_ECORRUPT},
#endif
    {"another application's", as_it_was, 0, {.magic = MAGIC + 1}, TMF_EWRONGMAGIC},
    {"another address", as_it_was, 0, {.address = TEST_ADDRESS}, TMF_EWRONGADDRESS},
    {"a smaller size", as_it_was, 0, {.size = SIZE - TEST_PAGE}, TMF_EWRONGSIZE},
    {"the smallest size", as_it_was, 0, {.size = 1}, TMF_EWRONGSIZE},
    {"another root size", as_it_was, 0, {.root_size = ROOT_SIZE + 8}, TMF_EWRONGSIZE},
    {"another quantum", as_it_was, 0, {.quantum = 4096}, EINVAL},
    {"another index", as_it_was, 0, {.index = "nonesuch"}, EINVAL},
    {"another strategy", as_it_was, 0, {.strategy = "nonesuch"}, EINVAL},
    {"the heap's first byte", odb_heap, 1, {0}, TMF_ECORRUPT},
    {"the heap's header", odb_heap, 64, {0}, TMF_ECORRUPT},
    {"the first page from the heap on", odb_heap, 2048, {0}, TMF_ECORRUPT},
    {".log is text", log_text, 0, {0}, TMF_EWRONGFILETYPE},
    {".log is text, a size is given", log_text, 0, {.size = 2 * SIZE}, TMF_EWRONGFILETYPE},
    {".log is a line of text", log_short_text, sizeof(TEXT) - 1, {0}, TMF_EWRONGFILETYPE},
    {".log is missing", log_missing, 0, {0}, ENOENT},
    {".log is missing, a size is given", log_missing, 0, {.size = 2 * SIZE}, ENOENT},
    {".log is empty", log_cut, 0, {0}, TMF_ECORRUPT},
    {".log ends in a slot", log_cut, 100, {0}, TMF_ECORRUPT},
    {".log has slots only", log_cut, 4096, {0}, TMF_ECORRUPT},
    {".log is of another storage", log_of_another, 0, {0}, TMF_ECORRUPT},
    {".log is of another storage, to grow", log_of_another, 0, {.size = 2 * SIZE}, TMF_ECORRUPT},
    {".log of a later version", log_version, TMF_FORMAT_VERSION + 1, {0}, TMF_EWRONGVERSION},
    {".log has lost a slot", log_zeroes, TMF_LOG_SLOT_SIZE, {0}, TMF_ECORRUPT},
    {".log begins with zeroes", log_zeroes, 2 * TMF_LOG_SLOT_SIZE, {0}, TMF_EWRONGFILETYPE},
};

static void test_bad_files(const struct test_place *place)
{
    test_calls_use(NULL);
    check_ok(tmf_close(create(place)));
    struct test_pair good;
    test_pair_load(place, &good);
    for (size_t n = 0; n < sizeof(bad_files) / sizeof(bad_files[0]); n++) {
        const struct bad_files *bad = &bad_files[n];
        test_context("%s", bad->name);
        check(unlink(place->odb) == 0 || errno == ENOENT);
        test_pair_store(place, &good);
        bad->spoil(place, bad->argument);
        check_refused(place, &bad->options, bad->error);
    }
    check(unlink(place->odb) == 0 || errno == ENOENT);
    test_pair_store(place, &good);
    tmf_storage *storage = test_open(place, NULL);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
    test_pair_free(&good);
}

/* ---- every bit of the header */

static int error_of_header_byte(size_t at)
{
    if (at < offsetof(struct tmf_file_header, version))
        return TMF_EWRONGFILETYPE;
    if (at < offsetof(struct tmf_file_header, byte_order))
        return TMF_EWRONGVERSION;
    if (at < offsetof(struct tmf_file_header, page_size))
        return TMF_EWRONGENDIAN;
    return TMF_ECORRUPT;
}

static void test_header_bits(const struct test_place *place)
{
    test_calls_use(NULL);
    check_ok(tmf_close(create(place)));
    for (size_t at = 0; at < sizeof(struct tmf_file_header); at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            test_context("bit %u of byte %zu of the header flipped", bit, at);
            test_flip(place->odb, at, bit);
            check_refused(place, NULL, error_of_header_byte(at));
            test_flip(place->odb, at, bit);
        }
    }
    tmf_storage *storage = test_open(place, NULL);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- a header that goes bad under a storage that is open, as by a growth of another process */

static const struct bad_growth {
    const char *name;
    uint64_t size, file_size;
} bad_growths[] = {
    {"the file is shorter", 4 * SIZE, 4 * SIZE - 1},
    {"part of a page", 2 * SIZE + 1, 4 * SIZE},
#if SIZE_MAX == UINT32_MAX /* else it is a size like any other */
    {"a plausible size where 32 bits are left of it", (UINT64_C(1) << 32) + 2 * SIZE,
     UINT64_C(5) << 30},
#endif
};

static void test_bad_growth_meanwhile(const struct test_place *place)
{
    test_calls_use(NULL);
    tmf_storage *storage = create(place);
    struct tmf_file_header good = load_header(place);
    for (size_t n = 0; n < sizeof(bad_growths) / sizeof(bad_growths[0]); n++) {
        tmf_reader *reader;
        struct tmf_file_header header = good;
        test_context("%s", bad_growths[n].name);
        check(truncate(place->odb, (off_t)bad_growths[n].file_size) == 0);
        header.size = bad_growths[n].size;
        store_header(place, &header);
        check_error(TMF_ECORRUPT, tmf_read_begin(storage, &reader));
        check(tmf_size(storage) == SIZE);
    }
    store_header(place, &good);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- options of a new storage */

static int refuse(tmf_writer *writer, void *root, void *context)
{
    (void)writer, (void)root;
    (void)context;
    return EXDEV;
}

static int commit_inside(tmf_writer *writer, void *root, void *context)
{
    (void)root, (void)context;
    check(tmf_commit(writer) != 0);
    check(tmf_rollback(writer) != 0);
    return EPROTO;
}

static const struct bad_options {
    const char *name;
    tmf_options options;
    int error;
} bad_options[] = {
    {"nothing there and no size", {0}, ENOENT},
    {"nothing there, no size, but a magic", {.magic = 1}, ENOENT},
    {"quantum 3", {.size = SIZE, .quantum = 3}, EINVAL},
    {"quantum 8", {.size = SIZE, .quantum = 8}, EINVAL},
    {"quantum 48", {.size = SIZE, .quantum = 48}, EINVAL},
    {"the largest quantum", {.size = SIZE, .quantum = SIZE_MAX / 2 + 1}, EINVAL},
    {"index", {.size = SIZE, .index = "nonesuch"}, EINVAL},
    {"strategy", {.size = SIZE, .strategy = "nonesuch"}, EINVAL},
    {"root larger than the arena", {.size = SIZE, .root_size = SIZE + 1}, EINVAL},
    {"root as large as the arena", {.size = SIZE, .root_size = SIZE}, EINVAL},
    {"root that leaves no byte", {.size = SIZE, .root_size = SIZE - TMF_ROOT_OFFSET}, ENOMEM},
    {"root of all memory", {.size = SIZE, .root_size = SIZE_MAX}, EINVAL},
    {"size beyond all memory", {.size = SIZE_MAX}, EINVAL},
    {"size that rounds up to 0", {.size = SIZE_MAX - 100}, EINVAL},
    {"address inside a page", {.size = SIZE, .address = (char *)TEST_ADDRESS + 8}, EINVAL},
    {"an unknown flag", {.size = SIZE, .flags = 4}, EINVAL},
    {"the highest flag", {.size = SIZE, .flags = 1u << 31}, EINVAL},
    {"durability 4", {.size = SIZE, .durability = (tmf_durability)4}, EINVAL},
    {"durability -1", {.size = SIZE, .durability = (tmf_durability)-1}, EINVAL},
    {"initialiser", {.size = SIZE, .root_init = refuse}, EXDEV},
    {"initialiser that commits", {.size = SIZE, .root_init = commit_inside}, EPROTO},
};

static void test_bad_options(const struct test_place *place)
{
    test_calls_use(NULL);
    for (size_t n = 0; n < sizeof(bad_options) / sizeof(bad_options[0]); n++) {
        test_context("%s", bad_options[n].name);
        check_refused(place, &bad_options[n].options, bad_options[n].error);
        check(test_files(place) == 0);
    }
    check_ok(tmf_close(create(place)));
}

static void test_bad_paths(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE};
    struct test_place bad = test_place_beside(place, "missing/storage");
    check_refused(&bad, NULL, ENOENT);
    check_refused(&bad, &options, ENOENT);
    test_file_make(place->path, TEXT, sizeof(TEXT));
    bad = test_place_beside(place, "storage/under-a-file");
    check_refused(&bad, &options, ENOTDIR);

    char path[2 * NAME_MAX];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    tmf_storage *storage;
    check_error(ENAMETOOLONG, tmf_open(path, &options, &storage));
    check(strstr(tmf_explain(), "xxx"));
    check_error(EINVAL, tmf_open("", &options, &storage));
    check_error(EINVAL, tmf_open(NULL, &options, &storage));
}

/* Sizes are rounded up to whole pages, and one that is too small for the heap is refused. */
static void test_odd_sizes(const struct test_place *place)
{
    tmf_options options = {.size = SIZE - 4095, .log_size = 1};
    tmf_storage *storage = test_open(place, &options);
    check(tmf_size(storage) == SIZE);
    check_ok(tmf_close(storage));
    options.size = SIZE + 1;
    storage = test_open(place, &options);
    check(tmf_size(storage) == SIZE + TEST_PAGE);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));

    const struct test_place tiny = test_place_beside(place, "tiny");
    options = (tmf_options){.size = 1, .root_size = TEST_PAGE - TMF_ROOT_OFFSET};
    check_refused(&tiny, &options, ENOMEM);
    for (options.size = 1; options.size <= 8 * TEST_PAGE; options.size += TEST_PAGE) {
        storage = NULL;
        options.root_size = 8;
        int error = test_try_open(tiny.path, &options, &storage);
        check(error == 0 || error == ENOMEM);
        if (error)
            continue;
        check(tmf_size(storage) == options.size + TEST_PAGE - 1);
        check_ok(tmf_close(storage));
        check(unlink(tiny.odb) == 0 && unlink(tiny.log) == 0);
    }
}

/* ---- what is in the way of a creation */

static void test_other_files_in_the_way(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE};
    char other[sizeof(place->odb) + 8];
    (void)snprintf(other, sizeof(other), "%s.new", place->odb);

    make_text(place->log);
    check_refused(place, &options, TMF_EWRONGFILETYPE);
    test_file_make(place->log, TEXT, 5);
    check_refused(place, &options, TMF_EWRONGFILETYPE);
    static const unsigned char zeroes[TMF_SECTOR_SIZE];
    make_text(place->log);
    test_poke(place->log, 0, zeroes, sizeof(zeroes));
    test_poke(place->log, sizeof(zeroes), TEXT, sizeof(TEXT));
    check_refused(place, &options, TMF_EWRONGFILETYPE);
    check(unlink(place->log) == 0);

    test_file_make(other, TEXT, sizeof(TEXT));
    check_refused(place, &options, TMF_EWRONGFILETYPE);
    check(test_file_size(other) == sizeof(TEXT) && test_files(place) == 1);
}

/* The log of a storage whose .odb is gone: it may be elsewhere, and then needs this log. */
static void leave_log_with_content(const void *context)
{
    const struct test_place *place = context;
    tmf_storage *storage = test_open(place, NULL);
    tmf_writer *writer = test_write(storage);
    memset(tmf_writer_root(writer), 'x', ROOT_SIZE);
    test_die();
}

static void test_log_of_a_storage_that_is_elsewhere(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    test_child_died(test_child(leave_log_with_content, place), SIGKILL);
    const struct test_place elsewhere = test_place_beside(place, "elsewhere");
    check(rename(place->odb, elsewhere.odb) == 0);
    const tmf_options options = {.size = SIZE, .root_size = ROOT_SIZE};
    check_refused(place, NULL, ENOENT);
    check_refused(place, &options, ENOENT);
    const tmf_options bad = {.size = SIZE, .root_size = 2 * SIZE};
    tmf_storage *storage;
    check(test_try_open(place->path, &bad, &storage) != 0);
    check(test_exists(place->log));

    check(rename(elsewhere.odb, place->odb) == 0);
    storage = test_open(place, NULL);
    tmf_reader *reader = test_read(storage);
    static const char zeroes[ROOT_SIZE];
    check(memcmp(tmf_reader_root(reader), zeroes, ROOT_SIZE) == 0);
    tmf_read_end(reader);
    check_ok(tmf_close(storage));
}

/* ---- an address that is taken */

static void test_taken_address(const struct test_place *place)
{
    tmf_options options = {.size = SIZE, .address = TEST_ADDRESS};
    char *last_page = (char *)TEST_ADDRESS + SIZE - TEST_PAGE;
    void *taken = mmap(last_page, TEST_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    check(taken == last_page);
    memset(taken, 'x', TEST_PAGE);
    check_refused(place, &options, TMF_EWRONGADDRESS);
    check(test_files(place) == 0);

    check(munmap(taken, TEST_PAGE) == 0);
    tmf_storage *storage = test_open(place, &options);
    test_storage_is_well(storage); /* the log is of the strategy's kind by then */
    check_ok(tmf_close(storage));
    taken = mmap(last_page, 2 * TEST_PAGE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    check(taken == last_page);
    check_refused(place, &options, TMF_EWRONGADDRESS);
    check_refused(place, NULL, TMF_EWRONGADDRESS);
    check(munmap(taken, TEST_PAGE) == 0); /* free, but there is no room to grow */
    options.size = 2 * SIZE;
    check_refused(place, &options, TMF_EWRONGADDRESS);

    storage = test_open(place, NULL);
    check(tmf_address(storage) == TEST_ADDRESS && tmf_size(storage) == SIZE);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_bad_files),
        test_case(test_header_bits),
        test_case(test_bad_growth_meanwhile),
        test_case(test_bad_options),
        test_case(test_bad_paths),
        test_case(test_odd_sizes),
        test_case(test_other_files_in_the_way),
        test_case(test_log_of_a_storage_that_is_elsewhere),
        test_case(test_taken_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
