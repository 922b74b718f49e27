/* SPDX-License-Identifier: MIT */
/*
 * The table that the engines of one family work on, once per process: its files, and the model of
 * what they hold. Filled in memory, where no engine pays for syncs, and copied to the folder, so
 * that every byte of the files was written before. Whoever works on it tells the model.
 */
#ifndef TMF_BENCH_ENGINE_TABLE_H
#define TMF_BENCH_ENGINE_TABLE_H

#include <memory>
#include <string>

#include "folder.h"
#include "harness/table.h"

constexpr std::uint64_t engine_records = 65536;
constexpr std::size_t engine_record_size = 1000; /* bytes: four to a page, in every engine */

/* An engine as it is measured; `label` is how the benchmark is called. */
struct engine_setup {
    const engine *of;
    std::string label;
    const char *strategy; /* this and what follows: of tmf alone */
    tmf_durability durability;
    unsigned flags;
    bool copies;          /* stores go to private copies of pages */
    const char *survives; /* a returned commit: "power loss", "kill", "nothing" */
    bool is_slow;         /* syncs for every page */
};

/* Throws with engine_explain()'s sentence. */
void engine_must(int error);

/* What every work on such a table has in common. */
table_work engine_work(const char *workload, std::size_t pages);

class engine_table
{
  public:
    /* Of this setup's family; made at the first call. */
    static engine_table &of(const folder &where, const engine_setup &setup);

    /* Opens it; the caller closes. */
    void *open(const engine_setup &setup) const;
    /* Throws if the table is not what the model says. */
    void check(const engine_setup &setup, void *db) const;
    /* Transactions [first, last] were made. */
    void tell(const table_work &work, std::uint64_t first, std::uint64_t last);
    /* Waits until nothing of its files is dirty: others than who is measured have written them. */
    void settle() const;

  private:
    engine_table(const folder &where, const engine_setup &setup);
    std::string folder_;
    std::unique_ptr<table_model, void (*)(table_model *)> model_;
};

#endif
