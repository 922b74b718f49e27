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
