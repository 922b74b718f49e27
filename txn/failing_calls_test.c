/* SPDX-License-Identifier: MIT */
/*
 * Every system call fails, at its first, second, ... use, once and for ever, with the errors that
 * it may give, while a storage is created, opened, grown or recovered and then worked with: the
 * error is reported or does no harm, nothing crashes, nothing is left open, the lock is free, and
 * when the fault is over the storage holds what was acknowledged. Short reads and writes are
 * harmless.
 *
 * A line that fails names call, error, and count: all there is to replay.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "txn/format.h"
#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define SIZE     (64 * TEST_PAGE)
#define PAGES    4             /* of the block that each transaction stores to */
#define EACH     TMF_TEST_EACH /* set where it is built: a child is dear under a sanitizer */
#define LOG_SIZE (TMF_LOG_RECORDS_OFFSET + 8 * TMF_UNDO_RECORD_SIZE)

struct root {
    uint64_t number;
    unsigned char *block; /* each page begins with the number */
};

/* What the storage may hold. */
struct ledger {
    uint64_t acknowledged, attempted; /* numbers of transactions */
};

/* ---- content */

static void store_number(tmf_writer *writer, uint64_t number)
{
    struct root *root = tmf_writer_root(writer);
    root->number = number;
    for (size_t page = 0; page < PAGES; page++)
        memcpy(root->block + page * TEST_PAGE, &number, sizeof(number));
}

static uint64_t read_content(const struct root *root)
{
    for (size_t page = 0; page < PAGES; page++)
        check(memcmp(root->block + page * TEST_PAGE, &root->number, sizeof(root->number)) == 0);
    return root->number;
}

static int initialise(tmf_writer *writer, void *root, void *context)
{
    (void)context;
    unsigned char *block = tmf_alloc_aligned(writer, TEST_PAGE, PAGES * TEST_PAGE);
    if (!block)
        return errno;
    ((struct root *)root)->block = block;
    memset(block, 0, PAGES * TEST_PAGE);
    return 0;
}

static tmf_options creation(void)
{
    return (tmf_options){.size = SIZE,
                         .root_size = sizeof(struct root),
                         .root_init = initialise,
                         .log_size = LOG_SIZE};
}

/* ---- work: returns the first error */

static int read_back(tmf_storage *storage, const struct ledger *ledger)
{
    tmf_reader *reader;
    int error = tmf_read_begin(storage, &reader);
    if (error)
        return error;
    check(read_content(tmf_reader_root(reader)) == ledger->acknowledged);
    tmf_read_end(reader);
    return 0;
}

static int commit(tmf_writer *writer, struct ledger *ledger)
{
    store_number(writer, ledger->acknowledged + 1);
    ledger->attempted = ledger->acknowledged + 1;
    int error = tmf_commit(writer);
    if (!error)
        ledger->acknowledged++;
    else if (tmf_rollback(writer) == 0)
        check(read_content(tmf_writer_root(writer)) == ledger->acknowledged);
    else
        return error;
    ledger->attempted = ledger->acknowledged;
    return error;
}

static int roll_back(tmf_writer *writer, const struct ledger *ledger)
{
    store_number(writer, ledger->acknowledged + 1000);
    int error = tmf_rollback(writer);
    if (!error)
        check(read_content(tmf_writer_root(writer)) == ledger->acknowledged);
    return error;
}

static int declare(tmf_writer *writer, const struct ledger *ledger)
{
    struct root *root = tmf_writer_root(writer);
    int error = tmf_touch(writer, root->block, PAGES * TEST_PAGE);
    if (!error)
        store_number(writer, ledger->acknowledged + 2000);
    return error;
}

static int work(tmf_storage *storage, struct ledger *ledger)
{
    tmf_writer *writer;
    int error = read_back(storage, ledger);
    if (error)
        return error;
    error = tmf_write_begin(storage, &writer);
    if (error)
        return error;
    error = commit(writer, ledger);
    if (!error)
        error = roll_back(writer, ledger);
    if (!error)
        error = declare(writer, ledger);
    tmf_write_end(writer); /* what was declared is dropped */
    return error ? error : read_back(storage, ledger);
}

/* ---- what there is at first */

enum start { NOTHING, CLOSED, PENDING, STARTS };

struct sequence {
    const char *name;
    enum start start;
    size_t size;     /* asked for */
    size_t log_size; /* kept; 1: the least, so that each transaction extends the log */
    unsigned flags;
};
static const struct sequence create = {"create", NOTHING, SIZE, LOG_SIZE, 0};
static const struct sequence open_closed = {"open", CLOSED, 0, LOG_SIZE, 0};
static const struct sequence exclusively = {"open exclusively", CLOSED, 0, LOG_SIZE, TMF_EXCLUSIVE};
static const struct sequence extend_log = {"extend the log", CLOSED, 0, 1, 0};
static const struct sequence grow = {"grow", CLOSED, 2 * SIZE, LOG_SIZE, 0};
static const struct sequence recover = {"recover", PENDING, 0, LOG_SIZE, 0};
static const struct sequence recover_and_grow = {"recover and grow", PENDING, 2 * SIZE, LOG_SIZE,
                                                 0};

