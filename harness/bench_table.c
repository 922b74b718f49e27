/* SPDX-License-Identifier: MIT */
/* What tmf bench prints of every benchmark: a line each, of the row that stands for it. */
#include <string.h>

#include "harness/bench_rows.h"
#include "harness/bench_trace.h"

static void print_counters(FILE *to, const json_t *row)
{
    static const char *const counters[] = {"free_blocks",
                                           "nodes_visited",
                                           "pages_dirtied",
                                           "pages_dirtied_100",
                                           "instructions",
                                           "log_bytes",
                                           "syncs",
                                           "locks_us",
                                           "stores_us",
                                           "find_us",
                                           "log_us",
                                           "sync_us",
                                           "protect_us",
                                           "rest_us",
                                           "calls",
                                           "written_bytes",
                                           "dirtied_bytes",
                                           "peak_memory_bytes",
                                           "private_memory_bytes",
                                           "read_ns",
                                           "write_ns",
                                           "bytes_per_second",
                                           "p90_us",
                                           "p99_us",
                                           "p99_9_us",
                                           "per_second",
                                           "fault_us",
                                           "copy_us",
                                           "publish_us",
                                           "p50_ns",
                                           "p99_ns",
                                           "p99_9_ns",
                                           "p99_99_ns",
                                           "max_ns",
                                           "p99_99_nodes",
                                           "max_nodes",
                                           "high_water_bytes",
                                           "external_100"};
    for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
        if (json_object_get(row, counters[i]) != NULL)
            fprintf(to, "  %s=%.7g", counters[i], row_number(row, counters[i]));
    }
}

/* The name of the limit that a row is judged by: limit/pages:K of commit/STRATEGY/pages:K, and
 * strategy/limit/DURABILITY/pages:K of strategy/STRATEGY/DURABILITY/... False: by none. */
static bool name_limit(const char *name, char *out, size_t size)
{
    const char *pages = strstr(name, "/pages:");
    if (pages == NULL)
        return false;
    char durability[16];
    if (sscanf(name, "strategy/%*[^/]/%15[^/]", durability) == 1)
        snprintf(out, size, "strategy/limit/%s%s", durability, pages);
    else if (strncmp(name, "commit/", strlen("commit/")) == 0)
        snprintf(out, size, "limit%s", pages);
    else
        return false;
    return true;
}

/* How many times the limit of as many pages in the same run; 0: there is none. */
static double multiple_of_limit(const json_t *rows, const json_t *row)
{
    char limit_name[96];
    if (!name_limit(row_text(row, "run_name"), limit_name, sizeof(limit_name)))
        return 0;
    const json_t *limit = rows_find(rows, limit_name, row_text(row, "aggregate_name"));
    return limit != NULL ? row_number(row, "real_time") / row_number(limit, "real_time") : 0;
}

/* The time `key` of a row, in the unit that reads best. */
static void print_time(FILE *to, const json_t *row, const char *key)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    while (unit < 3 && strcmp(units[unit], row_text(row, "time_unit")) != 0)
        unit++;
    double time = row_number(row, key);
    for (; time >= 1000 && unit < 3; unit++)
        time /= 1000;
    fprintf(to, "%10.4g %-2s", time, units[unit]);
}

static void print_row(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = row_text(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, row_time_key(row));
    const json_t *variation = rows_find(rows, name, "cv");
    if (variation != NULL)
        fprintf(to, " %6.1f %%", 100 * row_number(variation, row_time_key(row)));
    else
        fprintf(to, " %8s", "-");
    double multiple = multiple_of_limit(rows, row);
    if (multiple > 0)
        fprintf(to, " %6.1f x", multiple);
    else
        fprintf(to, " %8s", "-");
    print_counters(to, row);
    if (row_text(row, "label")[0] != '\0')
        fprintf(to, "  %s", row_text(row, "label"));
    fputc('\n', to);
}

static void print_complexity(FILE *to, const json_t *rows, const json_t *row)
{
    const char *name = row_text(row, "run_name");
    fprintf(to, "%-48s ", name);
    print_time(to, row, "cpu_coefficient");
    fprintf(to, " x log2(free blocks), RMS error %.1f %% of the mean\n",
            100 * row_number(rows_find(rows, name, "RMS"), "rms"));
}

void rows_print(FILE *to, const json_t *rows)
{
    bool is_first = true;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!row_stands_for_benchmark(row) || bench_is_trace(row))
            continue;
        if (is_first)
            fprintf(to, "%-48s %13s %8s %8s  %s\n", "benchmark", "median time", "spread",
                    "of limit", "counters, per pair or transaction");
        is_first = false;
        print_row(to, rows, row);
    }
    json_array_foreach(rows, i, row)
    {
        if (strcmp(row_text(row, "aggregate_name"), "BigO") == 0)
            print_complexity(to, rows, row);
    }
    bench_print_traces(to, rows, row_stands_for_benchmark);
}
