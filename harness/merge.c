/* SPDX-License-Identifier: MIT */
#include "harness/merge.h"

#include <stdbool.h>
#include <string.h>

/* What a run is of: two with the same of these are parts of one. */
static const char *const places[] = {"strategy",  "durability", "index",   "quantum", "workload",
                                     "processes", "readers",    "writers", "mixed"};
/* What parts of it have each for themselves; the rest is the same in all. */
static const char *const counts[] = {
    "hits_killed",  "cases",   "not_reached", "violations",         "seconds",    "reads",
    "transactions", "refused", "kills",       "holder_kills",       "recoveries", "distinct",
    "nested",       "went_on", "unfinished",  "recovering_seconds", "lives",      "deaths"};
static const char *const greatest[] = {"wait_p50_us", "wait_p99_us", "wait_max_us"};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void set_number(json_t *object, const char *name, const json_t *like, double value)
{
    json_object_set_new(object, name,
                        json_is_integer(like) ? json_integer((json_int_t)value) : json_real(value));
}

static void add_number(json_t *to, const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);
    if (json_is_number(value))
        set_number(to, name, value,
                   json_number_value(json_object_get(to, name)) + json_number_value(value));
}

/* Of percentiles the worst part's: the whole's is no greater. */
static void take_greater(json_t *to, const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);
    if (json_number_value(value) > json_number_value(json_object_get(to, name)))
        set_number(to, name, value, json_number_value(value));
}

/* Of all parts of a power campaign together. */
static void set_speed(json_t *run)
{
    const json_t *speed = json_object_get(run, "images_per_second");
    double seconds = json_number_value(json_object_get(run, "recovering_seconds"));
    if (speed && seconds > 0)
        set_number(run, "images_per_second", speed,
                   json_number_value(json_object_get(run, "cases")) / seconds);
}

static bool is_same_place(const json_t *a, const json_t *b)
{
    for (size_t n = 0; n < COUNT(places); n++) {
        const json_t *left = json_object_get(a, places[n]);
        const json_t *right = json_object_get(b, places[n]);
        if (left != right && !json_equal(left, right))
            return false;
    }
    return true;
}

static void add_run(json_t *runs, json_t *run)
{
    size_t n;
    json_t *known;
    json_array_foreach(runs, n, known)
    {
        if (!is_same_place(known, run))
            continue;
        for (size_t i = 0; i < COUNT(counts); i++)
            add_number(known, run, counts[i]);
        for (size_t i = 0; i < COUNT(greatest); i++)
            take_greater(known, run, greatest[i]);
        set_speed(known);
        return;
    }
    json_array_append(runs, run);
}

static bool is_among(const json_t *names, const json_t *name)
{
    for (size_t n = 0; n < json_array_size(names); n++) {
        if (json_equal(json_array_get(names, n), name))
            return true;
    }
    return false;
}

/* What no part has hit, the whole has not. */
static void keep_common(json_t *names, const json_t *others)
{
    for (size_t n = json_array_size(names); n-- > 0;) {
        if (!is_among(others, json_array_get(names, n)))
            json_array_remove(names, n);
    }
}

/* What any part has come by, the whole has. */
static void add_missing(json_t *names, const json_t *others)
{
    size_t n;
    json_t *name;
    json_array_foreach(others, n, name)
    {
        if (!is_among(names, name))
            json_array_append(names, name);
    }
}

static void merge_metrics(json_t *whole, const json_t *part)
{
    size_t n;
    json_t *run;
    json_array_foreach(json_object_get(part, "runs"), n, run)
        add_run(json_object_get(whole, "runs"), run);
    json_array_extend(json_object_get(whole, "benchmarks"), json_object_get(part, "benchmarks"));
    json_array_extend(json_object_get(whole, "waits"), json_object_get(part, "waits"));
    json_array_extend(json_object_get(whole, "counterexamples"),
                      json_object_get(part, "counterexamples"));
    add_missing(json_object_get(whole, "branches"), json_object_get(part, "branches"));
    keep_common(json_object_get(whole, "points_never_hit"),
                json_object_get(part, "points_never_hit"));
}

json_t *merge_start(const json_t *part)
{
    static const char *const own[] = {"--shard", "--json"}; /* of a part, each with its value */
    json_t *whole = json_deep_copy(part);
    json_t *words = json_object_get(whole, "arguments");
    for (size_t n = json_array_size(words); n-- > 0;) {
        const char *word = json_string_value(json_array_get(words, n));
        for (size_t i = 0; i < COUNT(own); i++) {
            if (strcmp(word, own[i]) != 0)
                continue;
            json_array_remove(words, n + 1);
            json_array_remove(words, n);
            break;
        }
    }
    return whole;
}

void merge_envelope(json_t *whole, const json_t *part)
{
    static const char *const sums[] = {"cases", "violations", "seconds"};
    for (size_t n = 0; n < COUNT(sums); n++)
        add_number(whole, part, sums[n]);
    json_array_extend(json_object_get(whole, "failures"), json_object_get(part, "failures"));
    add_missing(json_object_get(whole, "disturbances"), json_object_get(part, "disturbances"));
    merge_metrics(json_object_get(whole, "metrics"), json_object_get(part, "metrics"));
}
