/* SPDX-License-Identifier: MIT */
/*
 * tmfalloc: a file mapped into memory at a fixed address, changed all or nothing.
 *
 * Conventions, for every function below unless it says otherwise:
 *  - It returns 0 or an error: a positive errno of the system or a negative TMF_E... of ours.
 *    tmf_strerror() gives the sentence, tmf_explain() what was being done to what when the last
 *    call of this thread failed. Outputs come last and are set only on success.
 *  - Nothing prints, exits or aborts because of what a file contains.
 *  - A storage may be used by any number of threads; a reader or writer only by the thread that
 *    began it (others get TMF_ENOTOWNER), though any thread may store into the arena on behalf
 *    of the writer while its transaction runs.
 *  - One thread holds at most one reader or writer of a storage: a second begin is EDEADLK.
 *  - After fork() the child may use nothing opened by the parent (TMF_EFORKED; the arena is not
 *    mapped there, and no lock is inherited); it opens the storage again.
 *  - Pointers into the arena are ordinary pointers and stay valid from run to run.
 *  - Sizes are bytes. Functions that end or close accept NULL.
 *
 * Signals: the first tmf_open() installs handlers for SIGSEGV and SIGBUS, which hand on whatever is
 * not a store into an arena to the handlers that were there before. A program that puts handlers of
 * its own in their place afterwards must hand on to them what is not its own, or every first store
 * to a page is taken for a crash. A handler of the program for an asynchronous signal must not
 * store into an arena.
 */
#ifndef TMF_H
#define TMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tmf_errors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmf_storage tmf_storage; /* one open file pair PATH.odb + PATH.log */
typedef struct tmf_reader tmf_reader;   /* a shared view */
typedef struct tmf_writer tmf_writer;   /* the exclusive view */

/* What a returned commit survives. */
typedef enum tmf_durability {
    TMF_DURABILITY_DEFAULT, /* sync */
    TMF_DURABILITY_SYNC,    /* power loss */
    TMF_DURABILITY_GROUP,   /* power loss, once tmf_wait() for its ticket, or tmf_commit(), returned
                             */
    TMF_DURABILITY_PROCESS  /* the death of the process; after power loss nothing is promised */
} tmf_durability;

/*
 * How to open. All zeroes opens what exists, as it is stored. What is stored in the file and given
 * here too must agree.
 */
enum {
    /*
     * The process keeps all others out from open to close; begin and end make no system call.
     */
    TMF_EXCLUSIVE = 1,
    /*
     * Strategies redo-wp and redo-scan: system calls, as read(2), may store anywhere in the arena
     * during a write transaction, without tmf_touch(). A commit then looks at every resident page.
     */
    TMF_SYSCALLS = 2
};

typedef struct tmf_options {
    void *address;    /* where the arena is mapped; NULL: as stored, else chosen by us */
    size_t size;      /* of the arena; 0: as stored; larger: it grows; rounded up to 4096 */
    uint64_t magic;   /* the application's schema number; 0: whatever is stored */
    size_t root_size; /* of the root object; 0: as stored */
    /*
     * Fills the root object (zeroed before) of a new storage; may allocate through `writer`, not
     * commit or roll back. An error it returns abandons the creation and is tmf_open's own.
     */
    int (*root_init)(tmf_writer *writer, void *root, void *context);
    void *root_context;
    const char *strategy; /* how transactions are made, see tmf_strategy_name(); NULL: default */
    tmf_durability durability;
    size_t quantum;    /* allocation quantum of a new storage; 0: as stored, or the default */
    const char *index; /* free-space index of a new storage; NULL: as stored, or the default */
    size_t log_size; /* log bytes kept between transactions, never fewer than before; 0: as before,
                        in a new storage an eighth of its size, 1 MiB at least and 16 at most */
    size_t private_size; /* bytes of private page copies kept between transactions; 0: 256 MiB */
    unsigned flags;      /* TMF_EXCLUSIVE, TMF_SYSCALLS */
} tmf_options;

/*
 * Opens PATH.odb and PATH.log, creating them where neither exists and options->size is not 0, and
 * recovers what a process that died left behind. Waits for a writer of another process.
 * ENOENT: nothing there and no size given, or one file of the pair is missing; EBUSY: this process
 * has it open already; TMF_EWRONGADDRESS: something else is mapped there; EINVAL: an option out of
 * range, or other than what is stored; TMF_EWRONG..., TMF_ECORRUPT: the files are not what was
 * asked for, and are left as they were; TMF_ENOTSUPPORTED: the durability is not to be had here.
 */
int tmf_open(const char *path, const tmf_options *options, tmf_storage **out);

/* EBUSY: readers or writers are alive; nothing was closed. */
int tmf_close(tmf_storage *storage);

void *tmf_address(const tmf_storage *storage); /* of the arena's first byte */
size_t tmf_size(const tmf_storage *storage);   /* of the arena */

/*
 * Begins reading: waits for the writer to end; with a redo strategy a writer of another process
 * only while it makes a checkpoint. What others have committed is seen, all of it, also where their
 * sync is still under way: a view is no promise of durability, a commit that returned is. _try:
 * EBUSY at once instead of waiting; _timed: ETIMEDOUT after timeout_ns nanoseconds. The view does
 * not change until tmf_read_end(). EDEADLK, TMF_EFORKED, TMF_EPOISONED, ENOLCK and what recovery
 * may return.
 */
int tmf_read_begin(tmf_storage *storage, tmf_reader **out);
int tmf_read_begin_try(tmf_storage *storage, tmf_reader **out);
int tmf_read_begin_timed(tmf_storage *storage, uint64_t timeout_ns, tmf_reader **out);
const void *tmf_reader_root(const tmf_reader *reader);
void tmf_read_end(tmf_reader *reader);

