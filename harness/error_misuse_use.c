/* SPDX-License-Identifier: MIT */
/* What is done wrongly with a storage that is open; and whom it meets there. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "harness/error_misuse.h"
#include "harness/strategy.h"
#include "txn/format.h"

#define CHILD_SECONDS 10
#define SOON_NS       UINT64_C(1000000)
#define STORAGES      300 /* more than a process may have open */
#define SIZE          ((size_t)64 << 10)
#define HEAP_HEAD     ((size_t)192) /* bytes: it begins at a border behind the root object */

/* The first of two errors that is not as expected, or it. */
static int both(int expected, int one, int other)
{
    return one == expected ? other : one;
}

static int of_errno(const void *block)
{
    return block ? 0 : errno;
}

/* Every call that takes a writer. */
static int use_writer(tmf_writer *writer, void *block, int expected)
{
    uint64_t ticket;
    int error = both(expected, tmf_commit(writer), tmf_rollback(writer));
    error = both(expected, error, tmf_commit_nowait(writer, &ticket));
    error = both(expected, error, of_errno(tmf_alloc(writer, 8)));
    error = both(expected, error, of_errno(tmf_resize(writer, block, 8, 16)));
    error = both(expected, error, tmf_free(writer, block, 8));
    return both(expected, error, tmf_touch(writer, block, 8));
}

/* ---- in one thread */

static int opened_twice(struct misuse_scene *scene)
{
    return misuse_open(scene);
}

static int closed_in_use(struct misuse_scene *scene)
{
    tmf_reader *reader;
    int error = tmf_read_begin(scene->storage, &reader);
    if (error)
        return error;
    error = tmf_close(scene->storage);
    tmf_read_end(reader);
    return error;
}

static int begun_twice(struct misuse_scene *scene)
{
    tmf_reader *reader;
    tmf_writer *writer, *second;
    int error = tmf_write_begin(scene->storage, &writer);
    if (error)
        return error;
    error = both(EDEADLK, tmf_write_begin(scene->storage, &second),
                 tmf_read_begin(scene->storage, &reader));
    tmf_write_end(writer);
    return error;
}

static int ticket_not_made(struct misuse_scene *scene)
{
    tmf_storage *storage;
    struct misuse_scene other = *scene;
    other.path[strlen(other.path) - 1]++;
    int error = tmf_open(
        other.path, &(tmf_options){.size = SIZE, .durability = TMF_DURABILITY_GROUP}, &storage);
    if (error)
        return error;
    error = tmf_wait(storage, UINT64_MAX);
    tmf_close(storage);
    return error;
}

/* Does something in a transaction that is rolled back. */
static int in_writer(struct misuse_scene *scene, int run(tmf_storage *, tmf_writer *))
{
    tmf_writer *writer;
    int error = tmf_write_begin(scene->storage, &writer);
    if (error)
        return error;
    error = run(scene->storage, writer);
    tmf_write_end(writer);
    return error;
}

static int touch_outside(tmf_storage *storage, tmf_writer *writer)
{
    unsigned char *end = (unsigned char *)tmf_address(storage) + tmf_size(storage);
    return both(EINVAL, tmf_touch(writer, end, 1), tmf_touch(writer, end - 1, 2));
}

static int touched_outside(struct misuse_scene *scene)
{
    return in_writer(scene, touch_outside);
}

static int alloc_more_than_there_is(tmf_storage *storage, tmf_writer *writer)
{
    void *block = tmf_alloc(writer, 64);
    return both(ENOMEM, of_errno(tmf_alloc(writer, tmf_size(storage))),
                of_errno(tmf_resize(writer, block, 64, tmf_size(storage))));
}

static int arena_too_small(struct misuse_scene *scene)
{
    return in_writer(scene, alloc_more_than_there_is);
}

