/* SPDX-License-Identifier: MIT */
/*
 * A heap beside a model of it: a sorted array of runs that is searched from end to end, which knows
 * the placement policy and nothing else. Every operation is made on both, and each must return the
 * same, at the same address; of an index that is not exact, an address where the model has room.
 * Every block is filled with a tag of its own, so that a byte written by the heap into a block, or
 * lost by a move, is seen when the block is next looked at.
 *
 * Whatever makes operations can drive it: a random source, a pattern, a recorded trace. Blocks are
 * named by their place, the offset in bytes from the region's base. What lies behind the heap's
 * last byte traps. What does not hold is told to round_fail(), which the driver defines.
 */
#ifndef TMF_TEST_MODEL_H
#define TMF_TEST_MODEL_H

#include "index.h"

/* Places are not 0. */
#define NOWHERE ((size_t)0)

/* Begins a round: a heap of `size` bytes, which may grow to `reserved`. False: it is too small. */
bool round_begin(tmf_heap_config config, const char *workload, uint64_t seed, size_t size,
                 size_t reserved);
void round_end(void);

/* The place of the block; NOWHERE: there is no room. */
size_t round_alloc(size_t alignment, size_t size);

/* The place where the block is now; NOWHERE: there is no room, and it is as it was. */
size_t round_resize(size_t place, size_t size);
void round_free(size_t place);

/* A free of what is no block must be refused; if there is one after all, nothing is done. */
void round_free_bad(size_t place, size_t size);

/* False: that is more than reserved. */
bool round_grow(size_t more);

/* Every block and invariant. Costs more than an operation. */
void round_compare(void);

size_t round_size(void);
size_t round_block_size(size_t place);

/* The n-th block from somewhere, or NOWHERE: there is none. */
size_t round_some_block(size_t n);

/* Operations made so far, in all rounds. */
size_t round_operations(void);

/* Calls round_fail() if it does not hold. */
void round_expect(bool holds, const char *what);

struct round_failure {
    const char *what;
    const char *index;
    size_t quantum;
    const char *workload;
    uint64_t seed;
    size_t operation;
};

/* Of the driver. */
_Noreturn void round_fail(const struct round_failure *failure);

#endif
