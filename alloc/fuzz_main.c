/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target as an ordinary program, which needs no clang: every seed as it is, then TMF_RUNS
 * (or as many as make a test) mutated ones, always the same. Given files, those instead:
 * what libFuzzer has found. The input that is being run is in NAME.input when a run ends badly.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GENERATIONS   4  /* a mutated seed is mutated again, so often */
#define LIMIT_SECONDS 20 /* for a run, which takes less than a millisecond */

static unsigned char *bytes;
static size_t bytes_size;

static void on_end(int number)
{
    char path[64];
    size_t length = 0;
    for (; fuzz_target.name[length] && length < 40; length++)
        path[length] = fuzz_target.name[length];
    memcpy(path + length, ".input", sizeof(".input"));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    (void)!write(fd, bytes, bytes_size);
    (void)close(fd);
    static const char text[] = "the run did not end well; its input is in NAME.input here\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* Unless somebody does already: a sanitizer says itself what it has found. */
static void catch_ends(void)
{
    static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS};
    for (size_t n = 0; n < sizeof(signals) / sizeof(signals[0]); n++) {
        struct sigaction old;
        if (sigaction(signals[n], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)signal(signals[n], on_end);
    }
}

static void run(size_t size)
{
    bytes_size = size;
    alarm(LIMIT_SECONDS);
    fuzz_target.run(bytes, size);
    alarm(0);
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return EXIT_FAILURE;
    }
    size_t size = fread(bytes, 1, fuzz_target.size_max, file);
    (void)fclose(file);
    if (size >= FUZZ_CONTROL)
        run(size);
    return EXIT_SUCCESS;
}

static size_t run_seeds(void)
{
    size_t count = 0;
    for (size_t size; (size = fuzz_target.seed(count, bytes)) > 0; count++)
        run(size);
    return count;
}

static void run_mutated(size_t seeds, size_t runs)
{
    for (size_t n = 0; seeds > 0 && n < runs; n++) {
        uint64_t random = n;
        size_t size = fuzz_target.seed(n % seeds, bytes);
        for (size_t generation = 0; generation <= n / seeds % GENERATIONS; generation++)
            size = fuzz_mutate(bytes, size, fuzz_target.size_max, &random);
        run(size);
    }
}

int main(int argc, char **argv)
{
    const char *wanted = getenv("TMF_RUNS");
    bytes = calloc(1, fuzz_target.size_max);
    if (!bytes)
        return EXIT_FAILURE;
    catch_ends();
    fuzz_target.begin();
    int status = EXIT_SUCCESS;
    if (argc > 1) {
        for (int n = 1; n < argc && status == EXIT_SUCCESS; n++)
            status = run_file(argv[n]);
    } else {
        run_mutated(run_seeds(), wanted ? strtoul(wanted, NULL, 10) : fuzz_target.runs);
    }
    free(bytes);
    return status;
}