static int free_no_block(tmf_storage *storage, tmf_writer *writer)
{
    unsigned char *block = tmf_alloc(writer, 64);
    (void)storage;
    int error = both(TMF_EBADBLOCK, tmf_free(writer, block + 32, 32), tmf_free(writer, block, 640));
    return both(TMF_EBADBLOCK, error, of_errno(tmf_resize(writer, block + 32, 32, 64)));
}

static int freed_no_block(struct misuse_scene *scene)
{
    return in_writer(scene, free_no_block);
}

static int count_block(void *context, const tmf_block *block)
{
    (void)context, (void)block;
    return 0;
}

/* The heap is all there is behind the root object. Whoever stores over its header has to ask before
 * anything else is done with it: what was checked at the open is trusted until the next. */
static int damage_heap(tmf_storage *storage, tmf_writer *writer)
{
    tmf_info info;
    int error = tmf_info_get(storage, &info);
    if (error)
        return error;
    unsigned char *heap = (unsigned char *)info.address + TMF_ROOT_OFFSET + info.root_size;
    error = tmf_touch(writer, heap, HEAP_HEAD);
    if (error)
        return error;
    memset(heap, 0xa5, HEAP_HEAD);
    return both(TMF_ECORRUPT, tmf_check(storage), tmf_info_get(storage, &info));
}

static int heap_damaged(struct misuse_scene *scene)
{
    return in_writer(scene, damage_heap);
}

static int too_many_storages(struct misuse_scene *scene)
{
    static tmf_storage *storages[STORAGES];
    char path[sizeof(scene->path) + 16];
    int error = 0;
    size_t count = 0;
    while (!error && count < STORAGES) {
        snprintf(path, sizeof(path), "%s-%zu", scene->path, count);
        error = tmf_open(path, &(tmf_options){.size = SIZE, .log_size = 1}, &storages[count]);
        count += !error;
    }
    while (count > 0)
        tmf_close(storages[--count]);
    return error;
}

/* ---- in another thread */

struct meeting {
    tmf_storage *storage;
    tmf_writer *writer;
    void *block;
    int error;
};

static void *use_of_another(void *context)
{
    struct meeting *meeting = context;
    meeting->error = use_writer(meeting->writer, meeting->block, TMF_ENOTOWNER);
    return NULL;
}

/* All that do not wait, or not for ever. */
static int meet_writer(tmf_storage *storage)
{
    tmf_reader *reader;
    tmf_writer *writer;
    int error =
        both(EBUSY, tmf_read_begin_try(storage, &reader), tmf_write_begin_try(storage, &writer));
    if (error != EBUSY)
        return error;
    return both(ETIMEDOUT, tmf_read_begin_timed(storage, SOON_NS, &reader),
                tmf_write_begin_timed(storage, SOON_NS, &writer));
}

static void *meet_of_another(void *context)
{
    struct meeting *meeting = context;
    meeting->error = meet_writer(meeting->storage);
    return NULL;
}

static int in_thread(struct misuse_scene *scene, void *run(void *))
{
    struct meeting meeting = {.storage = scene->storage};
    pthread_t thread;
    int error = tmf_write_begin(scene->storage, &meeting.writer);
    if (error)
        return error;
    meeting.block = tmf_alloc(meeting.writer, 64);
    error = pthread_create(&thread, NULL, run, &meeting);
    if (!error)
        pthread_join(thread, NULL);
    tmf_write_end(meeting.writer);
    return error ? error : meeting.error;
}

static int used_by_another_thread(struct misuse_scene *scene)
{
    return in_thread(scene, use_of_another);
}

static int not_waited_for_thread(struct misuse_scene *scene)
{
    return in_thread(scene, meet_of_another);
}

/* ---- in another process, which answers by a number that fits into its exit status */

struct forked {
    struct misuse_scene *scene;
    tmf_writer *writer;
    void *block;
    int (*run)(struct forked *);
    int expected;
};

static int answer(void *context)
{
    struct forked *forked = context;
    return forked->run(forked) == forked->expected ? LIVED : FAILED;
}

