/* SPDX-License-Identifier: MIT */
/*
 * The recorded traces, driven through the heap beside its model (alloc/test_model.h): each process
 * of each trace, cut after its first operations, in every index and every small quantum. All exact
 * indexes must place every block where the model does, so they all place it at the same address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alloc/index.h"
#include "alloc/test_model.h"
#include "harness/trace.h"

enum { OPERATIONS = 3000, COMPARE_EVERY = 500, REGION = 3 << 20 };

static const char *const names[] = {"gcc", "git", "jq", "perl", "python", "sqlite"};
static const size_t quanta[] = {16, 32, 64, 128};

void round_fail(const struct round_failure *failure)
{
    fail_msg("%s: index %s, quantum %zu, process %llu of %s, operation %zu", failure->what,
             failure->index, failure->quantum, (unsigned long long)failure->seed, failure->workload,
             failure->operation);
    abort();
}

/* Where each of the process's blocks is; NOWHERE: there was no room for it, or it is gone. */
static size_t *places;
static size_t made, refused;

static void play(const struct trace_operation *operation)
{
    size_t *place = &places[operation->block];
    size_t size = (size_t)operation->size;
    switch (operation->kind) {
    case TRACE_ALLOCATE:
        *place = round_alloc((size_t)operation->alignment, size);
        made += *place != NOWHERE;
        refused += *place == NOWHERE;
        break;
    case TRACE_RESIZE:
        if (*place != NOWHERE) {
            size_t moved = round_resize(*place, size);
            *place = moved != NOWHERE ? moved : *place;
        }
        break;
    case TRACE_FREE:
        if (*place != NOWHERE)
            round_free(*place);
        *place = NOWHERE;
        break;
    default:
        break;
    }
}

/* The first operations of one process, the heap's whole life. */
static void play_process(const struct trace *trace, const char *name, uint32_t process,
                         tmf_heap_config config)
{
    struct trace_cursor cursor = trace_begin(trace);
    struct trace_operation operation;
    size_t played = 0;
    if (!round_begin(config, name, process, REGION, REGION))
        fail_msg("a heap of %d bytes is too small", REGION);
    while (played < OPERATIONS && trace_next(&cursor, &operation)) {
        if (operation.process != process)
            continue;
        play(&operation);
        if (++played % COMPARE_EVERY == 0)
            round_compare();
    }
    round_compare();
    round_end();
}

static void play_trace(const struct trace *trace, const char *name, tmf_heap_config config)
{
    const struct trace_facts *facts = trace_facts_of(trace);
    for (uint32_t process = 0; process < facts->process_count; process++) {
        for (uint64_t n = 0; n < facts->blocks_peak; n++)
            places[n] = NOWHERE;
        play_process(trace, name, process, config);
    }
}

static bool is_allowed(const char *index, size_t quantum)
{
    return tmf_index_find(index)->link_bits(quantum) != 0;
}

static void play_everywhere(const struct trace *trace, const char *name)
{
    places = calloc((size_t)trace_facts_of(trace)->blocks_peak, sizeof(*places));
    assert_non_null(places);
    for (size_t n = 0; tmf_index_name(n); n++) {
        for (size_t q = 0; q < sizeof(quanta) / sizeof(quanta[0]); q++) {
            if (is_allowed(tmf_index_name(n), quanta[q]))
                play_trace(trace, name,
                           (tmf_heap_config){.quantum = quanta[q], .index = tmf_index_name(n)});
        }
    }
    free(places);
}

static void test_recorded_traces(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        char path[512];
        struct trace *trace = NULL;
        struct trace_fault fault;
        (void)snprintf(path, sizeof(path), "%s/%s.trace", TRACES, names[n]);
        if (trace_open(path, &trace, &fault) != 0)
            fail_msg("%s: %s", path, fault.what);
        play_everywhere(trace, names[n]);
        trace_close(trace);
    }
    print_message("%zu blocks placed, %zu refused for want of room\n", made, refused);
    assert_true(made > 100 * refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
