/* SPDX-License-Identifier: MIT */
/* tmf check: opens a storage, which recovers it, and checks every invariant. */
#include "harness/inspect.h"

static void check_heap(const struct inspection *inspection, const char *path, struct result *result)
{
    const tmf_info *info = &inspection->info;
    char replay[256], used[BYTES_TEXT_MAX], free_text[BYTES_TEXT_MAX];
    result_add_cases(result, 1);
    inspect_measure(inspection, result_metrics(result));
    if (tmf_check(inspection->storage) != 0) {
        snprintf(replay, sizeof(replay), "tmf check '%s'", path);
        result_fail(result, path, tmf_explain(), replay);
        return;
    }
    fprintf(result_text(result), "%s holds: %zu used blocks (%s), %zu free blocks (%s)\n", path,
            info->used_blocks, bytes_text(info->used_bytes, used), info->free_blocks,
            bytes_text(info->free_bytes, free_text));
}

static int check_run(const struct arguments *arguments)
{
    struct inspection inspection;
    int status = inspect_begin(arguments, &inspection);
    if (status != STATUS_HELD)
        return status;
    struct result *result = result_new(arguments);
    check_heap(&inspection, arguments->words[0], result);
    inspect_end(&inspection);
    return result_finish(result);
}

const struct command command_check = {
    .name = "check",
    .about = "opens a storage, recovers it, checks every invariant",
    .text = "PATH stands for PATH.odb and PATH.log. Waits for a writer of another process.",
    .words = "PATH",
    .word_count_min = 1,
    .word_count_max = 1,
    .takes = TAKES_JSON | TAKES_QUIET,
    .run = check_run,
};
