/* SPDX-License-Identifier: MIT */
#include "harness/bench_rows.h"

#include <string.h>

const char *row_text(const json_t *row, const char *key)
{
    const char *value = json_string_value(json_object_get(row, key));
    return value != NULL ? value : "";
}

double row_number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

/* Does `left` stand before `right` where everything is in the order of its registration? */
static bool is_before(const json_t *left, const json_t *right)
{
    static const char *const keys[] = {"family_index", "per_family_instance_index",
                                       "repetition_index"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        double difference = row_number(left, keys[i]) - row_number(right, keys[i]);
        if (difference != 0)
            return difference < 0;
    }
    return false;
}

void rows_sort(json_t *rows)
{
    for (size_t i = 1; i < json_array_size(rows); i++) {
        json_t *row = json_incref(json_array_get(rows, i));
        size_t to = i;
        while (to > 0 && is_before(row, json_array_get(rows, to - 1)))
            to--;
        json_array_remove(rows, i);
        json_array_insert_new(rows, to, row);
    }
}

const json_t *rows_find(const json_t *rows, const char *name, const char *aggregate)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(row_text(row, "run_name"), name) == 0 &&
            strcmp(row_text(row, "aggregate_name"), aggregate) == 0)
            return row;
    }
    return NULL;
}

bool row_stands_for_benchmark(const json_t *row)
{
    if (json_is_true(json_object_get(row, "error_occurred")))
        return false;
    return strcmp(row_text(row, "aggregate_name"), "median") == 0 ||
           (strcmp(row_text(row, "run_type"), "iteration") == 0 &&
            row_number(row, "repetitions") == 1);
}

const json_t *rows_find_benchmark(const json_t *rows, const char *name)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (row_stands_for_benchmark(row) && strcmp(row_text(row, "run_name"), name) == 0)
            return row;
    }
    return NULL;
}

bool row_has_counters(const json_t *row)
{
    const char *aggregate = row_text(row, "aggregate_name");
    return *aggregate == '\0' || strcmp(aggregate, "median") == 0 || strcmp(aggregate, "mean") == 0;
}

const char *row_time_key(const json_t *row)
{
    static const char *const without_calls[] = {"alloc_free/", "trace/"};
    for (size_t i = 0; i < sizeof(without_calls) / sizeof(*without_calls); i++)
        if (strncmp(row_text(row, "run_name"), without_calls[i], strlen(without_calls[i])) == 0)
            return "cpu_time";
    return "real_time";
}

double row_time_ns(const json_t *row)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double time = row_number(row, row_time_key(row));
    for (size_t unit = 0; unit < 4 && strcmp(units[unit], row_text(row, "time_unit")) != 0; unit++)
        time *= 1000;
    return time;
}