/* While this process writes. EPROTO: the other one had another answer. */
static int in_child(struct misuse_scene *scene, int run(struct forked *), int expected)
{
    struct forked forked = {.scene = scene, .run = run, .expected = expected};
    struct child_end end;
    int error = tmf_write_begin(scene->storage, &forked.writer);
    if (error)
        return error;
    forked.block = tmf_alloc(forked.writer, 64);
    error = child_run(answer, &forked, CHILD_SECONDS, &end);
    tmf_write_end(forked.writer);
    if (error)
        return error;
    return end.exited && end.code == LIVED ? expected : EPROTO;
}

static int use_inherited(struct forked *forked)
{
    tmf_storage *storage = forked->scene->storage;
    tmf_reader *reader;
    tmf_writer *writer;
    tmf_info info;
    int error = use_writer(forked->writer, forked->block, TMF_EFORKED);
    error = both(TMF_EFORKED, error, tmf_read_begin(storage, &reader));
    error = both(TMF_EFORKED, error, tmf_write_begin(storage, &writer));
    error = both(TMF_EFORKED, error, tmf_wait(storage, 0));
    error = both(TMF_EFORKED, error, tmf_check(storage));
    error = both(TMF_EFORKED, error, tmf_info_get(storage, &info));
    error = both(TMF_EFORKED, error, tmf_walk(storage, count_block, NULL));
    return both(TMF_EFORKED, error, tmf_close(storage));
}

static int used_in_child(struct misuse_scene *scene)
{
    return in_child(scene, use_inherited, TMF_EFORKED);
}

/* A redo strategy lets it read; a second writer does not get in. */
static int meet_process(struct forked *forked)
{
    tmf_storage *storage;
    tmf_writer *writer;
    int error = workload_open(forked->scene->place, forked->scene->path, &storage);
    if (error)
        return error;
    error = tmf_write_begin_try(storage, &writer);
    if (error != EBUSY)
        return error;
    error = tmf_write_begin_timed(storage, SOON_NS, &writer);
    tmf_close(storage);
    return error;
}

static int not_waited_for_process(struct misuse_scene *scene)
{
    /* An undo strategy keeps even the one out who opens. */
    return strategy_readers_go_on(scene->place->strategy) ? in_child(scene, meet_process, ETIMEDOUT)
                                                          : ETIMEDOUT;
}

static const struct error_misuse uses[] = {
    {.name = "opened-twice", .run = opened_twice, .expected = EBUSY, .is_open = true},
    {.name = "closed-in-use", .run = closed_in_use, .expected = EBUSY, .is_open = true},
    {.name = "begun-twice", .run = begun_twice, .expected = EDEADLK, .is_open = true},
    {.name = "ticket-not-made", .run = ticket_not_made, .expected = EINVAL, .is_open = true},
    {.name = "touched-outside", .run = touched_outside, .expected = EINVAL, .is_open = true},
    {.name = "arena-too-small", .run = arena_too_small, .expected = ENOMEM, .is_open = true},
    {.name = "freed-no-block", .run = freed_no_block, .expected = TMF_EBADBLOCK, .is_open = true},
    {.name = "heap-damaged", .run = heap_damaged, .expected = TMF_ECORRUPT, .is_open = true},
    {.name = "too-many-storages", .run = too_many_storages, .expected = EMFILE, .is_open = true},
    {.name = "used-by-another-thread",
     .run = used_by_another_thread,
     .expected = TMF_ENOTOWNER,
     .is_open = true},
    {.name = "not-waited-for-thread",
     .run = not_waited_for_thread,
     .expected = ETIMEDOUT,
     .is_open = true},
    {.name = "used-in-child", .run = used_in_child, .expected = TMF_EFORKED, .is_open = true},
    {.name = "not-waited-for-process",
     .run = not_waited_for_process,
     .expected = ETIMEDOUT,
     .is_open = true},
};
#define USE_COUNT (sizeof(uses) / sizeof(uses[0]))

const struct error_misuse *error_misuse_use_at(size_t n)
{
    return n < USE_COUNT ? &uses[n] : NULL;
}
