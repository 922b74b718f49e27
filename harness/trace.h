/* SPDX-License-Identifier: MIT */
/*
 * A trace: what a program asked of malloc, in the order in which it happened, as a compact file.
 *
 * A file is a header of 64 bytes, one zstd frame, and zeroes up to its size. All integers of the
 * header are little-endian.
 *
 *     offset  bytes
 *          0      8  "tmftrace"
 *          8      4  version of this format, 1
 *         12      4  processes, at most one for each byte of the file
 *         16      8  size of the file
 *         24      8  XXH3, 64 bits, of all bytes behind it, seeded with that of all before it
 *         32      8  size of the frame
 *         40      8  size of what it decodes to, at most 256 for each byte of the file
 *         48      8  operations: allocations, resizes and frees
 *         56      8  one more than the largest block number, at most 16 for each byte of the file
 *
 * The limits let a reader trust what the header says enough to allocate it: some 500 bytes for each
 * byte of the file at most. A writer keeps them by the zeroes at the end, which a trace as regular
 * as that of a loop may need.
 *
 * The frame decodes to processes, one after the other in the order in which they began, each as
 *
 *     process = 3 parent name-length name operation ... 4
 *     operation = [5 thread] ( 0 block size | 1 block size | 2 block )
 *
 * where 0, 1, 2 are the kinds: allocate, resize, free; 4 is the exit, with which a process's blocks
 * are gone. What stands first is one byte. To the byte of an allocation 8 is added where it is
 * aligned, then the logarithm of the alignment follows as one byte behind it, and 16 where the
 * block was asked to be zeroed. All else are varints: seven bits a byte, the lowest first, the
 * eighth set in all bytes but the last. `parent` is 0, or one more than the number of the process
 * that forked it; `thread` is that of all operations up to the next 5, and 0 in front of the first.
 *
 * Blocks have numbers in place of addresses. An allocation gives its block a number that no block
 * of the process has: that of the last one freed, or the lowest never used. So numbers stay below
 * the most blocks that ever lived, and a table of so many is all that a replay needs. A number is
 * written as the difference to that of the operation before (to 0 in a process's first), which is
 * small, as programs free what they have just allocated; a difference d as 2d, or -2d - 1 below 0.
 *
 * What a process inherits through fork is not in its own trace: its frees of such blocks are left
 * out, and a resize of one is an allocation. What exec makes of a process is another process here.
 * Calls that failed, and frees of NULL, are left out; a realloc to 0 that frees is a free.
 *
 * A file is distrusted: trace_open() has seen every byte of it before anyone else does, so that
 * after it nothing can be wrong any more. Functions return 0 or an error, as everywhere here.
 */
#ifndef HARNESS_TRACE_H
#define HARNESS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NAME_MAX          ((size_t)32) /* of a process, with its NUL */
#define TRACE_ALIGNMENT_LOG_MAX 40

enum trace_kind {
    TRACE_ALLOCATE,
    TRACE_RESIZE,
    TRACE_FREE,
    TRACE_EXIT, /* of the process: the blocks that it still has are gone, freed by nobody */
};

struct trace_operation {
    enum trace_kind kind;
    uint32_t block;     /* its number in the process, below facts.blocks_peak */
    uint32_t process;   /* counted from 0 */
    uint32_t thread;    /* counted from 0 in each process, the first to allocate first */
    uint64_t size;      /* bytes asked for, of allocations and resizes; may be 0 */
    uint64_t alignment; /* a power of two; 1: what malloc gives */
    bool zeroed;        /* as calloc does */
};

struct trace_process {
    char name[TRACE_NAME_MAX]; /* of the program */
    uint32_t parent;           /* 0: none; n + 1: forked by process n */
    uint32_t threads;
    uint64_t operations; /* without the exit */
    uint64_t blocks_peak;
    uint64_t bytes_peak; /* asked for, of the blocks that lived at once */
};

/* Of the whole trace; peaks are those of the process that has the highest. */
struct trace_facts {
    uint64_t operations, allocations, resizes, frees;
    uint64_t blocks_peak, bytes_peak;
    uint64_t block_size_max; /* bytes */
    uint32_t threads;        /* of all processes together */
    uint32_t process_count;
};

/* Why a file was refused, as a sentence that says where. */
struct trace_fault {
    char what[256];
};

struct trace;

/*
 * Reads PATH and checks all of it. On failure `fault` says why: an errno; TMF_EWRONGFILETYPE: it is
 * no trace; TMF_EWRONGVERSION; TMF_ECORRUPT: it was cut or changed, or contradicts itself.
 */
int trace_open(const char *path, struct trace **out, struct trace_fault *fault);
void trace_close(struct trace *trace); /* NULL is nothing */

const struct trace_facts *trace_facts_of(const struct trace *trace);
/* The n-th process, n < process_count; valid until the trace is closed. */
const struct trace_process *trace_process_at(const struct trace *trace, uint32_t n);

/*
 * A place in a trace: a value that may be copied, valid until the trace is closed.
 *
 *     struct trace_cursor cursor = trace_begin(trace);
 *     struct trace_operation operation;
 *     while (trace_next(&cursor, &operation))
 *         ...
 */
struct trace_cursor {
    const unsigned char *at, *end;
    uint32_t block, thread, process; /* of the operation before; process: one more */
};

struct trace_cursor trace_begin(const struct trace *trace);
/* The next operation, process by process, each with a TRACE_EXIT at its end; false: no more. */
bool trace_next(struct trace_cursor *cursor, struct trace_operation *out);

#endif
