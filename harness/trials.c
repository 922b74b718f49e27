/* SPDX-License-Identifier: MIT */
#include "harness/trials.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "harness/child.h"
#include "harness/strategy.h"

#define CHILD_SECONDS 10
#define PAGE          ((size_t)4096)
#define PAGES         ((size_t)16)
#define ROUNDS        24
#define DELAYS        64 /* different ones, of SPINS each */
#define SPINS         60
#define YIELD_PERIOD  2000

/* ---- fork */

struct heir {
    tmf_storage *storage;
    tmf_writer *writer; /* of the parent; NULL: none */
};

/* 0: all is refused. */
static int inherit(void *context)
{
    const struct heir *heir = context;
    struct visit reads = {.writes = false};
    struct visit writes = {.writes = true};
    bool refused = visit_begin(heir->storage, &reads, MANNER_TRY) == TMF_EFORKED &&
                   visit_begin(heir->storage, &writes, MANNER_TRY) == TMF_EFORKED &&
                   (!heir->writer || tmf_commit(heir->writer) == TMF_EFORKED) &&
                   tmf_close(heir->storage) == TMF_EFORKED;
    return refused ? 0 : 1;
}

void try_fork_inside(struct board *board, tmf_storage *storage, tmf_writer *writer)
{
    struct heir heir = {storage, writer};
    struct child_end end;
    char how[128];
    int error = child_run(inherit, &heir, CHILD_SECONDS, &end);
    if (error) {
        board_violate(board, "a child does not start: %s", strerror(error));
    } else if (!end.exited || end.code != 0) {
        child_explain(&end, how, sizeof(how));
        board_violate(board, "a child of fork() is not refused what its parent has open: it %s",
                      how);
    }
}

void try_fork(struct board *board, tmf_storage *storage)
{
    struct visit visit = {.writes = true};
    try_fork_inside(board, storage, NULL);
    int error = visit_begin(storage, &visit, MANNER_WAIT);
    if (error) {
        board_violate(board, "after a fork no begin succeeds: %s", tmf_strerror(error));
        return;
    }
    try_fork_inside(board, storage, visit.writer);
    visit_end(&visit);
}

/* ---- two stores */

struct pair {
    volatile unsigned char *pages;
    _Atomic size_t turn; /* so many pages were given free */
    _Atomic size_t done; /* so many the second thread has stored to */
    unsigned round;
};

static void spin(unsigned count)
{
    for (volatile unsigned n = 0; n < count; n++)
        ;
}

/* Long enough that two processors meet; where they do not, the other one has to have its turn. */
static void await(const _Atomic size_t *count, size_t least)
{
    for (unsigned n = 1; atomic_load(count) < least; n++) {
        if (n % YIELD_PERIOD == 0)
            (void)sched_yield();
    }
}

static void *store_second(void *context)
{
    struct pair *pair = context;
    for (size_t n = 0; n < PAGES; n++) {
        await(&pair->turn, n + 1);
        spin((unsigned)((pair->round * PAGES + n) % DELAYS) * SPINS);
        pair->pages[n * PAGE + 1] ^= 0xff;
        atomic_store(&pair->done, n + 1);
    }
    return NULL;
}

static void store_first(struct pair *pair)
{
    for (size_t n = 0; n < PAGES; n++) {
        atomic_store(&pair->turn, n + 1);
        pair->pages[n * PAGE] ^= 0xff;
        await(&pair->done, n + 1);
    }
}

/* Both bytes of every page, for comparison. */
static void note_bytes(const struct pair *pair, unsigned char bytes[2 * PAGES])
{
    for (size_t n = 0; n < PAGES; n++) {
        bytes[2 * n] = pair->pages[n * PAGE];
        bytes[2 * n + 1] = pair->pages[n * PAGE + 1];
    }
}

static bool store_and_roll_back(struct board *board, tmf_writer *writer, struct pair *pair)
{
    pthread_t second;
    unsigned char before[2 * PAGES];
    unsigned char after[2 * PAGES];
    note_bytes(pair, before);
    if (pthread_create(&second, NULL, store_second, pair) != 0) {
        board_violate(board, "a thread does not start");
        return false;
    }
    store_first(pair);
    (void)pthread_join(second, NULL);
    int error = tmf_rollback(writer);
    if (error)
        board_violate(board, "rolling back the stores of two threads failed: %s",
                      tmf_strerror(error));
    note_bytes(pair, after);
    bool same = memcmp(before, after, sizeof(before)) == 0;
    if (!error && !same)
        board_violate(board, "of two threads' first stores to a page one outlives the rollback");
    return !error && same;
}

/* The upper half of the arena, whatever is in it. */
void try_two_stores(struct board *board, const struct workload_place *place, tmf_storage *storage)
{
    struct visit visit = {.writes = true};
    unsigned char *arena = tmf_address(storage);
    if (strategy_must_touch(place->strategy) || !workload_may_roll_back(place) ||
        tmf_size(storage) < 2 * PAGES * PAGE)
        return;
    int error = visit_begin(storage, &visit, MANNER_WAIT);
    if (error) {
        board_violate(board, "beginning to write failed: %s", tmf_strerror(error));
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pair pair = {.pages = arena + tmf_size(storage) - PAGES * PAGE, .round = round};
        if (!store_and_roll_back(board, visit.writer, &pair))
            break;
    }
    visit_end(&visit);
}
