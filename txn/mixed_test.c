/* SPDX-License-Identifier: MIT */
/*
 * Strategies on one storage, one after the other and side by side: any of them opens and recovers
 * what any other left behind, in the middle of anything. A child lives with one strategy and is
 * killed in place of its n-th system call, n = 1, 2, ... until it lives to its end; each time
 * another strategy opens what is left, and is itself killed in the middle of its recovery in every
 * third case, before the next one looks.
 */
#include <signal.h>
#include <string.h>

#include "txn/test_calls.h"
#include "txn/test_pages.h"

#define SIZE         (64 * TEST_PAGE)
#define PAGES        ((size_t)3)
#define TRANSACTIONS 2
#define LEAST_LOG    1 /* byte: every transaction finds the log full */

static size_t page_count = PAGES;

static tmf_storage *open_with(const struct test_place *place, const char *strategy)
{
    const tmf_options options = {.strategy = strategy, .log_size = LEAST_LOG};
    tmf_storage *storage = NULL;
    check_ok(tmf_open(place->path, &options, &storage));
    return storage;
}

static void put_all(tmf_writer *writer, uint64_t value)
{
    uint64_t *block = test_pages_of(writer);
    check_ok(tmf_touch(writer, block, PAGES * TEST_PAGE));
    for (size_t page = 0; page < PAGES; page++)
        block[page * PAGE_WORDS] = value;
}

/* All pages say the same. */
static uint64_t read_all(tmf_storage *storage)
{
    tmf_reader *reader = test_read(storage);
    const uint64_t *block = test_pages_seen(reader);
    for (size_t page = 1; page < PAGES; page++)
        check(block[page * PAGE_WORDS] == block[0]);
    uint64_t value = block[0];
    tmf_read_end(reader);
    return value;
}

/* ---- the strategies that undo; the control leaves what nobody can recover */

#define STRATEGIES_MOST 16

static const char *strategies[STRATEGIES_MOST];
static size_t strategy_count;

static bool is_to_be_had(const struct test_place *place, const char *name)
{
    const tmf_options options = {.strategy = name};
    tmf_storage *storage;
    return tmf_open(place->path, &options, &storage) != TMF_ENOTSUPPORTED;
}

static void list_strategies(const struct test_place *place)
{
    for (size_t n = 0; tmf_strategy_name(n); n++) {
        check(strategy_count < STRATEGIES_MOST);
        if (tmf_strategy_survives(n) != TMF_SURVIVES_NOTHING &&
            is_to_be_had(place, tmf_strategy_name(n)))
            strategies[strategy_count++] = tmf_strategy_name(n);
    }
    check(strategy_count >= 4);
}

static void create(const struct test_place *place)
{
    const tmf_options options = {.size = SIZE,
                                 .root_size = sizeof(struct root),
                                 .root_init = test_make_pages,
                                 .root_context = &page_count,
                                 .log_size = LEAST_LOG};
    tmf_storage *storage = NULL;
    check_ok(tmf_open(place->path, &options, &storage));
    check_ok(tmf_close(storage));
}

/* ---- a life, cut off at any call */

struct life {
    const struct test_place *place;
    const char *strategy;
    unsigned nth;                  /* call that kills */
    struct test_flag acknowledged; /* raised for each commit */
};

static void live(const void *context)
{
    const struct life *life = context;
    const struct test_fault fault = {
        .call = TEST_CALL_ANY, .kind = TEST_KILL, .nth = life->nth, .sticky = true};
    test_calls_use(life->nth ? &fault : NULL);
    tmf_storage *storage = open_with(life->place, life->strategy);
    uint64_t value = read_all(storage);
    tmf_writer *writer = test_write(storage);
    for (unsigned n = 0; n < TRANSACTIONS; n++) {
        put_all(writer, ++value);
        check_ok(tmf_commit(writer));
        test_flag_raise(&life->acknowledged);
        put_all(writer, UINT64_MAX);
        check_ok(tmf_rollback(writer));
    }
    tmf_write_end(writer);
    check_ok(tmf_close(storage));
}

/* Returns whether it was killed. */
static bool be_cut_off(const struct test_place *place, const char *strategy, unsigned nth,
                       uint64_t *acknowledged)
{
    struct life life = {.place = place, .strategy = strategy, .nth = nth};
    test_flag_make(&life.acknowledged);
    bool killed = test_child_was_killed(test_child(live, &life));
    *acknowledged = test_flag_count(&life.acknowledged);
    test_flag_free(&life.acknowledged);
    return killed;
}

