/* SPDX-License-Identifier: MIT */
#include "harness/workload_cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/workload.h"

static struct workload_cut in_use;

void workload_cut_use(const struct workload_cut *cut)
{
    in_use = *cut;
}

bool workload_makes(uint64_t k, uint64_t operation)
{
    for (unsigned n = 0; n < in_use.count; n++) {
        if (in_use.at[n].k == k && in_use.at[n].operation == operation)
            return false;
    }
    return true;
}

size_t workload_cut_format(const struct workload_cut *cut, char *to, size_t size)
{
    size_t length = 0;
    for (unsigned n = 0; n < cut->count && length < size; n++)
        length += (size_t)snprintf(to + length, size - length, "%s%" PRIu32 ".%" PRIu32,
                                   n == 0 ? ":without=" : "+", cut->at[n].k, cut->at[n].operation);
    return length < size ? length : size;
}

bool workload_cut_parse(const char *text, struct workload_cut *out)
{
    out->count = 0;
    for (const char *at = text; *at; at += *at == '+') {
        char *end;
        if (out->count == WORKLOAD_CUT_MAX)
            return false;
        out->at[out->count].k = (uint32_t)strtoul(at, &end, 10);
        if (end == at || *end != '.')
            return false;
        at = end + 1;
        out->at[out->count++].operation = (uint32_t)strtoul(at, &end, 10);
        if (end == at || (*end && *end != '+'))
            return false;
        at = end;
    }
    return out->count > 0;
}

static void try_without(struct workload_cut *cut, uint64_t k, unsigned operation,
                        bool still_fails(void *context), void *context)
{
    if (cut->count == WORKLOAD_CUT_MAX)
        return;
    cut->at[cut->count].k = (uint32_t)k;
    cut->at[cut->count++].operation = operation;
    if (!still_fails(context))
        cut->count--;
}

void workload_cut_shrink(struct workload_place *place, uint64_t transactions,
                         bool still_fails(void *context), void *context)
{
    const struct workload *workload = place->workload;
    for (uint64_t k = transactions; workload->operations && k > 0; k--) {
        for (unsigned n = workload->operations(place->seed, k); n-- > 0;)
            try_without(&place->cut, k, n, still_fails, context);
    }
}
