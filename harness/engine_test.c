/* SPDX-License-Identifier: MIT */
/*
 * Every engine holds what the model holds, after a run and after it was opened anew; and an engine
 * that is broken on purpose, in each of the ways below, does not. What a traced child does is
 * counted exactly, and it dies at the step it shall.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/strategy.h"
#include "harness/table.h"
#include "harness/traced.h"

#define SEED          5
#define RECORDS       UINT64_C(192)
#define RECORD_SIZE   ((size_t)400)
#define PAGES         ((size_t)6)
#define TRANSACTIONS  UINT64_C(30)
#define LIMIT_SECONDS 120

/* Bodies run in children, where cmocka cannot go on after a failure. */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (%s; %s)\n", __FILE__, __LINE__, #condition,                \
                    difference.what, engine_explain());                                            \
            _exit(EXIT_FAILURE);                                                                   \
        }                                                                                          \
    } while (0)
static struct difference difference;

struct bench {
    const struct engine *engine;
    struct engine_config config;
    struct table_work work;
    struct scratch scratch;
    char path[PATH_MAX];
    void *db;
    struct table_model *model;
};

static struct table_work work_of(const struct table_workload *workload)
{
    return (struct table_work){workload, SEED, 0, RECORDS, RECORD_SIZE, PAGES, true};
}

static void begin(struct bench *bench)
{
    check(scratch_make(NULL, &bench->scratch) == 0);
    snprintf(bench->path, sizeof(bench->path), "%s/table", bench->scratch.path);
    bench->config.path = bench->path;
    bench->config.records = table_keys(&bench->work);
    bench->config.record_size = RECORD_SIZE;
    check(bench->engine->open(&bench->config, &bench->db) == 0);
    check(table_load(bench->engine, bench->db, &bench->work) == 0);
    bench->model = table_model_new(&bench->work);
    check(bench->model);
}

static bool equal(const struct bench *bench)
{
    return table_equal(bench->model, bench->engine, bench->db, &difference);
}

static void transact(struct bench *bench, uint64_t k)
{
    struct table_operation operations[TABLE_OPERATIONS_MAX];
    size_t count = table_plan(&bench->work, k, operations);
    check(table_transact(bench->engine, bench->db, &bench->work, operations, count, NULL) == 0);
    table_model_apply(bench->model, &bench->work, k);
}

static void reopen(struct bench *bench)
{
    check(bench->engine->close(bench->db) == 0);
    check(bench->engine->open(&bench->config, &bench->db) == 0);
}

static void end(struct bench *bench)
{
    check(bench->engine->close(bench->db) == 0);
    table_model_free(bench->model);
    scratch_remove(bench->scratch.path);
}

static void run_in_child(int (*body)(void *context), void *context, const char *who)
{
    struct child_end how;
    assert_int_equal(child_run(body, context, LIMIT_SECONDS, &how), 0);
    if (!how.exited || how.code != EXIT_SUCCESS)
        fail_msg("%s: exit status %d, signal %d", who, how.code, how.signal);
}

/* ---- what must hold */

static int hold_workload(void *context)
{
    struct bench bench = *(struct bench *)context;
    uint64_t number;
    begin(&bench);
    check(equal(&bench));
    check(table_touch(bench.engine, bench.db, &bench.work, 1) == 0);
    check(equal(&bench));
    uint64_t last = 0;
    for (uint64_t k = 1; k <= TRANSACTIONS; k++) {
        struct table_operation operations[TABLE_OPERATIONS_MAX];
        transact(&bench, k);
        if (table_plan_writes(operations, table_plan(&bench.work, k, operations)))
            last = k;
        check(k % 10 != 0 || equal(&bench));
    }
    reopen(&bench);
    check(equal(&bench));
    check(table_number(bench.engine, bench.db, &bench.work, &number) == 0 && number == last);
    transact(&bench, TRANSACTIONS + 1);
    check(equal(&bench));
    end(&bench);
    return EXIT_SUCCESS;
}

