/* SPDX-License-Identifier: MIT */
/*
 * What the transactions are. The YCSB workloads are those of its core package, an operation a
 * transaction: records of ten fields of which an update changes one, keys by a scrambled zipfian
 * distribution with the constant 0.99.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/random.h"
#include "harness/table.h"

#define FIELDS        10
#define ZIPFIAN_SKEW  0.99
#define TELLERS       16
#define HISTORY       64 /* transfers remembered */
#define PAYEES_MAX    3
#define NOTE_SIZE     40 /* bytes */
#define ABSENT        32 /* records, at a time, of `turnover` */
#define TURNS         4  /* erased, and as many inserted, in one of its transactions */
#define NUMBER_SIZE   sizeof(uint64_t)
#define FRACTION_BITS 53

/* ---- ycsb */

/* The sum over n records of 1 / rank^skew, kept for the last n asked for. */
static double zeta(uint64_t n)
{
    static uint64_t summed;
    static double sum;
    if (n != summed) {
        sum = 0;
        for (uint64_t rank = 1; rank <= n; rank++)
            sum += 1 / pow((double)rank, ZIPFIAN_SKEW);
        summed = n;
    }
    return sum;
}

/* Gray and others, "Quickly generating billion-record synthetic databases", 1994. */
static uint64_t zipfian_rank(uint64_t n, uint64_t bits)
{
    double uniform =
        (double)(bits >> (64 - FRACTION_BITS)) / (double)(UINT64_C(1) << FRACTION_BITS);
    double all = zeta(n);
    double two = 1 + pow(0.5, ZIPFIAN_SKEW);
    if (uniform * all < 1)
        return 0;
    if (uniform * all < two)
        return 1;
    double eta = (1 - pow(2 / (double)n, 1 - ZIPFIAN_SKEW)) / (1 - two / all);
    double rank = (double)n * pow(eta * uniform - eta + 1, 1 / (1 - ZIPFIAN_SKEW));
    return rank < (double)n ? (uint64_t)rank : n - 1;
}

/* An operation on one record: one that reads, in `reads` of 100; else `write`, of one field. */
static size_t plan_ycsb(const struct table_work *work, uint64_t k, uint64_t reads, bool read_first,
                        struct table_operation *out)
{
    uint64_t rank = zipfian_rank(work->records, random_bits(work->seed, k, 0));
    size_t field = work->record_size / FIELDS;
    struct table_operation read = {.kind = TABLE_READ, .key = random_mix(rank) % work->records};
    bool writes = random_below(work->seed, k, 1, 100) >= reads;
    size_t count = 0;
    if (!writes || read_first)
        out[count++] = read;
    if (writes) {
        out[count] = read;
        out[count].kind = TABLE_UPDATE;
        out[count].at = random_below(work->seed, k, 2, FIELDS) * field;
        out[count++].size = field;
    }
    return count;
}

static size_t plan_ycsb_a(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    return plan_ycsb(work, k, 50, false, out);
}

static size_t plan_ycsb_b(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    return plan_ycsb(work, k, 95, false, out);
}

static size_t plan_ycsb_f(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    return plan_ycsb(work, k, 50, true, out);
}

/* ---- bank: as the workload of that name in bank.c; tellers, then the history, then accounts */

static struct table_operation add_to(uint64_t key, uint64_t amount)
{
    return (struct table_operation){TABLE_ADD, key, 0, NUMBER_SIZE, amount};
}

static uint64_t draw_account(const struct table_work *work, uint64_t k, uint64_t draw)
{
    uint64_t first = TELLERS + HISTORY;
    return first + random_below(work->seed, k, draw, work->records - first);
}

static size_t plan_bank(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    uint64_t payees = random_below(work->seed, k, 0, PAYEES_MAX) + 1;
    uint64_t amount = random_below(work->seed, k, 1, 100) + 1;
    size_t count = 0;
    out[count++] = add_to(draw_account(work, k, 2), 0 - amount * payees);
    for (uint64_t n = 0; n < payees; n++)
        out[count++] = add_to(draw_account(work, k, 4 + n), amount);
    out[count++] = add_to(random_below(work->seed, k, 3, TELLERS), amount * payees);
    out[count++] = (struct table_operation){
        .kind = TABLE_UPDATE, .key = TELLERS + k % HISTORY, .size = NOTE_SIZE};
    return count;
}

/* ---- pages: as bench/txn_bench.cc, from each K-th part of the table one of some records */

static uint64_t scattered_key(const struct table_work *work, size_t part, uint64_t choice)
{
    uint64_t stride = work->records / work->pages;
    return part * stride + choice * table_pages_step(work);
}

static size_t plan_pages(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    for (size_t part = 0; part < work->pages; part++) {
        uint64_t choice = random_below(work->seed, k, part, TABLE_CHOICES);
        out[part] = (struct table_operation){TABLE_NUMBER, scattered_key(work, part, choice), 0,
                                             NUMBER_SIZE, work->salt + k};
    }
    return work->pages;
}

/* ---- turnover: some records are erased, and some that have been away come back */

static size_t plan_turnover(const struct table_work *work, uint64_t k, struct table_operation *out)
{
    size_t count = 0;
    for (uint64_t turn = (k - 1) * TURNS; turn < k * TURNS; turn++) {
        out[count++] = (struct table_operation){.kind = TABLE_ERASE, .key = turn % work->records};
        if (turn >= ABSENT)
            out[count++] = (struct table_operation){
                .kind = TABLE_INSERT, .key = (turn - ABSENT) % work->records, .number = k};
    }
    return count;
}

static const struct table_workload workloads[] = {
    {"ycsb-a", "a read or an update of one field of a record, half and half, zipfian", plan_ycsb_a},
    {"ycsb-b", "the same with 95 reads of 100", plan_ycsb_b},
    {"ycsb-f", "a read, or a read and an update of the same record, half and half", plan_ycsb_f},
    {"bank", "money moves among two to four accounts; a teller and the history follow", plan_bank},
    {"pages", "a number in each of K records, scattered so that none shares a page", plan_pages},
    {"turnover", "four records are erased and four come back", plan_turnover},
};

const struct table_workload *table_workload_at(size_t n)
{
    return n < sizeof(workloads) / sizeof(workloads[0]) ? &workloads[n] : NULL;
}

const struct table_workload *table_workload_find(const char *name)
{
    size_t n = 0;
    while (table_workload_at(n) && strcmp(workloads[n].name, name) != 0)
        n++;
    return table_workload_at(n);
}

uint64_t table_keys(const struct table_work *work)
{
    return work->records + (work->numbered ? 1 : 0);
}

bool table_plan_writes(const struct table_operation *operations, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        if (operations[n].kind != TABLE_READ)
            return true;
    }
    return false;
}

size_t table_plan(const struct table_work *work, uint64_t k,
                  struct table_operation out[TABLE_OPERATIONS_MAX])
{
    size_t count = work->workload->plan(work, k, out);
    if (work->numbered && table_plan_writes(out, count))
        out[count++] = (struct table_operation){TABLE_NUMBER, work->records, 0, NUMBER_SIZE, k};
    for (size_t n = 0; n < count; n++) {
        if (out[n].kind == TABLE_UPDATE)
            out[n].number = k;
    }
    return count;
}
