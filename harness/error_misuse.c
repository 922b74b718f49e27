/* SPDX-License-Identifier: MIT */
/* The rows that open wrongly; and how a row is run. */
#include "harness/error_misuse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "txn/format.h"

#define CHILD_SECONDS 10
#define TRANSACTIONS  2 /* before the wrong thing, and of whoever dies */

/* ---- opening what is there with options that are wrong */

static int open_with(const struct misuse_scene *scene, const tmf_options *options)
{
    tmf_storage *storage;
    int error = tmf_open(scene->path, options, &storage);
    if (!error)
        tmf_close(storage);
    return error;
}

int misuse_open(const struct misuse_scene *scene)
{
    tmf_storage *storage;
    int error = workload_open(scene->place, scene->path, &storage);
    if (!error)
        error = tmf_close(storage);
    return error;
}

#define OPENS(name, ...)                                                                           \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return open_with(scene, &(tmf_options){__VA_ARGS__});                                      \
    }
OPENS(durability_unknown, .durability = (tmf_durability)17)
OPENS(flags_unknown, .flags = 1u << 20)
OPENS(address_unaligned, .address = (void *)(uintptr_t)0x1001)
OPENS(size_out_of_range, .size = SIZE_MAX - 1)
OPENS(strategy_unknown, .strategy = "undo-hope")
OPENS(size_smaller, .size = TMF_PAGE_SIZE)
OPENS(magic_other, .magic = 17)
OPENS(address_other, .address = (void *)(uintptr_t)0x10000)
OPENS(root_size_other, .root_size = 17)
OPENS(quantum_other, .quantum = 4096)
OPENS(index_other, .index = "tlsf-of-somebody-else")

static int path_empty(struct misuse_scene *scene)
{
    tmf_storage *storage;
    (void)scene;
    return tmf_open("", NULL, &storage);
}

/* As a default tmf_options opens it. */
static int path_unknown(struct misuse_scene *scene)
{
    struct misuse_scene other = *scene;
    other.path[strlen(other.path) - 1]++;
    return open_with(&other, NULL);
}

/* ---- making one wrongly, beside the one that is there */

static int make_with(const struct misuse_scene *scene, const tmf_options *options)
{
    struct misuse_scene other = *scene;
    other.path[strlen(other.path) - 1]++;
    return open_with(&other, options);
}

#define SIZE ((size_t)1 << 20)
#define MAKES(name, ...)                                                                           \
    static int name(struct misuse_scene *scene)                                                    \
    {                                                                                              \
        return make_with(scene, &(tmf_options){__VA_ARGS__});                                      \
    }
MAKES(root_too_large, .size = SIZE, .root_size = 2 * SIZE)
MAKES(root_leaves_no_heap, .size = SIZE, .root_size = SIZE - TMF_ROOT_OFFSET)
MAKES(quantum_impossible, .size = SIZE, .quantum = 7)
MAKES(index_unknown, .size = SIZE, .index = "rb-triplet")

static int address_taken(struct misuse_scene *scene)
{
    void *taken = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (taken == MAP_FAILED)
        return errno;
    int error = make_with(scene, &(tmf_options){.size = SIZE, .address = taken});
    munmap(taken, SIZE);
    return error;
}

static int commit_inside(tmf_writer *writer, void *root, void *context)
{
    uint64_t ticket;
    (void)root, (void)context;
    int error = tmf_commit(writer);
    tmf_write_end(writer); /* which does nothing here */
    return error == tmf_rollback(writer) && error == tmf_commit_nowait(writer, &ticket) ? error
                                                                                        : EPROTO;
}

static int commits_in_initialiser(struct misuse_scene *scene)
{
    return make_with(scene,
                     &(tmf_options){.size = SIZE, .root_size = 64, .root_init = commit_inside});
}

/* A file of somebody else with the name of one that is to be made. */
static int make_beside(struct misuse_scene *scene, const char *ending)
{
    char file[KILL_PATH_MAX + 16];
    struct misuse_scene other = *scene;
    other.path[strlen(other.path) - 1]++;
    snprintf(file, sizeof(file), "%s.%s", other.path, ending);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "a letter", 8) != 8)
        return errno;
    close(fd);
    int error = make_with(scene, &(tmf_options){.size = SIZE});
    unlink(file);
    return error;
}

