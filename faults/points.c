/* SPDX-License-Identifier: MIT */
#include "faults/points.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIU_ENABLE 1
#include <fiu-control.h>
#include <fiu.h>

#include "faults/mutants.h"
#include "txn/io.h"

#define CALL_POINTS(result, name, parameters, arguments)                                           \
    {"io/" #name "/before", "right before the system call " #name},                                \
        {"io/" #name "/after", "right after the system call " #name},

/* POINTS: faults/points_test.cmake compares the names from here on with those in the source. */
static const struct faults_point points[] = {
    {"alloc/create/before-magic", "a new heap is complete but for the magic that makes it one"},
    {"alloc/take/between-pieces",
     "allocation: of what is left of a free block, one piece is indexed"},
    {"alloc/take/before-counters",
     "allocation: the index has changed, the counts of free have not"},
    {"alloc/take/before-map", "allocation: the block is out of the index, not in the block map"},
    {"alloc/take/after-map", "allocation: the block is in the map, the counts of used are old"},
    {"alloc/give/between-neighbours", "free: one neighbour is out of the index, the other is next"},
    {"alloc/give/before-counters", "free: the index has changed, the counts of free have not"},
    {"alloc/free/before-map", "free: the block is in the index and still used in the map"},
    {"alloc/free/after-map", "free: the map knows it, the counts of used are old"},
    {"alloc/resize/before-map", "resize in place: the neighbour has changed, the map has not"},
    {"alloc/resize/between-borders",
     "resize in place: the old block is out of the map, no new one in"},
    {"alloc/resize/after-copy", "resize by moving: the bytes are in both blocks"},
    {"alloc/map/between-borders", "the map knows a block's start but not its end"},
    {"alloc/map/mid-summary", "a chunk of the map counts on one level of its summary, not above"},
    {"alloc/map/before-void", "the last border of a chunk of the map is gone, its bit is not"},
    {"alloc/grow/after-extent", "growth: the map has memory for the new quanta, uncounted"},
    {"alloc/grow/after-end", "growth: the heap ends later, the new bytes are in no block"},
    {"alloc/rb/after-link", "a node hangs in its tree, which is not balanced yet"},
    {"alloc/rb/mid-rotation", "in the middle of a rotation of a tree"},
    {"alloc/rb/after-unlink", "a node is out of its tree, which is not balanced yet"},
    {"alloc/rb/mid-change", "a node was moved: its parent knows, its children do not"},
    {"alloc/twin/between-inserts",
     "a free block is in the tree by size, not in the one by address"},
    {"alloc/twin/between-removes", "a free block is out of the tree by size, still in the other"},
    {"alloc/twin/mid-change", "a free block changes: it is in neither form in the tree by size"},
    {"alloc/btree/mid-change",
     "a free block changes: the tree of sizes may have neither form of it"},
    {"alloc/keytree/mid-deal", "a node of the tree of keys is split: keys are in both halves"},
    {"alloc/keytree/mid-split", "a node of the tree of keys is split, its parent does not know"},
    {"alloc/keytree/mid-join", "two nodes of the tree of keys are one, the other is still there"},
    {"alloc/rb-tags/before-tree", "a free block has its tags and a node, which is in no tree"},
    {"alloc/rb-tags/mid-change", "a free block changes: it is in neither form in the tree"},
    {"alloc/bins/before-tree", "a long free block has its tags and a node, which is in no tree"},
    {"alloc/bins/mid-change", "a free block changes: neither of its lengths is in a row"},
    {"alloc/rows/mid-set", "a row for a length has a bit, that over it does not say so"},
    {"alloc/rows/mid-clear", "a row for a length has become empty, the bit over it is still set"},
    {"alloc/rows/clear-but-header", "a length is gone from the arena, the header still has it"},
    {"alloc/rows/new-level", "growth: a level is new, not all lengths are in it"},
    {"alloc/tlsf/mid-insert", "the list links back to a block that is not yet its first"},
    {"alloc/tlsf/before-bitmaps", "a list has another first block, the bitmaps are as they were"},
    {"alloc/tlsf/mid-remove", "the list does not link back to a block any more, but still forth"},
    {"alloc/tlsf/mid-change", "a free block changes: it is in no list"},
    {"txn/create/log-empty", "creation: the log's file is there and empty"},
    {"txn/create/log-written", "creation: the log is written, not synced"},
    {"txn/create/header-filled", "creation: the arena has a header, and no heap yet"},
    {"txn/create/before-rename", "creation: all is synced under the name PATH.odb.new"},
    {"txn/create/after-rename", "creation: PATH.odb has its name, the folder is not synced"},
    {"txn/grow/file-extended", "growth: the file is longer, the header does not say so"},
    {"txn/grow/header-changed", "growth: the header says the new size, the heap has the old one"},
    {"txn/lock/gate-passed", "a reader holds the gate before the lock, the lock it does not"},
    {"txn/lock/turnstile-taken", "the turnstile before the writer's lock is held, that is not"},
    {"txn/lock/taken", "the lock is held, the log has not been looked at"},
    {"txn/lock/leave", "the lock is about to be let go"},
    {"txn/write/begun", "a write transaction has begun, nothing was stored"},
    {"txn/write/end", "a writer ends, what it did not commit is still there"},
    {"txn/fault/logged", "the old content of a page is in the log, not synced"},
    {"txn/fault/guarded",
     "the page may change (the log is synced, or it is locked), not yet writable"},
    {"txn/commit/begin", "commit: nothing is done yet"},
    {"txn/commit/before-arena-sync", "commit or rollback: the arena is final and not synced"},
    {"txn/commit/before-mark", "commit or rollback: the arena is synced, the log still undoes it"},
    {"txn/commit/after-mark", "commit or rollback: the log has ended the transaction, durably"},
    {"txn/log/extended", "the log's file is longer, for records that are not written yet"},
    {"txn/log/start-written", "the slot that starts the log anew is written, not synced"},
    {"txn/log/start-synced", "the slot that starts the log anew is synced"},
    {"txn/redo/found", "redo commit: the pages are known, nothing is written"},
    {"txn/redo/before-append", "redo commit: the record is built, not written"},
    {"txn/redo/appended", "redo commit: the record is in the log, not synced"},
    {"txn/sync/before", "somebody is about to sync the redo log for all who wait"},
    {"txn/sync/after", "the redo log is synced, nobody was told"},
    {"txn/checkpoint/begin", "checkpoint: alone with the storage, nothing is published"},
    {"txn/publish/run-written", "checkpoint or recovery: another run of the log is in the .odb"},
    {"txn/rollback/begin", "rollback: the log is complete, nothing was put back"},
    {"txn/undo/page-written", "rollback or recovery: a page more was put back"},
    {"txn/recover/begin", "recovery: somebody died in a transaction, nothing is undone yet"},
    {"txn/settle/before-sync", "recovery or checkpoint: the .odb is whole, not synced"},
    {"txn/settle/before-start", "recovery or checkpoint: the .odb is synced, the log still counts"},
    {"txn/none/commit", "strategy none: commit, before its only sync"},
    {"workload/before-number", "every store of a transaction is made, but that of its number"},
    {"workload/bank/between-accounts", "money has left an account and is in no other"},
    {"workload/churn/between-steps", "a block was allocated, freed, resized or filled"},
    {"workload/border/after-read", "the kernel has stored into the arena, the processor has not"},
    TMF_IO_CALLS(CALL_POINTS)};
#define POINT_COUNT (sizeof(points) / sizeof(points[0]))

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "points are hit in signal handlers");

static _Atomic(uint64_t) *hits; /* POINT_COUNT of them, shared with children */
static _Atomic(size_t) deadly_point = POINT_COUNT;
static _Atomic(uint64_t) deadly_hit;
static void (*_Atomic watcher)(size_t n);

/* libfiu's callback. It never lets a point fail: it counts, or it kills. */
static int on_point(const char *name, int *failnum, void **failinfo, unsigned int *flags)
{
    (void)name, (void)failnum, (void)flags;
    size_t n = (size_t)((const struct faults_point *)*failinfo - points);
    uint64_t hit = atomic_fetch_add(&hits[n], 1) + 1;
    if (n == atomic_load(&deadly_point) && hit == atomic_load(&deadly_hit))
        kill(getpid(), SIGKILL);
    void (*watch)(size_t) = atomic_load(&watcher);
    if (watch)
        watch(n);
    return 0;
}

const struct faults_point *faults_point_at(size_t n)
{
    return n < POINT_COUNT ? &points[n] : NULL;
}

size_t faults_point_count(void)
{
    return POINT_COUNT;
}

int faults_points_init(void)
{
    if (fiu_init(0) != 0)
        return ENOMEM;
    size_t size = POINT_COUNT * sizeof(*hits);
    void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    hits = shared;
    for (size_t n = 0; n < POINT_COUNT; n++) {
        void *self = (void *)(uintptr_t)&points[n]; /* libfiu's pointer is not const */
        if (fiu_enable_external(points[n].name, 1, self, 0, on_point) != 0)
            return ENOMEM;
    }
    return faults_mutants_init();
}

int faults_point_find(const char *name, size_t *out)
{
    for (size_t n = 0; n < POINT_COUNT; n++) {
        if (strcmp(points[n].name, name) == 0) {
            *out = n;
            return 0;
        }
    }
    return ENOENT;
}

uint64_t faults_point_hits(size_t n)
{
    return atomic_load(&hits[n]);
}

void faults_points_reset(void)
{
    atomic_store(&deadly_point, POINT_COUNT);
    for (size_t n = 0; n < POINT_COUNT; n++)
        atomic_store(&hits[n], 0);
}

int faults_die_at(const char *name, uint64_t hit)
{
    size_t n;
    if (faults_point_find(name, &n) != 0)
        return ENOENT;
    if (hit == 0)
        return EINVAL;
    atomic_store(&deadly_hit, hit);
    atomic_store(&deadly_point, n);
    return 0;
}

void faults_points_watch(void (*watch)(size_t n))
{
    atomic_store(&watcher, watch);
}
