/* SPDX-License-Identifier: MIT */
/*
 * Opening. What exists is checked before anything is written: identity of the .odb, then the log,
 * both under the lock; then recovery; then the rest of the header; then mapping, heap and options.
 * On any error all is given back and the files are as they were, but for a recovery that was due.
 *
 * Two processes may create at once: both open PATH.log, one gets its lock and creates, the other
 * waits and finds the storage made. Should the first fail, it removes the log that the second one
 * is waiting on: a log without a name is let go of, and all begins anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/redo.h"
#include "txn/storage.h"

#define LOG_SIZE_DEFAULT     ((size_t)1 << 20)
#define PRIVATE_SIZE_DEFAULT ((size_t)256 << 20)
#define LOG_NAMELESS         (-1000) /* internal: the log was removed while we waited for it */

static char *join(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *joined = malloc(size);
    if (joined)
        (void)snprintf(joined, size, "%s%s", path, suffix);
    return joined;
}

static void storage_free(struct tmf_storage *storage)
{
    tmf_sync_destroy(&storage->sync);
    free(storage->odb_path);
    free(storage->log_path);
    free(storage->new_path);
    free(storage);
}

static struct tmf_storage *storage_new(const char *path)
{
    struct tmf_storage *storage = calloc(1, sizeof(*storage));
    if (!storage)
        return NULL;
    storage->odb_path = join(path, ".odb");
    storage->log_path = join(path, ".log");
    storage->new_path = join(path, ".odb.new");
    storage->odb_fd = storage->log_fd = storage->uffd = storage->pagemap_fd = -1;
    storage->writer.storage = storage;
    int error = tmf_sync_init(&storage->sync);
    if (!error && storage->odb_path && storage->log_path && storage->new_path)
        return storage;
    storage_free(storage);
    return NULL;
}

static void close_files(struct tmf_storage *storage)
{
    tmf_log_detach(&storage->log);
    if (storage->odb_fd >= 0)
        (void)tmf_io->close(storage->odb_fd);
    if (storage->log_fd >= 0)
        (void)tmf_io->close(storage->log_fd); /* and with it the lock */
    storage->odb_fd = storage->log_fd = -1;
}

/* Undoes an open, complete or not. */
static void let_go(struct tmf_storage *storage)
{
    tmf_trap_remove(storage);
    if (storage->strategy_state)
        storage->strategy->close(storage);
    tmf_arena_unmap(&storage->arena);
    tmf_registry_remove(storage);
    close_files(storage);
    if (storage->lock_made)
        tmf_lock_destroy(&storage->lock);
    storage->lock_made = false;
}

/* ---- options */

static int choose_strategy(struct tmf_storage *storage, const tmf_options *options)
{
    const char *name = options->strategy;
    storage->strategy = name && *name ? tmf_strategy_find(name) : tmf_strategy_default();
    if (!storage->strategy)
        return tmf_fail(EINVAL, "opening '%s': there is no strategy '%s', see tmf_strategy_name()",
                        storage->odb_path, name);
    storage->durability = options->durability ? options->durability : TMF_DURABILITY_SYNC;
    storage->private_size = options->private_size ? options->private_size : PRIVATE_SIZE_DEFAULT;
    storage->flags = options->flags;
    int error = storage->strategy->probe ? storage->strategy->probe() : 0;
    return error ? tmf_fail_as_explained(error, "opening", storage->odb_path) : 0;
}

static int check_options(struct tmf_storage *storage, const tmf_options *options)
{
    const char *path = storage->odb_path;
    if ((unsigned)options->durability > TMF_DURABILITY_PROCESS)
        return tmf_fail(EINVAL, "opening '%s': durability %d is out of range", path,
                        (int)options->durability);
    if (options->flags & ~(unsigned)(TMF_EXCLUSIVE | TMF_SYSCALLS))
        return tmf_fail(EINVAL, "opening '%s': unknown flags %#x", path, options->flags);
    if ((uintptr_t)options->address % TMF_PAGE_SIZE)
        return tmf_fail(EINVAL, "opening '%s': address %p is no multiple of %zu", path,
                        options->address, TMF_PAGE_SIZE);
    if (options->size > SIZE_MAX / 2)
        return tmf_fail(EINVAL, "opening '%s': size %zu is out of range", path, options->size);
    return choose_strategy(storage, options);
}

/* ---- what exists */

static int read_header(const struct tmf_storage *storage, struct tmf_file_header *header,
                       uint64_t *file_size)
{
    memset(header, 0, sizeof(*header));
    int error = tmf_file_size(storage->odb_fd, file_size);
    size_t size = *file_size < sizeof(*header) ? (size_t)*file_size : sizeof(*header);
    if (!error)
        error = tmf_file_read(storage->odb_fd, header, size, 0);
    return error ? tmf_fail(error, "reading '%s'", storage->odb_path) : 0;
}

