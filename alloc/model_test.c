/* SPDX-License-Identifier: MIT */
/*
 * Every index at every quantum against the model (test_model.h), under every workload.
 *
 * TMF_MODEL_SEED sets the seed, TMF_MODEL_CASE=INDEX:QUANTUM:WORKLOAD leaves out all other cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test_workloads.h"

enum { WORKLOADS_MAX = 16 };

static uint64_t base_seed;

void round_fail(const struct round_failure *failure)
{
    fail_msg(
        "%s\nreplay: TMF_MODEL_SEED=%llu TMF_MODEL_CASE=%s:%zu:%s model_test   (operation %zu)",
        failure->what, (unsigned long long)failure->seed, failure->index, failure->quantum,
        failure->workload, failure->operation);
    abort();
}

static void run_case(const char *index, size_t quantum, const struct model_workload *workload)
{
    char name[64];
    const char *only = getenv("TMF_MODEL_CASE");
    (void)snprintf(name, sizeof name, "%s:%zu:%s", index, quantum, workload->name);
    if (only == NULL || strcmp(only, name) == 0) {
        tmf_heap_config config = {.quantum = quantum, .index = index};
        model_workload_run(workload, config, base_seed);
    }
}

static void test_workload(void **state)
{
    static const size_t quanta[] = {16, 32, 64, 128, 4096};
    for (size_t n = 0; tmf_index_name(n) != NULL; n++) {
        for (size_t q = 0; q < sizeof quanta / sizeof quanta[0]; q++) {
            if (tmf_index_find(tmf_index_name(n))->link_bits(quanta[q]) != 0) {
                run_case(tmf_index_name(n), quanta[q], *state);
            }
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[WORKLOADS_MAX];
    const struct model_workload *workload;
    const char *seed = getenv("TMF_MODEL_SEED");
    size_t count = 0;
    base_seed = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    for (; count < WORKLOADS_MAX && (workload = model_workload_at(count)) != NULL; count++) {
        tests[count] = (struct CMUnitTest){.name = workload->name, .test_func = test_workload};
        memcpy(&tests[count].initial_state, &workload, sizeof(void *));
    }
    return _cmocka_run_group_tests("workloads", tests, count, NULL, NULL);
}
