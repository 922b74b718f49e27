/* SPDX-License-Identifier: MIT */
/* See test_kit.h. */
#include "txn/test_kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_FAILED 97 /* exit status of a child, or of all of us, after a check in a thread */
#define PATIENCE_MS                                                                                \
    120000 /* a flag that is not raised by then never will be: no test waits so long */

static pid_t cmocka_process; /* where cmocka's own failure may be used */
static char *context;        /* shared with the children */

/* ---- checks */

static void __attribute__((noreturn)) fail_here(const char *file, int line)
{
    if (getpid() == cmocka_process)
        _fail(file, line); /* does not return */
    if (*context)
        print_error("    while: %s\n", context);
    print_error("    at %s:%d\n", file, line);
    (void)fflush(NULL);
    _exit(CHECK_FAILED);
}

void test_check_failed(const char *what, const char *file, int line)
{
    print_error("does not hold: %s\n", what);
    fail_here(file, line);
}

void test_check_error(int expected, int got, const char *what, const char *file, int line)
{
    if (got == expected)
        return;
    print_error("%s\n    gave %d (%s)\n    not %d (%s)\n    explained as: %s\n", what, got,
                tmf_strerror(got), expected, tmf_strerror(expected), tmf_explain());
    fail_here(file, line);
}

void test_context(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(context, TEST_PAGE, format, arguments);
    va_end(arguments);
}

/* ---- places */

static void name_files(struct test_place *place, const char *name)
{
    (void)snprintf(place->path, sizeof(place->path), "%s/%s", place->folder, name);
    (void)snprintf(place->odb, sizeof(place->odb), "%s.odb", place->path);
    (void)snprintf(place->log, sizeof(place->log), "%s.log", place->path);
}

struct running_test {
    struct test_place place; /* first: what the test is given */
    test_function *function;
};

