/* SPDX-License-Identifier: MIT */
/*
 * strategy/STRATEGY/DURABILITY/LOCALITY/arena_mib:A/pages:K: which strategy, for what? Each single
 * transaction that stores 8 bytes to each of K pages is timed, from begin to where its durability
 * is reached, and its time is split. The benchmark's time is that of the median transaction.
 *
 * strategy/limit/DURABILITY/pages:K: the same with no library, one pwrite of K pages, one after the
 * other, over what was written before, and one fdatasync; that one is left out where the
 * durability is process. With durability group, eight transactions share a wait, and eight writes a
 * sync.
 *
 * `tmf bench --filter strategy` varies one thing at a time: pages at 160 MiB, scattered, sync; and
 * from there the durability, the arena, the locality. With --large all combinations of
 *   durability  sync, group, process
 *   locality    scattered (one page of each K-th part), adjacent (in a row)
 *   arena_mib   16, 160, 1024, 8192
 *   pages       1 to 4096, as far as the arena has twice as many
 * which takes half an hour, and 10 GiB of disk. Three repetitions, whatever --repetitions says: of
 * 1000 transactions, but no shorter than `shortest` and no longer than `longest` seconds.
 *
 * Held fixed: the seeds; a working set of some 4096 pages; where a strategy works on private
 * copies, these were made before. Checked: every call's result; the pages of the last transaction
 * are read back; as many pages were dirtied as were stored to, at least (what survives nothing does
 * not look).
 *
 * Counters: transactions; per_second; p50_us, p90_us, p99_us, p99_9_us of a transaction, each where
 * there are enough of them (10, 100, 1000). Of a transaction, in the mean: mean_us, and what it
 * consists of: fault_us (stores, with page faults, signals and what the handler protects), find_us
 * (finding the pages stored to, and protecting them again), copy_us (comparing, copying, checksums,
 * and what else the library does between its calls), log_us, sync_us (of the log), publish_us
 * (writing to and syncing the .odb), lock_us; pages_dirtied, log_bytes, syncs.
 */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench.h"
#include "drawn_pages.h"
#include "storage.h"
#include "timed_calls.h"
#include "written_file.h"

namespace
{

using steady = std::chrono::steady_clock;

constexpr int repetitions = 3;
constexpr std::size_t enough = 1000; /* transactions, for the 99.9th percentile */
constexpr std::size_t fewest = 3;
constexpr double shortest = 0.2, longest = 0.5; /* seconds */
constexpr std::size_t in_a_group = 8;
constexpr std::size_t working_set = 4096, most_choices = 64; /* pages; per page stored to */

struct durability_kind {
    tmf_durability value;
    const char *name;
    std::size_t together; /* transactions that share a wait */
};
constexpr durability_kind durabilities[] = {{TMF_DURABILITY_SYNC, "sync", 1},
                                            {TMF_DURABILITY_GROUP, "group", in_a_group},
                                            {TMF_DURABILITY_PROCESS, "process", 1}};

struct place {
    durability_kind durability;
    bool adjacent;
    std::size_t arena_mib, pages;
};

double seconds(steady::duration passed)
{
    return std::chrono::duration<double>(passed).count();
}

/* What transactions are made on: a storage, or none. */
class subject
{
  public:
    virtual ~subject() = default;
    virtual void transact(const std::vector<std::size_t> &pages) = 0;
    virtual void wait() = 0; /* until what was transacted is durable, as far as it shall be */
};

class in_storage : public subject
{
  public:
    in_storage(const folder &where, const strategy &how, const place &at)
        : store(where, how.name, at.durability.value, 0, at.arena_mib << 20),
          must_touch_(how.must_touch)
    {
    }
    void transact(const std::vector<std::size_t> &pages) override
    {
        tmf_writer *writer = nullptr;
        storage_must(tmf_write_begin(store.handle, &writer));
        store_all(writer, pages);
        int error = tmf_commit_nowait(writer, &ticket_);
        tmf_write_end(writer);
        storage_must(error);
    }
    void wait() override
    {
        storage_must(tmf_wait(store.handle, ticket_));
    }
    void check_stored(const std::vector<std::size_t> &pages)
    {
        tmf_reader *reader = nullptr;
        storage_must(tmf_read_begin(store.handle, &reader));
        bool all_there = std::all_of(pages.begin(), pages.end(), [this](std::size_t page) {
            return store.number(page) == number;
        });
        tmf_read_end(reader);
        if (!all_there)
            throw std::runtime_error("a committed number is not there");
    }

    storage store;
    double faults = 0;              /* seconds */
    double protected_by_faults = 0; /* of these, in calls that protect */

