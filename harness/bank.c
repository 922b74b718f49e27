/* SPDX-License-Identifier: MIT */
/*
 * Money is moved from one account to one, two or three others, as TPC-B does: the accounts, the
 * teller who does it and the history change together, or the sum of all accounts is not what it
 * was. Small stores scattered over some ten pages, no allocation.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alloc/point.h"
#include "harness/random.h"
#include "harness/workload.h"

#define ACCOUNTS        1024
#define TELLERS         16
#define HISTORY         64 /* transfers remembered */
#define PAYEES_MAX      3
#define OPENING_BALANCE 1000
#define PAYEES_DRAW     3 /* of a transfer; those before decide on payer, teller and amount */

struct account {
    int64_t balance;
    uint64_t changed; /* by transaction; 0: never */
    unsigned char note[16];
};

struct teller {
    int64_t moved; /* money in all */
    uint64_t transfers;
};

struct transfer {
    uint64_t number;
    int64_t amount; /* each payee gets it */
    uint32_t payer, teller, payee_count;
    uint32_t payees[PAYEES_MAX];
};

struct books {
    struct account accounts[ACCOUNTS];
    struct teller tellers[TELLERS];
    struct transfer history[HISTORY]; /* transfer k at k % HISTORY */
};

struct bank_root {
    struct workload_root root;
    struct account *accounts;
    struct teller *tellers;
    struct transfer *history;
};

static unsigned bank_operations(uint64_t seed, uint64_t k)
{
    return (unsigned)random_below(seed, k, PAYEES_DRAW, PAYEES_MAX) + 1;
}

/* What transaction k does. */
static struct transfer decide(uint64_t seed, uint64_t k)
{
    struct transfer transfer = {.number = k};
    uint64_t draw = 0;
    transfer.payer = (uint32_t)random_below(seed, k, draw++, ACCOUNTS);
    transfer.teller = (uint32_t)random_below(seed, k, draw++, TELLERS);
    transfer.amount = (int64_t)random_below(seed, k, draw++, 100) + 1;
    unsigned count = bank_operations(seed, k);
    for (unsigned n = 0; n < count; n++) {
        uint32_t payee = (uint32_t)random_below(seed, k, PAYEES_DRAW + 1 + n, ACCOUNTS);
        if (workload_makes(k, n))
            transfer.payees[transfer.payee_count++] = payee;
    }
    return transfer;
}

static int bank_init(tmf_writer *writer, void *root_object, uint64_t seed)
{
    (void)seed;
    struct bank_root *root = root_object;
    root->accounts = tmf_alloc(writer, ACCOUNTS * sizeof(struct account));
    root->tellers = tmf_alloc(writer, TELLERS * sizeof(struct teller));
    root->history = tmf_alloc(writer, HISTORY * sizeof(struct transfer));
    if (!root->accounts || !root->tellers || !root->history)
        return errno;
    memset(root->tellers, 0, TELLERS * sizeof(struct teller));
    memset(root->history, 0, HISTORY * sizeof(struct transfer));
    for (size_t n = 0; n < ACCOUNTS; n++)
        root->accounts[n] = (struct account){.balance = OPENING_BALANCE};
    return 0;
}

static void pay(struct account *account, int64_t amount, uint64_t seed, uint64_t k, uint32_t number)
{
    account->balance += amount;
    account->changed = k;
    fill_pattern(account->note, sizeof(account->note), seed, k, number);
}

static struct account *open_account(struct workload_writer *writer, const struct bank_root *root,
                                    uint32_t number)
{
    return workload_declare(writer, &root->accounts[number], sizeof(struct account));
}

static int bank_apply(struct workload_writer *writer, void *root_object, uint64_t seed, uint64_t k)
{
    struct bank_root *root = root_object;
    struct transfer transfer = decide(seed, k);
    struct teller *teller = &root->tellers[transfer.teller];
    for (uint32_t n = 0; n < transfer.payee_count; n++) {
        uint32_t payee = transfer.payees[n];
        pay(open_account(writer, root, transfer.payer), -transfer.amount, seed, k, transfer.payer);
        TMF_POINT("workload/bank/between-accounts");
        pay(open_account(writer, root, payee), transfer.amount, seed, k, payee);
        workload_declare(writer, teller, sizeof(*teller));
        teller->moved += transfer.amount;
    }
    teller->transfers++;
    struct transfer *entry = &root->history[k % HISTORY];
    workload_declare(writer, entry, sizeof(*entry));
    *entry = transfer;
    return 0;
}

