/* SPDX-License-Identifier: MIT */
#include "harness/child.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dirent.h>

#define STACK_AHEAD ((size_t)64 << 10)
#define PAGE        ((size_t)4096)

/* A stack grows by itself but where valgrind has to put a signal's frame on a page that was never
 * touched: it gives up, and kills a child whose store the library would have caught. */
static __attribute__((noinline)) void grow_stack(void)
{
    unsigned char ahead[STACK_AHEAD];
    volatile unsigned char *page = ahead;
    for (size_t at = STACK_AHEAD; at >= PAGE; at -= PAGE)
        page[at - PAGE] = 0;
}

int child_start(int (*body)(void *context), void *context, unsigned limit_seconds, pid_t *out)
{
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return errno;
    if (pid > 0) {
        *out = pid;
        return 0;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* it died before the line above */
    signal(SIGALRM, SIG_DFL);
    alarm(limit_seconds);
    grow_stack();
    _exit(body(context));
}

void child_end_of(int status, struct child_end *out)
{
    *out = (struct child_end){.exited = WIFEXITED(status)};
    if (out->exited)
        out->code = WEXITSTATUS(status);
    else
        out->signal = WTERMSIG(status);
    out->timed_out = out->signal == SIGALRM || out->signal == SIGPROF;
}

void child_wait(pid_t pid, struct child_end *out)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    child_end_of(status, out);
}

int child_run(int (*body)(void *context), void *context, unsigned limit_seconds,
              struct child_end *out)
{
    pid_t pid = 0;
    int error = child_start(body, context, limit_seconds, &pid);
    if (error == 0)
        child_wait(pid, out);
    return error;
}

void child_explain(const struct child_end *end, char *to, size_t size)
{
    if (end->exited)
        snprintf(to, size, "ended with exit status %d", end->code);
    else if (end->timed_out)
        snprintf(to, size, "did not end in time");
    else
        snprintf(to, size, "was killed by signal %d (%s)", end->signal, strsignal(end->signal));
}

void *child_shared(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/*
 * The janitor outlives its parent and all that descends from that one, whose ends of the pipe are
 * the last, and then removes the folder. A byte tells it to keep that. A program that is started
 * keeps its end, too: it works in the folder, and so does its own janitor.
 */
static void wait_and_remove(const char *path, int end)
{
    char byte;
    ssize_t got;
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    do {
        got = read(end, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        scratch_remove(path);
    _exit(EXIT_SUCCESS);
}

static void start_janitor(struct scratch *scratch)
{
    int ends[2];
    if (pipe(ends) != 0)
        return;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        wait_and_remove(scratch->path, ends[0]);
    }
    close(ends[0]);
    scratch->janitor = ends[1];
    if (pid < 0)
        close(ends[1]);
}

int scratch_make(const char *dir, struct scratch *out)
{
    out->janitor = -1;
    if (!dir)
        dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int length = snprintf(out->path, sizeof(out->path), "%s/tmf-XXXXXX", dir);
    if (length < 0 || (size_t)length >= sizeof(out->path))
        return ENAMETOOLONG;
    if (!mkdtemp(out->path))
        return errno;
    start_janitor(out);
    return 0;
}

void scratch_keep(const struct scratch *scratch)
{
    if (scratch->janitor >= 0)
        (void)!write(scratch->janitor, "k", 1);
}

int scratch_check(const struct scratch *scratch)
{
    static const char bytes[4 << 20]; /* more than a case needs */
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/room", scratch->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    ssize_t put = write(fd, bytes, sizeof(bytes));
    int error = put < 0 ? errno : 0;
    close(fd);
    unlink(path);
    return error || put == (ssize_t)sizeof(bytes) ? error : ENOSPC;
}

int scratch_fresh(const struct scratch *scratch, const char *name, char path[PATH_MAX])
{
    int length = snprintf(path, PATH_MAX, "%s/%s", scratch->path, name);
    if (length < 0 || length >= PATH_MAX)
        return ENAMETOOLONG;
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return errno;
    scratch_remove(path);
    return mkdir(path, 0700) == 0 ? 0 : errno;
}

static int copy_bytes(int from, int to)
{
    for (;;) {
        ssize_t sent = sendfile(to, from, NULL, 1 << 20);
        if (sent < 0)
            return errno;
        if (sent == 0)
            return 0;
    }
}

static int copy_file(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return errno;
    int error = 0;
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (target < 0)
        error = errno;
    else
        error = copy_bytes(source, target);
    if (target >= 0)
        close(target);
    close(source);
    return error;
}

int scratch_copy(const char *from, const char *to)
{
    DIR *folder = opendir(from);
    if (!folder)
        return errno;
    int error = 0;
    for (struct dirent *entry = readdir(folder); entry && error == 0; entry = readdir(folder)) {
        char source[PATH_MAX], target[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(source, PATH_MAX, "%s/%s", from, entry->d_name) >= PATH_MAX ||
            snprintf(target, PATH_MAX, "%s/%s", to, entry->d_name) >= PATH_MAX)
            error = ENAMETOOLONG;
        else
            error = copy_file(source, target);
    }
    closedir(folder);
    return error;
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about, (void)kind, (void)place;
    return remove(path);
}

static uint64_t counted; /* by nftw, which hands on nothing */

static int count_entry(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)path, (void)place;
    counted += kind == FTW_F ? (uint64_t)about->st_blocks * 512 : 0;
    return 0;
}

uint64_t scratch_size(const char *path)
{
    counted = 0;
    nftw(path, count_entry, 8, FTW_PHYS);
    return counted;
}

void scratch_remove(const char *path)
{
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
