/* SPDX-License-Identifier: MIT */
#include "engine_table.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <system_error>
#include <unistd.h>

#include "harness/child.h"

static const char *const memory = "/dev/shm";

void engine_must(int error)
{
    if (error != 0)
        throw std::runtime_error(engine_explain());
}

table_work engine_work(const char *workload, std::size_t pages)
{
    table_work work = {};
    work.workload = table_workload_find(workload);
    work.seed = 1;
    work.records = engine_records;
    work.record_size = engine_record_size;
    work.pages = pages;
    return work;
}

static void *open_in(const std::string &folder, const engine_setup &setup)
{
    std::string path = folder + "/table";
    engine_config config = {};
    config.path = path.c_str();
    config.records = engine_records;
    config.record_size = engine_record_size;
    config.strategy = setup.strategy;
    config.durability = setup.durability;
    config.flags = setup.flags;
    void *db = nullptr;
    engine_must(setup.of->open(&config, &db));
    return db;
}

static void load(const std::string &folder, const engine_setup &setup)
{
    const table_work work = engine_work("pages", 1);
    void *db = open_in(folder, setup);
    engine_must(table_load(setup.of, db, &work));
    engine_must(setup.of->close(db));
}

/* In a folder of memory that is gone when this returns, whatever happens. */
static void load_in_memory(const std::string &folder, const engine_setup &setup)
{
    scratch in_memory = {};
    if (access(memory, W_OK) != 0 || scratch_make(memory, &in_memory) != 0) {
        load(folder, setup);
        return;
    }
    int error = 0;
    try {
        load(in_memory.path, setup);
        error = scratch_copy(in_memory.path, folder.c_str());
    } catch (...) {
        scratch_remove(in_memory.path);
        throw;
    }
    scratch_remove(in_memory.path);
    if (error != 0)
        throw std::system_error(error, std::generic_category(), "copying a table to " + folder);
}

engine_table::engine_table(const folder &where, const engine_setup &setup)
    : folder_(where.path(setup.of->family)), model_(nullptr, table_model_free)
{
    const table_work work = engine_work("pages", 1);
    model_.reset(table_model_new(&work));
    if (!model_)
        throw std::runtime_error("no memory for a model");
    std::filesystem::create_directory(folder_);
    load_in_memory(folder_, setup);
    settle();
}

engine_table &engine_table::of(const folder &where, const engine_setup &setup)
{
    static std::map<std::string, std::unique_ptr<engine_table>> tables;
    std::unique_ptr<engine_table> &table = tables[setup.of->family];
    if (!table)
        table.reset(new engine_table(where, setup));
    return *table;
}

void *engine_table::open(const engine_setup &setup) const
{
    return open_in(folder_, setup);
}

void engine_table::check(const engine_setup &setup, void *db) const
{
    difference difference = {};
    if (!table_equal(model_.get(), setup.of, db, &difference))
        throw std::runtime_error(difference.what);
}

void engine_table::tell(const table_work &work, std::uint64_t first, std::uint64_t last)
{
    for (std::uint64_t k = first; k <= last; k++)
        table_model_apply(model_.get(), &work, k);
}

void engine_table::settle() const
{
    for (const auto &entry : std::filesystem::directory_iterator(folder_)) {
        int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
        int error = file < 0 || fsync(file) != 0 ? errno : 0;
        if (file >= 0)
            close(file);
        if (error != 0)
            throw std::system_error(error, std::generic_category(), entry.path().string());
    }
}
