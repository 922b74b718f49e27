/* SPDX-License-Identifier: MIT */
#include "engine_counts.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "harness/traced.h"

namespace
{

constexpr unsigned limit_seconds = 120;

/* Shared with the child. */
struct report {
    std::uint64_t written_bytes, dirtied_bytes;
    std::int64_t peak_bytes, private_bytes;
    char what[512];
};

struct job {
    const engine_table *table;
    const engine_setup *setup;
    const table_work *work;
    std::uint64_t touch_step, last;
    report *out;
};

/* The number behind `key` in a file of lines as "key: number". */
std::uint64_t number_in(const char *path, const std::string &key)
{
    std::ifstream file(path);
    std::string word;
    std::uint64_t number = 0;
    while (file >> word) {
        if (word == key && file >> number)
            return number;
    }
    throw std::runtime_error(std::string(path) + " has no " + key);
}

std::int64_t bytes_in(const char *path, const char *key)
{
    return static_cast<std::int64_t>(number_in(path, key) * 1024);
}

constexpr const char *status = "/proc/self/status";
constexpr const char *maps = "/proc/self/smaps_rollup";
constexpr const char *io = "/proc/self/io";

void forget_peak()
{
    std::ofstream("/proc/self/clear_refs") << "5";
}

void transact_all(const job &task, void *db)
{
    table_operation operations[TABLE_OPERATIONS_MAX];
    for (std::uint64_t k = 1; k <= task.last; k++) {
        std::size_t count = table_plan(task.work, k, operations);
        engine_must(table_transact(task.setup->of, db, task.work, operations, count, nullptr));
    }
}

void count_in_child(const job &task)
{
    forget_peak();
    std::int64_t resident = bytes_in(status, "VmRSS:");
    std::int64_t own = bytes_in(maps, "Anonymous:");
    void *db = task.table->open(*task.setup);
    if (task.touch_step > 0)
        engine_must(table_touch(task.setup->of, db, task.work, task.touch_step));
    std::uint64_t written = number_in(io, "wchar:");
    std::uint64_t dirtied = number_in(io, "write_bytes:");
    traced_watch(true);
    transact_all(task, db);
    traced_watch(false);
    task.out->written_bytes = number_in(io, "wchar:") - written;
    task.out->dirtied_bytes = number_in(io, "write_bytes:") - dirtied;
    task.out->peak_bytes = bytes_in(status, "VmHWM:") - resident;
    task.out->private_bytes = bytes_in(maps, "Anonymous:") - own;
    engine_must(task.setup->of->close(db));
}

int run_child(void *context)
{
    const job &task = *static_cast<job *>(context);
    try {
        count_in_child(task);
        return 0;
    } catch (const std::exception &failure) {
        std::snprintf(task.out->what, sizeof(task.out->what), "%s", failure.what());
        return 1;
    }
}

} // namespace

engine_counts count_engine(const engine_table &table, const engine_setup &setup,
                           const table_work &work, std::uint64_t touch_step, std::uint64_t last)
{
    static auto *shared = static_cast<report *>(child_shared(sizeof(report)));
    if (shared == nullptr)
        throw std::runtime_error("no memory to share with a child");
    std::memset(shared, 0, sizeof(*shared));
    job task = {&table, &setup, &work, touch_step, last, shared};
    traced_counts counts = {};
    child_end end = {};
    int error = traced_run(run_child, &task, limit_seconds, 0, &counts, &end);
    if (error != 0)
        return {};
    char how[128];
    child_explain(&end, how, sizeof(how));
    if (!end.exited || end.code != 0)
        throw std::runtime_error(std::string("counting: ") +
                                 (shared->what[0] != '\0' ? shared->what : how));
    auto each = [last](std::uint64_t all) {
        return static_cast<double>(all) / static_cast<double>(last);
    };
    return {true,
            each(counts.calls),
            each(counts.syncs),
            each(shared->written_bytes),
            each(shared->dirtied_bytes),
            static_cast<double>(shared->peak_bytes),
            static_cast<double>(shared->private_bytes)};
}
