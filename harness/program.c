/* SPDX-License-Identifier: MIT */
#include "harness/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <dirent.h>

#define LOOK_NS          100000000 /* whether it has ended */
#define LOOKS_PER_BOUNDS 10        /* how much it needs costs more */

int program_beside(const char *relative, char path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return errno;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    *slash = '\0'; /* the link is an absolute path */
    int written = snprintf(path, PATH_MAX, "%s/%s", self, relative);
    if (written < 0 || written >= PATH_MAX)
        return ENAMETOOLONG;
    return access(path, R_OK) == 0 ? 0 : errno;
}

/* execv wants words it could write to, though it does not. */
int program_become(const char *const argv[])
{
    size_t count = 1;
    while (argv[count] != NULL)
        count++;
    char **words = calloc(count + 1, sizeof(*words));
    if (words == NULL)
        return ENOMEM;
    memcpy(words, argv, count * sizeof(*words));
    execv(argv[0], words);
    int error = errno;
    free(words);
    return error;
}

/* In the child. */
static int start(void *context)
{
    const struct program *const *place = context;
    const struct program *program = *place;
    if (program->tmpdir != NULL && setenv("TMPDIR", program->tmpdir, 1) != 0)
        return 127;
    if (program->mutant != NULL && setenv("TMF_MUTANT", program->mutant, 1) != 0)
        return 127;
    if (program->output != NULL) {
        int fd = open(program->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
            perror(program->output);
            return 127;
        }
    }
    int error = program_become(program->argv);
    fprintf(stderr, "%s: %s\n", program->argv[0], strerror(error));
    return 127;
}

int program_start(const struct program *program, pid_t *out)
{
    return child_start(start, &program, program->limit_seconds, out);
}

/* ---- what it needs */

/* Bytes of memory that are this process's, those that it shares divided among all who do; 0: it is
 * gone. */
static uint64_t memory_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Pss: %llu kB", &kib) == 1)
            break;
    }
    if (file)
        fclose(file);
    return kib << 10;
}

static uint64_t memory_of_all(pid_t pid);

/* Of those that this thread has started. */
static uint64_t memory_of_children(pid_t pid, const char *thread)
{
    char path[64 + NAME_MAX];
    uint64_t sum = 0;
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)pid, thread);
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &child) == 1)
        sum += memory_of_all(child);
    if (file)
        fclose(file);
    return sum;
}

static uint64_t memory_of_all(pid_t pid)
{
    char path[64];
    uint64_t sum = memory_of(pid);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads && (entry = readdir(threads));) {
        if (entry->d_name[0] != '.')
            sum += memory_of_children(pid, entry->d_name);
    }
    if (threads)
        closedir(threads);
    return sum;
}

static const char *passed(pid_t pid, const struct program_bounds *bounds)
{
    if (scratch_size(bounds->path) > bounds->disk)
        return "disk";
    return memory_of_all(pid) > bounds->memory ? "memory" : NULL;
}

const char *program_oversee(pid_t pid, const struct program_bounds *bounds, struct child_end *out)
{
    const struct timespec look = {.tv_nsec = LOOK_NS};
    const char *which = NULL;
    siginfo_t about = {0};
    for (unsigned n = 1;
         waitid(P_PID, (id_t)pid, &about, WEXITED | WNOHANG | WNOWAIT) == 0 && about.si_pid != pid;
         n++) {
        nanosleep(&look, NULL);
        if (!which && n % LOOKS_PER_BOUNDS == 0)
            which = passed(pid, bounds);
        if (which)
            kill(pid, SIGKILL);
    }
    child_wait(pid, out);
    return which;
}

int program_run(const struct program *program, struct child_end *out)
{
    return child_run(start, &program, program->limit_seconds, out);
}
