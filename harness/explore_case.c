/* SPDX-License-Identifier: MIT */
#include "harness/explore_case.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/kill_case.h"

static void append(char *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char *to, const char *format, ...)
{
    size_t length = strlen(to);
    va_list list;
    va_start(list, format);
    vsnprintf(to + length, EXPLORE_TEXT_MAX - length, format, list);
    va_end(list);
}

static void append_choices(const struct schedule_plan *plan, char *to)
{
    const char *before = ":choices=";
    for (size_t n = 0; n < plan->choice_count; n++) {
        if (plan->choices[n].chosen == 0)
            continue;
        append(to, "%s%zu.%u", before, n, plan->choices[n].chosen);
        before = ",";
    }
    if (*before == ':') /* none: everybody goes on as long as it can */
        append(to, ":choices=0.0");
}

bool explore_case_format(const struct exploration *what, const struct schedule_plan *plan,
                         char to[EXPLORE_TEXT_MAX])
{
    char life[KILL_TEXT_MAX];
    const struct kill_case one = {.place = what->place, .transactions = what->visits};
    kill_case_format(&one, life);
    snprintf(to, EXPLORE_TEXT_MAX, "%s%s:readers=%" PRIu64 ":writers=%" PRIu64,
             what->processes ? "procs" : "threads", life + strlen("kill"), what->readers,
             what->writers);
    if (plan->by_choice)
        append_choices(plan, to);
    else
        append(to, ":schedule=%" PRIu64 ":depth=%u:length=%" PRIu64, plan->seed, plan->depth,
               plan->length);
    if (what->threads > 1)
        append(to, ":threads=%" PRIu64, what->threads);
    if (plan->dies_at)
        append(to, ":dies=%" PRIu64, plan->dies_at);
    for (size_t n = 0; n < what->mixed.count; n++)
        append(to, "%s%s", n == 0 ? ":mixed=" : ",", what->mixed.at[n]);
    if (what->mutant)
        append(to, ":mutant=%s", what->mutant->name);
    return strlen(to) < EXPLORE_TEXT_MAX - 1;
}

static bool parse_choices(const char *text, struct schedule_plan *plan,
                          struct schedule_decision *choices)
{
    size_t at;
    unsigned chosen;
    int length;
    memset(choices, 0, SCHEDULE_DECISIONS_MAX * sizeof(*choices));
    *plan = (struct schedule_plan){.by_choice = true, .coarse = true, .choices = choices};
    while (sscanf(text, "%zu.%u%n", &at, &chosen, &length) == 2) {
        if (at >= SCHEDULE_DECISIONS_MAX || chosen >= SCHEDULE_THREADS_MAX)
            return false;
        choices[at].chosen = (uint8_t)chosen;
        plan->choice_count = at + 1;
        text += length;
        if (*text == 0)
            return true;
        if (*text++ != ',')
            return false;
    }
    return false;
}

static bool parse_seed(const char *text, struct schedule_plan *plan)
{
    int length = 0;
    *plan = (struct schedule_plan){.seed = 0};
    return sscanf(text, "schedule=%" SCNu64 ":depth=%u:length=%" SCNu64 "%n", &plan->seed,
                  &plan->depth, &plan->length, &length) == 3 &&
           text[length] == 0 && plan->depth > 0 && plan->depth <= SCHEDULE_DEPTH_MAX;
}

static bool parse_mutant(char *text, struct exploration *what)
{
    char *mutant = strstr(text, ":mutant=");
    if (!mutant)
        return true;
    *mutant = 0;
    what->mutant = faults_mutant_find(mutant + strlen(":mutant="));
    return what->mutant != NULL;
}

/* Cuts it off. */
static bool parse_mixed(char *text, struct names *mixed)
{
    char *rest = strstr(text, ":mixed=");
    if (!rest)
        return true;
    *rest = 0;
    rest += strlen(":mixed=");
    do {
        const char *name = name_find(tmf_strategy_name, strsep(&rest, ","));
        if (!name || mixed->count == NAMES_MAX)
            return false;
        mixed->at[mixed->count++] = name;
    } while (rest);
    return true;
}

/* Of the text that ends so, cuts it off; where it does not, the number stays. */
static bool parse_number(char *text, const char *key, uint64_t *number)
{
    int length = 0;
    char *end = strstr(text, key);
    if (!end)
        return true;
    *end = 0;
    end += strlen(key);
    return sscanf(end, "%" SCNu64 "%n", number, &length) == 1 && end[length] == 0;
}

static bool parse_crowd(const char *text, struct exploration *what, int *length)
{
    uint64_t most = SCHEDULE_THREADS_MAX;
    return sscanf(text, ":readers=%" SCNu64 ":writers=%" SCNu64 ":%n", &what->readers,
                  &what->writers, length) == 2 &&
           *length > 0 && what->readers <= most && what->writers <= most && what->threads > 0 &&
           what->threads <= most && what->readers + what->writers > 0 &&
           (what->readers + what->writers) * what->threads <= most;
}

static bool parse_life(const char *text, struct exploration *what)
{
    char life[EXPLORE_TEXT_MAX + 8];
    struct kill_case one;
    snprintf(life, sizeof(life), "kill%s", text);
    if (!kill_case_parse(life, &one) || one.death.hit || one.after_us || one.then.hit)
        return false;
    what->place = one.place;
    what->visits = one.transactions;
    return true;
}

bool explore_case_parse(const char *text, struct exploration *what, struct schedule_plan *plan,
                        struct schedule_decision *choices)
{
    char copy[EXPLORE_TEXT_MAX];
    int length = 0;
    uint64_t dies_at = 0;
    *what = (struct exploration){.threads = 1};
    if (!explore_is_case(text) ||
        (size_t)snprintf(copy, sizeof(copy), "%s", strchr(text, ':')) >= sizeof(copy) ||
        !parse_mutant(copy, what) || !parse_mixed(copy, &what->mixed) ||
        !parse_number(copy, ":dies=", &dies_at) || !parse_number(copy, ":threads=", &what->threads))
        return false;
    what->processes = strncmp(text, "procs", strlen("procs")) == 0;
    char *readers = strstr(copy, ":readers=");
    if (!readers || !parse_crowd(readers, what, &length))
        return false;
    *readers = 0;
    const char *rest = readers + length;
    bool by_choice = strncmp(rest, "choices=", strlen("choices=")) == 0;
    bool parsed = parse_life(copy, what) &&
                  (by_choice ? parse_choices(rest + strlen("choices="), plan, choices)
                             : parse_seed(rest, plan));
    plan->dies_at = dies_at;
    bool of_processes = dies_at > 0 || what->mixed.count > 0 || what->threads > 1;
    return parsed && (what->processes || !of_processes);
}
