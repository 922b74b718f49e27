/* SPDX-License-Identifier: MIT */
/*
 * What the recorder leaves of one process, between record_preload.c, which writes it inside the
 * recorded program, and record_join.c, which makes a trace of it afterwards. It never leaves the
 * machine, nor the run of `tmf record`.
 *
 * A stream is a file FOLDER/PID.N: a page of struct record_head, then chunks of records, mapped and
 * shared. So a record is safe from any death of the process as soon as it is stored.
 *
 * Whoever records takes a ticket, which is the record's place, from one counter of the process: a
 * free takes it before the block is really freed, an allocation after the block was really
 * allocated. So where an address is handed out again, the free comes first, whatever threads did
 * it. A realloc can free one block and allocate another and takes two tickets, one before and one
 * after, so that neither of its addresses is ever with two blocks at once.
 */
#ifndef HARNESS_RECORD_STREAM_H
#define HARNESS_RECORD_STREAM_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define RECORD_FOLDER_VARIABLE "TMF_RECORD_FOLDER"
#define RECORD_MAGIC           UINT64_C(0x647263657266746d)
#define RECORD_HEAD_BYTES      4096
#define RECORD_CHUNK_RECORDS   65536 /* a chunk is 384 pages */
#define RECORD_CHUNK_BYTES     (RECORD_CHUNK_RECORDS * sizeof(struct record))
#define RECORD_CHUNKS_MAX      16384 /* some 10^9 records */

/* In the order of its tickets; RECORD_NONE: the process died before it was stored. */
enum record_kind {
    RECORD_NONE,
    RECORD_ALLOCATED,
    RECORD_ALLOCATED_ZEROED,
    RECORD_FREES,   /* `address` */
    RECORD_RESIZES, /* `address`, until the next record of the thread, which is */
    RECORD_RESIZED, /* to `size` bytes at `address`; at 0: it failed, or `size` is 0 as well and
                       the block was freed */
};

struct record {
    uint64_t address;
    uint64_t size;   /* bytes asked for */
    uint32_t thread; /* any number, another for each */
    uint16_t unused;
    uint8_t alignment_log; /* 0: what malloc gives */
    _Atomic uint8_t kind;  /* stored last */
};
static_assert(sizeof(struct record) == 24, "two processes must agree");

struct record_head {
    uint64_t magic;
    int32_t pid, parent;
    uint64_t started_ns;     /* CLOCK_MONOTONIC */
    char name[16];           /* of the program, as the kernel keeps it */
    _Atomic uint64_t next;   /* ticket; those before were taken */
    _Atomic uint64_t failed; /* the first ticket that found no room, plus one; 0: all found it */
    _Atomic int32_t error;   /* an errno that says why */
};
static_assert(sizeof(struct record_head) <= RECORD_HEAD_BYTES, "it has a page");

#endif
