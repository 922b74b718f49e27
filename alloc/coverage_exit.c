/* SPDX-License-Identifier: MIT */
/*
 * For the build that counts what is run (the preset coverage), and no other. gcc's counters reach
 * their files when a process exits; those of one that ends by _exit, or kills itself as the harness
 * does at fault points, would be lost, and with them what recovery is tried on. The linker leads
 * both calls here (--wrap, see CMakeLists.txt). A process that another one kills takes its counters
 * along.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* gcc's, from its <gcov.h>, which clang-tidy has not; and the linker's names.
 * NOLINTBEGIN(bugprone-reserved-identifier) */
void __gcov_dump(void);
void __real__exit(int status) __attribute__((noreturn));
int __real_kill(pid_t pid, int signal);
void __wrap__exit(int status) __attribute__((noreturn));
int __wrap_kill(pid_t pid, int signal);

/* Where memory may be refused (faults/memory_faults.c), that is over now. */
void faults_io_suspend(bool wanted) __attribute__((weak));

static void refuse_nothing(void)
{
    if (faults_io_suspend)
        faults_io_suspend(true);
}

/* Before gcc writes them at a usual exit. */
__attribute__((constructor)) static void prepare(void)
{
    (void)atexit(refuse_nothing);
}

/* Once: gcc takes a mutex to write them, and a schedule of threads (faults/schedule.h) that is
 * stuck ends the process from there again. */
static void write_counters(void)
{
    static bool begun;
    if (begun)
        return;
    begun = true;
    refuse_nothing();
    __gcov_dump();
}

void __wrap__exit(int status)
{
    write_counters();
    __real__exit(status);
}

int __wrap_kill(pid_t pid, int signal)
{
    if (pid == getpid() && signal == SIGKILL)
        write_counters();
    return __real_kill(pid, signal);
}
/* NOLINTEND(bugprone-reserved-identifier) */
