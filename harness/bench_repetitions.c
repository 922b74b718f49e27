/* SPDX-License-Identifier: MIT */
#include "harness/bench_repetitions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/bench_rows.h"

#define SIZE_KEY "/free_blocks:" /* of a family's members */

struct repetitions repetitions_new(void)
{
    return (struct repetitions){json_object(), json_array()};
}

static bool is_run(const json_t *row)
{
    return strcmp(row_text(row, "run_type"), "iteration") == 0;
}

static bool has_failed(const json_t *row)
{
    return json_is_true(json_object_get(row, "error_occurred"));
}

static bool is_warm_up(const json_t *row, unsigned asked)
{
    return row_number(row, "repetitions") == REPETITIONS_WITH_WARM_UP(asked) &&
           row_number(row, "repetition_index") == 0 && !has_failed(row);
}

static bool is_new_fit(const json_t *fits, const json_t *row)
{
    const char *name = row_text(row, "aggregate_name");
    return (strcmp(name, "BigO") == 0 || strcmp(name, "RMS") == 0) &&
           rows_find(fits, row_text(row, "run_name"), name) == NULL;
}

static void add_run(json_t *runs, json_t *row)
{
    const char *name = row_text(row, "run_name");
    json_t *of_name = json_object_get(runs, name);
    if (of_name == NULL) {
        of_name = json_array();
        json_object_set_new(runs, name, of_name);
    }
    json_t *own = json_copy(row);
    json_object_set_new(own, "repetition_index",
                        json_integer((json_int_t)json_array_size(of_name)));
    json_array_append_new(of_name, own);
}

void repetitions_add(struct repetitions *repetitions, json_t *rows, unsigned asked)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        if (is_run(row) && !is_warm_up(row, asked))
            add_run(repetitions->runs, row);
        else if (!is_run(row) && is_new_fit(repetitions->fits, row))
            json_array_append_new(repetitions->fits, json_copy(row));
    }
}

/* ---- aggregates */

struct sample {
    double *values;
    size_t count;
};

/* Of those that did not fail; `values` has room for all. */
static void take_sample(const json_t *runs, const char *key, struct sample *out)
{
    size_t i;
    const json_t *row;
    out->count = 0;
    json_array_foreach(runs, i, row)
    {
        if (!has_failed(row) && json_is_number(json_object_get(row, key)))
            out->values[out->count++] = row_number(row, key);
    }
}

static double mean(const struct sample *of)
{
    double sum = 0;
    for (size_t n = 0; n < of->count; n++)
        sum += of->values[n];
    return sum / (double)of->count;
}

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

static double median(const struct sample *of)
{
    qsort(of->values, of->count, sizeof(*of->values), by_size);
    size_t half = of->count / 2;
    return of->count % 2 != 0 ? of->values[half] : (of->values[half - 1] + of->values[half]) / 2;
}

static double stddev(const struct sample *of)
{
    double middle = mean(of), sum = 0;
    for (size_t n = 0; n < of->count; n++)
        sum += (of->values[n] - middle) * (of->values[n] - middle);
    return sqrt(sum / ((double)of->count - 1));
}

static double variation(const struct sample *of)
{
    return stddev(of) / mean(of);
}

static const struct {
    const char *name, *unit;
    double (*of)(const struct sample *of);
} aggregates[] = {{"mean", "time", mean},
                  {"median", "time", median},
                  {"stddev", "time", stddev},
                  {"cv", "percentage", variation}};

