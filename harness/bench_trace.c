/* SPDX-License-Identifier: MIT */
#include "harness/bench_trace.h"

#include <string.h>

#define FAMILY "trace/"
#define MALLOC "trace/malloc/"

static const char *name_of(const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "run_name"));
    return name ? name : "";
}

static double number_of(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

/* The processor's, as for all that runs without a system call; ns, which is the unit here. */
static double time_of(const json_t *row)
{
    return number_of(row, "cpu_time");
}

bool bench_is_trace(const json_t *row)
{
    return strncmp(name_of(row), FAMILY, strlen(FAMILY)) == 0;
}

/* The row of malloc for the trace of `row`; NULL: it was not asked for. */
static const json_t *find_malloc(const json_t *rows, const json_t *row,
                                 bool stands(const json_t *row))
{
    const char *trace = strrchr(name_of(row), '/');
    size_t i;
    const json_t *each;
    json_array_foreach(rows, i, each)
    {
        const char *name = name_of(each);
        if (stands(each) && strncmp(name, MALLOC, strlen(MALLOC)) == 0 &&
            strcmp(name + strlen(MALLOC) - 1, trace) == 0)
            return each;
    }
    return NULL;
}

static void print_time(FILE *to, const json_t *rows, const json_t *row,
                       bool stands(const json_t *row))
{
    const json_t *malloc_row = find_malloc(rows, row, stands);
    fprintf(to, "%-34s %8.1f", name_of(row) + strlen(FAMILY), time_of(row));
    if (malloc_row && malloc_row != row)
        fprintf(to, " %7.1f", time_of(row) / time_of(malloc_row));
    else
        fprintf(to, " %7s", "-");
}

/* Shares are of the bytes asked for; malloc tells nothing of all this. */
static void print_counters(FILE *to, const json_t *row)
{
    double live = number_of(row, "live_bytes");
    if (live <= 0)
        return;
    fprintf(to, " %7.2f %7.2f %8.1f %8.2f %8.2f %8.2f %8.2f %9.0f", number_of(row, "nodes_visited"),
            number_of(row, "pages_dirtied"), number_of(row, "pages_dirtied_100"),
            100 * number_of(row, "rounding_bytes") / live,
            100 * number_of(row, "metadata_bytes") / live, 100 * number_of(row, "lost_share"),
            100 * number_of(row, "fragmentation"), number_of(row, "high_water") / 1024);
}

void bench_print_traces(FILE *to, const json_t *rows, bool stands(const json_t *row))
{
    bool is_first = true;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (!bench_is_trace(row) || !stands(row))
            continue;
        if (is_first)
            fprintf(to, "%-34s %8s %7s %7s %7s %8s %8s %8s %8s %8s %9s\n", "trace", "ns", "malloc",
                    "nodes", "pages", "of 100", "rounding", "metadata", "lost %", "frag %",
                    "high, KiB");
        is_first = false;
        print_time(to, rows, row, stands);
        print_counters(to, row);
        fputc('\n', to);
    }
}
