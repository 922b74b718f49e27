/* SPDX-License-Identifier: MIT */
#include "txn/fuzz_pair.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc/fuzz.h"
#include "txn/io.h"

#define FOLDER_IN_MEMORY "/dev/shm"
#define BLOCK_SIZE       ((size_t)600)
#define BLOCKS           20
#define COMMITS          3
#define VARIANTS         2 /* of each strategy */
#define PAIRS_MAX        16

#if UINTPTR_MAX == UINT32_MAX
#define ADDRESS ((void *)(uintptr_t)0x30000000)
#else
#define ADDRESS ((void *)(uintptr_t)0x220000000000)
#endif

struct root {
    uint64_t number;
    unsigned char *blocks[BLOCKS];
};

static struct tmf_io io;
static uint64_t drawn;
static char folder[64], path[80], odb_path[96], log_path[96], new_path[96];
static int odb_fd = -1, log_fd = -1;
static struct fuzz_pair pairs[PAIRS_MAX];
static size_t pair_count;

static void expect(bool holds, const char *what)
{
    if (!holds)
        fuzz_fail("it does not hold that %s", what);
}

static void expect_well(int error, const char *doing)
{
    if (error)
        fuzz_fail("%s failed: %s: %s", doing, tmf_strerror(error), tmf_explain());
}

/* ---- the ground */

static ssize_t draw(void *to, size_t size, unsigned flags)
{
    (void)flags;
    unsigned char *bytes = to;
    for (size_t n = 0; n < size; n++)
        bytes[n] = (unsigned char)fuzz_random(&drawn);
    return (ssize_t)size;
}

static void remove_all(void)
{
    (void)unlink(odb_path);
    (void)unlink(log_path);
    (void)unlink(new_path);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "%s/tmf-fuzz-XXXXXX", FOLDER_IN_MEMORY);
    expect(mkdtemp(folder), "a folder can be made in " FOLDER_IN_MEMORY);
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(odb_path, sizeof(odb_path), "%s.odb", path);
    (void)snprintf(log_path, sizeof(log_path), "%s.log", path);
    (void)snprintf(new_path, sizeof(new_path), "%s.odb.new", path);
    (void)atexit(remove_all);
    io = tmf_io_system;
    io.getrandom = draw;
    tmf_io = &io;
}

/* ---- pairs */

/* A store as the strategy wants it: one that finds no stores itself is told. */
static void store(tmf_writer *writer, unsigned char *at, int byte, size_t size)
{
    expect_well(tmf_touch(writer, at, size), "touching");
    memset(at, byte, size);
}

static void change(tmf_writer *writer, unsigned number)
{
    struct root *root = tmf_writer_root(writer);
    expect_well(tmf_touch(writer, root, sizeof(*root)), "touching the root");
    for (size_t n = number % 3; n < BLOCKS; n += 1 + number % 3) {
        if (!root->blocks[n])
            root->blocks[n] = tmf_alloc(writer, BLOCK_SIZE);
        expect(root->blocks[n], "there is room for a block");
        store(writer, root->blocks[n], (int)('A' + number), BLOCK_SIZE);
    }
    root->number = number;
}

static size_t load(const char *from, unsigned char *to, size_t size_max)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, to, size_max, 0) : -1;
    expect(got > 0 && (size_t)got < size_max + 1, "what the library made can be read");
    (void)close(fd);
    return (size_t)got;
}

/* Of the valid slots the one with the highest turn; the library wrote them, so they are valid. */
static void find_slot(struct fuzz_pair *pair)
{
    struct tmf_log_slot slot;
    for (size_t at = 0; at < TMF_LOG_POISON_OFFSET; at += TMF_LOG_SLOT_SIZE) {
        memcpy(&slot, pair->log + at, sizeof(slot));
        if (slot.turn > pair->slot.turn)
            pair->slot = slot;
    }
}

/* A few commits, and the stores of one that is cut off; then the files as they are on the way. */
static void make_pair(const char *strategy, unsigned variant, struct fuzz_pair *pair)
{
    const tmf_options options = {.address = ADDRESS,
                                 .size = FUZZ_ODB_SIZE,
                                 .root_size = sizeof(struct root),
                                 .strategy = strategy,
                                 .log_size = FUZZ_LOG_SIZE / 2};
    tmf_storage *storage = NULL;
    tmf_writer *writer = NULL;
    remove_all();
    expect(mkdir(folder, 0700) == 0, "the folder can be made again");
    if (tmf_open(path, &options, &storage) != 0)
        return; /* this kernel does not have the strategy */
    expect_well(tmf_write_begin(storage, &writer), "beginning");
    for (unsigned n = 1; n <= COMMITS; n++) {
        change(writer, n);
        expect_well(tmf_commit(writer), "committing");
    }
    if (variant > 0)
        change(writer, COMMITS + variant);
    *pair = (struct fuzz_pair){.strategy = strategy};
    (void)load(odb_path, pair->odb, sizeof(pair->odb));
    pair->log_size = load(log_path, pair->log, sizeof(pair->log));
    find_slot(pair);
    pair_count++;
    tmf_write_end(writer);
    expect_well(tmf_close(storage), "closing");
}