/* Numbers that say which row it is. */
static bool is_number_of_row(const char *key)
{
    static const char *const keys[] = {"family_index", "per_family_instance_index", "repetitions",
                                       "threads",      "repetition_index",          "iterations"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

/* What cannot be said, as the variation of what is always 0, is left out. */
static void set_number(json_t *row, const char *key, double value)
{
    if (isfinite(value))
        json_object_set_new(row, key, json_real(value));
    else
        json_object_del(row, key);
}

static json_t *aggregate(const json_t *runs, size_t which, struct sample *room)
{
    json_t *first = json_array_get(runs, 0);
    json_t *row = json_copy(first);
    const char *key;
    json_t *value;
    json_object_foreach(first, key, value)
    {
        if (!json_is_number(value) || is_number_of_row(key))
            continue;
        take_sample(runs, key, room);
        set_number(row, key, aggregates[which].of(room));
    }
    json_object_del(row, "repetition_index");
    json_object_set_new(row, "name",
                        json_sprintf("%s_%s", row_text(first, "run_name"), aggregates[which].name));
    json_object_set_new(row, "run_type", json_string("aggregate"));
    json_object_set_new(row, "aggregate_name", json_string(aggregates[which].name));
    json_object_set_new(row, "aggregate_unit", json_string(aggregates[which].unit));
    return row;
}

/* The runs, and with more than one what they have in common. Failures are only told. */
static void add_benchmark(json_t *rows, json_t *runs)
{
    size_t count = json_array_size(runs), i;
    json_t *row;
    bool failed = false;
    struct sample room = {calloc(count, sizeof(double)), 0};
    json_array_foreach(runs, i, row)
    {
        json_object_set_new(row, "repetitions", json_integer((json_int_t)count));
        failed = failed || has_failed(row);
    }
    json_array_extend(rows, runs);
    for (size_t n = 0;
         room.values && count > 1 && !failed && n < sizeof(aggregates) / sizeof(*aggregates); n++)
        json_array_append_new(rows, aggregate(runs, n, &room));
    free(room.values);
}

/* ---- the fit of a family: least squares, c = sum(t x) / sum(x x) with x = log2(free blocks) */

struct fit {
    double xx, xt, tt, t, count;
};

static struct fit fit_runs(json_t *all_runs, const char *family, const char *key)
{
    struct fit fit = {0};
    const char *name;
    json_t *runs;
    size_t length = strlen(family), i;
    const json_t *row;
    json_object_foreach(all_runs, name, runs)
    {
        if (strncmp(name, family, length) != 0 ||
            strncmp(name + length, SIZE_KEY, strlen(SIZE_KEY)) != 0)
            continue;
        double blocks = strtod(name + length + strlen(SIZE_KEY), NULL);
        json_array_foreach(runs, i, row)
        {
            double counted = row_number(row, "free_blocks");
            double x = log2(counted > 0 ? counted : blocks), t = row_number(row, key);
            fit = (struct fit){fit.xx + x * x, fit.xt + x * t, fit.tt + t * t, fit.t + t,
                               fit.count + 1};
        }
    }
    return fit;
}

static double coefficient(const struct fit *fit)
{
    return fit->xt / fit->xx;
}

/* Of the mean: sum (t - c x)^2 = sum t^2 - c sum(t x). */
static double rms(const struct fit *fit)
{
    double sum = fmax(fit->tt - coefficient(fit) * fit->xt, 0);
    return sqrt(sum / fit->count) / (fit->t / fit->count);
}

static void add_fit(json_t *rows, json_t *runs, json_t *row)
{
    const char *family = row_text(row, "run_name");
    struct fit of_cpu = fit_runs(runs, family, "cpu_time");
    struct fit of_real = fit_runs(runs, family, "real_time");
    if (of_cpu.count == 0)
        return;
    json_object_del(row, "repetitions");
    if (strcmp(row_text(row, "aggregate_name"), "RMS") == 0) {
        set_number(row, "rms", rms(&of_cpu));
    } else {
        set_number(row, "cpu_coefficient", coefficient(&of_cpu));
        set_number(row, "real_coefficient", coefficient(&of_real));
    }
    json_array_append(rows, row);
}

json_t *repetitions_finish(struct repetitions *repetitions)
{
    json_t *rows = json_array(), *runs, *row;
    const char *name;
    size_t i;
    json_object_foreach(repetitions->runs, name, runs) add_benchmark(rows, runs);
    json_array_foreach(repetitions->fits, i, row) add_fit(rows, repetitions->runs, row);
    json_decref(repetitions->runs);
    json_decref(repetitions->fits);
    return rows;
}