static int file_in_the_way_of_log(struct misuse_scene *scene)
{
    return make_beside(scene, "log");
}

static int file_in_the_way_of_odb(struct misuse_scene *scene)
{
    return make_beside(scene, "odb.new");
}

static int file_instead_of_odb(struct misuse_scene *scene)
{
    return make_beside(scene, "odb");
}

/* Somebody has taken the .odb away, its log is in use. */
static int odb_taken_away(struct misuse_scene *scene)
{
    char from[KILL_PATH_MAX + 8], to[KILL_PATH_MAX + 8];
    int error = misuse_leave_dead(scene);
    snprintf(from, sizeof(from), "%s.odb", scene->path);
    snprintf(to, sizeof(to), "%s.away", scene->path);
    if (error || rename(from, to) != 0)
        return error ? error : errno;
    error = open_with(scene, &(tmf_options){.size = SIZE});
    return rename(to, from) == 0 ? error : errno;
}

static const struct error_misuse opens[] = {
    {.name = "path-empty", .run = path_empty, .expected = EINVAL},
    {.name = "path-unknown", .run = path_unknown, .expected = ENOENT},
    {.name = "durability-unknown", .run = durability_unknown, .expected = EINVAL},
    {.name = "flags-unknown", .run = flags_unknown, .expected = EINVAL},
    {.name = "address-unaligned", .run = address_unaligned, .expected = EINVAL},
    {.name = "size-out-of-range", .run = size_out_of_range, .expected = EINVAL},
    {.name = "strategy-unknown", .run = strategy_unknown, .expected = EINVAL},
    {.name = "size-smaller", .run = size_smaller, .expected = TMF_EWRONGSIZE},
    {.name = "magic-other", .run = magic_other, .expected = TMF_EWRONGMAGIC},
    {.name = "address-other", .run = address_other, .expected = TMF_EWRONGADDRESS},
    {.name = "root-size-other", .run = root_size_other, .expected = TMF_EWRONGSIZE},
    {.name = "quantum-other", .run = quantum_other, .expected = EINVAL},
    {.name = "index-other", .run = index_other, .expected = EINVAL},
    {.name = "root-too-large", .run = root_too_large, .expected = EINVAL},
    {.name = "root-leaves-no-heap", .run = root_leaves_no_heap, .expected = ENOMEM},
    {.name = "quantum-impossible", .run = quantum_impossible, .expected = EINVAL},
    {.name = "index-unknown", .run = index_unknown, .expected = EINVAL},
    {.name = "address-taken", .run = address_taken, .expected = TMF_EWRONGADDRESS},
    {.name = "commits-in-initialiser",
     .run = commits_in_initialiser,
     .expected = TMF_ENOTSUPPORTED},
    {.name = "file-in-the-way-of-log",
     .run = file_in_the_way_of_log,
     .expected = TMF_EWRONGFILETYPE},
    {.name = "file-in-the-way-of-odb",
     .run = file_in_the_way_of_odb,
     .expected = TMF_EWRONGFILETYPE},
    {.name = "file-instead-of-odb", .run = file_instead_of_odb, .expected = TMF_EWRONGFILETYPE},
    {.name = "odb-taken-away", .run = odb_taken_away, .expected = ENOENT},
};
#define OPEN_COUNT (sizeof(opens) / sizeof(opens[0]))

const struct error_misuse *error_misuse_at(size_t n)
{
    size_t used = 0;
    if (n < OPEN_COUNT)
        return &opens[n];
    n -= OPEN_COUNT;
    while (error_misuse_use_at(used))
        used++;
    return n < used ? error_misuse_use_at(n) : error_misuse_damage_at(n - used);
}

const struct error_misuse *error_misuse_find(const char *name)
{
    const struct error_misuse *found;
    for (size_t n = 0; (found = error_misuse_at(n)); n++) {
        if (strcmp(found->name, name) == 0)
            return found;
    }
    return NULL;
}

