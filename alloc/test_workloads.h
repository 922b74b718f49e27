/* SPDX-License-Identifier: MIT */
/*
 * Workloads that drive a heap beside its model (test_model.h), and differ in what they are bad for.
 * The same seed makes the same choices with every index, so that all exact ones are held to the
 * same addresses, counted from where their blocks begin.
 */
#ifndef TMF_TEST_WORKLOADS_H
#define TMF_TEST_WORKLOADS_H

#include "test_model.h"

struct model_workload {
    const char *name;
    void (*run)(tmf_heap_config config, const struct model_workload *self);
};

/* The n-th; NULL past the last. */
const struct model_workload *model_workload_at(size_t n);

void model_workload_run(const struct model_workload *workload, tmf_heap_config config,
                        uint64_t seed);

#endif
