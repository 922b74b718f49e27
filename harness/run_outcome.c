/* SPDX-License-Identifier: MIT */
#include "harness/run_outcome.h"

#include "harness/command.h"

const char *outcome_word(int code)
{
    switch (code) {
    case STATUS_HELD:
        return "held";
    case STATUS_VIOLATION:
        return "caught";
    case STATUS_CANNOT:
        return "not run";
    default:
        return "failed";
    }
}

void outcome_read(const json_t *envelope, struct outcome *outcome)
{
    outcome->cases = json_integer_value(json_object_get(envelope, "cases"));
    outcome->violations = json_integer_value(json_object_get(envelope, "violations"));
    outcome->seconds = json_number_value(json_object_get(envelope, "seconds"));
}

void outcome_print(FILE *to, const char *step, int expected, const struct outcome *outcome)
{
    fprintf(to, "%-10s %10" JSON_INTEGER_FORMAT " %11" JSON_INTEGER_FORMAT "  %-9s %-8s %8.1f%s\n",
            step, outcome->cases, outcome->violations, outcome_word(expected),
            outcome_word(outcome->code), outcome->seconds,
            outcome->code == expected ? "" : "  <- not as expected");
}

/* How much a code says about a step of which others are known. */
static int weight(int code)
{
    static const int order[] = {STATUS_HELD, STATUS_CANNOT, STATUS_VIOLATION};
    int n = 0;
    while (n < 3 && order[n] != code)
        n++;
    return n;
}

void outcome_add(struct outcome *whole, const struct outcome *part)
{
    whole->cases += part->cases;
    whole->violations += part->violations;
    whole->seconds += part->seconds;
    if (weight(part->code) > weight(whole->code))
        whole->code = part->code;
}