static int check_odb(struct tmf_storage *storage, const tmf_options *options)
{
    struct tmf_file_header header;
    uint64_t file_size = 0;
    int error = read_header(storage, &header, &file_size);
    if (error)
        return error;
    bool ours = memcmp(header.file_magic, TMF_FILE_MAGIC, TMF_MAGIC_SIZE) == 0;
    if (ours && file_size < sizeof(header))
        return tmf_fail(TMF_EWRONGSIZE, "opening '%s': %llu bytes are left of it; restore a backup",
                        storage->odb_path, (unsigned long long)file_size);
    return tmf_header_check_identity(storage, &header, options);
}

static int attach_log(struct tmf_storage *storage, const tmf_options *options)
{
    size_t kept = options->log_size ? options->log_size : LOG_SIZE_DEFAULT;
    int error = tmf_log_attach(&storage->log, storage->log_fd, kept);
    if (error)
        return tmf_fail(error, "opening '%s': it is not the log of '%s'; put that back",
                        storage->log_path, storage->odb_path);
    return 0;
}

/* A log of another storage must not be applied: compares the ids before recovery. */
static int check_pair(struct tmf_storage *storage)
{
    struct tmf_file_header header;
    uint64_t file_size = 0;
    int error = read_header(storage, &header, &file_size);
    if (!error && header.id != storage->log.id)
        error = tmf_fail(TMF_ECORRUPT,
                         "opening '%s': '%s' belongs to another storage; put its own log back",
                         storage->odb_path, storage->log_path);
    return error;
}

/* The lock has been taken on the way here; whose fields it needs is known only now. */
static int init_lock(struct tmf_storage *storage)
{
    static const struct tmf_lock_hooks hooks = {.entered = tmf_entered, .is_stale = tmf_is_stale};
    struct tmf_process_lock process = {
        .log_fd = storage->log_fd,
        .notice = (const uint64_t *)(const void *)(storage->log.head + TMF_LOG_NOTICE_OFFSET)};
    bool writers_alone = !storage->strategy->is_redo;
    int error = tmf_lock_init(&storage->lock, process, writers_alone, &hooks, storage);
    storage->lock_made = !error;
    return error ? tmf_fail(error, "opening '%s'", storage->odb_path) : 0;
}

static int check_size(const struct tmf_storage *storage, const struct tmf_file_header *header,
                      const tmf_options *options)
{
    if (options->size == 0 || tmf_page_round(options->size) >= header->size)
        return 0;
    return tmf_fail(TMF_EWRONGSIZE, "opening '%s' with %zu bytes: it has %llu and does not shrink",
                    storage->odb_path, options->size, (unsigned long long)header->size);
}

static int map_existing(struct tmf_storage *storage, const struct tmf_file_header *header)
{
    void *address = (void *)(uintptr_t)header->address;
    int error = tmf_arena_map(&storage->arena, storage->odb_fd, address, header->size, 0, false);
    return error ? tmf_fail(error, "mapping '%s' at %p", storage->odb_path, address) : 0;
}

static int open_strategy(struct tmf_storage *storage)
{
    storage->log.durable = storage->durability != TMF_DURABILITY_PROCESS;
    int error = storage->strategy->open(storage);
    if (error == TMF_ENOTSUPPORTED)
        return tmf_fail_as_explained(error, "opening", storage->odb_path);
    return error ? tmf_fail(error, "opening '%s' with strategy %s", storage->odb_path,
                            storage->strategy->name)
                 : 0;
}

static int attach_heap(struct tmf_storage *storage, const tmf_options *options)
{
    const struct tmf_file_header *header = tmf_header(storage);
    int error =
        tmf_heap_attach(&storage->heap, storage->arena.base, header->heap_offset, header->size);
    if (error)
        return tmf_fail(error, "opening '%s': the header of its heap is damaged",
                        storage->odb_path);
    return tmf_header_check_heap(storage, options);
}

static int check_state(struct tmf_storage *storage, const struct tmf_file_header *header)
{
    uint64_t file_size = 0;
    int error = tmf_file_size(storage->odb_fd, &file_size);
    return error ? tmf_fail(error, "reading '%s'", storage->odb_path)
                 : tmf_header_check_state(storage, header, file_size);
}

/*
 * A header that may be in the middle of a checkpoint is whole once the redo log was taken over;
 * then it is checked again. To be mapped it must have a size.
 */