static void hold_all_workloads(struct bench *bench, const char *who)
{
    for (size_t n = 0; table_workload_at(n); n++) {
        bench->work = work_of(table_workload_at(n));
        run_in_child(hold_workload, bench, who);
    }
}

static void test_every_engine_holds_what_the_model_holds(void **state)
{
    (void)state;
    for (size_t n = 0; engine_at(n); n++) {
        struct bench bench = {.engine = engine_at(n)};
        assert_ptr_equal(engine_find(engine_at(n)->name), engine_at(n));
        hold_all_workloads(&bench, engine_at(n)->name);
    }
    assert_null(engine_find("nobody"));
}

static void test_every_strategy_and_durability_of_ours_does(void **state)
{
    (void)state;
    char missing[256];
    for (size_t n = 0; tmf_strategy_name(n); n++) {
        const char *name = tmf_strategy_name(n);
        if (!strategy_is_available(name, missing, sizeof(missing)))
            continue;
        for (int durability = TMF_DURABILITY_SYNC; durability <= TMF_DURABILITY_PROCESS;
             durability++) {
            struct bench bench = {.engine = engine_find("tmf")};
            bench.work = work_of(table_workload_find("turnover"));
            bench.config.strategy = name;
            bench.config.durability = (tmf_durability)durability;
            bench.config.flags = n % 2 ? TMF_EXCLUSIVE : 0;
            run_in_child(hold_workload, &bench, name);
        }
    }
}

static int drop_all(void *context)
{
    struct bench bench = *(struct bench *)context;
    unsigned char bytes[RECORD_SIZE] = {1};
    const struct engine *engine = bench.engine;
    begin(&bench);
    check(engine->begin(bench.db, true) == 0);
    check(engine->update(bench.db, 3, 8, bytes, 9) == 0);
    check(engine->erase(bench.db, 4) == 0);
    check(engine->insert(bench.db, 4, bytes) == 0);
    check(engine->erase(bench.db, 5) == 0);
    check(engine->drop(bench.db) == 0);
    check(equal(&bench));
    reopen(&bench);
    check(equal(&bench));
    end(&bench);
    return EXIT_SUCCESS;
}

static void test_what_is_dropped_was_never_there(void **state)
{
    (void)state;
    for (size_t n = 0; engine_at(n); n++) {
        struct bench bench = {.engine = engine_at(n), .work = work_of(table_workload_at(0))};
        if (bench.engine->rolls_back)
            run_in_child(drop_all, &bench, bench.engine->name);
        else
            assert_int_equal(bench.engine->survives, TMF_SURVIVES_NOTHING);
    }
}

static int miss(void *context)
{
    struct bench bench = *(struct bench *)context;
    unsigned char bytes[RECORD_SIZE] = {1};
    const struct engine *engine = bench.engine;
    const void *record;
    begin(&bench);
    check(engine->begin(bench.db, true) == 0);
    check(engine->erase(bench.db, 7) == 0);
    check(engine->read(bench.db, 7, &record) == ENOENT);
    check(engine->update(bench.db, 7, 0, bytes, 8) == ENOENT);
    check(engine->erase(bench.db, 7) == ENOENT);
    check(engine->read(bench.db, 8, &record) == 0);
    check(engine->insert(bench.db, 8, bytes) == EEXIST);
    check(engine->commit(bench.db) == 0);
    check(!equal(&bench) && strstr(difference.what, "record 7 is missing"));
    end(&bench);
    return EXIT_SUCCESS;
}

static void test_what_is_not_there_is_told(void **state)
{
    (void)state;
    for (size_t n = 0; engine_at(n); n++) {
        struct bench bench = {.engine = engine_at(n), .work = work_of(table_workload_at(0))};
        run_in_child(miss, &bench, bench.engine->name);
    }
}

/* ---- what must not: an engine that is sound but for one thing, the VICTIM-th time */

#define VICTIM 11
static const struct engine *sound;
static unsigned uses;

static bool is_victim(void)
{
    return ++uses == VICTIM;
}

static int lose_update(void *db, uint64_t key, size_t at, const void *bytes, size_t size)
{
    return is_victim() ? 0 : sound->update(db, key, at, bytes, size);
}

