/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target as libFuzzer's program. One mutation in two is libFuzzer's own, which knows what
 * the code compares with; the other is ours. `--seeds FOLDER` writes the target's seeds there and
 * does nothing else; libFuzzer leaves words with two dashes alone.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer's names. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t size_max);

static void write_seed(const char *folder, size_t n, const unsigned char *bytes, size_t size)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/seed-%02zu", folder, n);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fprintf(stderr, "%s: %s cannot be written\n", fuzz_target.name, path);
        exit(EXIT_FAILURE);
    }
}

static void write_seeds(const char *folder)
{
    unsigned char *bytes = malloc(fuzz_target.size_max);
    if (!bytes)
        exit(EXIT_FAILURE);
    for (size_t n = 0, size; (size = fuzz_target.seed(n, bytes)) > 0; n++)
        write_seed(folder, n, bytes, size);
    free(bytes);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    fuzz_target.begin();
    if (*argc == 3 && strcmp((*argv)[1], "--seeds") == 0) {
        write_seeds((*argv)[2]);
        exit(EXIT_SUCCESS);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size >= FUZZ_CONTROL && size <= fuzz_target.size_max)
        fuzz_target.run(bytes, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t size_max, unsigned seed)
{
    uint64_t random = seed;
    if (fuzz_random(&random) % 2 == 0)
        return LLVMFuzzerMutate(bytes, size, size_max);
    size_t most = size_max < fuzz_target.size_max ? size_max : fuzz_target.size_max;
    return most < FUZZ_CONTROL || size > most ? size : fuzz_mutate(bytes, size, most, &random);
}
