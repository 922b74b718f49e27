/* SPDX-License-Identifier: MIT */
#include "faults/mutants.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIU_ENABLE 1
#include <fiu-control.h>

#include "alloc/point.h"

/* Schedules of processes with more than one thread each, as the lock of a process needs them. */
#define THREADED                                                                                   \
    "--workload border --schedules 500 --processes 5 --readers 0.4 --threads 4 --visits 5 "        \
    "--depth 6 --strategy "

/* Lives of two processes, of which one dies at a point, come by what one alone never does. */
#define TOGETHER                                                                                   \
    "--strategy redo-segv --workload bank --depth 1 --images 4 --cases 100000 --processes 2 "      \
    "--schedules 100 --dies-before "

/* MUTANTS: faults/points_test.cmake compares the names from here on with those in the source. */
static const struct faults_mutant mutants[] = {
    /* The heap, whatever its index. */
    {"empty-block-refused", "a request for no bytes is refused (flaw D16)", "model",
     "--workload random", NULL},
    {"free-unproven", "a free of what is no block is believed (flaw D16)", "model",
     "--workload random", NULL},
    {"below-not-joined", "a block that is freed is not joined with the free one below", "model",
     "--workload random", NULL},
    {"above-not-joined", "a block that is freed is not joined with the free one above", "model",
     "--workload random", NULL},
    {"joined-not-removed", "of two free neighbours that are joined one stays in the index", "model",
     "--workload random", NULL},
    {"remainder-lost", "what is left behind an aligned block is lost", "model", "--workload random",
     NULL},
    {"free-miscounted", "an allocation takes the whole free run off the count of free quanta",
     "model", "--workload random", NULL},
    {"next-larger-taken", "a run that fits exactly is passed over for a larger one", "model",
     "--workload random", NULL},
    {"higher-of-equals-taken", "of runs of one size one that is not the lowest is taken", "model",
     "--workload equal", NULL},
    {"alignment-overruns", "an aligned block may end behind the run that it is taken from", "model",
     "--workload random", NULL},
    {"alignment-ignored", "an alignment above the quantum is ignored (flaw D16)", "model",
     "--workload random", NULL},
    {"freed-not-unmarked", "a block that is freed keeps its borders in the map", "model",
     "--workload random", NULL},
    {"freed-not-counted", "a block that is freed is still counted", "model", "--workload random",
     NULL},
    {"shrunk-tail-lost", "what a block that shrinks gives up is lost", "model", "--workload random",
     NULL},
    {"grown-by-one-too-many", "a block grows in place into one quantum that is not free", "model",
     "--workload random", NULL},
    {"new-size-copied", "a block that moves is copied with its new size (flaw D16)", "model",
     "--workload random", NULL},

    /* The block map. */
    {"map-pages-unmarked", "pages that the map takes when the arena grows are not marked", "model",
     "--workload random", NULL},
    {"summary-not-cleared", "the map's summary goes on to promise a border where there is none",
     "model", "--workload random", NULL},
    {"void-chunk-not-filled", "a chunk of the map that was void is taken as it is", "model",
     "--workload far",
     "it became void when it held nothing but zeroes; only damage puts something else there, which "
     "is corrupt_test's business"},
    {"border-off-by-one", "a block's end is marked a quantum too low", "model", "--workload random",
     NULL},
    {"end-in-first-chunk", "an end is marked in the chunk of the map where its block begins",
     "model", "--workload far", NULL},
    {"summary-one-level", "only the lowest level of the map's summary learns of a border", "model",
     "--workload far", NULL},
    {"run-across-cells-unseen", "a free run that leaves its cell of the map is not found", "model",
     "--index btree --workload random", NULL},

    /* Indexes. */
    {"rotation-forgets-parent", "a rotation leaves the parent of the inner child as it was",
     "model", "--index rb-twin --quantum 64", NULL},
    {"insert-not-balanced", "a red-black tree is not balanced after an insertion", "model",
     "--index rb-twin --quantum 64", NULL},
    {"remove-not-balanced", "a red-black tree is not balanced after a removal", "model",
     "--index rb-twin --quantum 64", NULL},
    {"left-in-address-tree", "a block that was taken stays in the tree by address", "model",
     "--index rb-twin --quantum 64", NULL},
    {"end-tag-not-written", "a free block does not have its length at its end", "model",
     "--index rb-tags", NULL},
    {"shared-bit-cleared", "a length's bit goes though the segment has another run of it", "model",
     "--index bins", NULL},
    {"gap-before-block", "two blocks next to each other are taken for a gap between them", "model",
     "--index bins", NULL},
    {"stale-row-believed", "a row that did not count is taken as it is", "model", "--index bins",
     "it ceased to count when it held nothing but zeroes; only damage puts something else there, "
     "which is bins_test's business"},
    {"new-level-empty", "a level that growth adds to the rows knows nothing of what is there",
     "model", "--index bins --workload growth,far", NULL},
    {"shared-key-removed", "a size's key goes though its cell has another run of it", "model",
     "--index btree", NULL},
    {"split-loses-key", "a node that is split loses a key", "model",
     "--index btree --quantum 16 --workload random", NULL},
    {"node-taken-twice", "a free node of the tree is handed out twice", "model",
     "--index btree --workload sawtooth,checkerboard,random", NULL},
    {"class-rounded-down", "good fit looks in a class whose runs may be too short", "model",
     "--index tlsf", NULL},
    {"power-bit-left", "the first level's bit stays when its last class is empty", "model",
     "--index tlsf", NULL},

    /* The undo log, and strategies that undo. */
    {"record-of-earlier-undone", "records of earlier transactions are undone too", "kill",
     "--strategy undo-fsync", NULL},
    {"position-unchecked", "an undo record is believed at any place", "kill",
     "--strategy undo-fsync",
     "a record is only ever written at its own place, so the place is proven by the checksum "
     "already"},
    {"head-checksum-unchecked", "the head of an undo record is believed without its checksum",
     "kill", "--strategy undo-fsync", NULL},
    {"image-checksum-unchecked", "an undo record's page is believed without its checksum (flaw D3)",
     "power", "--strategy undo-fsync", NULL},
    {"undoes-one-too-few", "rollback and recovery put back one page too few", "kill",
     "--strategy undo-fsync", NULL},
    {"undo-log-unsynced", "a page becomes writable before the log that can undo it is synced",
     "power", "--strategy undo-fsync", NULL},
    {"opened-before-logged", "a page becomes writable before it is copied (flaw D5)", "threads",
     "--strategy undo-fsync", NULL},
    {"odd-page-unlogged", "pages of odd numbers are not logged", "kill", "--strategy undo-fsync",
     NULL},
    {"commit-unmarked", "a commit syncs the arena and leaves the log in force", "kill",
     "--strategy undo-fsync", NULL},
    {"marked-before-synced", "the log is started over before the arena is synced", "power",
     "--strategy undo-fsync", NULL},
    {"left-writable", "pages stay writable after the commit", "kill", "--strategy undo-fsync",
     NULL},
    {"page-not-locked", "undo-mlock does not lock its pages", "power", "--strategy undo-mlock",
     "a lock keeps a page from being evicted and not from being written back (flaw D2), so the "
     "image that a power cut leaves is the same"},
    {"unlogged-page", "a page becomes writable though the log has no room for it", "error",
     "--strategy undo-fsync --call pwrite", NULL},

    /* Recovery. */
    {"arena-unsynced", "a commit that undoes does not sync the arena", "power",
     "--strategy undo-fsync", NULL},
    {"arena-sync-ignored", "a commit that undoes takes a failed sync of the arena for a good one",
     "error", "--strategy undo-fsync --call fdatasync --transactions 1", NULL},
    {"failed-sync-repeated", "a failed sync is made again, and believed when it succeeds (flaw D7)",
     "error", "--strategy undo-fsync --call fdatasync --transactions 1", NULL},
    {"published-before-log-synced", "records reach the .odb that are not durable in the log",
     "power", "--strategy redo-segv --durability group --workload churn --transactions 6", NULL},
    {"log-started-before-settled", "the log is started over before what it tells is in the arena",
     "kill", "--strategy undo-fsync", NULL},
    {"settled-unsynced", "the log is started over before the arena is synced (flaw D1)", "power",
     "--strategy redo-segv", NULL},
    {"settled-log-kept", "the log goes on to tell what was settled", "kill",
     "--strategy undo-fsync", NULL},
    {"poison-never-healed", "opening a storage does not heal its poison", "error",
     "--strategy redo-segv --call fdatasync", NULL},
    {"not-poisoned", "a failed sync is reported, and the storage goes on", "error",
     "--strategy redo-segv --call fdatasync", NULL},
    {"poison-not-told", "a failed sync is known to the process that made it, and to no other",
     "error", "--strategy redo-segv --call fdatasync", NULL},
    {"poison-of-others-ignored", "a failed sync of another process is ignored", "error",
     "--strategy redo-segv --call fdatasync", NULL},
    {"growth-not-followed",
     "an arena that another process has made larger is not followed (flaw D15)", "procs",
     "--strategy undo-fsync", NULL},
    {"dead-holder-missed", "what a lock holder left that died is not recovered", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"recovery-waits-in-turn",
     "a reader that finds what the dead have left waits for writers who are to recover it", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 12", NULL},
    {"dead-taken-for-quiet", "a reader does not see that a writer died since the last one", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"poison-taken-for-quiet", "a reader does not see that another's sync has failed", "error",
     "--strategy redo-segv --call fdatasync", NULL},
    {"writer-let-in-too-early",
     "writers may enter before a reader that recovered shares its lock again (flaw D26)", "procs",
     "--strategy undo-fsync",
     "the log is looked at once more after the lock is shared, so what such a writer has left is "
     "recovered too"},
    {"commits-of-others-unseen", "a log that another process has started over is not noticed",
     "procs", "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6",
     NULL},

    /* The redo log, and strategies that write ahead. */
    {"committed-not-remembered",
     "what is committed is not remembered for the next comparison and rollback", "kill",
     "--strategy redo-segv", NULL},
    {"last-page-not-logged", "a transaction's last page is not logged", "kill",
     "--strategy redo-segv", NULL},
    {"append-error-swallowed", "a record that could not be written is taken for written", "error",
     "--strategy redo-segv --call pwrite", NULL},
    {"rollback-forgets-page", "a rollback forgets a page", "kill", "--strategy redo-segv", NULL},
    {"last-word-not-compared", "of 64 bytes the last word is not compared", "kill",
     "--strategy redo-segv", NULL},
    {"run-cut-short", "a run of changed bytes is cut short by a word", "kill",
     "--strategy redo-segv", NULL},
    {"stale-record-believed", "any whole record is believed, of whatever turn, number and chain",
     "kill", "--strategy redo-segv --transactions 12", NULL},
    {"turn-unchecked", "a record of an earlier turn of the log is believed", "kill",
     "--strategy redo-segv",
     "no number is used in two turns, and the chain of checksums is checked: see "
     "stale-record-believed"},
    {"record-checksum-unchecked", "a record's head is believed without its checksum", "power",
     "--strategy redo-segv",
     "it lies in one sector, which a disk writes whole; only damage changes it, which is "
     "damaged_log_test's business"},
    {"sequence-unchecked", "a record of any number is believed", "kill", "--strategy redo-segv",
     "the first of a turn is the only one without a predecessor, and all others continue theirs: "
     "see stale-record-believed"},
    {"chain-unchecked", "a record is believed that does not continue the one before", "power",
     "--strategy redo-segv --durability group",
     "who finds records behind the end of the log starts a new turn before anything is appended, "
     "so that none of them is of the turn that goes on"},
    {"runs-checksum-unchecked", "a torn record is believed (flaw D3)", "power",
     "--strategy redo-segv --workload border", NULL},
    {"run-published-short", "a run is published short by a word", "kill", "--strategy redo-segv",
     NULL},
    {"next-record-too-low", "a record overwrites the last sector of the one before", "kill",
     "--strategy redo-segv --workload border", NULL},
    {"stale-copy-kept", "a page without a shadow keeps its private copy when it is rolled back",
     "kill", "--strategy redo-segv", NULL},
    {"caught-up-not-remembered", "what others have committed is shown and not remembered", "procs",
     "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"slot-taken-for-durable", "a slot that another process has written is taken for durable",
     "power", TOGETHER "txn/log/start-written", NULL},
    {"taken-over-taken-for-durable", "a record of another process is taken for durable", "power",
     TOGETHER "txn/sync/before", NULL},
    {"page-border-missed", "of a run that crosses pages the last byte of a page is not applied",
     "procs", "--strategy redo-segv --workload border", NULL},
    {"missed-checkpoint-ignored", "stale private pages are kept after a checkpoint that was missed",
     "procs", "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6",
     NULL},
    {"record-skipped", "one in four records of others is skipped", "procs",
     "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"checkpoint-beside-readers", "a checkpoint does not wait for the readers", "procs",
     "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"left-open-after-commit", "pages are not protected again after a commit", "kill",
     "--strategy redo-segv", NULL},
    {"last-page-not-scanned", "the last page of a stretch is not scanned", "kill",
     "--strategy redo-scan", NULL},
    {"interrupted-scan", "a scan that a signal interrupts fails", "error",
     "--strategy redo-wp --call scan", NULL},
    {"never-scanned", "page faults are not noticed, so pages are not scanned for", "kill",
     "--strategy redo-wp", NULL},
    {"own-faults-not-counted", "our own page faults are taken for those of the program", "kill",
     "--strategy redo-wp", "a find then scans more often than it must: slower, never wrong"},
    {"segment-ends-early", "the last page of a segment is left out", "kill", "--strategy redo-wp",
     NULL},

    /* The log's file, and syncs of it. */
    {"commit-log-unsynced", "a commit is acknowledged before the log is synced", "power",
     "--strategy redo-segv", NULL},
    {"log-sync-ignored", "a commit takes a failed sync of the redo log for a good one", "error",
     "--strategy redo-segv --call fdatasync", NULL},
    {"follower-not-woken", "who waits for a sync of another thread is not woken", "threads",
     "--strategy redo-segv --durability group --writers 8 --readers 0", NULL},
    {"slot-overwritten", "a new slot is written over the one in force", "power",
     "--strategy undo-fsync",
     "each of its two sectors is written whole, so one copy holds at any time; the other slot "
     "guards against damage"},
    {"slot-checksum-unchecked", "a slot is believed without its checksum", "power",
     "--strategy undo-fsync",
     "it lies in one sector, which a disk writes whole; only damage changes it, which is "
     "damaged_log_test's business"},
    {"lost-slot-passed-over", "of a log one of whose slots is lost, the other is believed", "error",
     "--strategy undo-fsync", NULL},
    {"new-log-unsynced", "a new log is not synced before the storage gets its name", "power",
     "--strategy redo-segv", NULL},
    {"half-made-refused", "a log that a creation left half made is in the way (flaw D22)", "kill",
     "--strategy undo-fsync", NULL},
    {"slot-unsynced", "a commit is acknowledged before the slot that makes it is synced", "power",
     "--strategy undo-fsync", NULL},
    {"log-not-extended", "a log that is full is not made longer ahead of its use", "kill",
     "--strategy undo-fsync",
     "a write behind its end makes it longer too; that costs the file system a commit of its "
     "journal, and the sync of the record makes the size durable"},
    {"ticket-not-waited-for", "a ticket is durable as soon as it is asked for", "power",
     "--strategy redo-segv --durability group", NULL},

    /* Creation, opening and growth. */
    {"log-name-unsynced", "the folder is not synced after the log is made (flaw D4)", "power",
     "--strategy redo-segv", NULL},
    {"renamed-unsynced", "a new storage gets its name before its content is durable", "power",
     "--strategy redo-segv", NULL},
    {"odb-name-unsynced", "the folder is not synced after a storage got its name (flaw D4)",
     "power", "--strategy redo-segv", NULL},
    {"name-taken-for-durable",
     "who opens a storage takes its name for durable, though its creator died before", "power",
     TOGETHER "txn/create/after-rename", NULL},
    {"failed-creation-left", "a creation that fails leaves its log behind", "kill",
     "--strategy redo-segv", NULL},
    {"made-without-room", "a storage is created whose pages had no room", "error",
     "--strategy redo-segv --call room", NULL},
    {"growth-unsynced", "the larger size is not durable before the log names its pages", "power",
     "--strategy redo-segv", NULL},
    {"room-taken-for-durable",
     "a file that is long enough already is taken for one whose size is durable", "power",
     TOGETHER "txn/grow/file-extended", NULL},
    {"growth-of-others-unsynced", "who asks for a size that is there does not make it durable",
     "power", TOGETHER "txn/sync/before", NULL},
    {"grown-header-unsealed", "the header of an arena that grew keeps its old checksum", "kill",
     "--strategy redo-segv", NULL},
    {"growth-not-committed", "an arena grows without a commit", "kill", "--strategy redo-segv",
     NULL},
    {"torn-header-refused", "a header that a checkpoint was writing is refused at once", "kill",
     "--strategy redo-segv", NULL},
    {"closed-in-use", "a storage may be closed while threads are inside", "threads",
     "--strategy redo-segv", NULL},

    /* Transactions. */
    {"doom-not-told", "a commit returns success though a store could not be made", "error",
     "--strategy undo-fsync", NULL},
    {"failed-step-not-doomed", "after a commit that failed stores may reach the file", "error",
     "--strategy redo-segv --call pwrite", NULL},
    {"left-undone-forgotten", "a rollback that failed is not made up for", "error",
     "--strategy undo-fsync --call pwrite --transactions 1 --cases 4000", NULL},
    {"lock-kept-at-the-end", "who ends a transaction that cannot be rolled back keeps the lock",
     "error", "--strategy undo-fsync --call pwrite", NULL},
    {"owner-unchecked", "any thread may commit what another has begun", "threads",
     "--strategy redo-segv", NULL},
    {"unlocked-before-ended", "the lock is given back before the transaction is ended", "threads",
     "--strategy undo-fsync --schedules 200 --readers 1 --writers 3 --visits 4", NULL},
    {"last-page-not-touched", "tmf_touch() forgets the last page", "kill",
     "--strategy redo-declared --workload border", NULL},

    /* Locks. */
    {"lock-kept-after-error", "a begin that fails keeps the lock of the process", "error",
     "--strategy redo-segv --call pread", NULL},
    {"second-begin-unseen", "a second begin of the same thread is let through (flaw D21)",
     "threads", "--strategy redo-segv --schedules 20", NULL},
    {"time-out-ignored", "a begin with a time-out waits for ever", "threads",
     "--strategy redo-segv --schedules 20", NULL},
    {"reader-beside-writer", "a reader enters beside a writer", "threads",
     "--strategy undo-fsync --schedules 20", NULL},
    {"newcomer-sees-old", "a reader joins others that see less than was committed", "procs",
     THREADED "redo-segv", NULL},
    {"readers-never-drain", "readers that overlap each other do not look whether a writer waits",
     "procs", THREADED "undo-fsync", NULL},
    {"writer-beside-readers", "a writer enters beside readers", "threads",
     "--strategy undo-fsync --schedules 20", NULL},
    {"reader-not-counted", "a reader is not counted", "threads",
     "--strategy undo-fsync --schedules 20", NULL},
    {"last-but-one-unlocks", "the last reader but one gives the lock of the process back", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"waiter-not-woken", "nobody is woken when a lock is given back", "threads",
     "--strategy undo-fsync --schedules 20", NULL},
    {"entering-unseen", "a writer does not see that another thread is on its way in", "threads",
     "--strategy undo-fsync --schedules 200", NULL},
    {"sleeps-unlooked", "a reader that let go of the mutex sleeps without looking again", "threads",
     "--strategy redo-segv --schedules 1000 --readers 2 --writers 1 --visits 1", NULL},
    {"leaving-untold", "the last reader leaves and wakes nobody", "threads",
     "--strategy undo-fsync --schedules 50", NULL},
    {"reader-count", "a writer takes one reader inside for none", "threads",
     "--strategy undo-fsync --schedules 20", NULL},
    {"interrupted-lock", "waiting for a lock that a signal interrupts fails (flaw D19)", "error",
     "--strategy undo-fsync --call flock", NULL},
    {"main-lock-not-taken", "readers and writers of different processes are not kept apart",
     "procs", "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6",
     NULL},
    {"gate-not-passed", "a reader that is told of a waiting writer goes before it", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"unlocked-before-published", "a checkpoint lets readers in before it is made", "procs",
     "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"gate-not-given-back", "a process keeps the gate", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"notice-not-put-up", "a writer that waits at the gate tells nobody", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"phase-not-changed", "a writer closes the gate for those that it waits for", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"room-not-looked-at", "a writer goes before readers that wait, as often as it comes", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"room-not-left", "a process that waited to read keeps writers out for ever", "procs",
     "--strategy undo-fsync --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"waiting-threads-forgotten",
     "a process gives its locks back and stays in no room for its threads that wait", "procs",
     THREADED "undo-fsync", NULL},
    {"empty-room-kept", "a process whose threads have given up stays in their room", "procs",
     THREADED "undo-fsync", NULL},
    {"companions-not-admitted", "who came while another one entered is no part of its generation",
     "procs", THREADED "undo-fsync", NULL},
    {"drained-not-admitted", "who waited for readers to leave goes after those who come later",
     "procs", THREADED "undo-fsync", NULL},
    {"admitted-admit",
     "readers admit each other, and a writer of their process waits for all of them", "procs",
     "--strategy redo-segv --workload border --schedules 500 --processes 3 --readers 0.1 "
     "--threads 6 --visits 8 --depth 6",
     NULL},
    {"admitted-drain", "who is admitted waits for readers to leave as one that comes later does",
     "procs", THREADED "undo-fsync", NULL},
    {"handed-though-wanted", "readers hand on what a writer of another process waits for", "procs",
     THREADED "undo-fsync", NULL},
    {"writer-lock-not-taken", "writers of different processes are not kept apart", "procs",
     "--strategy redo-segv --workload border --schedules 200 --processes 4 --visits 6", NULL},
    {"fork-not-noticed", "a child goes on with what its parent has open", "threads",
     "--strategy redo-segv", NULL},
    {"lock-inherited", "a child keeps the lock of its parent, which may die (flaw D20)", "procs",
     THREADED "undo-fsync", NULL},

    /* Calls that fail or come short. */
    {"short-write", "a short write is taken for a whole one (flaw D12)", "error",
     "--strategy undo-fsync --call pwrite", NULL},
    {"second-part-misplaced",
     "the second part of a short read comes where the first did (flaw D14)", "error",
     "--strategy undo-fsync --call pread", NULL},
    {"interrupted-read", "a read that a signal interrupts fails", "error",
     "--strategy undo-fsync --call pread", NULL},
    {"folder-left-open", "a folder that cannot be synced is not closed", "error",
     "--strategy undo-fsync --call fsync", NULL},
    {"full-disk-tried-for-ever", "a full disk is taken for one with room (flaw D11)", "error",
     "--strategy undo-fsync --call room", NULL},
    {"doomed-page-not-copied", "where the arena is no private copy, neither is the page stored to",
     "error", "--strategy redo-segv --call mprotect", NULL},
    {"protection-error-swallowed", "a change of protection that fails is taken for made (flaw D6)",
     "error", "--strategy undo-fsync --call mprotect", NULL},
};
#define MUTANT_COUNT (sizeof(mutants) / sizeof(mutants[0]))

const struct faults_mutant *faults_mutant_at(size_t n)
{
    return n < MUTANT_COUNT ? &mutants[n] : NULL;
}

const struct faults_mutant *faults_mutant_find(const char *name)
{
    for (size_t n = 0; n < MUTANT_COUNT; n++) {
        if (strcmp(mutants[n].name, name) == 0)
            return &mutants[n];
    }
    return NULL;
}

static _Atomic(const struct faults_mutant *) awake;

/* libfiu's callback. */
static int is_awake(const char *name, int *failnum, void **failinfo, unsigned int *flags)
{
    (void)name, (void)failnum, (void)flags;
    return atomic_load(&awake) == *failinfo;
}

int faults_mutants_init(void)
{
    static bool done;
    if (done)
        return 0;
    if (fiu_init(0) != 0)
        return ENOMEM;
    for (size_t n = 0; n < MUTANT_COUNT; n++) {
        char name[64];
        void *self = (void *)(uintptr_t)&mutants[n]; /* libfiu's pointer is not const */
        (void)snprintf(name, sizeof(name), "mutant/%s", mutants[n].name);
        if (fiu_enable_external(name, 1, self, 0, is_awake) != 0)
            return ENOMEM;
    }
    done = true;
    return 0;
}

void faults_mutant_wake(const struct faults_mutant *mutant)
{
    atomic_store(&awake, mutant);
    tmf_mutant_is_awake = true;
}
