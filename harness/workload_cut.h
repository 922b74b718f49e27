/* SPDX-License-Identifier: MIT */
/*
 * Single operations of a workload's transactions that are left out, so that a failure can be told
 * with no more of them than it needs. What is left of a transaction is a pure function still: of
 * (seed, number, what is left out). Who makes the operations and who models them ask the same
 * question, workload_makes(). It is answered for the process and those that it forks.
 *
 * As text: "3.0+3.2" leaves out the operations 0 and 2 of transaction 3.
 */
#ifndef HARNESS_WORKLOAD_CUT_H
#define HARNESS_WORKLOAD_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_CUT_MAX 48u

struct workload_cut {
    unsigned count;
    struct {
        uint32_t k, operation; /* transaction; from 0 on */
    } at[WORKLOAD_CUT_MAX];
};

/* From now on these are left out, and no others. */
void workload_cut_use(const struct workload_cut *cut);
bool workload_makes(uint64_t k, uint64_t operation);

/* Writes ":without=..." where something is left out; returns the length. And reads what stands
 * behind the "="; false: it is none. */
size_t workload_cut_format(const struct workload_cut *cut, char *to, size_t size);
bool workload_cut_parse(const char *text, struct workload_cut *out);

/*
 * Leaves out, one by one, whatever operations of the first transactions `still_fails` can do
 * without: it is asked with each of them in place->cut besides those that stay there.
 */
struct workload_place;
void workload_cut_shrink(struct workload_place *place, uint64_t transactions,
                         bool still_fails(void *context), void *context);

#endif
