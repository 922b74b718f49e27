/* SPDX-License-Identifier: MIT */
/*
 * What programs do that have no library: a file mapped shared, stored to in place, and msync() for
 * a commit. Nothing is all or nothing, and nothing can be undone: the control, which a harness must
 * catch, and what durability alone costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/engine.h"

#define FILE_MODE 0600
#define PAGE_SIZE ((size_t)4096)

struct db {
    unsigned char *base; /* one byte per key: is there a record; then the records */
    size_t size;         /* of the mapping, bytes */
    uint64_t records;
    size_t record_size;
    size_t first; /* offset of the first record */
};

static int failed(const char *doing)
{
    int error = errno;
    return engine_fail(error, "mmap: %s: %s", doing, strerror(error));
}

static int map_file(struct db *db, const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (file < 0)
        return failed("opening");
    void *at = MAP_FAILED;
    if (ftruncate(file, (off_t)db->size) == 0)
        at = mmap(NULL, db->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int error = at == MAP_FAILED ? failed("mapping") : 0;
    close(file);
    db->base = at;
    return error;
}

static int open_table(const struct engine_config *config, void **out)
{
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return engine_fail(ENOMEM, "no memory");
    db->records = config->records;
    db->record_size = config->record_size;
    db->first = (config->records + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    db->size = db->first + config->records * config->record_size;
    int error = map_file(db, config->path);
    if (error)
        free(db);
    else
        *out = db;
    return error;
}

static int close_table(void *at)
{
    struct db *db = at;
    munmap(db->base, db->size);
    free(db);
    return 0;
}

static int begin(void *at, bool writes)
{
    (void)at, (void)writes;
    return 0;
}

static int commit(void *at)
{
    struct db *db = at;
    return msync(db->base, db->size, MS_SYNC) == 0 ? 0 : failed("msync");
}

static int drop(void *at)
{
    (void)at;
    return 0;
}

static bool is_there(const struct db *db, uint64_t key)
{
    return key < db->records && db->base[key];
}

static int missing(uint64_t key)
{
    return engine_fail(ENOENT, "mmap: there is no record %llu", (unsigned long long)key);
}

static unsigned char *place_of(const struct db *db, uint64_t key)
{
    return db->base + db->first + key * db->record_size;
}

static int read_record(void *at, uint64_t key, const void **out)
{
    *out = place_of(at, key);
    return is_there(at, key) ? 0 : missing(key);
}

static int insert(void *at, uint64_t key, const void *record)
{
    struct db *db = at;
    if (is_there(db, key))
        return engine_fail(EEXIST, "mmap: there is a record %llu", (unsigned long long)key);
    memcpy(place_of(db, key), record, db->record_size);
    db->base[key] = 1;
    return 0;
}

static int update(void *at, uint64_t key, size_t offset, const void *bytes, size_t size)
{
    if (!is_there(at, key))
        return missing(key);
    memcpy(place_of(at, key) + offset, bytes, size);
    return 0;
}

static int erase(void *at, uint64_t key)
{
    struct db *db = at;
    if (!is_there(db, key))
        return missing(key);
    db->base[key] = 0;
    return 0;
}

const struct engine engine_mmap_msync = {
    .name = "mmap-msync",
    .about = "a shared mapping, stored to in place, and msync: the control, survives nothing",
    .family = "mmap",
    .survives = TMF_SURVIVES_NOTHING,
    .open = open_table,
    .close = close_table,
    .begin = begin,
    .commit = commit,
    .drop = drop,
    .read = read_record,
    .insert = insert,
    .update = update,
    .erase = erase,
};