/* Begins writing: waits for every reader and writer of all processes to end. Errors as above. */
int tmf_write_begin(tmf_storage *storage, tmf_writer **out);
int tmf_write_begin_try(tmf_storage *storage, tmf_writer **out);
int tmf_write_begin_timed(tmf_storage *storage, uint64_t timeout_ns, tmf_writer **out);
void *tmf_writer_root(tmf_writer *writer);

/*
 * Makes what was stored since the last begin, commit or rollback permanent; the next transaction
 * starts, the lock is kept. An error means it is not acknowledged: where the system failed before
 * the commit began (a full disk, no memory) the transaction can only be rolled back, and the
 * storage goes on; after a failed sync (TMF_EPOISONED from then on) reopening decides.
 */
int tmf_commit(tmf_writer *writer);

/*
 * tmf_commit() that does not wait for the medium where the durability is group: tmf_wait() does,
 * from any thread, with the writer ended or not. One sync serves all that wait at a time; tickets
 * become durable in order. With another durability, or a strategy that undoes, the commit is as
 * durable as it gets when it returns. What is not durable yet is seen by all who begin.
 */
int tmf_commit_nowait(tmf_writer *writer, uint64_t *ticket);

/* Returns once the commit is durable. TMF_EPOISONED, or the error of the sync; EINVAL: no ticket.
 */
int tmf_wait(tmf_storage *storage, uint64_t ticket);

/* Undoes the same. The next transaction starts, the lock is kept. */
int tmf_rollback(tmf_writer *writer);

/* Rolls back what is not committed and lets go of the lock. The writer is gone afterwards. */
void tmf_write_end(tmf_writer *writer);

/*
 * Declares a write of [at, at + size) ahead of making it, so that the system may store there too,
 * as read(2) does. EINVAL: not inside the arena. An error leaves the transaction to be rolled back.
 */
int tmf_touch(tmf_writer *writer, void *at, size_t size);

/*
 * Blocks of the arena, see alloc/heap.h for the placement. tmf_alloc and its kin return NULL and
 * set errno (to one of our negative numbers too): ENOMEM: no free block fits; EINVAL: alignment no
 * power of two; TMF_EBADBLOCK: no such block, nothing was changed; TMF_ECORRUPT.
 */
void *tmf_alloc(tmf_writer *writer, size_t size);
void *tmf_alloc_aligned(tmf_writer *writer, size_t alignment, size_t size);
void *tmf_resize(tmf_writer *writer, void *block, size_t old_size, size_t new_size);
int tmf_free(tmf_writer *writer, void *block, size_t size);

/* What this handle has done since it was opened. Not while another thread writes. */
typedef struct tmf_stats {
    uint64_t commits;    /* that changed something */
    uint64_t rollbacks;  /* that undid something */
    uint64_t recoveries; /* of what another process left */
    uint64_t faults;     /* first stores to a page, seen by signal or declared */
    uint64_t pages_dirtied;
    uint64_t strays;        /* pages that were stored to outside a transaction, found and undone */
    uint64_t log_bytes;     /* written to the log */
    uint64_t syncs;         /* fdatasync and fsync calls */
    uint64_t nodes_visited; /* of the free-space index */
} tmf_stats;
void tmf_stats_get(const tmf_storage *storage, tmf_stats *out);

/* What a storage is. Strings have static lifetime. */
typedef struct tmf_info {
    uint64_t id;      /* random, drawn at creation */
    uint32_t version; /* of the file format */
    uint64_t magic;
    void *address;
    size_t size;
    size_t root_size;
    size_t quantum;
    const char *index;
    const char *strategy;
    tmf_durability durability;
    uint64_t sequence; /* number of the transaction that comes next */
    size_t log_size;   /* bytes of the log file */
    size_t used_bytes, free_bytes, metadata_bytes, largest_free_bytes;
    size_t used_blocks, free_blocks;
} tmf_info;

/* Caller holds a reader or writer of the storage, for these three. */
int tmf_info_get(tmf_storage *storage, tmf_info *out);

typedef struct tmf_block {
    size_t offset; /* from the arena's address */
    size_t size;
    bool is_free;
} tmf_block;
/* Visits every block in address order; a visitor that returns other than 0 ends it with that. */
int tmf_walk(tmf_storage *storage, int (*visit)(void *context, const tmf_block *block),
             void *context);
/* Every invariant of the heap. TMF_ECORRUPT, and tmf_explain() names the first that is broken. */
int tmf_check(tmf_storage *storage);

const char *tmf_strerror(int error); /* static lifetime, never NULL */
const char *tmf_explain(void);       /* this thread's last failure in full; valid until its next */

/* The n-th strategy's name and a sentence about it; NULL past the last. Likewise the indexes. */
const char *tmf_strategy_name(size_t n);
const char *tmf_strategy_about(size_t n);

/* What a commit that was acknowledged with durability sync outlives. */
typedef enum tmf_survival {
    TMF_SURVIVES_NOTHING, /* not even rolled back: the negative control */
    TMF_SURVIVES_KILL,    /* the death of the process */
    TMF_SURVIVES_POWER    /* and of the machine */
} tmf_survival;

/* Of the n-th strategy; n is in range. Whether stores must be declared by tmf_touch(). */
tmf_survival tmf_strategy_survives(size_t n);
bool tmf_strategy_must_touch(size_t n);
/* Whether readers of other processes go on while one writes; else it waits for all to leave. */
bool tmf_strategy_readers_go_on(size_t n);
const char *tmf_index_name(size_t n);
const char *tmf_index_about(size_t n);

#ifdef __cplusplus
}
#endif

#endif
