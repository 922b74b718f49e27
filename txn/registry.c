/* SPDX-License-Identifier: MIT */
/*
 * Which storages this process has open. A second open of the same file would wait for its own lock
 * for ever, so it is refused; and after fork() the child must let go of what it inherited: as long
 * as its copy of a descriptor is open, the flock outlives the parent.
 */
#include <errno.h>
#include <pthread.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/io.h"
#include "txn/storage.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tmf_storage *open_storages;
static struct tmf_storage *inherited; /* by fork: of no use, kept so that callers may still ask */
static bool fork_handled;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&mutex);
}

static void after_fork_in_parent(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

/* The lock belongs to those of the two files; the others look into the parent's memory. */
static void close_all(const struct tmf_storage *storage)
{
    const int all[] = {storage->odb_fd, storage->log_fd, storage->uffd, storage->pagemap_fd};
    for (size_t n = 0; n < sizeof(all) / sizeof(all[0]); n++) {
        if (all[n] >= 0 && !TMF_MUTANT("lock-inherited"))
            (void)tmf_io->close(all[n]);
    }
}

static void after_fork_in_child(void)
{
    while (open_storages) {
        struct tmf_storage *storage = open_storages;
        open_storages = storage->next_open;
        storage->next_open = inherited;
        inherited = storage;
        storage->forked = !TMF_MUTANT("fork-not-noticed");
        storage->state = TMF_IDLE;
        tmf_trap_remove(storage);
        close_all(storage);
    }
    (void)pthread_mutex_unlock(&mutex);
}

static int add(struct tmf_storage *storage)
{
    if (!fork_handled) {
        int error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
        if (error)
            return error;
        fork_handled = true;
    }
    for (struct tmf_storage *at = open_storages; at; at = at->next_open) {
        if (at->device == storage->device && at->inode == storage->inode)
            return EBUSY;
    }
    storage->next_open = open_storages;
    open_storages = storage;
    return 0;
}

int tmf_registry_add(struct tmf_storage *storage)
{
    struct stat status;
    if (tmf_io->fstat(storage->log_fd, &status) != 0)
        return tmf_fail(errno, "opening '%s'", storage->log_path);
    storage->device = status.st_dev;
    storage->inode = status.st_ino;
    (void)pthread_mutex_lock(&mutex);
    int error = add(storage);
    (void)pthread_mutex_unlock(&mutex);
    return error ? tmf_fail(error, "opening '%s': this process has it open already",
                            storage->odb_path)
                 : 0;
}

void tmf_registry_remove(struct tmf_storage *storage)
{
    (void)pthread_mutex_lock(&mutex);
    for (struct tmf_storage **at = &open_storages; *at; at = &(*at)->next_open) {
        if (*at == storage) {
            *at = storage->next_open;
            break;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
}
