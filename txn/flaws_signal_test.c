/* SPDX-License-Identifier: MIT */
/*
 * Stores that the hardware stops: on behalf of the writer from other threads (flaw D23 of the
 * original), and those that are not the library's business (D24): they reach the handler that the
 * program installed before the first tmf_open(), or kill the process by the signal they earned.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "txn/test_kit.h"

#define SIZE    (256 * TEST_PAGE)
#define PAGES   64
#define THREADS 4

struct root {
    uint64_t *block; /* of PAGES pages */
};

static int set_root(tmf_writer *writer, void *root, void *context)
{
    (void)context;
    ((struct root *)root)->block = tmf_alloc_aligned(writer, TEST_PAGE, PAGES * TEST_PAGE);
    return 0;
}

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {
        .size = SIZE, .root_size = sizeof(struct root), .root_init = set_root};
    return test_open(place, &options);
}

/* ---- D23 */

struct helper {
    pthread_t thread;
    pthread_barrier_t *start;
    uint64_t *block;
    size_t number; /* of the helper: its word in each page */
    uint64_t value;
};

static uint64_t *word(uint64_t *block, size_t page, size_t helper)
{
    return block + page * (TEST_PAGE / sizeof(uint64_t)) + helper;
}

/* All helpers come to a page at about the same time, each for the first time. */
static void *store_for_writer(void *context)
{
    const struct helper *helper = context;
    (void)pthread_barrier_wait(helper->start);
    for (size_t page = 0; page < PAGES; page++)
        *word(helper->block, page, helper->number) = helper->value + page;
    return NULL;
}

static void let_helpers_store(uint64_t *block, uint64_t value)
{
    struct helper helpers[THREADS];
    pthread_barrier_t start;
    check_ok(pthread_barrier_init(&start, NULL, THREADS));
    for (size_t n = 0; n < THREADS; n++) {
        helpers[n] = (struct helper){.start = &start, .block = block, .number = n, .value = value};
        check_ok(pthread_create(&helpers[n].thread, NULL, store_for_writer, &helpers[n]));
    }
    for (size_t n = 0; n < THREADS; n++)
        check_ok(pthread_join(helpers[n].thread, NULL));
    (void)pthread_barrier_destroy(&start);
}

static void check_stored(uint64_t *block, uint64_t value)
{
    for (size_t page = 0; page < PAGES; page++) {
        for (size_t n = 0; n < THREADS; n++)
            check(*word(block, page, n) == value + page);
    }
}

