/* SPDX-License-Identifier: MIT */
/*
 * Making a new storage, under the exclusive lock of its log. Write order:
 *
 *   1. PATH.log is zero-filled, given its first slot, and synced
 *   2. its folder is synced               - from here on PATH.odb never exists without its log
 *   3. PATH.odb.new gets its size, its header, its heap and the caller's root object, and is synced
 *   4. it is renamed to PATH.odb          - all or nothing: there is no half-made storage
 *   5. the folder is synced               - tmf_open() returns after this only; whoever opens a
 *                                           storage that nobody has written to yet syncs it again,
 *                                           for who made it may have died before
 *
 * A crash before 4 leaves a log and perhaps an .odb.new, which the next creation makes anew. It
 * takes over what begins with our magic (a log: perhaps after sectors that are zero, the first copy
 * of its slot being torn off), a log that is all zeroes, and an .odb.new that begins with
 * a sector of zeroes (of its pages any may have arrived), and refuses any other file. An error
 * removes what this creation made.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "alloc/point.h"
#include "txn/error.h"
#include "txn/file.h"
#include "txn/io.h"
#include "txn/storage.h"

#define LOG_LEAST ((size_t)1 << 20)
#define LOG_MOST  ((size_t)16 << 20)
#define LOG_SHARE 8 /* of the arena */

static int check_takeable(int fd, const char *path, const char *magic, uint64_t zeroes)
{
    bool ours = false;
    int error = tmf_file_is_ours(fd, magic, zeroes, &ours);
    if (error)
        return tmf_fail(error, "creating a storage: reading '%s'", path);
    return ours ? 0
                : tmf_fail(TMF_EWRONGFILETYPE,
                           "creating a storage: '%s' is in the way; move it or choose another path",
                           path);
}

/* A checkpoint writes each page that was changed since the last one: the larger an arena, the more
 * of them its log should wait for. */
static size_t log_size_of(const tmf_options *options)
{
    size_t share = options->size / LOG_SHARE;
    if (options->log_size)
        return options->log_size;
    return share < LOG_LEAST ? LOG_LEAST : share > LOG_MOST ? LOG_MOST : share & ~(LOG_LEAST - 1);
}

static int make_log(struct tmf_storage *storage, uint64_t id, size_t size)
{
    int error = tmf_log_create(&storage->log, storage->log_fd, id, size);
    if (error)
        return tmf_fail(error, "creating '%s'", storage->log_path);
    if (TMF_MUTANT("log-name-unsynced"))
        return 0;
    error = tmf_file_sync_folder(storage->log_path);
    return error ? tmf_fail(error, "syncing the folder of '%s'", storage->log_path) : 0;
}

static void fill_header(struct tmf_storage *storage, const tmf_options *options, uint64_t id,
                        size_t size)
{
    struct tmf_file_header *header = tmf_header(storage);
    memcpy(header->file_magic, TMF_FILE_MAGIC, TMF_MAGIC_SIZE);
    header->version = TMF_FORMAT_VERSION;
    header->byte_order = TMF_BYTE_ORDER;
    header->word_size = sizeof(void *);
    header->page_size = TMF_PAGE_SIZE;
    header->id = id;
    header->magic = options->magic;
    header->address = (uintptr_t)storage->arena.base;
    header->size = size;
    header->root_size = options->root_size;
    header->heap_offset = TMF_ROOT_OFFSET + options->root_size;
    tmf_header_seal(header);
}

/* Runs the caller's initialiser as a transaction that can only succeed or fail as a whole. */
static int initialise_root(struct tmf_storage *storage, const tmf_options *options)
{
    struct tmf_writer *writer = &storage->writer;
    if (!options->root_init)
        return 0;
    writer->holder.thread = pthread_self();
    writer->holder.active = true;
    int error =
        options->root_init(writer, storage->arena.base + TMF_ROOT_OFFSET, options->root_context);
    writer->holder.active = false;
    return error ? tmf_fail(error, "creating '%s': its initialiser failed", storage->odb_path) : 0;
}

static int fill(struct tmf_storage *storage, const tmf_options *options, uint64_t id, size_t size)
{
    tmf_heap_config config = {.quantum = options->quantum, .index = options->index};
    fill_header(storage, options, id, size);
    TMF_POINT("txn/create/header-filled");
    int error = tmf_heap_create(&storage->heap, storage->arena.base,
                                TMF_ROOT_OFFSET + options->root_size, size, &config);
    if (error == ENOENT) /* means a missing file to those who open one */
        error = EINVAL;
    if (error)
        return tmf_fail(error, "creating '%s': %zu bytes with a root of %zu, quantum %zu, index %s",
                        storage->odb_path, size, options->root_size, options->quantum,
                        options->index ? options->index : "default");
    error = initialise_root(storage, options);
    if (!error && storage->state == TMF_DOOMED && !TMF_MUTANT("made-without-room"))
        error = tmf_fail(storage->doom_error, "creating '%s': no room for its %zu bytes",
                         storage->odb_path, size);
    return error;
}

