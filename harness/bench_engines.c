/* SPDX-License-Identifier: MIT */
/*
 * How do the peers compare? For each work that bench/engine_bench.cc measured, how many times the
 * time of this library's default strategy each peer takes: with durability sync those that survive
 * power loss, and the control, which syncs too; with durability process those that survive a kill.
 * A ratio is taken within each repetition, so that a disk that drifts does not; shown are the
 * median and, in brackets, the smallest and largest.
 */
#include <stdlib.h>
#include <string.h>

#include "harness/bench_rows.h"
#include "harness/engine.h"
#include "harness/strategy.h"

#define REPETITIONS_MAX ((size_t)64)
#define READS           "reads" /* of ycsb-b, told apart by their own counter */
#define READS_OF        "ycsb-b"
#define NAME_MAX_LENGTH ((size_t)160)

static const char *const works[] = {"pages:1", "pages:4", "pages:16", "pages:64", "pages:256",
                                    "bank",    "ycsb-a",  "ycsb-b",   "ycsb-f",   READS};
#define WORK_COUNT (sizeof(works) / sizeof(works[0]))

/* The run of engine/NAME/WORK in a repetition, NULL if there is none. */
static const json_t *find_run(const json_t *rows, const char *name, double repetition)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(row_text(row, "run_type"), "iteration") == 0 &&
            strcmp(row_text(row, "run_name"), name) == 0 &&
            row_number(row, "repetition_index") == repetition)
            return row;
    }
    return NULL;
}

/* 0: not measured. */
static double time_of(const json_t *rows, const char *engine, const char *work, double repetition)
{
    char name[NAME_MAX_LENGTH];
    bool reads = strcmp(work, READS) == 0;
    snprintf(name, sizeof(name), "engine/%s/%s", engine, reads ? READS_OF : work);
    const json_t *row = find_run(rows, name, repetition);
    return row ? row_number(row, reads ? "read_ns" : "real_time") : 0;
}

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

/* The ratios of all repetitions in which both were measured, in order; returns how many. */
static size_t ratios_of(const json_t *rows, const char *peer, const char *ours, const char *work,
                        double out[REPETITIONS_MAX])
{
    size_t count = 0;
    for (size_t n = 0; n < REPETITIONS_MAX; n++) {
        double above = time_of(rows, peer, work, (double)n);
        double below = time_of(rows, ours, work, (double)n);
        if (above > 0 && below > 0)
            out[count++] = above / below;
    }
    qsort(out, count, sizeof(*out), by_size);
    return count;
}

static void print_cell(FILE *to, const json_t *rows, const char *peer, const char *ours,
                       const char *work)
{
    double ratios[REPETITIONS_MAX];
    char cell[64] = "-";
    size_t count = ratios_of(rows, peer, ours, work, ratios);
    if (count > 0)
        snprintf(cell, sizeof(cell), "%.3g (%.2g-%.2g)", ratios[count / 2], ratios[0],
                 ratios[count - 1]);
    fprintf(to, " %18s", cell);
}

/* Was any work of it measured? */
static bool is_measured(const json_t *rows, const char *engine)
{
    for (size_t n = 0; n < WORK_COUNT; n++) {
        if (time_of(rows, engine, works[n], 0) > 0)
            return true;
    }
    return false;
}

struct side {
    char ours[64];
    char peers[16][64];
    size_t count;
};

static void add_peer(struct side *side, const json_t *rows, const char *name)
{
    if (is_measured(rows, name))
        snprintf(side->peers[side->count++], sizeof(side->peers[0]), "%s", name);
}

static void choose(struct side *out, const json_t *rows, const char *durability, bool survives_kill)
{
    *out = (struct side){.count = 0};
    snprintf(out->ours, sizeof(out->ours), "tmf-%s-%s", strategy_default(), durability);
    for (size_t n = 1; engine_at(n); n++) {
        if ((engine_at(n)->survives == TMF_SURVIVES_KILL) == survives_kill)
            add_peer(out, rows, engine_at(n)->name);
    }
    if (!survives_kill)
        add_peer(out, rows, "tmf-undo-fsync-sync");
}

static void print_side(FILE *to, const json_t *rows, const struct side *side)
{
    if (side->count == 0 || !is_measured(rows, side->ours))
        return;
    fprintf(to, "\ntimes the time of %s: median of the repetitions (smallest-largest)\n%-10s",
            side->ours, "");
    for (size_t n = 0; n < side->count; n++)
        fprintf(to, " %18s", side->peers[n]);
    fputc('\n', to);
    for (size_t w = 0; w < WORK_COUNT; w++) {
        fprintf(to, "%-10s", works[w]);
        for (size_t n = 0; n < side->count; n++)
            print_cell(to, rows, side->peers[n], side->ours, works[w]);
        fputc('\n', to);
    }
}

void rows_compare_engines(FILE *to, const json_t *rows)
{
    struct side side;
    choose(&side, rows, "sync", false);
    print_side(to, rows, &side);
    choose(&side, rows, "process", true);
    print_side(to, rows, &side);
}
