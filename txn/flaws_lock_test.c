/* SPDX-License-Identifier: MIT */
/*
 * Threads and processes that wait for each other: flaws D18 (a waiting writer and readers that
 * end), D19 (flock is interrupted) and D21 (waiting for oneself) of the original; begins that do
 * not wait; a close in use; nobody is starved.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "txn/test_calls.h"
#include "txn/test_kit.h"

#define SIZE       (64 * TEST_PAGE)
#define LITTLE_NS  UINT64_C(2000000)
#define AT_LAST_NS UINT64_C(100000000000)       /* longer than any test lasts */
#define AGES_NS    (UINT64_C(1000000000) << 32) /* more seconds than 32 bits hold */

struct root {
    uint64_t number, shadow;
};

static tmf_storage *create(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE, .root_size = sizeof(struct root)};
    return test_open(place, &options);
}

static uint64_t read_number(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const struct root *root = tmf_reader_root(reader);
    uint64_t number = root->number;
    check(number == root->shadow);
    tmf_read_end(reader);
    return number;
}

static void store(tmf_writer *writer)
{
    struct root *root = tmf_writer_root(writer);
    root->number++;
    (void)sched_yield();
    root->shadow++;
}

static void add_one(tmf_storage *storage)
{
    tmf_writer *writer = test_write(storage);
    store(writer);
    test_commit(writer);
}

/* ---- the begins, as a table */

enum kind { READ, WRITE, KINDS };

struct view {
    tmf_reader *reader;
    tmf_writer *writer;
};

static int begin(tmf_storage *storage, enum kind kind, struct view *out)
{
    return kind == READ ? tmf_read_begin(storage, &out->reader)
                        : tmf_write_begin(storage, &out->writer);
}

static int begin_try(tmf_storage *storage, enum kind kind, struct view *out)
{
    return kind == READ ? tmf_read_begin_try(storage, &out->reader)
                        : tmf_write_begin_try(storage, &out->writer);
}

static int begin_timed(tmf_storage *storage, enum kind kind, uint64_t timeout_ns, struct view *out)
{
    return kind == READ ? tmf_read_begin_timed(storage, timeout_ns, &out->reader)
                        : tmf_write_begin_timed(storage, timeout_ns, &out->writer);
}

static void end(enum kind kind, const struct view *view)
{
    if (kind == READ)
        tmf_read_end(view->reader);
    else
        tmf_write_end(view->writer);
}

/* ---- D21: one thread */

static void test_d21_one_thread_does_not_wait_for_itself(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    for (enum kind first = 0; first < KINDS; first++) {
        for (enum kind second = 0; second < KINDS; second++) {
            test_context("%d, then %d", first, second);
            struct view view, again;
            check_ok(begin(storage, first, &view));
            check_error(EDEADLK, begin(storage, second, &again));
            check_error(EDEADLK, begin_try(storage, second, &again));
            check_error(EDEADLK, begin_timed(storage, second, AT_LAST_NS, &again));
            check_error(EBUSY, tmf_close(storage));
            check(strstr(tmf_explain(), place->path));
            end(first, &view);
        }
    }
    end(READ, &(struct view){0}); /* NULL is nothing to end */
    end(WRITE, &(struct view){0});
    check_ok(tmf_close(NULL));
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_d21_one_process_opens_once(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    tmf_storage *again = NULL;
    const tmf_options larger = {.size = 2 * SIZE};
    unsigned descriptors = test_descriptors();
    check_error(EBUSY, test_try_open(place->path, NULL, &again));
    check_error(EBUSY, test_try_open(place->path, &larger, &again));
    const struct test_place linked = test_place_beside(place, "linked");
    check(symlink(place->odb, linked.odb) == 0 && symlink(place->log, linked.log) == 0);
    check_error(EBUSY, test_try_open(linked.path, NULL, &again));
    check(!again && test_descriptors() == descriptors);
    add_one(storage);
    check_ok(tmf_close(storage));
    storage = test_open(&linked, NULL);
    check(read_number(storage) == 1);
    check_ok(tmf_close(storage));
}

/* ---- begins that do not wait, between threads and between processes */

struct holder {
    const struct test_place *place;
    tmf_storage *storage; /* NULL: opens it itself */
    enum kind kind;
    struct test_flag holds, enough;
};

static void hold(const void *context)
{
    const struct holder *holder = context;
    tmf_storage *storage = holder->storage ? holder->storage : test_open(holder->place, NULL);
    struct view view;
    check_ok(begin(storage, holder->kind, &view));
    test_flag_raise(&holder->holds);
    test_flag_wait(&holder->enough);
    end(holder->kind, &view);
    if (!holder->storage)
        check_ok(tmf_close(storage));
}

static void *hold_in_thread(void *context)
{
    hold(context);
    return NULL;
}

static void check_begins(tmf_storage *storage, enum kind held)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        test_context("%d while another holds %d", kind, held);
        bool shared = held == READ && kind == READ;
        struct view view;
        check_error(shared ? 0 : EBUSY, begin_try(storage, kind, &view));
        if (shared)
            end(kind, &view);
        check_error(shared ? 0 : ETIMEDOUT, begin_timed(storage, kind, LITTLE_NS, &view));
        if (shared)
            end(kind, &view);
    }
}