static void bank_model_init(void *model, uint64_t seed)
{
    (void)seed;
    struct books *books = model;
    for (size_t n = 0; n < ACCOUNTS; n++)
        books->accounts[n].balance = OPENING_BALANCE;
}

static void bank_model_apply(void *model, uint64_t seed, uint64_t k)
{
    struct books *books = model;
    struct transfer transfer = decide(seed, k);
    struct teller *teller = &books->tellers[transfer.teller];
    teller->transfers++;
    teller->moved += transfer.amount * transfer.payee_count;
    if (transfer.payee_count > 0)
        pay(&books->accounts[transfer.payer], -transfer.amount * transfer.payee_count, seed, k,
            transfer.payer);
    for (uint32_t n = 0; n < transfer.payee_count; n++)
        pay(&books->accounts[transfer.payees[n]], transfer.amount, seed, k, transfer.payees[n]);
    books->history[k % HISTORY] = transfer;
}

static size_t bank_blocks(const void *root_object, struct block out[WORKLOAD_BLOCKS_MAX])
{
    const struct bank_root *root = root_object;
    out[0] = (struct block){root->accounts, ACCOUNTS * sizeof(struct account)};
    out[1] = (struct block){root->tellers, TELLERS * sizeof(struct teller)};
    out[2] = (struct block){root->history, HISTORY * sizeof(struct transfer)};
    return 3;
}

static bool account_equal(size_t n, const struct account *is, const struct account *must,
                          int64_t sum, struct difference *out)
{
    char what[64];
    snprintf(what, sizeof(what), "note of account %zu", n);
    if (is->balance == must->balance && is->changed == must->changed)
        return bytes_equal(is->note, must->note, sizeof(must->note), out, what);
    return differs(
        out,
        "account %zu: balance %" PRId64 " since transaction %" PRIu64 ", must be %" PRId64
        " since %" PRIu64 "; the sum of all is %" PRId64 ", must be %d",
        n, is->balance, is->changed, must->balance, must->changed, sum, ACCOUNTS * OPENING_BALANCE);
}

static bool accounts_equal(const struct account *is, const struct account *must,
                           struct difference *out)
{
    uint64_t sum = 0;        /* of damaged balances it may wrap */
    size_t first = ACCOUNTS; /* that differs */
    for (size_t n = ACCOUNTS; n-- > 0;) {
        sum += (uint64_t)is[n].balance;
        if (memcmp(&is[n], &must[n], sizeof(is[n])) != 0)
            first = n;
    }
    return first == ACCOUNTS || account_equal(first, &is[first], &must[first], (int64_t)sum, out);
}

static bool tellers_equal(const struct teller *is, const struct teller *must,
                          struct difference *out)
{
    for (size_t n = 0; n < TELLERS; n++) {
        if (is[n].moved != must[n].moved || is[n].transfers != must[n].transfers)
            return differs(out,
                           "teller %zu: moved %" PRId64 " in %" PRIu64
                           " transfers, must be %" PRId64 " in %" PRIu64,
                           n, is[n].moved, is[n].transfers, must[n].moved, must[n].transfers);
    }
    return true;
}

static bool bank_equal(const void *model, const struct view *view, struct difference *out)
{
    const struct books *books = model;
    const struct bank_root *root = view->root;
    if (!view_holds(view, root->accounts, sizeof(books->accounts)) ||
        !view_holds(view, root->tellers, sizeof(books->tellers)) ||
        !view_holds(view, root->history, sizeof(books->history)))
        return differs(out, "a pointer of the root leads out of the arena");
    return accounts_equal(root->accounts, books->accounts, out) &&
           tellers_equal(root->tellers, books->tellers, out) &&
           bytes_equal(root->history, books->history, sizeof(books->history), out, "history");
}

const struct workload workload_bank = {
    .name = "bank",
    .about = "transfers between accounts, TPC-B style; the sum never changes",
    .root_size = sizeof(struct bank_root),
    .arena_size = (size_t)256 << 10,
    .model_size = sizeof(struct books),
    .init = bank_init,
    .apply = bank_apply,
    .operations = bank_operations,
    .model_init = bank_model_init,
    .model_apply = bank_model_apply,
    .blocks = bank_blocks,
    .equal = bank_equal,
};
