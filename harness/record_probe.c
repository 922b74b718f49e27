/* SPDX-License-Identifier: MIT */
/*
 * The program that record_test.c has recorded: what it asks of malloc is known to the last call.
 * Every request has a size of its own, from 10001 on, by which it is told from what the C library
 * does for itself.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS  20000

/* The compiler knows what malloc does, and would leave out what nobody looks at. */
static void *volatile kept;
static volatile size_t too_much = (size_t)-1, nothing;

static void keep(void *block)
{
    kept = block;
}

static void resize_chain(void)
{
    void *block = realloc(NULL, 10001);
    block = realloc(block, 10002);
    block = realloc(block, 200003);
    block = reallocarray(block, 2, 5002);
    keep(realloc(block, nothing));
    void *volatile array = reallocarray(NULL, 3, 3335);
    keep(reallocarray(array, too_much, 2)); /* fails, and leaves it */
    keep(realloc(array, too_much / 2));     /* as well */
    free(array);                            /* NOLINT: it lives */
    free(NULL);
}

static void aligned(void)
{
    void *block = NULL;
    if (posix_memalign(&block, 64, 10001) == 0)
        free(block);
    free(aligned_alloc(128, 10112));
    free(memalign(4096, 10003));
    free(valloc(10004));
    free(pvalloc(10005));
    free(calloc(2, 5003));
    keep(malloc(too_much / 2)); /* fails */
}

/* Threads that hand the same few addresses around among them. */
static void *churn(void *unused)
{
    void *blocks[8] = {NULL};
    for (int n = 0; n < ROUNDS; n++) {
        void **slot = &blocks[n % 8];
        if (n % 3 == 0) {
            *slot = realloc(*slot, 20001 + n % 5 * 1000);
        } else {
            free(*slot);
            *slot = malloc(20001);
        }
    }
    for (int n = 0; n < 8; n++)
        free(blocks[n]);
    return unused;
}

static void run_threads(void)
{
    pthread_t ids[THREADS];
    for (int n = 0; n < THREADS; n++)
        pthread_create(&ids[n], NULL, churn, NULL);
    for (int n = 0; n < THREADS; n++)
        pthread_join(ids[n], NULL);
}

/* Forks while other threads allocate; children free what they inherit, and fork again. */
static void run_forks(void)
{
    pthread_t ids[THREADS];
    for (int n = 0; n < THREADS; n++)
        pthread_create(&ids[n], NULL, churn, NULL);
    for (int n = 0; n < 20; n++) {
        void *inherited = malloc(10001);
        pid_t child = fork();
        if (child == 0) {
            free(inherited);
            free(malloc(10002));
            keep(malloc(10003));
            pid_t grandchild = fork();
            if (grandchild == 0) {
                free(malloc(10004));
                _exit(0);
            }
            waitpid(grandchild, NULL, 0);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        free(inherited);
    }
    for (int n = 0; n < THREADS; n++)
        pthread_join(ids[n], NULL);
}

static int wait_status(pid_t child)
{
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A child of vfork is its parent until exec. */
static int run_exec(const char *self)
{
    free(malloc(10001));
    pid_t child = vfork(); /* NOLINT: it is under test */
    if (child == 0) {
        execl(self, self, "one", (char *)NULL);
        _exit(99);
    }
    int status = wait_status(child);
    free(malloc(10003));
    if (status == 0)
        execl(self, self, "one", (char *)NULL);
    return status;
}

static int one(void)
{
    free(malloc(10002));
    return 0;
}

/* A program that closes all that it did not open, and works on; then a file may grow no more. */
static void run_closed(void)
{
    close_range(3, ~0u, 0);
    for (int n = 0; n < 2 * 65536; n++)
        free(malloc(10001));
    errno = 17;
    free(malloc(10002));
    if (errno != 17)
        abort();
}

static void run_limited(void)
{
    struct rlimit little = {2 << 20, 2 << 20}; /* a stream's first chunk, not the second */
    setrlimit(RLIMIT_FSIZE, &little);
    errno = 17;
    for (int n = 0; n < 2 * 65536; n++)
        free(malloc(10001));
    if (errno != 17)
        abort();
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    mallopt(M_ARENA_MAX, 1); /* or threads would share no address */
    if (strcmp(mode, "chain") == 0)
        resize_chain();
    else if (strcmp(mode, "aligned") == 0)
        aligned();
    else if (strcmp(mode, "threads") == 0)
        run_threads();
    else if (strcmp(mode, "forks") == 0)
        run_forks();
    else if (strcmp(mode, "exec") == 0)
        return run_exec(argv[0]);
    else if (strcmp(mode, "one") == 0)
        return one();
    else if (strcmp(mode, "closed") == 0)
        run_closed();
    else if (strcmp(mode, "limited") == 0)
        run_limited();
    else if (strcmp(mode, "killed") == 0)
        free(malloc(10001)), keep(malloc(10002)), abort();
    else if (strcmp(mode, "ends") == 0)
        free(malloc(10001)), _exit(7);
    else
        return 98;
    return 0;
}