static void check_free(tmf_storage *storage)
{
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct view view;
        check_ok(begin_try(storage, kind, &view));
        end(kind, &view);
        check_ok(begin_timed(storage, kind, LITTLE_NS, &view));
        end(kind, &view);
    }
}

static void make_flags(struct holder *holder)
{
    test_flag_make(&holder->holds);
    test_flag_make(&holder->enough);
}

static void free_flags(const struct holder *holder)
{
    test_flag_free(&holder->holds);
    test_flag_free(&holder->enough);
}

static void test_try_and_timed_between_threads(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    for (enum kind held = 0; held < KINDS; held++) {
        struct holder holder = {.storage = storage, .kind = held};
        make_flags(&holder);
        pthread_t thread;
        check_ok(pthread_create(&thread, NULL, hold_in_thread, &holder));
        test_flag_wait(&holder.holds);
        check_begins(storage, held);
        check_error(EBUSY, tmf_close(storage));
        test_flag_raise(&holder.enough);
        check_ok(pthread_join(thread, NULL));
        check_free(storage);
        free_flags(&holder);
    }
    check_ok(tmf_close(storage));
}

static void test_try_and_timed_between_processes(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    for (enum kind held = 0; held < KINDS; held++) {
        struct holder holder = {.place = place, .kind = held};
        make_flags(&holder);
        pid_t child = test_child(hold, &holder);
        test_flag_wait(&holder.holds);
        check_begins(storage, held);
        test_flag_raise(&holder.enough);
        test_child_returned(child);
        check_free(storage);
        free_flags(&holder);
    }
    check_ok(tmf_close(storage));
}

/* ---- D18: whatever the order in which readers and writers come and go */

struct waiter {
    tmf_storage *storage;
    enum kind kind;
    uint64_t timeout_ns;  /* 0: none */
    _Atomic pid_t thread; /* once it is about to begin */
    struct test_flag inside;
};

static void *begin_and_end(void *context)
{
    struct waiter *waiter = context;
    struct view view;
    waiter->thread = (pid_t)syscall(SYS_gettid);
    check_ok(waiter->timeout_ns
                 ? begin_timed(waiter->storage, waiter->kind, waiter->timeout_ns, &view)
                 : begin(waiter->storage, waiter->kind, &view));
    if (waiter->kind == WRITE)
        store(view.writer);
    test_flag_raise(&waiter->inside);
    end(waiter->kind, &view);
    return NULL;
}

/* Until it sleeps, which it does only where it has to wait. */
static void await_sleep(const struct waiter *waiter)
{
    char name[64];
    char line[256];
    const char *state = NULL;
    while (!waiter->thread)
        (void)sched_yield();
    (void)snprintf(name, sizeof(name), "/proc/self/task/%d/stat", (int)waiter->thread);
    while (!state || state[2] != 'S') {
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        ssize_t length = read(fd, line, sizeof(line) - 1);
        check(length > 0);
        (void)close(fd);
        line[length] = '\0';
        state = strrchr(line, ')'); /* "NUMBER (NAME) STATE ..." */
        check(state);
    }
}

static void *be_refused(void *storage)
{
    tmf_reader *reader;
    check_error(EBUSY, tmf_read_begin_try(storage, &reader));
    return NULL;
}

