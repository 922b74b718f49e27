/* SPDX-License-Identifier: MIT */
/*
 * The storage is filled with the strategy that survives nothing, the only one that keeps no copy of
 * its pages while it does; a crash meanwhile would lose nothing that anyone wants.
 */
#include "storage.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

struct bench_root {
    char *pages;
};

void storage_must(int error)
{
    if (error != 0)
        throw std::runtime_error(std::string(tmf_strerror(error)) + " (" + tmf_explain() + ")");
}

/* Options are looked at before the path, under which there is never anything. */
static bool is_available(const char *name)
{
    tmf_options options = {};
    options.strategy = name;
    tmf_storage *storage = nullptr;
    return tmf_open("/dev/null/nothing", &options, &storage) != TMF_ENOTSUPPORTED;
}

strategy::strategy(std::size_t n)
    : name(tmf_strategy_name(n)), must_touch(tmf_strategy_must_touch(n)),
      is_control(tmf_strategy_survives(n) == TMF_SURVIVES_NOTHING),
      copies(tmf_strategy_readers_go_on(n)), available(is_available(name))
{
}

const char *control_name()
{
    std::size_t n = 0;
    while (!strategy(n).is_control)
        n++;
    return tmf_strategy_name(n);
}

tmf_durability durability_asked_for()
{
    const char *word = std::getenv("TMF_BENCH_DURABILITY");
    std::string asked = word != nullptr ? word : "sync";
    if (asked == "group")
        return TMF_DURABILITY_GROUP;
    return asked == "process" ? TMF_DURABILITY_PROCESS : TMF_DURABILITY_SYNC;
}

static int allocate_pages(tmf_writer *writer, void *at, void *arena_size)
{
    std::size_t size =
        pages_of_arena(*static_cast<const std::size_t *>(arena_size)) * storage_page_size;
    auto *root = static_cast<bench_root *>(at);
    root->pages = static_cast<char *>(tmf_alloc_aligned(writer, storage_page_size, size));
    if (root->pages == nullptr)
        return ENOMEM;
    std::memset(root->pages, 1, size);
    return 0;
}

static void create(const std::string &path, std::size_t arena_size)
{
    tmf_options options = {};
    options.size = arena_size;
    options.root_context = &arena_size;
    options.root_size = sizeof(bench_root);
    options.root_init = allocate_pages;
    options.strategy = control_name();
    tmf_storage *made = nullptr;
    storage_must(tmf_open(path.c_str(), &options, &made));
    storage_must(tmf_close(made));
    sync(); /* what filling left in the page cache must not be written during a measurement */
}

storage::storage(const folder &where, const char *strategy_name, tmf_durability durability,
                 unsigned flags, std::size_t size)
{
    std::string path = where.path("storage") + std::to_string(size >> 20);
    if (access((path + ".odb").c_str(), F_OK) != 0)
        create(path, size);
    tmf_options options = {};
    options.strategy = strategy_name;
    options.durability = durability;
    options.flags = flags;
    storage_must(tmf_open(path.c_str(), &options, &handle));
    tmf_reader *reader = nullptr;
    storage_must(tmf_read_begin(handle, &reader));
    pages_ = static_cast<const bench_root *>(tmf_reader_root(reader))->pages;
    tmf_read_end(reader);
}

storage::~storage()
{
    tmf_close(handle);
}