static int check_unmapped(struct tmf_storage *storage, const struct tmf_file_header *header,
                          uint64_t file_size)
{
    struct tmf_log_state state;
    int error = tmf_log_look(&storage->log, &state);
    if (error)
        return tmf_fail(error, "reading '%s'", storage->log_path);
    if (!state.pending || TMF_MUTANT("torn-header-refused") || header->size == 0 ||
        header->size > file_size || header->size > PTRDIFF_MAX || header->size % TMF_PAGE_SIZE != 0)
        return tmf_header_check_state(storage, header, file_size);
    return 0;
}

static int open_existing(struct tmf_storage *storage, const tmf_options *options)
{
    struct tmf_file_header header;
    uint64_t file_size = 0;
    int error = attach_log(storage, options);
    if (!error)
        error = check_pair(storage);
    if (!error)
        error = init_lock(storage);
    if (!error)
        error = tmf_recover_at_open(storage);
    if (!error)
        error = read_header(storage, &header, &file_size);
    if (!error)
        error = check_unmapped(storage, &header, file_size);
    if (!error)
        error = map_existing(storage, &header);
    if (!error)
        error = tmf_trap_add(storage); /* a page that cannot be had is an error from here on */
    if (!error)
        error = open_strategy(storage);
    if (!error)
        error = tmf_entered(storage, false, TMF_WAIT_FOREVER);
    if (!error)
        error = check_state(storage, tmf_header(storage));
    if (!error)
        error = check_size(storage, tmf_header(storage), options);
    return error ? error : attach_heap(storage, options);
}

static int create(struct tmf_storage *storage, const tmf_options *options)
{
    int error = tmf_create(storage, options);
    if (!error)
        error = init_lock(storage);
    if (!error)
        error = tmf_trap_add(storage);
    return error ? error : open_strategy(storage);
}

/* ---- growth */

static int grow_file(struct tmf_storage *storage, size_t size)
{
    uint64_t file_size = 0;
    int error = tmf_file_size(storage->odb_fd, &file_size);
    bool has_room = file_size >= size; /* of a growth that was cut off, perhaps before its sync */
    if (!error && !has_room && tmf_io->ftruncate(storage->odb_fd, (off_t)size) != 0)
        error = errno;
    TMF_POINT("txn/grow/file-extended");
    /* The log may name the new pages only once the size that holds them is durable. */
    if (!error && !TMF_MUTANT("growth-unsynced") &&
        !(has_room && TMF_MUTANT("room-taken-for-durable")) && tmf_io->fsync(storage->odb_fd) != 0)
        error = errno;
    if (!error)
        error = tmf_arena_extend(&storage->arena, size);
    return error ? error : storage->strategy->resize(storage);
}

static int grow_heap(struct tmf_storage *storage, size_t size)
{
    int error = tmf_transaction_begin(storage);
    if (error)
        return error;
    storage->heap_stores = true;
    tmf_header(storage)->size = size;
    if (!TMF_MUTANT("grown-header-unsealed"))
        tmf_header_seal(tmf_header(storage));
    TMF_POINT("txn/grow/header-changed");
    error = tmf_heap_grow(&storage->heap, size);
    storage->heap_stores = false;
    if (!error && !TMF_MUTANT("growth-not-committed"))
        error = tmf_transaction_commit(storage, true);
    int end_error = tmf_transaction_end(storage);
    return error ? error : end_error;
}

/* Under the exclusive lock: makes the arena `size` bytes, unless another process was faster. */
static int grow(struct tmf_storage *storage, size_t size)
{
    uint64_t old_size = tmf_header(storage)->size;
    if (size <= old_size)
        return tmf_sync_seen(storage);
    int error = tmf_check_numbers(storage);
    if (error)
        return error;
    error = grow_file(storage, size);
    if (!error)
        error = grow_heap(storage, size);
    if (!error)
        return 0;
    if (!storage->poisoned && tmf_header(storage)->size == old_size)
        (void)tmf_io->ftruncate(storage->odb_fd, (off_t)old_size);
    return tmf_fail(error, "growing '%s' from %llu to %zu bytes", storage->odb_path,
                    (unsigned long long)old_size, size);
}

static int grow_if_asked(struct tmf_storage *storage, const tmf_options *options)
{
    struct tmf_lock_holder holder;
    size_t size = tmf_page_round(options->size);
    if (size == 0)
        return 0;
    if (size <= tmf_header(storage)->size)
        return tmf_sync_seen(storage);
    int error = tmf_lock_exclusive(&storage->lock, TMF_WAIT_FOREVER, &holder);
    if (error)
        return error < 0 ? error : tmf_fail(error, "locking '%s' to grow it", storage->odb_path);
    error = grow(storage, size);
    tmf_lock_release(&storage->lock, &holder);
    return error;
}

/* ---- both files */

static int open_odb(struct tmf_storage *storage)
{
    return tmf_file_open(storage->odb_path, O_RDWR, &storage->odb_fd);
}