static void open_and_close(const void *context)
{
    const struct life *life = context;
    const struct test_fault fault = {
        .call = TEST_CALL_ANY, .kind = TEST_KILL, .nth = life->nth, .sticky = true};
    test_calls_use(&fault);
    tmf_storage *storage = open_with(life->place, life->strategy);
    (void)read_all(storage);
    check_ok(tmf_close(storage));
}

static void recover_in_part(const struct test_place *place, const char *strategy, unsigned nth)
{
    const struct life life = {.place = place, .strategy = strategy, .nth = nth};
    (void)test_child_was_killed(test_child(open_and_close, &life));
}

/* Whoever looks finds all that was acknowledged, and perhaps one more. Returns what there is. */
static uint64_t look(const struct test_place *place, const char *strategy, uint64_t least)
{
    tmf_storage *storage = open_with(place, strategy);
    uint64_t value = read_all(storage);
    check(value == least || value == least + 1);
    test_storage_is_well(storage);
    check_ok(tmf_close(storage));
    return value;
}

static const char *other_than(size_t strategy, unsigned n)
{
    return strategies[(strategy + 1 + n % (strategy_count - 1)) % strategy_count];
}

static void cut_off_everywhere(const struct test_place *place, size_t strategy)
{
    uint64_t value = look(place, strategies[strategy], 0);
    uint64_t acknowledged = 0;
    bool killed = true;
    for (unsigned nth = 1; killed; nth++) {
        const char *heir = other_than(strategy, nth);
        test_context("%s is killed at call %u, %s opens", strategies[strategy], nth, heir);
        killed = be_cut_off(place, strategies[strategy], nth, &acknowledged);
        check(killed || acknowledged == TRANSACTIONS);
        if (nth % 3 == 0)
            recover_in_part(place, other_than(strategy, nth + 1), nth / 3 % 30 + 1);
        value = look(place, heir, value + acknowledged);
    }
}

static void test_any_recovers_what_any_left(const struct test_place *place)
{
    test_calls_use(NULL); /* nothing here needs the disk */
    list_strategies(place);
    for (size_t n = 0; n < strategy_count; n++) {
        const struct test_place own = test_place_beside(place, strategies[n]);
        create(&own);
        cut_off_everywhere(&own, n);
    }
}

/* ---- side by side: each in a process of its own, all open, taking turns */

struct member {
    const struct test_place *place;
    const char *strategy;
    struct test_flag turn, done;
};

#define ROUNDS 12

static void take_turns(const void *context)
{
    const struct member *member = context;
    tmf_storage *storage = open_with(member->place, member->strategy);
    test_flag_raise(&member->done);
    for (unsigned n = 0; n < ROUNDS; n++) {
        test_flag_wait(&member->turn);
        uint64_t before = read_all(storage);
        tmf_writer *writer = test_write(storage);
        put_all(writer, before + 1);
        test_commit(writer);
        check(read_all(storage) == before + 1);
        test_flag_raise(&member->done);
    }
    check_ok(tmf_close(storage));
}

static void test_all_side_by_side(const struct test_place *place)
{
    list_strategies(place);
    create(place);
    struct member members[STRATEGIES_MOST];
    pid_t children[STRATEGIES_MOST];
    for (size_t n = 0; n < strategy_count; n++) {
        members[n] = (struct member){.place = place, .strategy = strategies[n]};
        test_flag_make(&members[n].turn);
        test_flag_make(&members[n].done);
        children[n] = test_child(take_turns, &members[n]);
        test_flag_wait(&members[n].done);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t n = 0; n < strategy_count; n++) { /* there and back again */
            const struct member *member = &members[round % 2 ? strategy_count - 1 - n : n];
            test_context("%s in round %u", member->strategy, round);
            test_flag_raise(&member->turn);
            test_flag_wait(&member->done);
        }
    }
    for (size_t n = 0; n < strategy_count; n++)
        test_child_returned(children[n]);
    (void)look(place, strategies[0], ROUNDS * strategy_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(test_any_recovers_what_any_left),
        test_case(test_all_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
