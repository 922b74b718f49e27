/* SPDX-License-Identifier: MIT */
/* Sentences for errors: one per number, and the last failure of each thread in full. */
#include "txn/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "txn/tmf.h"

static _Thread_local char explanation[1024];

const char *tmf_strerror(int error)
{
    switch (error) {
    case 0:
        return "success";
#define CASE(name, number, text)                                                                   \
    case name:                                                                                     \
        return text;
        TMF_ERRORS(CASE)
#undef CASE
    default: {
        const char *text = error > 0 ? strerrordesc_np(error) : NULL;
        return text ? text : "unknown error";
    }
    }
}

const char *tmf_explain(void)
{
    return explanation;
}

/* `length`: what snprintf() said of what was being done. */
static void append_why(int length, const char *why)
{
    if (length >= 0 && (size_t)length < sizeof(explanation))
        (void)snprintf(explanation + length, sizeof(explanation) - (size_t)length, ": %s", why);
}

int tmf_fail(int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(explanation, sizeof(explanation), format, arguments);
    va_end(arguments);
    append_why(length, tmf_strerror(error));
    return error;
}

int tmf_fail_as_explained(int error, const char *doing, const char *path)
{
    char why[sizeof(explanation)];
    memcpy(why, explanation, sizeof(why));
    append_why(snprintf(explanation, sizeof(explanation), "%s '%s'", doing, path), why);
    return error;
}