struct stage {
    const struct test_place *place;
    struct test_pair pairs[STARTS];
    _Atomic bool *struck; /* shared with the children */
};

static void make_closed(const void *context)
{
    const struct test_place *place = context;
    struct ledger ledger = {0};
    const tmf_options options = creation();
    tmf_storage *storage = test_open(place, &options);
    check_ok(work(storage, &ledger));
    check_ok(tmf_close(storage));
}

static void make_pending(const void *context)
{
    const tmf_options options = {.log_size = LOG_SIZE};
    store_number(test_write(test_open(context, &options)), 77);
    test_die();
}

/* In children: the library must not have been used yet when a fault is about to strike. */
static void set_stage(struct stage *stage, const struct test_place *place)
{
    *stage = (struct stage){.place = place};
    void *shared = mmap(NULL, TEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    stage->struck = shared;
    test_pair_load(place, &stage->pairs[NOTHING]);
    test_in_child(make_closed, place);
    test_pair_load(place, &stage->pairs[CLOSED]);
    test_child_died(test_child(make_pending, place), SIGKILL);
    test_pair_load(place, &stage->pairs[PENDING]);
}

static void clear_stage(struct stage *stage)
{
    for (enum start start = 0; start < STARTS; start++)
        test_pair_free(&stage->pairs[start]);
}

/* ---- one run */

struct run {
    struct stage *stage;
    const struct sequence *sequence;
    struct test_fault fault;
    bool harmless;
};

static int open_and_work(const struct run *run, struct ledger *ledger)
{
    tmf_storage *storage;
    tmf_options options = creation();
    options.size = run->sequence->size;
    options.log_size = run->sequence->log_size;
    options.flags = run->sequence->flags;
    int error = test_try_open(run->stage->place->path, &options, &storage);
    if (error)
        return error;
    error = work(storage, ledger);
    check_ok(tmf_close(storage));
    return error;
}

static void check_afterwards(const struct run *run, const struct ledger *ledger)
{
    const tmf_options options = creation();
    const tmf_options any = {.log_size = LOG_SIZE};
    const struct test_place *place = run->stage->place;
    tmf_storage *storage = test_open(place, test_exists(place->odb) ? &any : &options);
    tmf_reader *reader = test_read(storage);
    uint64_t number = read_content(tmf_reader_root(reader));
    tmf_read_end(reader);
    check(number == ledger->acknowledged || number == ledger->attempted);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* Of its own: without it another strategy is to be chosen. */
static bool is_needed_by_strategy(enum test_call call)
{
    return call == TEST_CALL_open || call == TEST_CALL_ioctl || call == TEST_CALL_userfaultfd;
}

/* Of what, and why: once. */
static void check_explained(const struct run *run, int error)
{
    const char *said = tmf_explain(), *why = strstr(said, tmf_strerror(error));
    check(strstr(said, run->stage->place->path) || strstr(said, "installing the handlers"));
    check(!why || !strstr(why + 1, tmf_strerror(error)));
}

static void run_one(const void *context)
{
    const struct run *run = context;
    uint64_t first = run->sequence->start == NOTHING ? 0 : 1;
    struct ledger ledger = {first, first};
    unsigned descriptors = test_descriptors();
    test_calls_use(&run->fault);
    int error = open_and_work(run, &ledger);
    *run->stage->struck = test_calls_struck();
    if (error)
        check_explained(run, error);
    check(!run->harmless || !error);
    check(!error || error == run->fault.error || error == TMF_EPOISONED ||
          (error == TMF_ENOTSUPPORTED && is_needed_by_strategy(run->fault.call)));
    check(test_descriptors() == descriptors);
    test_calls_use(NULL);
    check_afterwards(run, &ledger);
}

/* Past the first EACH uses, which are of a kind, not each but more and more seldom. */
static void run_all(struct run *run)
{
    for (run->fault.nth = 1;; run->fault.nth += 1 + run->fault.nth / EACH) {
        test_context("%s: %s number %u%s fails with '%s'", run->sequence->name,
                     test_call_name(run->fault.call), run->fault.nth,
                     run->fault.sticky ? " and all later ones" : "",
                     run->fault.kind == TEST_SHORT ? "half its size"
                                                   : tmf_strerror(run->fault.error));
        test_pair_store(run->stage->place, &run->stage->pairs[run->sequence->start]);
        test_in_child(run_one, run);
        if (!*run->stage->struck)
            break;
    }
}

/* ---- all faults */

static const struct {
    enum test_call call;
    enum test_fault_kind kind;
    int error;
    bool sticky, harmless;
} faults[] = {
    {TEST_CALL_open, TEST_FAIL, EMFILE, false, false},
    {TEST_CALL_open, TEST_FAIL, ENOSPC, true, false},
    {TEST_CALL_open, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_close, TEST_FAIL, EIO, true, true},
    {TEST_CALL_fstat, TEST_FAIL, EIO, false, false},
    {TEST_CALL_fstat, TEST_FAIL, EIO, true, false},
    {TEST_CALL_pread, TEST_FAIL, EIO, false, false},
    {TEST_CALL_pread, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_pread, TEST_SHORT, 0, false, true},
    {TEST_CALL_pwrite, TEST_FAIL, ENOSPC, false, false},
    {TEST_CALL_pwrite, TEST_FAIL, ENOSPC, true, false},
    {TEST_CALL_pwrite, TEST_FAIL, EIO, false, false},
    {TEST_CALL_pwrite, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_pwrite, TEST_SHORT, 0, false, true},
    {TEST_CALL_fdatasync, TEST_FAIL, EIO, false, false},
    {TEST_CALL_fdatasync, TEST_FAIL, ENOSPC, true, false},
    {TEST_CALL_fsync, TEST_FAIL, EIO, false, false},
    {TEST_CALL_fsync, TEST_FAIL, EDQUOT, true, false},
    {TEST_CALL_ftruncate, TEST_FAIL, EIO, false, false},
    {TEST_CALL_ftruncate, TEST_FAIL, ENOSPC, true, false},
    {TEST_CALL_fallocate, TEST_FAIL, EOPNOTSUPP, true, false},
    {TEST_CALL_rename, TEST_FAIL, EIO, true, false},
    {TEST_CALL_unlink, TEST_FAIL, EROFS, true, false},
    {TEST_CALL_flock, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_flock, TEST_FAIL, ENOLCK, false, false},
    {TEST_CALL_flock, TEST_FAIL, ENOLCK, true, false},
    {TEST_CALL_fcntl_lock, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_fcntl_lock, TEST_FAIL, ENOLCK, false, false},
    {TEST_CALL_ioctl, TEST_FAIL, ENOMEM, false, false},
    {TEST_CALL_ioctl, TEST_FAIL, ENOMEM, true, false},
    {TEST_CALL_userfaultfd, TEST_FAIL, EPERM, true, false},
    {TEST_CALL_getrusage, TEST_FAIL, EINVAL, true, true},
    {TEST_CALL_mmap, TEST_FAIL, ENOMEM, false, false},
    {TEST_CALL_mmap, TEST_FAIL, ENOMEM, true, false},
    {TEST_CALL_mmap, TEST_FAIL, EAGAIN, false, false},
    {TEST_CALL_munmap, TEST_FAIL, ENOMEM, true, true},
    {TEST_CALL_mprotect, TEST_FAIL, ENOMEM, false, false},
    {TEST_CALL_mprotect, TEST_FAIL, ENOMEM, true, false},
    {TEST_CALL_madvise, TEST_FAIL, ENOMEM, false, false},
    {TEST_CALL_madvise, TEST_FAIL, EAGAIN, true, false},
    {TEST_CALL_getrandom, TEST_FAIL, ENOSYS, true, false},
    {TEST_CALL_getrandom, TEST_FAIL, EINTR, false, true},
    {TEST_CALL_nanosleep, TEST_FAIL, EINTR, true, true},
    {TEST_CALL_sigaction, TEST_FAIL, EINVAL, false, false},
    {TEST_CALL_sigaction, TEST_FAIL, EINVAL, true, false},
};

static void sweep(const struct test_place *place, const struct sequence *sequence)
{
    struct stage stage;
    set_stage(&stage, place);
    for (size_t n = 0; n < sizeof(faults) / sizeof(faults[0]); n++) {
        struct run run = {.stage = &stage,
                          .sequence = sequence,
                          .fault = {.call = faults[n].call,
                                    .kind = faults[n].kind,
                                    .error = faults[n].error,
                                    .sticky = faults[n].sticky},
                          .harmless = faults[n].harmless};
        run_all(&run);
    }
    clear_stage(&stage);
}

static void test_while_creating(const struct test_place *place)
{
    sweep(place, &create);
}

static void test_while_opening(const struct test_place *place)
{
    sweep(place, &open_closed);
}

static void test_while_exclusive(const struct test_place *place)
{
    sweep(place, &exclusively);
}

static void test_while_extending_the_log(const struct test_place *place)
{
    sweep(place, &extend_log);
}

static void test_while_growing(const struct test_place *place)
{
    sweep(place, &grow);
}

static void test_while_recovering(const struct test_place *place)
{
    sweep(place, &recover);
}

static void test_while_recovering_to_grow(const struct test_place *place)
{
    sweep(place, &recover_and_grow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_while_creating),
        test_case(test_while_opening),
        test_case(test_while_exclusive),
        test_case(test_while_extending_the_log),
        test_case(test_while_growing),
        test_case(test_while_recovering),
        test_case(test_while_recovering_to_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
