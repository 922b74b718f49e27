/* SPDX-License-Identifier: MIT */
/*
 * Which index, and which quantum? A line for each pair that was measured at 10^5 free blocks, taken
 * from rows of several families of benchmarks: alloc_free, trace, txn_alloc. What was not measured
 * in the same run is a dash.
 */
#include <string.h>

#include "harness/bench_rows.h"

#define FAMILY "alloc_free/"
#define FEW    "free_blocks:100000"
#define MANY   "free_blocks:1000000"

/* alloc_free/INDEX/quantum:Q/SIZES/free_blocks:100000 taken apart; SIZES "" or with its slash. */
struct line {
    char kind[64]; /* INDEX/quantum:Q */
    char sizes[32];
};

static bool parse(const json_t *row, struct line *out)
{
    *out = (struct line){0};
    const char *name = row_text(row, "run_name");
    const char *quantum = strstr(name, "/quantum:");
    const char *end = strstr(name, "/" FEW);
    if (!row_stands_for_benchmark(row) || strncmp(name, FAMILY, strlen(FAMILY)) != 0 ||
        quantum == NULL || end == NULL || strcmp(end + 1, FEW) != 0)
        return false;
    const char *kind = name + strlen(FAMILY);
    size_t kind_length = (size_t)(quantum - kind) + 1 + strcspn(quantum + 1, "/");
    const char *sizes = kind + kind_length;
    snprintf(out->kind, sizeof(out->kind), "%.*s", (int)kind_length, kind);
    snprintf(out->sizes, sizeof(out->sizes), "%.*s", (int)(end - sizes), sizes);
    return true;
}

/* The row of alloc_free/WHO/SIZES/BLOCKS; WHO is an allocator of others, or INDEX/quantum:Q. */
static const json_t *find(const json_t *rows, const char *who, const char *sizes,
                          const char *blocks)
{
    char name[160];
    snprintf(name, sizeof(name), FAMILY "%s%s/%s", who, sizes, blocks);
    return rows_find_benchmark(rows, name);
}

static void print_number(FILE *to, int width, bool known, double value)
{
    if (known)
        fprintf(to, " %*.*f", width, value < 100 ? 1 : 0, value);
    else
        fprintf(to, " %*s", width, "-");
}

/* above / below, where both were measured. */
static void print_ratio(FILE *to, int width, const json_t *above, const json_t *below)
{
    bool known = above != NULL && below != NULL;
    print_number(to, width, known, known ? row_time_ns(above) / row_time_ns(below) : 0);
}

static void print_counter(FILE *to, int width, const json_t *row, const char *key)
{
    bool known = row != NULL && json_object_get(row, key) != NULL;
    print_number(to, width, known, known ? row_number(row, key) : 0);
}

/* Pages of an operation: a free and an allocation are one each. */
static void print_pages(FILE *to, const json_t *row)
{
    print_counter(to, 6, row, "pages_dirtied");
    bool known = row != NULL && json_object_get(row, "pages_per_free") != NULL;
    double of_halves =
        known ? row_number(row, "pages_per_free") + row_number(row, "pages_per_alloc") : 0;
    print_number(to, 5, known, of_halves / 2);
}

static void print_times(FILE *to, const json_t *rows, const struct line *line, const char *blocks)
{
    const json_t *own = find(rows, line->kind, line->sizes, blocks);
    print_number(to, 7, own != NULL, own != NULL ? row_time_ns(own) : 0);
    print_ratio(to, 6, own, find(rows, "jemalloc", line->sizes, blocks));
    print_ratio(to, 6, find(rows, "rb-twin/quantum:64", line->sizes, blocks), own);
    print_ratio(to, 7, find(rows, "boost-rbtree", line->sizes, blocks), own);
}

/* Of all traces together: what rounding and metadata take beyond what was asked for. */
static void print_loss(FILE *to, const json_t *rows, const char *kind)
{
    char start[80];
    snprintf(start, sizeof(start), "trace/%s/", kind);
    double lost = 0, asked = 0;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!row_stands_for_benchmark(row) ||
            strncmp(row_text(row, "run_name"), start, strlen(start)) != 0)
            continue;
        lost += row_number(row, "rounding_bytes") + row_number(row, "metadata_bytes");
        asked += row_number(row, "live_bytes");
    }
    print_number(to, 6, asked > 0, asked > 0 ? 100 * lost / asked : 0);
}

/* 99.99 % of the operations by the median, with as many free blocks as there are. */
static void print_tail(FILE *to, const json_t *rows, const struct line *line)
{
    char name[160];
    snprintf(name, sizeof(name), "latency/%s%s/" MANY, line->kind, line->sizes);
    print_counter(to, 5, rows_find_benchmark(rows, name), "tail");
}

static void print_transaction(FILE *to, const json_t *rows, const char *strategy, const char *kind)
{
    char name[128];
    snprintf(name, sizeof(name), "txn_alloc/%s/%s", strategy, kind);
    const json_t *row = rows_find_benchmark(rows, name);
    print_number(to, 6, row != NULL, row != NULL ? row_time_ns(row) / 1000 : 0);
}

static void print_line(FILE *to, const json_t *rows, const struct line *line)
{
    const json_t *few = find(rows, line->kind, line->sizes, FEW);
    const json_t *many = find(rows, line->kind, line->sizes, MANY);
    const char *quantum = strstr(line->kind, "/quantum:");
    fprintf(to, "%-10.*s %4s %-12s", (int)(quantum - line->kind), line->kind,
            quantum + strlen("/quantum:"), line->sizes[0] != '\0' ? line->sizes + 1 : "uniform");
    print_times(to, rows, line, FEW);
    print_times(to, rows, line, MANY);
    print_pages(to, many != NULL ? many : few);
    print_counter(to, 6, many != NULL ? many : few, "instructions");
    print_tail(to, rows, line);
    print_loss(to, rows, line->kind);
    print_transaction(to, rows, "undo-fsync", line->kind);
    print_transaction(to, rows, "redo-wp", line->kind);
    fputc('\n', to);
}

static void print_head(FILE *to)
{
    fprintf(to,
            "\n%-28s %29s %29s %12s %6s %5s %6s %13s\n"
            "%-10s %4s %-12s %7s %6s %6s %7s %7s %6s %6s %7s %6s %5s %6s %5s %6s %6s %6s\n",
            "which index, which quantum?", "at 10^5 free blocks", "at 10^6 free blocks",
            "pages of a", "instr.", "tail", "lost", "in a txn, us", "index", "", "sizes", "ns",
            "of je", "rb-t x", "boost x", "ns", "of je", "rb-t x", "boost x", "pair", "op",
            "a pair", "x", "%", "undo", "redo");
}

void rows_summarize(FILE *to, const json_t *rows)
{
    size_t i, lines = 0;
    const json_t *row;
    struct line line;
    json_array_foreach(rows, i, row)
    {
        if (!parse(row, &line))
            continue;
        if (lines++ == 0)
            print_head(to);
        print_line(to, rows, &line);
    }
    if (lines > 0)
        fprintf(
            to,
            "of je: times the time of jemalloc; rb-t x, boost x: how many times faster than\n"
            "rb-twin with quantum 64 and Boost's rbtree_best_fit; tail: the time that\n"
            "99.99 %% of operations keep to by the median, at 10^6; lost: rounding and metadata\n"
            "by what the traces asked for; in a txn: a pair in transactions of 100 of them\n"
            "under undo-fsync and redo-wp. A dash: not measured in this run.\n");
}
