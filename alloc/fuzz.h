/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target: a function that takes any bytes for what stands on a medium. It is built twice.
 * With clang's libFuzzer (fuzz_clang.c, `./tmf fuzz`) the bytes are bred by what they reach; with
 * an ordinary main() (fuzz_main.c, ctest) a few thousand are drawn from a fixed seed. Both begin
 * with the target's own seeds, which the library itself has made, and both mutate by the same hand.
 *
 * An input is FUZZ_CONTROL bytes that say what is done with the rest, and the rest: the image of a
 * medium. Checksums would keep every change in front of the door. So the target mends those of them
 * that its control asks for, and what is behind them is reached.
 *
 * A run ends by returning; whatever must not be ends in fuzz_fail(), a crash, or too late.
 */
#ifndef TMF_FUZZ_H
#define TMF_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_CONTROL ((size_t)8) /* the image is aligned to words behind it */

struct fuzz_target {
    const char *name;
    size_t size_max; /* of an input */
    size_t runs;     /* that make a test of a few seconds */
    void (*begin)(void);
    /* Writes the n-th seed, and returns its size; 0: there are no more. */
    size_t (*seed)(size_t n, unsigned char *to);
    void (*run)(const unsigned char *bytes, size_t size);
};
extern const struct fuzz_target fuzz_target;

void fuzz_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* splitmix64 */
static inline uint64_t fuzz_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Changes an input as media are damaged and forged; returns its new size, at most size_max. */
size_t fuzz_mutate(unsigned char *bytes, size_t size, size_t size_max, uint64_t *random);

#endif