static int lock_log(struct tmf_storage *storage, bool exclusive)
{
    struct stat status;
    int error = tmf_registry_add(storage);
    if (error)
        return error;
    const struct tmf_process_lock process = {.log_fd = storage->log_fd};
    error = exclusive ? tmf_flock(storage->log_fd, LOCK_EX, TMF_WAIT_FOREVER)
                      : tmf_process_share(&process, TMF_WAIT_FOREVER);
    if (!error && tmf_io->fstat(storage->log_fd, &status) != 0)
        error = errno;
    if (error)
        return tmf_fail(error, "locking '%s'", storage->log_path);
    return status.st_nlink == 0 ? LOG_NAMELESS : 0;
}

/* Another process has created it meanwhile: it is opened like any other. */
static int share_log(struct tmf_storage *storage)
{
    int error = tmf_flock(storage->log_fd, LOCK_SH, TMF_WAIT_FOREVER);
    return error ? tmf_fail(error, "locking '%s'", storage->log_path) : 0;
}

static int open_or_create(struct tmf_storage *storage, const tmf_options *options)
{
    int odb_error = open_odb(storage);
    bool may_create = odb_error == ENOENT && options->size > 0;
    if (odb_error && !may_create)
        return tmf_fail(odb_error, "opening '%s'", storage->odb_path);
    int error = odb_error ? 0 : check_odb(storage, options);
    if (error)
        return error;
    int flags = O_RDWR | (may_create ? O_CREAT : 0);
    error = tmf_file_open(storage->log_path, flags, &storage->log_fd);
    if (error && may_create)
        return tmf_fail(error, "creating '%s'", storage->log_path);
    if (error)
        return tmf_fail(error, "opening '%s': put the log of '%s' back, it tells what to undo",
                        storage->log_path, storage->odb_path);
    error = lock_log(storage, may_create);
    if (error)
        return error;
    if (!may_create)
        return open_existing(storage, options);
    odb_error = open_odb(storage); /* another process may have been faster */
    if (odb_error == ENOENT)
        return create(storage, options);
    error = odb_error ? tmf_fail(odb_error, "opening '%s'", storage->odb_path)
                      : check_odb(storage, options);
    if (!error)
        error = share_log(storage);
    return error ? error : open_existing(storage, options);
}

static int unlock_log(struct tmf_storage *storage)
{
    int error = tmf_flock(storage->log_fd, LOCK_UN, TMF_WAIT_FOREVER);
    return error ? tmf_fail(error, "unlocking '%s'", storage->log_path) : 0;
}

/* From now on nobody else comes in. */
static int take_all(struct tmf_storage *storage)
{
    struct tmf_process_lock *process = &storage->lock.process;
    int error = tmf_process_write(process, TMF_WAIT_FOREVER);
    if (!error)
        error = tmf_process_alone(process, TMF_WAIT_FOREVER);
    if (error)
        return tmf_fail(error, "locking '%s' for good", storage->odb_path);
    process->is_exclusive = true;
    return tmf_entered(storage, true, TMF_WAIT_FOREVER);
}

/* With both files open, mapped, and the log locked. */
static int finish(struct tmf_storage *storage, const tmf_options *options)
{
    int error = unlock_log(storage);
    if (!error && (storage->flags & TMF_EXCLUSIVE))
        error = take_all(storage);
    return error ? error : grow_if_asked(storage, options);
}

int tmf_open(const char *path, const tmf_options *options, tmf_storage **out)
{
    static const tmf_options as_stored;
    if (!path || !*path)
        return tmf_fail(EINVAL, "opening a storage without a path");
    if (!options)
        options = &as_stored;
    struct tmf_storage *storage = storage_new(path);
    if (!storage)
        return tmf_fail(ENOMEM, "opening '%s'", path);
    int error = check_options(storage, options);
    while (!error) {
        error = open_or_create(storage, options);
        if (!error)
            error = finish(storage, options);
        if (!error)
            break;
        let_go(storage);
        if (error == LOG_NAMELESS)
            error = 0;
    }
    if (error)
        storage_free(storage);
    else
        *out = storage;
    return error;
}

int tmf_close(tmf_storage *storage)
{
    if (!storage)
        return 0;
    if (storage->forked)
        return tmf_fail(TMF_EFORKED, "closing '%s'", storage->odb_path);
    if (tmf_lock_in_use(&storage->lock) && !TMF_MUTANT("closed-in-use"))
        return tmf_fail(EBUSY, "closing '%s': end its readers and writers first",
                        storage->odb_path);
    if (storage->strategy->is_redo)
        tmf_redo_tidy(storage);
    let_go(storage);
    storage_free(storage);
    return 0;
}