static int shorten_update(void *db, uint64_t key, size_t at, const void *bytes, size_t size)
{
    bool shorter = size > sizeof(uint64_t) && is_victim(); /* half a small number is all of it */
    return sound->update(db, key, at, bytes, shorter ? size / 2 : size);
}

static int misplace_update(void *db, uint64_t key, size_t at, const void *bytes, size_t size)
{
    return sound->update(db, is_victim() ? key ^ 1 : key, at, bytes, size);
}

static int lose_insert(void *db, uint64_t key, const void *record)
{
    return is_victim() ? 0 : sound->insert(db, key, record);
}

static int lose_erase(void *db, uint64_t key)
{
    return is_victim() ? 0 : sound->erase(db, key);
}

static int lose_commit(void *db)
{
    return is_victim() ? sound->drop(db) : sound->commit(db);
}

static int read_wrongly(void *db, uint64_t key, const void **out)
{
    static unsigned char wrong[RECORD_SIZE];
    int error = sound->read(db, key, out);
    if (error == 0 && is_victim()) {
        memcpy(wrong, *out, sizeof(wrong));
        wrong[sizeof(wrong) - 1] ^= 1;
        *out = wrong;
    }
    return error;
}

static int fail_check(void *db)
{
    (void)db;
    return engine_fail(EUCLEAN, "it is broken");
}

struct flaw {
    const char *workload;
    int (*update)(void *db, uint64_t key, size_t at, const void *bytes, size_t size);
    int (*insert)(void *db, uint64_t key, const void *record);
    int (*erase)(void *db, uint64_t key);
    int (*commit)(void *db);
    int (*read)(void *db, uint64_t key, const void **out);
    int (*check)(void *db);
};

static struct engine with_flaw(const struct flaw *flaw)
{
    struct engine broken = *sound;
    broken.update = flaw->update ? flaw->update : broken.update;
    broken.insert = flaw->insert ? flaw->insert : broken.insert;
    broken.erase = flaw->erase ? flaw->erase : broken.erase;
    broken.commit = flaw->commit ? flaw->commit : broken.commit;
    broken.read = flaw->read ? flaw->read : broken.read;
    broken.check = flaw->check ? flaw->check : broken.check;
    return broken;
}

/* Ends with the victim, so that what was lost is not written again. */
static int notice(void *context)
{
    const struct flaw *flaw = context;
    struct engine broken = with_flaw(flaw);
    struct bench bench = {.engine = sound, .work = work_of(table_workload_find(flaw->workload))};
    begin(&bench);
    bench.engine = &broken;
    for (uint64_t k = 1; k <= TRANSACTIONS && uses < VICTIM; k++) {
        struct table_operation operations[TABLE_OPERATIONS_MAX];
        size_t count = table_plan(&bench.work, k, operations);
        int error = table_transact(&broken, bench.db, &bench.work, operations, count, NULL);
        check(error == 0 || error == ENOENT || error == EEXIST);
        table_model_apply(bench.model, &bench.work, k);
    }
    check(!equal(&bench));
    check(strlen(difference.what) > 10);
    return EXIT_SUCCESS;
}

static void test_a_broken_engine_is_noticed(void **state)
{
    static const struct flaw flaws[] = {
        {.workload = "pages", .update = lose_update},
        {.workload = "bank", .update = lose_update},
        {.workload = "ycsb-a", .update = shorten_update},
        {.workload = "ycsb-f", .update = misplace_update},
        {.workload = "turnover", .insert = lose_insert},
        {.workload = "turnover", .erase = lose_erase},
        {.workload = "pages", .commit = lose_commit},
        {.workload = "turnover", .read = read_wrongly}, /* which reads not, but is compared */
        {.workload = "ycsb-b", .check = fail_check},
    };
    (void)state;
    for (size_t n = 0; engine_at(n); n++) {
        sound = engine_at(n);
        for (size_t f = 0; f < sizeof(flaws) / sizeof(flaws[0]); f++) {
            struct flaw flaw = flaws[f];
            uses = 0;
            if (sound->rolls_back || !flaw.commit)
                run_in_child(notice, &flaw, sound->name);
        }
    }
}