static void test_d18_reader_ends_while_a_writer_waits(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    struct waiter writer = {.storage = storage, .kind = WRITE};
    struct waiter late_reader = {.storage = storage, .kind = READ};
    test_flag_make(&writer.inside);
    test_flag_make(&late_reader.inside);
    tmf_reader *reader = test_read(storage);
    pthread_t threads[3];
    check_ok(pthread_create(&threads[0], NULL, begin_and_end, &writer));
    await_sleep(&writer);
    check_ok(pthread_create(&threads[1], NULL, be_refused, storage)); /* it is the writer's turn */
    check_ok(pthread_join(threads[1], NULL));
    check_ok(pthread_create(&threads[2], NULL, begin_and_end, &late_reader));
    await_sleep(&late_reader);
    tmf_read_end(reader);
    test_flag_wait(&writer.inside);
    test_flag_wait(&late_reader.inside);
    check_ok(pthread_join(threads[0], NULL));
    check_ok(pthread_join(threads[2], NULL));
    test_flag_free(&writer.inside);
    test_flag_free(&late_reader.inside);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
}

static void test_timeout_of_ages(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    struct waiter writer = {.storage = storage, .kind = WRITE, .timeout_ns = AGES_NS};
    test_flag_make(&writer.inside);
    tmf_reader *reader = test_read(storage);
    pthread_t thread;
    check_ok(pthread_create(&thread, NULL, begin_and_end, &writer));
    await_sleep(&writer);
    tmf_read_end(reader);
    test_flag_wait(&writer.inside);
    check_ok(pthread_join(thread, NULL));
    test_flag_free(&writer.inside);
    check_ok(tmf_close(storage));
}

#define THREADS 6
#define ROUNDS  200

struct crowd {
    tmf_storage *storage;
    pthread_barrier_t start;
    _Atomic uint64_t committed;
};

struct visitor {
    pthread_t thread;
    struct crowd *crowd;
    uint64_t random;
};

/* Holds one view for as long as it takes others to come, in an order that the seed gives. */
static void one_visit(struct crowd *crowd, uint64_t dice)
{
    struct view view;
    enum kind kind = dice % 3 == 0 ? WRITE : READ;
    int error = dice / 4 % 2 ? begin(crowd->storage, kind, &view)
                             : begin_timed(crowd->storage, kind, LITTLE_NS, &view);
    if (error) {
        check_error(ETIMEDOUT, error);
        return;
    }
    for (uint64_t n = 0; n < dice / 8 % 4; n++)
        (void)sched_yield();
    if (kind == WRITE) {
        store(view.writer);
        if (dice / 32 % 2) {
            check_ok(tmf_commit(view.writer));
            crowd->committed++;
        }
    }
    end(kind, &view);
}

static void *visit(void *context)
{
    struct visitor *visitor = context;
    (void)pthread_barrier_wait(&visitor->crowd->start);
    for (unsigned n = 0; n < ROUNDS; n++)
        one_visit(visitor->crowd, test_random(&visitor->random));
    return NULL;
}

static void test_d18_any_order_of_threads(const struct test_place *place)
{
    uint64_t seed = test_seed("flaws_lock_test");
    struct crowd crowd = {.storage = create(place)};
    struct visitor visitors[THREADS];
    check_ok(pthread_barrier_init(&crowd.start, NULL, THREADS));
    for (unsigned n = 0; n < THREADS; n++) {
        visitors[n] = (struct visitor){.crowd = &crowd, .random = seed + n};
        check_ok(pthread_create(&visitors[n].thread, NULL, visit, &visitors[n]));
    }
    for (unsigned n = 0; n < THREADS; n++)
        check_ok(pthread_join(visitors[n].thread, NULL));
    (void)pthread_barrier_destroy(&crowd.start);
    check(read_number(crowd.storage) == crowd.committed);
    test_storage_is_well(crowd.storage);
    check_ok(tmf_close(crowd.storage));
}

/*
 * Two readers relieve each other, so that there is always one inside, while a writer of another
 * process waits: sooner or later the second is not let in, and the writer's turn comes.
 */
struct relay {
    const struct test_place *place;
    tmf_storage *storage;
    struct test_flag manned; /* from here on a reader is inside until a writer waits */
    struct test_flag try, tried, end, ended;
    int error; /* of the partner's last try */
    bool over;
};

static void *relieve(void *context)
{
    struct relay *relay = context;
    tmf_reader *reader = NULL;
    for (;;) {
        test_flag_wait(&relay->try);
        if (relay->over)
            return NULL;
        relay->error = tmf_read_begin_try(relay->storage, &reader);
        test_flag_raise(&relay->tried);
        test_flag_wait(&relay->end);
        if (!relay->error)
            tmf_read_end(reader);
        test_flag_raise(&relay->ended);
    }
}

