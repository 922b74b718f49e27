/* SPDX-License-Identifier: MIT */
/* tmf list: what there is to choose from, a sentence each. */
#include <string.h>

#include "faults/mutants.h"
#include "faults/points.h"
#include "harness/command.h"
#include "harness/engine.h"
#include "harness/strategy.h"
#include "harness/workload.h"

static const char *point_name(size_t n)
{
    return faults_point_at(n) ? faults_point_at(n)->name : NULL;
}

static const char *point_about(size_t n)
{
    return faults_point_at(n)->about;
}

/* The last is one for each file that there is. */
static const char *workload_name(size_t n)
{
    if (workload_at(n))
        return workload_at(n)->name;
    return n > 0 && workload_at(n - 1) ? WORKLOAD_TRACE "FILE" : NULL;
}

static const char *workload_about(size_t n)
{
    return workload_at(n) ? workload_at(n)->about : WORKLOAD_TRACE_ABOUT;
}

static const char *engine_name(size_t n)
{
    return engine_at(n) ? engine_at(n)->name : NULL;
}

static const char *engine_about(size_t n)
{
    return engine_at(n)->about;
}

static const char *mutant_name(size_t n)
{
    const struct faults_mutant *mutant = faults_mutant_at(n);
    return mutant ? mutant->name : NULL;
}

static const char *mutant_about(size_t n)
{
    return faults_mutant_at(n)->about;
}

/* What a strategy outlives, and whether it can be used here; what is missing comes below. */
static void print_strategy(const char *indent, int width, size_t n)
{
    const char *name = tmf_strategy_name(n);
    char missing[256];
    bool available = strategy_is_available(name, missing, sizeof(missing));
    const char *here = strcmp(name, strategy_default()) == 0 ? "default" : available ? "yes" : "no";
    printf("%s%-*s  %-8s  %-7s  %s\n", indent, width, name, strategy_survives_text(name), here,
           tmf_strategy_about(n));
    if (!available)
        printf("%s%-*s  not here: %s\n", indent, width, "", missing);
}

static void print_about(const char *indent, int width, const char *name, const char *about)
{
    printf("%s%-*s  %s\n", indent, width, name, about);
}

static const struct kind {
    const char *name;
    const char *(*name_at)(size_t n);
    const char *(*about_at)(size_t n);
} kinds[] = {
    {"points", point_name, point_about},          {"strategies", tmf_strategy_name, NULL},
    {"indexes", tmf_index_name, tmf_index_about}, {"workloads", workload_name, workload_about},
    {"engines", engine_name, engine_about},       {"mutants", mutant_name, mutant_about},
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static bool is_of_strategies(const struct kind *kind)
{
    return kind->name_at == tmf_strategy_name;
}

static void print_kind(const struct kind *kind, const char *indent)
{
    int width = 0;
    for (size_t n = 0; kind->name_at(n); n++)
        width = (int)strlen(kind->name_at(n)) > width ? (int)strlen(kind->name_at(n)) : width;
    if (is_of_strategies(kind))
        printf("%s%-*s  %-8s  %-7s\n", indent, width, "", "survives", "here");
    for (size_t n = 0; kind->name_at(n); n++) {
        if (is_of_strategies(kind))
            print_strategy(indent, width, n);
        else
            print_about(indent, width, kind->name_at(n), kind->about_at(n));
    }
    if (!kind->name_at(0))
        printf("%sthere are none yet\n", indent);
}

static int list_run(const struct arguments *arguments)
{
    for (size_t n = 0; n < KIND_COUNT; n++) {
        if (arguments->word_count == 0) {
            printf("%s%s\n", n ? "\n" : "", kinds[n].name);
            print_kind(&kinds[n], "  ");
        } else if (strcmp(arguments->words[0], kinds[n].name) == 0) {
            print_kind(&kinds[n], "");
            return STATUS_HELD;
        }
    }
    if (arguments->word_count == 0)
        return STATUS_HELD;
    return command_fail(arguments, STATUS_USAGE,
                        "there is no list of '%s'; there are points, strategies, indexes, "
                        "workloads, engines and mutants",
                        arguments->words[0]);
}

const struct command command_list = {
    .name = "list",
    .about = "points, strategies, indexes, workloads, engines, mutants",
    .words = "[KIND]",
    .word_count_max = 1,
    .run = list_run,
};