void fuzz_pairs_make(void)
{
    make_folder();
    for (size_t n = 0; tmf_strategy_name(n); n++) {
        for (unsigned variant = 0; variant < VARIANTS && pair_count < PAIRS_MAX; variant++)
            make_pair(tmf_strategy_name(n), variant, &pairs[pair_count]);
    }
    odb_fd = open(odb_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    log_fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    expect(odb_fd >= 0 && log_fd >= 0 && pair_count > 0, "there are storages to begin with");
}

size_t fuzz_pair_count(void)
{
    return pair_count;
}

const struct fuzz_pair *fuzz_pair_at(size_t n)
{
    return &pairs[n];
}

/* ---- a run */

static void lay(int fd, const unsigned char *bytes, size_t size)
{
    bool laid = pwrite(fd, bytes, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0;
    expect(laid, "there is room in " FOLDER_IN_MEMORY);
}

void fuzz_pair_lay(const unsigned char *odb, size_t odb_size, const unsigned char *log,
                   size_t log_size)
{
    lay(odb_fd, odb, odb_size);
    lay(log_fd, log, log_size);
}

/* What a commit has promised to whoever opens next. */
struct promise {
    bool made;
    unsigned char *block;
    unsigned char byte;
};

/* Without heed of what the root holds, which may be anything. Only a sound heap promises. */
static void work(tmf_storage *storage, tmf_writer *writer, struct promise *out)
{
    bool is_sound = tmf_check(storage) == 0;
    unsigned char *block = tmf_alloc(writer, BLOCK_SIZE);
    if (block && tmf_touch(writer, block, BLOCK_SIZE) == 0)
        memset(block, out->byte, BLOCK_SIZE);
    if (block && out->byte % 2 && tmf_free(writer, block, BLOCK_SIZE) == 0)
        block = NULL;
    if (out->byte % 4 == 0 && tmf_rollback(writer) == 0)
        block = NULL;
    out->block = block;
    out->made = tmf_commit(writer) == 0 && is_sound;
}

static void keep_promise(tmf_storage *storage, const struct promise *promise)
{
    const unsigned char *block = promise->block;
    expect(tmf_check(storage) == 0, "a heap that was sound is so after a commit");
    expect(!block || (block[0] == promise->byte && memcmp(block, block + 1, BLOCK_SIZE - 1) == 0),
           "what was committed is there");
}

static void open_and_work(const tmf_options *options, struct promise *promise)
{
    tmf_storage *storage = NULL;
    tmf_writer *writer = NULL;
    int error = tmf_open(path, options, &storage);
    if (error && promise->made)
        expect_well(error, "opening what a commit had returned for");
    if (error)
        return;
    struct tmf_file_header header;
    memcpy(&header, tmf_address(storage), sizeof(header));
    expect((uintptr_t)tmf_address(storage) == header.address, "it is mapped where its header says");
    if (promise->made)
        keep_promise(storage, promise);
    promise->made = false;
    if (tmf_write_begin(storage, &writer) == 0) {
        work(storage, writer, promise);
        tmf_write_end(writer);
    }
    expect_well(tmf_close(storage), "closing");
}

void fuzz_pair_use(unsigned how)
{
    size_t strategies = 1;
    while (tmf_strategy_name(strategies))
        strategies++;
    const char *first = tmf_strategy_name(how % strategies);
    const char *second = tmf_strategy_name(how / strategies % strategies);
    unsigned variant = how / (unsigned)(strategies * strategies) % 4;
    tmf_options options = {.strategy = first, .log_size = FUZZ_LOG_SIZE / 2};
    options.flags = variant & 1 ? TMF_EXCLUSIVE : 0;
    options.durability = variant & 2 ? TMF_DURABILITY_PROCESS : TMF_DURABILITY_SYNC;
    struct promise promise = {.byte = (unsigned char)how};
    open_and_work(&options, &promise);
    options.strategy = second;
    open_and_work(&options, &promise);
}
