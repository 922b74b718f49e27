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

enum { KEY_OUT = 0x200 };
static char page[PATH_MAX] = "report.html";

static const struct argp_option options[] = {
    {"out", KEY_OUT, "PAGE", 0, "where the page is written (default: report.html)", 0}, {0}};

static bool take(int key, const char *value)
{
    (void)key;
    int length = snprintf(page, sizeof(page), "%s", value);
    return length > 0 && (size_t)length < sizeof(page);
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
    const char **argv = calloc(arguments->word_count + 5, sizeof(*argv));
    if (argv == NULL)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    size_t count = 0;
    argv[count++] = PYTHON;
    argv[count++] = script;
    argv[count++] = "--out";
    argv[count++] = page;
    memcpy(argv + count, arguments->words, arguments->word_count * sizeof(*argv));
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