  private:
    /* What the stores took, less what the handler writes and syncs. */
    void store_all(tmf_writer *writer, const std::vector<std::size_t> &pages)
    {
        double calls_before = sum_of(spent), protecting_before = spent[protecting];
        auto start = steady::now();
        number++;
        for (std::size_t page : pages) {
            std::uint64_t &at = store.number(page);
            if (must_touch_)
                storage_must(tmf_touch(writer, &at, sizeof(at)));
            at = number;
        }
        double whole = seconds(steady::now() - start);
        double protection = spent[protecting] - protecting_before;
        faults += whole - (sum_of(spent) - calls_before - protection);
        protected_by_faults += protection;
    }
    static std::uint64_t number; /* never stored twice, so that reading it back proves something */
    bool must_touch_;
    std::uint64_t ticket_ = 0;
};

std::uint64_t in_storage::number = 0;

class in_plain_file : public subject
{
  public:
    in_plain_file(const folder &where, const place &at)
        : file_(where.path("limit"), storage_pages * storage_page_size),
          bytes_(at.pages * storage_page_size),
          syncs_(at.durability.value != TMF_DURABILITY_PROCESS)
    {
    }
    void transact(const std::vector<std::size_t> &pages) override
    {
        bytes_[0]++;
        file_.write(bytes_.data(), bytes_.size(), static_cast<off_t>(pages[0] * storage_page_size));
    }
    void wait() override
    {
        if (syncs_)
            file_.sync();
    }