/* ---- what rows need */

int misuse_bytes(const struct misuse_scene *scene, const char *ending, off_t at, void *to,
                 const void *from, size_t size)
{
    char file[KILL_PATH_MAX + 16];
    snprintf(file, sizeof(file), "%s.%s", scene->path, ending);
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t done = from ? pwrite(fd, from, size, at) : pread(fd, to, size, at);
    int error = done < 0 ? errno : done == (ssize_t)size ? 0 : ERANGE;
    close(fd);
    return error;
}

/* The claim is what the caller has of it. */
static int transact(const struct misuse_scene *scene, tmf_storage *storage, struct claim *claim)
{
    tmf_writer *writer;
    uint64_t ticket = 0;
    int error = tmf_write_begin(storage, &writer);
    if (error)
        return error;
    claim->begun = workload_number(tmf_writer_root(writer)) + 1;
    error = workload_step(scene->place, writer, claim->begun);
    if (!error)
        error = workload_commit(scene->place, writer, &ticket);
    tmf_write_end(writer);
    if (!error)
        error = tmf_wait(storage, ticket);
    if (!error)
        claim->acknowledged = claim->begun;
    return error;
}

static int die(void *context)
{
    const struct misuse_scene *scene = context;
    struct claim claim = {0};
    tmf_storage *storage;
    tmf_writer *writer;
    int error = workload_open(scene->place, scene->path, &storage);
    for (int n = 0; !error && n < TRANSACTIONS; n++)
        error = transact(scene, storage, &claim);
    if (!error)
        error = tmf_write_begin(storage, &writer);
    if (!error)
        error = workload_step(scene->place, writer, claim.begun + 1);
    return error ? FAILED : LIVED;
}

int misuse_leave_dead(const struct misuse_scene *scene)
{
    struct misuse_scene own = *scene;
    struct child_end end;
    int error = child_run(die, &own, CHILD_SECONDS, &end);
    return error || (end.exited && end.code == LIVED) ? error : ECHILD;
}

/* ---- a row */

static int failed(struct misuse_job *job, const char *doing, int error)
{
    snprintf(job->life->what, sizeof(job->life->what), "%s %s: %s", doing, job->misuse->name,
             error_text(error));
    return FAILED;
}

static int prepare(struct misuse_job *job, struct misuse_scene *scene)
{
    struct claim *claim = &job->life->claim;
    int error = workload_create(scene->place, scene->path, &scene->storage);
    claim->created = !error;
    while (!error && claim->acknowledged < TRANSACTIONS)
        error = transact(scene, scene->storage, claim);
    if (error || job->misuse->is_open)
        return error;
    error = tmf_close(scene->storage);
    scene->storage = NULL;
    return error;
}

/* It works as if nothing had been asked. */
static int go_on(struct misuse_job *job, struct misuse_scene *scene)
{
    int error = scene->storage ? 0 : workload_open(scene->place, scene->path, &scene->storage);
    if (!error)
        error = transact(scene, scene->storage, &job->life->claim);
    if (scene->storage && !error)
        error = tmf_close(scene->storage);
    return error;
}

int error_misuse_live(void *context)
{
    struct misuse_job *job = context;
    const struct error_misuse *misuse = job->misuse;
    struct misuse_scene scene = {.place = job->place};
    memcpy(scene.path, job->path, sizeof(scene.path));
    if (job->mutant)
        faults_mutant_wake(job->mutant);
    int error = prepare(job, &scene);
    if (error)
        return failed(job, "before", error);
    int got = misuse->run(&scene);
    if (got != misuse->expected && !(misuse->may_pass && got == 0)) {
        snprintf(job->life->what, sizeof(job->life->what), "%s: %s; must be: %s", misuse->name,
                 got ? error_text(got) : "no error", tmf_strerror(misuse->expected));
        return FAILED;
    }
    error = misuse->damages ? 0 : go_on(job, &scene);
    return error ? failed(job, "after", error) : LIVED;
}
