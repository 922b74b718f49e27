/* SPDX-License-Identifier: MIT */
/*
 * tmf report: becomes results/report.py, which reads nothing but the envelopes it is given.
 * Debian's modules belong to /usr/bin/python3; another python3 may come first on the PATH.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/program.h"

#define PYTHON "/usr/bin/python3"

enum { KEY_OUT = 0x200, KEY_FORMAT, KEY_REFERENCE };
static const char *page; /* NULL: report. and the format */
static const char *format = "html";
static const char *reference; /* NULL: the last in results/data */

static const struct argp_option options[] = {
    {"out", KEY_OUT, "PAGE", 0, "where the page is written (default: report.html; -: here)", 0},
    {"format", KEY_FORMAT, "html|md|csv", 0,
     "a page with figures, its tables as Markdown, or the bare numbers", 0},
    {"reference", KEY_REFERENCE, "DIR", 0,
     "what changed since the results there (default: the last in results/data)", 0},
    {0}};

static bool take(int key, const char *value)
{
    if (key == KEY_FORMAT) {
        format = value;
        return strcmp(value, "html") == 0 || strcmp(value, "md") == 0 || strcmp(value, "csv") == 0;
    }
    *(key == KEY_OUT ? &page : &reference) = value;
    return *value != '\0';
}

/* The source tree it was built from; where that is gone, beside the executable. */
static bool find_script(char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/report.py", TMF_RESULTS_DIR);
    return access(path, R_OK) == 0 || program_beside("../results/report.py", path) == 0;
}

static int run(const struct arguments *arguments)
{
    char script[PATH_MAX];
    if (!find_script(script))
        return command_fail(arguments, STATUS_CANNOT, "results/report.py is not to be found");
    char default_page[32];
    snprintf(default_page, sizeof(default_page), "report.%s", format);
    const char *const words[] = {
        PYTHON,     "-B",   script,        "--out",  page ? page : default_page,
        "--format", format, "--reference", reference};
    size_t own = sizeof(words) / sizeof(*words) - (reference ? 0 : 2);
    const char **argv = calloc(arguments->word_count + own + 1, sizeof(*argv));
    if (argv == NULL)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    memcpy(argv, words, own * sizeof(*argv));
    memcpy(argv + own, arguments->words, arguments->word_count * sizeof(*argv));
    int error = program_become(argv);
    free(argv);
    return command_fail(arguments, STATUS_CANNOT, PYTHON ": %s (apt install python3)",
                        strerror(error));
}

const struct command command_report = {
    .name = "report",
    .about = "JSON to one self-contained HTML page with figures",
    .text = "FILES are what --json of the other commands wrote. The page needs no network.",
    .words = "FILES...",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .options = options,
    .take = take,
    .run = run,
};