/* A full disk shows itself as SIGBUS; the trap must know the arena by then. */
static int fill_trapped(struct tmf_storage *storage, const tmf_options *options, uint64_t id,
                        size_t size)
{
    int error = tmf_trap_add(storage);
    if (error)
        return error;
    storage->writer.creating = true;
    storage->state = TMF_ACTIVE;
    error = fill(storage, options, id, size);
    storage->state = TMF_IDLE;
    storage->writer.creating = false;
    tmf_trap_remove(storage);
    return error;
}

/* Gives the finished file its name. From the rename on it is there, whatever comes after. */
static int publish(struct tmf_storage *storage)
{
    if (!TMF_MUTANT("renamed-unsynced") && tmf_io->fsync(storage->odb_fd) != 0)
        return tmf_fail(errno, "syncing '%s'", storage->new_path);
    TMF_POINT("txn/create/before-rename");
    if (tmf_io->rename(storage->new_path, storage->odb_path) != 0)
        return tmf_fail(errno, "renaming '%s' to '%s'", storage->new_path, storage->odb_path);
    TMF_POINT("txn/create/after-rename");
    if (TMF_MUTANT("odb-name-unsynced"))
        return 0;
    int error = tmf_file_sync_folder(storage->odb_path);
    if (!error)
        return 0;
    (void)tmf_io->unlink(storage->odb_path);
    return tmf_fail(error, "syncing the folder of '%s'", storage->odb_path);
}

static int make_odb(struct tmf_storage *storage, const tmf_options *options, uint64_t id,
                    size_t size)
{
    if (tmf_io->ftruncate(storage->odb_fd, 0) != 0 ||
        tmf_io->ftruncate(storage->odb_fd, (off_t)size) != 0)
        return tmf_fail(errno, "creating '%s' with %zu bytes", storage->new_path, size);
    int error =
        tmf_arena_map(&storage->arena, storage->odb_fd, options->address, size, id >> 16, true);
    if (error)
        return tmf_fail(error, "mapping '%s' at %p", storage->odb_path, options->address);
    error = fill_trapped(storage, options, id, size);
    if (error)
        return error;
    error = tmf_arena_protect(&storage->arena, 0, size, false);
    return error ? tmf_fail(error, "protecting '%s'", storage->odb_path) : publish(storage);
}

static int check_sizes(const struct tmf_storage *storage, const tmf_options *options, size_t *size)
{
    *size = tmf_page_round(options->size);
    if (*size == 0 || *size > PTRDIFF_MAX || options->root_size > *size - TMF_ROOT_OFFSET)
        return tmf_fail(*size ? EINVAL : TMF_EWRONGSIZE,
                        "creating '%s': %zu bytes with a root object of %zu", storage->odb_path,
                        options->size, options->root_size);
    return 0;
}

static int make_files(struct tmf_storage *storage, const tmf_options *options, size_t size)
{
    uint64_t id = 0;
    int error = tmf_draw(&id, sizeof(id));
    if (error)
        return tmf_fail(error, "creating '%s': drawing its id", storage->odb_path);
    error = make_log(storage, id, log_size_of(options));
    return error ? error : make_odb(storage, options, id, size);
}

static int open_new(struct tmf_storage *storage)
{
    int error = tmf_file_open(storage->new_path, O_RDWR | O_CREAT, &storage->odb_fd);
    if (error)
        return tmf_fail(error, "creating '%s'", storage->new_path);
    return check_takeable(storage->odb_fd, storage->new_path, TMF_FILE_MAGIC, TMF_SECTOR_SIZE);
}

/*
 * A log that a transaction was made with belongs to a storage that is elsewhere, and may hold what
 * that needs to be undone. One that a creation left behind is new.
 */
static int check_unused(struct tmf_storage *storage)
{
    struct tmf_log_state state;
    struct tmf_log log;
    if (tmf_log_attach(&log, storage->log_fd, 0) != 0)
        return 0; /* cut off while it was made */
    bool used = tmf_log_look(&log, &state) != 0 || state.turn > TMF_LOG_FIRST_TURN || state.pending;
    tmf_log_detach(&log);
    return used ? tmf_fail(ENOENT,
                           "opening '%s': its log is there and in use; put the storage back, or "
                           "remove '%s'",
                           storage->odb_path, storage->log_path)
                : 0;
}

int tmf_create(struct tmf_storage *storage, const tmf_options *options)
{
    size_t size;
    int error = check_takeable(storage->log_fd, storage->log_path, TMF_LOG_MAGIC, UINT64_MAX);
    if (!error)
        error = check_unused(storage);
    if (error)
        return error; /* the log is not ours to remove */
    error = check_sizes(storage, options, &size);
    if (!error)
        error = open_new(storage);
    if (!error) {
        error = make_files(storage, options, size);
        if (error)
            (void)tmf_io->unlink(storage->new_path);
    }
    if (error && !TMF_MUTANT("failed-creation-left"))
        (void)tmf_io->unlink(storage->log_path);
    return error;
}