/* ---- the workloads */

static void test_pages_are_apart(void **state)
{
    (void)state;
    struct table_operation operations[TABLE_OPERATIONS_MAX];
    struct table_work work = {table_workload_find("pages"), SEED, 0, 65536, 1000, 0, false};
    for (work.pages = 1; work.pages <= TABLE_PAGES_MAX; work.pages *= 4) {
        for (uint64_t k = 1; k < 50; k++) {
            assert_int_equal(table_plan(&work, k, operations), work.pages);
            for (size_t n = 0; n < work.pages; n++) {
                assert_true(operations[n].key < work.records);
                assert_int_equal(operations[n].key % table_pages_step(&work), 0);
                assert_true(n == 0 || operations[n].key > operations[n - 1].key + 4);
            }
        }
    }
}

/* As drawn from this seed; how many is what the name of the workload says. */
static void test_ycsb_reads_and_writes_in_its_shares(void **state)
{
    static const struct {
        const char *workload;
        unsigned reads_min, reads_max; /* of 10000 transactions */
    } shares[] = {{"ycsb-a", 4850, 5150}, {"ycsb-b", 9430, 9570}, {"ycsb-f", 4850, 5150}};
    (void)state;
    for (size_t n = 0; n < sizeof(shares) / sizeof(shares[0]); n++) {
        struct table_work work = {
            table_workload_find(shares[n].workload), SEED, 0, 1000, 1000, 0, false};
        struct table_operation operations[TABLE_OPERATIONS_MAX];
        unsigned reads = 0, of_key[1000] = {0}, most = 0;
        for (uint64_t k = 1; k <= 10000; k++) {
            reads += !table_plan_writes(operations, table_plan(&work, k, operations));
            unsigned times = ++of_key[operations[0].key];
            most = times > most ? times : most;
        }
        assert_in_range(reads, shares[n].reads_min, shares[n].reads_max);
        assert_in_range(most, 1100, 1500); /* zipfian: 1 of 7.5 */
    }
}

/* ---- the traced child */

static volatile uint64_t *progress;

static int make_calls(void *context)
{
    (void)context;
    getppid();
    traced_watch(true);
    for (uint64_t n = 1; n <= 5; n++) {
        getppid();
        *progress = n;
        traced_step();
    }
    fsync(STDIN_FILENO);
    traced_watch(false);
    getppid();
    return EXIT_SUCCESS;
}

static void test_a_traced_child_is_counted_and_dies_at_its_step(void **state)
{
    (void)state;
    struct traced_counts counts;
    struct child_end how;
    progress = child_shared(sizeof(*progress));
    assert_int_equal(traced_run(make_calls, NULL, LIMIT_SECONDS, 0, &counts, &how), 0);
    assert_true(how.exited && how.code == EXIT_SUCCESS);
    assert_int_equal(counts.calls, 6);
    assert_int_equal(counts.steps, 11);
    assert_int_equal(counts.syncs, 1);
    for (uint64_t step = 1; step <= 11; step++) {
        *progress = 0;
        assert_int_equal(traced_run(make_calls, NULL, LIMIT_SECONDS, step, &counts, &how), 0);
        assert_true(!how.exited && how.signal == SIGKILL);
        assert_int_equal(*progress, step / 2); /* odd: before the call; even: after the store */
        assert_int_equal(counts.steps, step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_engine_holds_what_the_model_holds),
        cmocka_unit_test(test_every_strategy_and_durability_of_ours_does),
        cmocka_unit_test(test_what_is_dropped_was_never_there),
        cmocka_unit_test(test_what_is_not_there_is_told),
        cmocka_unit_test(test_a_broken_engine_is_noticed),
        cmocka_unit_test(test_pages_are_apart),
        cmocka_unit_test(test_ycsb_reads_and_writes_in_its_shares),
        cmocka_unit_test(test_a_traced_child_is_counted_and_dies_at_its_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