int test_setup(void **state)
{
    cmocka_process = getpid();
    if (!context) {
        context = mmap(NULL, TEST_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (context == MAP_FAILED)
            return -1;
    }
    *context = '\0';
    struct running_test *test = calloc(1, sizeof(*test));
    if (!test)
        return -1;
    test->function = ((const struct test_case *)*state)->function;
    const char *parent = getenv("TMPDIR");
    (void)snprintf(test->place.folder, sizeof(test->place.folder), "%s/tmf-test-XXXXXX",
                   parent && *parent ? parent : "/tmp");
    if (!mkdtemp(test->place.folder)) {
        free(test);
        return -1;
    }
    name_files(&test->place, "storage");
    *state = test;
    return 0;
}

static void run(const void *argument)
{
    const struct running_test *test = argument;
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    test->function(&test->place);
}

/* A kernel may lack what the strategy needs, which is told before any file is looked for. */
static bool is_to_be_had(const struct test_place *place)
{
    tmf_storage *storage;
    return test_try_open(place->path, NULL, &storage) != TMF_ENOTSUPPORTED;
}

void test_run(void **state)
{
    const struct running_test *test = *state;
    if (!is_to_be_had(&test->place))
        skip();
    test_in_child(run, *state);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

int test_teardown(void **state)
{
    struct running_test *test = *state;
    int error = nftw(test->place.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(test);
    return error;
}

struct test_place test_place_beside(const struct test_place *place, const char *name)
{
    struct test_place other = *place;
    name_files(&other, name);
    return other;
}

bool test_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

size_t test_file_size(const char *path)
{
    struct stat status;
    check(stat(path, &status) == 0);
    return (size_t)status.st_size;
}

static unsigned count_names(const char *path)
{
    DIR *folder = opendir(path);
    check(folder);
    unsigned count = 0;
    for (const struct dirent *name; (name = readdir(folder));)
        count += name->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

unsigned test_files(const struct test_place *place)
{
    return count_names(place->folder);
}

unsigned test_descriptors(void)
{
    return count_names("/proc/self/fd");
}

/* ---- the strategy under test */

const char *test_strategy(void)
{
    const char *given = getenv("TMF_TEST_STRATEGY");
    return given && *given ? given : "undo-fsync";
}

static size_t number_of_strategy(void)
{
    size_t n = 0;
    while (tmf_strategy_name(n) && strcmp(tmf_strategy_name(n), test_strategy()) != 0)
        n++;
    check(tmf_strategy_name(n));
    return n;
}

bool test_strategy_is_redo(void)
{
    return tmf_strategy_readers_go_on(number_of_strategy());
}

bool test_strategy_traps(void)
{
    return strcmp(test_strategy(), "redo-wp") != 0 && strcmp(test_strategy(), "redo-scan") != 0;
}

tmf_survival test_strategy_survives(void)
{
    return tmf_strategy_survives(number_of_strategy());
}

void test_put(tmf_writer *writer, uint64_t *at, uint64_t value)
{
    if (tmf_strategy_must_touch(number_of_strategy()))
        check_ok(tmf_touch(writer, at, sizeof(*at)));
    *at = value;
}

int test_try_open(const char *path, const tmf_options *options, tmf_storage **out)
{
    tmf_options full = options ? *options : (tmf_options){0};
    if (!full.strategy)
        full.strategy = test_strategy();
    return tmf_open(path, &full, out);
}

/* ---- storages */

tmf_storage *test_open(const struct test_place *place, const tmf_options *options)
{
    tmf_storage *storage = NULL;
    check_ok(test_try_open(place->path, options, &storage));
    return storage;
}

tmf_reader *test_read(tmf_storage *storage)
{
    tmf_reader *reader = NULL;
    check_ok(tmf_read_begin(storage, &reader));
    return reader;
}

tmf_writer *test_write(tmf_storage *storage)
{
    tmf_writer *writer = NULL;
    check_ok(tmf_write_begin(storage, &writer));
    return writer;
}

void *test_alloc(tmf_writer *writer, size_t size)
{
    void *block = tmf_alloc(writer, size);
    check_error(0, block ? 0 : errno);
    return block;
}

void test_commit(tmf_writer *writer)
{
    check_ok(tmf_commit(writer));
    tmf_write_end(writer);
}

void test_storage_is_well(tmf_storage *storage)
{
    tmf_writer *writer = NULL;
    check_ok(tmf_write_begin_try(storage, &writer));
    check_ok(tmf_check(storage));
    void *block = test_alloc(writer, 100);
    check_ok(tmf_commit(writer));
    check_ok(tmf_free(writer, block, 100));
    test_commit(writer);
}

/* ---- files */

void test_file_load(const char *path, struct test_file *out)
{
    struct stat status;
    *out = (struct test_file){.exists = lstat(path, &status) == 0 && S_ISREG(status.st_mode)};
    if (!out->exists)
        return;
    out->size = (size_t)status.st_size;
    out->bytes = malloc(out->size + 1);
    check(out->bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    check(fd >= 0);
    check(pread(fd, out->bytes, out->size, 0) == (ssize_t)out->size);
    (void)close(fd);
}

void test_file_store(const char *path, const struct test_file *file)
{
    if (file->exists)
        test_file_make(path, file->bytes, file->size);
    else
        check(unlink(path) == 0 || errno == ENOENT);
}

void test_file_make(const char *path, const void *bytes, size_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    check(fd >= 0);
    check(pwrite(fd, bytes, length, 0) == (ssize_t)length);
    check(ftruncate(fd, (off_t)length) == 0);
    (void)close(fd);
}

void test_pair_load(const struct test_place *place, struct test_pair *out)
{
    test_file_load(place->odb, &out->odb);
    test_file_load(place->log, &out->log);
}

void test_pair_store(const struct test_place *place, const struct test_pair *pair)
{
    test_file_store(place->odb, &pair->odb);
    test_file_store(place->log, &pair->log);
}

void test_pair_free(struct test_pair *pair)
{
    free(pair->odb.bytes);
    free(pair->log.bytes);
}

static bool same_file(const char *path, const struct test_file *file)
{
    struct test_file now;
    test_file_load(path, &now);
    bool same = now.exists == file->exists && now.size == file->size &&
                (!now.exists || memcmp(now.bytes, file->bytes, now.size) == 0);
    free(now.bytes);
    return same;
}

bool test_pair_same(const struct test_place *place, const struct test_pair *pair)
{
    return same_file(place->odb, &pair->odb) && same_file(place->log, &pair->log);
}

void test_poke(const char *path, size_t at, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    check(fd >= 0);
    check(pwrite(fd, bytes, size, (off_t)at) == (ssize_t)size);
    (void)close(fd);
}

void test_flip(const char *path, size_t at, unsigned bit)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    check(fd >= 0);
    check(pread(fd, &byte, 1, (off_t)at) == 1);
    byte ^= (unsigned char)(1u << bit);
    check(pwrite(fd, &byte, 1, (off_t)at) == 1);
    (void)close(fd);
}

/* ---- locks of a byte */

int test_byte_lock(int fd, off_t at, short type)
{
    struct flock byte = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &byte);
}

bool test_byte_is_free(int fd, off_t at)
{
    struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    check(fcntl(fd, F_OFD_GETLK, &byte) == 0);
    return byte.l_type == F_UNLCK;
}

/* ---- children */

pid_t test_child(test_body *body, const void *argument)
{
    (void)fflush(NULL);
    pid_t child = fork();
    check(child >= 0);
    if (child > 0)
        return child;
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    body(argument);
    exit(EXIT_SUCCESS); /* not _exit: the sanitizers say at exit what they found */
}

static int wait_for(pid_t child)
{
    int status;
    pid_t got;
    do {
        got = waitpid(child, &status, 0);
    } while (got < 0 && errno == EINTR);
    check(got == child);
    return status;
}

/* Says how it ended, and what it was at. */
static void print_end(int status)
{
    if (WIFSIGNALED(status))
        print_error("a child died of signal %d\n", WTERMSIG(status));
    else if (WEXITSTATUS(status) != CHECK_FAILED)
        print_error("a child exited with %d\n", WEXITSTATUS(status));
    if (*context)
        print_error("    while: %s\n", context);
}

void test_child_returned(pid_t child)
{
    int status = wait_for(child);
    bool returned = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (!returned)
        print_end(status);
    check(returned);
}

void test_child_died(pid_t child, int signal)
{
    int status = wait_for(child);
    bool died = WIFSIGNALED(status) && WTERMSIG(status) == signal;
    if (!died)
        print_end(status);
    check(died);
}

bool test_child_was_killed(pid_t child)
{
    int status = wait_for(child);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool returned = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (!killed && !returned)
        print_end(status);
    check(killed || returned);
    return killed;
}

void test_in_child(test_body *body, const void *argument)
{
    test_child_returned(test_child(body, argument));
}

void test_child_kill(pid_t child)
{
    check(kill(child, SIGKILL) == 0);
    test_child_died(child, SIGKILL);
}

void test_die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* ---- flags: bytes in a pipe */

void test_flag_make(struct test_flag *flag)
{
    check(pipe2(flag->ends, O_CLOEXEC) == 0);
}

void test_flag_raise(const struct test_flag *flag)
{
    check(write(flag->ends[1], "!", 1) == 1);
}

void test_flag_wait(const struct test_flag *flag)
{
    struct pollfd wish = {.fd = flag->ends[0], .events = POLLIN};
    int ready;
    do {
        ready = poll(&wish, 1, PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    char byte;
    check(ready == 1 && read(flag->ends[0], &byte, 1) == 1);
}

unsigned test_flag_count(const struct test_flag *flag)
{
    struct pollfd wish = {.fd = flag->ends[0], .events = POLLIN};
    unsigned count = 0;
    char byte;
    while (poll(&wish, 1, 0) == 1 && read(flag->ends[0], &byte, 1) == 1)
        count++;
    return count;
}

void test_flag_free(const struct test_flag *flag)
{
    (void)close(flag->ends[0]);
    (void)close(flag->ends[1]);
}

/* ---- random numbers: splitmix64 */

uint64_t test_seed(const char *program)
{
    const char *given = getenv("TMF_SEED");
    uint64_t seed;
    if (given)
        seed = strtoull(given, NULL, 0);
    else
        check(getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed));
    print_message("replay: TMF_SEED=%#llx %s\n", (unsigned long long)seed, program);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