/* Readers inside without a gap until one is refused. */
static void relay_readers(struct relay *relay)
{
    tmf_reader *reader = test_read(relay->storage);
    int error = 0;
    test_flag_raise(&relay->manned);
    while (!error) {
        test_flag_raise(&relay->try);
        test_flag_wait(&relay->tried);
        tmf_read_end(reader);
        error = relay->error ? relay->error : tmf_read_begin_try(relay->storage, &reader);
        test_flag_raise(&relay->end);
        test_flag_wait(&relay->ended);
    }
    check_error(EBUSY, error);
}

static void write_once(const void *context)
{
    tmf_storage *storage = test_open(context, NULL);
    add_one(storage);
    check_ok(tmf_close(storage));
}

static void write_into_relay(const void *context)
{
    const struct relay *relay = context;
    test_flag_wait(&relay->manned);
    write_once(relay->place);
}

static void test_waiting_writer_is_not_starved(const struct test_place *place)
{
    check_ok(tmf_close(create(place)));
    struct relay relay = {.place = place};
    struct test_flag *flags[] = {&relay.manned, &relay.try, &relay.tried, &relay.end, &relay.ended};
    const size_t count = sizeof(flags) / sizeof(flags[0]);
    for (size_t n = 0; n < count; n++)
        test_flag_make(flags[n]);
    pid_t writer = test_child(write_into_relay, &relay);
    relay.storage = test_open(place, NULL);
    pthread_t partner;
    check_ok(pthread_create(&partner, NULL, relieve, &relay));
    relay_readers(&relay);
    check(read_number(relay.storage) == 1);
    relay.over = true;
    test_flag_raise(&relay.try);
    check_ok(pthread_join(partner, NULL));
    test_child_returned(writer);
    for (size_t n = 0; n < count; n++)
        test_flag_free(flags[n]);
    check_ok(tmf_close(relay.storage));
}

static void *read_many_times(void *context)
{
    tmf_reader *reader;
    for (unsigned n = 0; n < 1000; n++) {
        check_ok(tmf_read_begin_try(context, &reader));
        tmf_read_end(reader);
    }
    return NULL;
}

/* However many readers come while one stays: where nobody writes, nobody waits. */
static void test_readers_alone_never_wait(const struct test_place *place)
{
    pthread_t partner;
    tmf_storage *storage = create(place);
    tmf_reader *reader = test_read(storage);
    check_ok(pthread_create(&partner, NULL, read_many_times, storage));
    check_ok(pthread_join(partner, NULL));
    tmf_read_end(reader);
    check_ok(tmf_close(storage));
}

/* Until a reader that comes last is not let in, which shows that the writer waits. */
static void await_writer_waiting(tmf_storage *storage)
{
    tmf_reader *reader;
    int error;
    while ((error = tmf_read_begin_try(storage, &reader)) == 0) {
        tmf_read_end(reader);
        (void)sched_yield();
    }
    check_error(EBUSY, error);
}

static void test_waiting_writer_of_a_process_bars_others(const struct test_place *place)
{
    struct holder holder = {.place = place, .kind = READ};
    tmf_storage *storage = create(place);
    make_flags(&holder);
    pid_t reader = test_child(hold, &holder);
    test_flag_wait(&holder.holds);
    pid_t writer = test_child(write_once, place);
    await_writer_waiting(storage);
    test_flag_raise(&holder.enough);
    test_child_returned(reader);
    test_child_returned(writer);
    check(read_number(storage) == 1);
    free_flags(&holder);
    check_ok(tmf_close(storage));
}

/* ---- D19: interruptions */

static void test_d19_flock_is_interrupted(const struct test_place *place)
{
    tmf_storage *storage = create(place);
    for (unsigned nth = 1; nth <= 4; nth++) {
        const struct test_fault interrupted = {.call = TEST_CALL_flock, .error = EINTR, .nth = nth};
        test_context("flock %u is interrupted", nth);
        test_calls_use(&interrupted);
        add_one(storage);
        check(read_number(storage) == nth);
        check_free(storage);
        check(test_calls_struck());
    }
    check_ok(tmf_close(storage));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_d21_one_thread_does_not_wait_for_itself),
        test_case(test_d21_one_process_opens_once),
        test_case(test_try_and_timed_between_threads),
        test_case(test_try_and_timed_between_processes),
        test_case(test_d18_reader_ends_while_a_writer_waits),
        test_case(test_timeout_of_ages),
        test_case(test_d18_any_order_of_threads),
        test_case(test_waiting_writer_is_not_starved),
        test_case(test_readers_alone_never_wait),
        test_case(test_waiting_writer_of_a_process_bars_others),
        test_case(test_d19_flock_is_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
