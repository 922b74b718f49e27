/* SPDX-License-Identifier: MIT */
/* An open storage, as the files of txn/ share it. */
#ifndef TMF_STORAGE_H
#define TMF_STORAGE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "alloc/heap.h"
#include "txn/arena.h"
#include "txn/lock.h"
#include "txn/log.h"
#include "txn/strategy.h"
#include "txn/sync.h"
#include "txn/tmf.h"

/*
 * Where the write transaction stands. A store into the arena is one of ours in ACTIVE and DOOMED
 * only.
 *
 *   IDLE ─ begin ─▶ ACTIVE ─ commit, rollback ─▶ ACTIVE ─ end ─▶ IDLE
 *                     │ a store could not be made safe (doom_error): the arena is detached
 *                     ▼
 *                   DOOMED ─ rollback ─▶ ACTIVE;  commit returns doom_error
 *
 * LOCKED: inside commit, rollback and end no store is expected; one that comes traps as a stray.
 * APPLYING: we ourselves store what is committed into a private mapping (redo_apply.c).
 */
enum tmf_state { TMF_IDLE, TMF_ACTIVE, TMF_DOOMED, TMF_LOCKED, TMF_APPLYING };

struct tmf_reader {
    struct tmf_lock_holder holder; /* whose context is the storage */
};

struct tmf_writer {
    struct tmf_storage *storage;
    bool creating; /* the initialiser of a new storage runs: no commit, no rollback */
    struct tmf_lock_holder holder;
};

struct tmf_storage {
    char *path, *odb_path, *log_path, *new_path;
    int odb_fd, log_fd;
    struct tmf_arena arena;
    struct tmf_log log;
    tmf_heap heap;
    struct tmf_lock lock;
    bool lock_made;
    const struct tmf_strategy *strategy;
    void *strategy_state;
    tmf_durability durability;
    unsigned flags;        /* as tmf_options */
    int uffd, pagemap_fd;  /* of the strategies that scan; -1: none */
    uint64_t private_size; /* bytes of private copies that a redo strategy may keep */
    struct tmf_sync sync;
    _Atomic bool heap_stores; /* the heap's own stores are under way, which nobody declares */
    _Atomic bool left_undone; /* a rollback of ours failed: whoever begins next is to recover */
    _Atomic int poisoned;     /* errno of the sync of ours that failed; 0: none */
    _Atomic bool forked;      /* we are in a child of the process that opened it */

    _Atomic int state; /* enum tmf_state */
    atomic_flag fault_lock;
    int doom_error;      /* under fault_lock */
    bool doomed_by_page; /* the arena is no copy as a whole; under fault_lock */
    uint64_t bus_page;   /* last page that SIGBUS was about, plus one; under fault_lock */

    struct tmf_writer writer;
    tmf_stats stats; /* changed under the exclusive lock; faults under fault_lock */

    uint64_t device, inode; /* of the log: who is open in this process (registry.c) */
    struct tmf_storage *next_open;
};

static inline struct tmf_file_header *tmf_header(const struct tmf_storage *storage)
{
    return (struct tmf_file_header *)(void *)storage->arena.base;
}

/* create.c: makes both files, the arena mapped and the heap attached. Log locked exclusively. */
int tmf_create(struct tmf_storage *storage, const tmf_options *options);

/* header.c */
void tmf_header_seal(struct tmf_file_header *header);
/* What never changes after creation, checked before recovery; then what recovery may mend. */
int tmf_header_check_identity(const struct tmf_storage *storage,
                              const struct tmf_file_header *header, const tmf_options *options);
int tmf_header_check_state(const struct tmf_storage *storage, const struct tmf_file_header *header,
                           uint64_t file_size);
/* The heap's options, which must agree with what is stored. */
int tmf_header_check_heap(struct tmf_storage *storage, const tmf_options *options);

/*
 * recovery.c. tmf_settle: makes the .odb what is committed, durably, and the log an empty one of
 * `kind`; alone with the storage, and knowing its current slot. tmf_recover: the same for what
 * somebody else left (`state`), whatever strategy it was; heals the poison.
 */
int tmf_settle(struct tmf_storage *storage, enum tmf_log_kind kind);
int tmf_recover(struct tmf_storage *storage, const struct tmf_log_state *state,
                enum tmf_log_kind kind);
/* tmf_recover, for a storage that is not mapped yet; with main shared, before and after. */
int tmf_recover_at_open(struct tmf_storage *storage);
/* Maps what another process has added to the arena, as its header says. */
int tmf_follow_growth(struct tmf_storage *storage);
/* Whether a commit may still be made; all else may go on. */
int tmf_check_numbers(const struct tmf_storage *storage);
/* Once the log was taken over for the first time: whether what stands behind its end bears witness
 * of something that was lost. */
int tmf_check_remains(struct tmf_storage *storage);
/* Makes durable what others have committed as far as we have seen it: they may have died before
 * their sync. Poisons on failure. */
int tmf_sync_seen(struct tmf_storage *storage);
/* The hooks of every begin: looks at the log, recovers, catches up, follows growth. */
int tmf_entered(void *storage, bool exclusive, uint64_t deadline);
bool tmf_is_stale(void *storage);
/* The first sync of ours failed: the storage is out of order for all. Returns `error`. */
int tmf_poison(struct tmf_storage *storage, int error);
/* fdatasync of the arena's file, if the durability asks for it. Poisons on failure. */
int tmf_sync_arena(struct tmf_storage *storage);

/* fault.c [signal]: from now on stores reach nothing; commit returns `error`. */
void tmf_doom(struct tmf_storage *storage, int error);
/* [signal] A fault at `address`: true if it was a store of ours, and may be made again. */
bool tmf_transaction_fault(struct tmf_storage *storage, const void *address, bool bus);
int tmf_transaction_touch(struct tmf_storage *storage, uint64_t first, uint64_t count);

/* transaction.c: for growth at open, which is a transaction too. */
int tmf_transaction_begin(struct tmf_storage *storage);
int tmf_transaction_commit(struct tmf_storage *storage, bool wait);
int tmf_transaction_end(struct tmf_storage *storage);
/* No store is taken for ours any more; waits for those under way. Returns the state before. */
int tmf_stop_stores(struct tmf_storage *storage);
/* 0, or TMF_ENOTOWNER, TMF_EFORKED, TMF_EPOISONED. */
int tmf_writer_check(const struct tmf_writer *writer);

/* trap.c: the signal handlers and the table they look arenas up in. */
int tmf_trap_add(struct tmf_storage *storage);
void tmf_trap_remove(struct tmf_storage *storage);

/* registry.c: which storages this process has open. EBUSY: this one. */
int tmf_registry_add(struct tmf_storage *storage);
void tmf_registry_remove(struct tmf_storage *storage);

#endif