  private:
    written_file file_;
    std::vector<char> bytes_;
    bool syncs_;
};

struct measured {
    std::vector<double> times; /* of each transaction, seconds */
    double whole = 0;
};

/* Those that share a wait are through when it is over, each since its own begin. */
void transact_together(subject &on, drawn_pages &where_to, std::size_t together, measured &out)
{
    std::vector<steady::time_point> begins;
    double drawing = 0;
    auto start = steady::now();
    for (std::size_t n = 0; n < together; n++) {
        auto before = steady::now();
        where_to.draw();
        begins.push_back(steady::now());
        drawing += seconds(begins.back() - before);
        on.transact(where_to.pages);
    }
    on.wait();
    auto end = steady::now();
    for (steady::time_point begin : begins)
        out.times.push_back(seconds(end - begin));
    out.whole += seconds(end - start) - drawing;
}

measured measure(subject &on, drawn_pages &where_to, std::size_t together)
{
    measured found;
    auto is_enough = [&found] {
        if (found.times.size() < fewest)
            return false;
        return found.whole >= longest || (found.whole >= shortest && found.times.size() >= enough);
    };
    while (!is_enough())
        transact_together(on, where_to, together, found);
    return found;
}

void report_times(benchmark::State &state, measured found)
{
    std::sort(found.times.begin(), found.times.end());
    auto count = static_cast<double>(found.times.size());
    auto percentile = [&](double share) {
        return found.times[static_cast<std::size_t>(share * (count - 1) + 0.5)];
    };
    struct named {
        const char *name;
        double share;
        std::size_t needed;
    };
    for (const named &each : {named{"p50_us", 0.5, 1}, named{"p90_us", 0.9, 10},
                              named{"p99_us", 0.99, 100}, named{"p99_9_us", 0.999, enough}})
        if (found.times.size() >= each.needed)
            state.counters[each.name] = 1e6 * percentile(each.share);
    state.counters["transactions"] = count;
    state.counters["per_second"] = count / found.whole;
    state.counters["mean_us"] = 1e6 * found.whole / count;
    while (state.KeepRunning())
        state.SetIterationTime(percentile(0.5));
}

void report_split(benchmark::State &state, const in_storage &on, const measured &found)
{
    auto counter = [&](const char *name, double of_all) {
        state.counters[name] = 1e6 * of_all / static_cast<double>(found.times.size());
    };
    double outside_faults = sum_of(spent) - spent[reading] - on.protected_by_faults;
    counter("fault_us", on.faults);
    counter("find_us", spent[finding] + spent[protecting] - on.protected_by_faults);
    counter("copy_us", found.whole - on.faults - outside_faults);
    counter("log_us", spent[log_writes]);
    counter("sync_us", spent[log_syncs]);
    counter("publish_us", spent[odb_writes] + spent[odb_syncs]);
    counter("lock_us", spent[locks]);
}

/* Per transaction, and that no page was missed. */
void report_work(benchmark::State &state, const tmf_stats &before, const tmf_stats &after,
                 double transactions, double stored_to)
{
    auto pages = static_cast<double>(after.pages_dirtied - before.pages_dirtied);
    if (pages < stored_to)
        throw std::runtime_error("fewer pages were dirtied than were stored to");
    state.counters["pages_dirtied"] = pages / transactions;
    state.counters["log_bytes"] =
        static_cast<double>(after.log_bytes - before.log_bytes) / transactions;
    state.counters["syncs"] = static_cast<double>(after.syncs - before.syncs) / transactions;
}

std::size_t choices_for(std::size_t pages)
{
    return std::clamp(working_set / pages, std::size_t{1}, most_choices);
}

void measure_strategy(benchmark::State &state, const folder &where, const strategy &how,
                      const place &at)
{
    timed_library timed;
    in_storage on(where, how, at);
    std::size_t choices = choices_for(at.pages);
    drawn_pages where_to(at.pages, pages_of_arena(at.arena_mib << 20), choices, at.adjacent);
    for (std::size_t choice = 0; how.copies && choice < choices; choice++) {
        where_to.take_each(choice);
        on.transact(where_to.pages);
        on.wait();
    }
    tmf_stats before = on.store.stats();
    on.faults = on.protected_by_faults = 0;
    spent = {};
    measured found = measure(on, where_to, at.durability.together);
    report_split(state, on, found);
    auto transactions = static_cast<double>(found.times.size());
    report_work(state, before, on.store.stats(), transactions,
                how.is_control ? 0 : transactions * static_cast<double>(at.pages));
    on.check_stored(where_to.pages);
    report_times(state, std::move(found));
}

void of_strategy(benchmark::State &state, const folder *where, const strategy &how, const place &at)
{
    try {
        measure_strategy(state, *where, how, at);
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void of_limit(benchmark::State &state, const folder *where, const place &at)
{
    try {
        in_plain_file on(*where, at);
        drawn_pages where_to(at.pages, storage_pages, most_choices, true);
        report_times(state, measure(on, where_to, at.durability.together));
    } catch (const std::exception &failure) {
        state.SkipWithError(failure.what());
    }
}

void settle(benchmark::internal::Benchmark *family)
{
    family->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(1);
    family->Repetitions(repetitions);
}

void add(const folder &where, const strategy &how, const place &at)
{
    std::string name = std::string("strategy/") + how.name + "/" + at.durability.name + "/" +
                       (at.adjacent ? "adjacent" : "scattered");
    auto *family = benchmark::RegisterBenchmark(name.c_str(), of_strategy, &where, how, at);
    family->ArgNames({"arena_mib", "pages"});
    family->Args({static_cast<std::int64_t>(at.arena_mib), static_cast<std::int64_t>(at.pages)});
    settle(family);
}

void add_limit(const folder &where, const place &at)
{
    std::string name = std::string("strategy/limit/") + at.durability.name;
    auto *family = benchmark::RegisterBenchmark(name.c_str(), of_limit, &where, at);
    family->ArgName("pages")->Arg(static_cast<std::int64_t>(at.pages));
    settle(family);
}

const std::vector<std::size_t> page_counts = {1, 4, 16, 64, 256, 1024, 4096};

std::vector<place> all_places()
{
    std::vector<place> places;
    for (const durability_kind &durability : durabilities)
        for (bool adjacent : {false, true})
            for (std::size_t arena_mib : {16, 160, 1024, 8192})
                for (std::size_t pages : page_counts)
                    if (2 * pages <= pages_of_arena(arena_mib << 20))
                        places.push_back({durability, adjacent, arena_mib, pages});
    return places;
}

/* One thing at a time. */
bool is_quick(const place &at)
{
    bool is_sync = at.durability.value == TMF_DURABILITY_SYNC;
    bool is_few = at.pages == 1 || at.pages == 64;
    if (at.arena_mib != 160)
        return is_sync && !at.adjacent && is_few && at.arena_mib <= 1024;
    if (at.adjacent)
        return is_sync && (at.pages == 16 || at.pages == 256);
    if (at.durability.value == TMF_DURABILITY_GROUP)
        return is_few;
    return at.pages <= (is_sync ? 1024 : 256) && (is_sync || at.pages != 4);
}

} // namespace

void register_strategy_benchmarks(const folder &where)
{
    bool is_full = std::getenv("TMF_BENCH_LARGE") != nullptr;
    for (const place &at : all_places()) {
        if (!is_full && !is_quick(at))
            continue;
        if (at.arena_mib == 160 && !at.adjacent)
            add_limit(where, at);
        for (std::size_t i = 0; tmf_strategy_name(i) != nullptr; i++)
            if (strategy(i).available)
                add(where, strategy(i), at);
    }
}
