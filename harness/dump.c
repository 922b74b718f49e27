/* SPDX-License-Identifier: MIT */
/* tmf dump: what a storage is: its header, its log, and the map of its blocks. */
#include "harness/inspect.h"

#define CLASSES 48 /* of sizes: 2^n bytes up to the next */

/* Blocks of similar size, used and free. */
struct census {
    size_t counts[CLASSES][2];
    size_t bytes[CLASSES][2];
    FILE *list; /* every block is printed there; NULL: not wanted */
};

static bool with_blocks;

enum { KEY_BLOCKS = 0x200 };
static const struct argp_option options[] = {
    {"blocks", KEY_BLOCKS, NULL, 0, "list every block", 0},
    {0},
};

static bool take(int key, const char *value)
{
    (void)value;
    with_blocks = key == KEY_BLOCKS;
    return with_blocks;
}

static size_t class_of(size_t size)
{
    size_t n = 0;
    while (size >>= 1)
        n++;
    return n < CLASSES ? n : CLASSES - 1;
}

static int visit(void *context, const tmf_block *block)
{
    struct census *census = context;
    size_t n = class_of(block->size);
    census->counts[n][block->is_free]++;
    census->bytes[n][block->is_free] += block->size;
    if (census->list)
        fprintf(census->list, "  %#14zx %12zu B  %s\n", block->offset, block->size,
                block->is_free ? "free" : "used");
    return 0;
}

static void print_log(FILE *to, const struct inspection *inspection)
{
    char text[BYTES_TEXT_MAX];
    const struct tmf_log_state *log = &inspection->log;
    fprintf(to, "log\n");
    fprintf(to, "  %-14s %s, turn %llu from transaction %llu on%s\n", "kind",
            inspect_log_kind(inspection), (unsigned long long)log->turn,
            (unsigned long long)log->sequence,
            log->pending ? "; holds commits that are not in the .odb" : "");
    fprintf(to, "  %-14s %llu\n", "sequence", (unsigned long long)inspection->info.sequence);
    fprintf(to, "  %-14s %s\n", "size", bytes_text(inspection->info.log_size, text));
}

static void print_facts(FILE *to, const struct inspection *inspection)
{
    const tmf_info *info = &inspection->info;
    char text[BYTES_TEXT_MAX];
    fprintf(to, "opened with\n");
    fprintf(to, "  %-14s %s (the default here)\n", "strategy", info->strategy);
    fprintf(to, "  %-14s %s\n", "durability", durability_name(info->durability));
    fprintf(to, "header\n");
    fprintf(to, "  %-14s %016llx\n", "id", (unsigned long long)info->id);
    fprintf(to, "  %-14s %u\n", "version", info->version);
    fprintf(to, "  %-14s %#llx\n", "magic", (unsigned long long)info->magic);
    fprintf(to, "  %-14s %p\n", "address", info->address);
    fprintf(to, "  %-14s %s\n", "arena", bytes_text(info->size, text));
    fprintf(to, "  %-14s %s\n", "root", bytes_text(info->root_size, text));
    print_log(to, inspection);
    fprintf(to, "heap\n");
    fprintf(to, "  %-14s %s\n", "index", info->index);
    fprintf(to, "  %-14s %s\n", "quantum", bytes_text(info->quantum, text));
    fprintf(to, "  %-14s %s\n", "metadata", bytes_text(info->metadata_bytes, text));
    fprintf(to, "  %-14s %s in %zu blocks\n", "used", bytes_text(info->used_bytes, text),
            info->used_blocks);
    fprintf(to, "  %-14s %s in %zu blocks\n", "free", bytes_text(info->free_bytes, text),
            info->free_blocks);
    fprintf(to, "  %-14s %s\n", "largest free", bytes_text(info->largest_free_bytes, text));
}

static void print_census(FILE *to, const struct census *census)
{
    char class_text[BYTES_TEXT_MAX], used[BYTES_TEXT_MAX], free_text[BYTES_TEXT_MAX];
    fprintf(to, "blocks\n  %12s %10s %12s %10s %12s\n", "size from", "used", "bytes", "free",
            "bytes");
    for (size_t n = 0; n < CLASSES; n++) {
        if (census->counts[n][false] + census->counts[n][true] == 0)
            continue;
        fprintf(to, "  %12s %10zu %12s %10zu %12s\n", bytes_text((size_t)1 << n, class_text),
                census->counts[n][false], bytes_text(census->bytes[n][false], used),
                census->counts[n][true], bytes_text(census->bytes[n][true], free_text));
    }
}

static void dump_heap(const struct inspection *inspection, const char *path, struct result *result)
{
    FILE *to = result_text(result);
    result_add_cases(result, 1);
    inspect_measure(inspection, result_metrics(result));
    print_facts(to, inspection);
    if (with_blocks)
        fprintf(to, "every block\n  %14s %14s\n", "offset", "size");
    struct census census = {.list = with_blocks ? to : NULL};
    int error = tmf_walk(inspection->storage, visit, &census);
    if (error)
        result_fail(result, path, tmf_explain(), "tmf check");
    print_census(to, &census);
}

static int dump_run(const struct arguments *arguments)
{
    struct inspection inspection;
    int status = inspect_begin(arguments, &inspection);
    if (status != STATUS_HELD)
        return status;
    struct result *result = result_new(arguments);
    dump_heap(&inspection, arguments->words[0], result);
    inspect_end(&inspection);
    return result_finish(result);
}

const struct command command_dump = {
    .name = "dump",
    .about = "what a storage is: header, log, map of its blocks",
    .text = "PATH stands for PATH.odb and PATH.log. Opening recovers the storage, as it always "
            "does.",
    .words = "PATH",
    .word_count_min = 1,
    .word_count_max = 1,
    .takes = TAKES_JSON | TAKES_QUIET,
    .options = options,
    .take = take,
    .run = dump_run,
};