static void test_d23_threads_store_for_the_writer(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_writer *writer = test_write(storage);
    uint64_t *block = ((struct root *)tmf_writer_root(writer))->block;
    for (uint64_t round = 1; round <= 8; round++) {
        let_helpers_store(block, 1000 * round);
        check_ok(tmf_commit(writer));
        let_helpers_store(block, 500);
        check_stored(block, 500);
        check_ok(tmf_rollback(writer));
        check_stored(block, 1000 * round);
    }
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
    storage = test_open(place, NULL);
    tmf_reader *reader = test_read(storage);
    check_stored(block, 8000);
    tmf_read_end(reader);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* ---- D24: the program's own handler */

static struct {
    volatile sig_atomic_t calls;
    volatile int signal;
    void *volatile address;      /* of the fault */
    void *volatile frame;        /* of the handler */
    volatile sig_atomic_t jumps; /* leave by siglongjmp, do not mend the page */
    sigjmp_buf back;
} seen;

static void mend_or_jump(void)
{
    seen.calls++;
    seen.frame = __builtin_frame_address(0);
    if (seen.jumps)
        siglongjmp(seen.back, 1);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    seen.signal = signal;
    seen.address = info->si_addr;
    mend_or_jump();
    (void)mprotect((void *)((uintptr_t)info->si_addr & ~(TEST_PAGE - 1)), TEST_PAGE,
                   PROT_READ | PROT_WRITE);
}

static unsigned char *own_page; /* read-only, not of an arena */

static void on_plain_fault(int signal)
{
    seen.signal = signal;
    mend_or_jump();
    (void)mprotect(own_page, TEST_PAGE, PROT_READ | PROT_WRITE);
}

static void make_own_page(void)
{
    own_page = mmap(NULL, TEST_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(own_page != MAP_FAILED);
}

static void install(int flags)
{
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO)
        action.sa_sigaction = on_fault;
    else
        action.sa_handler = on_plain_fault;
    check(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

/* A store that the program's handler must see; it goes on if the page is the program's own. */
static void store_seen(volatile unsigned char *at, bool own)
{
    int calls = seen.calls;
    seen.jumps = !own;
    if (sigsetjmp(seen.back, 1) == 0) {
        *at = 1;
        check(own && *at == 1);
    }
    check(seen.calls == calls + 1 && seen.signal == SIGSEGV);
}

static void see_foreign_faults(const struct test_place *place, int flags)
{
    install(flags);
    make_own_page();
    tmf_storage *storage = create(place);
    unsigned char *arena = tmf_address(storage);
    store_seen(own_page + 8, true);
    check(!(flags & SA_SIGINFO) || seen.address == own_page + 8);
    store_seen(arena + 3 * TEST_PAGE + 8, false); /* no transaction */
    check(!(flags & SA_SIGINFO) || seen.address == arena + 3 * TEST_PAGE + 8);

    tmf_reader *reader = test_read(storage);
    store_seen(arena + 8, false);
    tmf_read_end(reader);

    tmf_writer *writer = test_write(storage); /* in its midst, and it goes on */
    uint64_t *block = ((struct root *)tmf_writer_root(writer))->block;
    int calls = seen.calls;
    *word(block, 0, 0) = 1;
    check(seen.calls == calls);
    check(mprotect(own_page, TEST_PAGE, PROT_READ) == 0);
    store_seen(own_page, true);
    *word(block, 1, 0) = 2;
    check_ok(tmf_commit(writer));
    *word(block, 0, 0) = 3;
    tmf_write_end(writer);
    check(*word(block, 0, 0) == 1 && *word(block, 1, 0) == 2);
    store_seen((unsigned char *)block, false); /* the transaction is over */
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_d24_own_handler_with_information(const struct test_place *place)
{
    see_foreign_faults(place, SA_SIGINFO);
}

static void test_d24_own_plain_handler(const struct test_place *place)
{
    see_foreign_faults(place, 0);
}

static void test_d24_own_stack_for_signals(const struct test_place *place)
{
    static unsigned char stack[64 * 1024];
    const stack_t own_stack = {.ss_sp = stack, .ss_size = sizeof(stack)};
    check(sigaltstack(&own_stack, NULL) == 0);
    install(SA_SIGINFO | SA_ONSTACK);
    make_own_page();
    tmf_storage *storage = create(place);
    store_seen(own_page, true);
    uintptr_t frame = (uintptr_t)seen.frame;
    check(frame >= (uintptr_t)stack && frame < (uintptr_t)stack + sizeof(stack));
    test_storage_is_well(storage); /* stores to the arena find room there too */
    check_ok(tmf_close(storage));
}

/* ---- D24: no handler of the program */

struct death {
    const char *name;
    void (*fault)(tmf_storage *storage);
    int signal;
};

static void store_outside(tmf_storage *storage)
{
    *(volatile char *)tmf_address(storage) = 1;
}

static void store_while_reading(tmf_storage *storage)
{
    (void)test_read(storage);
    store_outside(storage);
}

static void store_after_the_end(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    volatile uint64_t *block = ((struct root *)tmf_writer_root(writer))->block;
    *block = 1;
    test_commit(writer);
    *block = 2;
}

static void store_to_own_page(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    make_own_page();
    *(volatile unsigned char *)own_page = 1;
    tmf_write_end(writer);
}

static void read_what_is_closed(tmf_storage *storage)
{
    volatile char *arena = tmf_address(storage);
    check_ok(tmf_close(storage));
    (void)*arena;
}

static void jump_into_the_arena(tmf_storage *storage)
{
    void (*code)(void);
    tmf_writer *writer = test_write(storage);
    void *block = ((struct root *)tmf_writer_root(writer))->block;
    memcpy(&code, &block, sizeof(code));
    code();
}

static void read_past_the_end_of_a_file(tmf_storage *storage)
{
    (void)storage;
    int fd = memfd_create("empty", MFD_CLOEXEC);
    check(fd >= 0);
    volatile char *page = mmap(NULL, TEST_PAGE, PROT_READ, MAP_SHARED, fd, 0);
    check(page != MAP_FAILED);
    (void)*page;
}

static void send_segv_to_oneself(tmf_storage *storage)
{
    (void)storage;
    (void)kill(getpid(), SIGSEGV);
}

static const struct death deaths[] = {
    {"a store outside of transactions", store_outside, SIGSEGV},
    {"a store while reading", store_while_reading, SIGSEGV},
    {"a store after the end", store_after_the_end, SIGSEGV},
    {"a store to a page of one's own", store_to_own_page, SIGSEGV},
    {"a read of what is closed", read_what_is_closed, SIGSEGV},
    {"a jump into the arena", jump_into_the_arena, SIGSEGV},
    {"a read past the end of a file", read_past_the_end_of_a_file, SIGBUS},
};
static const struct death killed = {"kill", send_segv_to_oneself, SIGSEGV};

struct doomed {
    const struct test_place *place;
    const struct death *death;
    void (*disposition)(int);
};

/* Each in a process that has not used the library yet: it takes up what it finds when it first is.
 */
static void die_of_fault(const void *context)
{
    const struct doomed *doomed = context;
    (void)signal(SIGSEGV, doomed->disposition);
    (void)signal(SIGBUS, doomed->disposition);
    doomed->death->fault(test_open(doomed->place, NULL));
}

static void create_closed(const void *place)
{
    check_ok(tmf_close(create(place)));
}

static void look_well(const void *place)
{
    tmf_storage *storage = test_open(place, NULL);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void die_once(const struct test_place *place, const struct death *death,
                     void (*disposition)(int))
{
    const struct doomed doomed = {place, death, disposition};
    test_context("%s", death->name);
    test_child_died(test_child(die_of_fault, &doomed), death->signal);
    test_in_child(look_well, place);
}

static void test_d24_dies_of_the_signal_it_earned(const struct test_place *place)
{
    test_in_child(create_closed, place);
    for (size_t n = 0; n < sizeof(deaths) / sizeof(deaths[0]); n++)
        die_once(place, &deaths[n], SIG_DFL);
    die_once(place, &killed, SIG_DFL);
}

/* A fault cannot be ignored: the kernel would kill, and so do we instead of looping. */
static void test_d24_dies_though_it_ignores(const struct test_place *place)
{
    test_in_child(create_closed, place);
    for (size_t n = 0; n < sizeof(deaths) / sizeof(deaths[0]); n++)
        die_once(place, &deaths[n], SIG_IGN);
}

static void test_d24_ignored_kill_stays_ignored(const struct test_place *place)
{
    (void)signal(SIGSEGV, SIG_IGN);
    tmf_storage *storage = create(place);
    check(kill(getpid(), SIGSEGV) == 0);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

/* What a stray store would have changed is as it was. */
static void test_stray_store_reaches_nothing(const struct test_place *place)
{
    install(SA_SIGINFO);
    tmf_storage *storage = create(place);
    tmf_reader *reader = test_read(storage);
    uint64_t *block = ((const struct root *)tmf_reader_root(reader))->block;
    uint64_t before = *block;
    tmf_read_end(reader);
    store_seen((unsigned char *)block, false);
    check(*block == before);
    check_ok(tmf_close(storage));
    storage = test_open(place, NULL);
    check(*block == before);
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_d23_threads_store_for_the_writer),
        test_case(test_d24_own_handler_with_information),
        test_case(test_d24_own_plain_handler),
        test_case(test_d24_own_stack_for_signals),
        test_case(test_d24_dies_of_the_signal_it_earned),
        test_case(test_d24_dies_though_it_ignores),
        test_case(test_d24_ignored_kill_stays_ignored),
        test_case(test_stray_store_reaches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
