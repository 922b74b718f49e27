/* SPDX-License-Identifier: MIT */
/*
 * tmf record: runs a command with record_preload.c in it, and in all that it starts, and makes a
 * trace of what these leave. Recording ends when the command does; of what it leaves running only
 * what was asked for until then is in the trace. What is linked statically, or has its own malloc
 * inside (as what is built with a sanitizer), or has its environment taken away, or is run as
 * another user, is not recorded.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/child.h"
#include "harness/command.h"
#include "harness/program.h"
#include "harness/record_join.h"
#include "harness/record_stream.h"
#include "harness/result.h"
#include "harness/trace.h"

enum { KEY_OUTPUT = 0x200, KEY_OPERATIONS };
#define STATUS_SIGNAL 128 /* and the number of the signal, as shells tell it */

static const char *output = "out.trace";
static uint64_t operations_max = UINT64_MAX;

static const struct argp_option options[] = {
    {"output", KEY_OUTPUT, "FILE", 0, "the trace (default: out.trace)", 0},
    {"operations", KEY_OPERATIONS, "N", 0, "keep only the first N operations", 0},
    {0}};

static bool take(int key, const char *value)
{
    if (key == KEY_OUTPUT) {
        output = value;
        return *value != '\0';
    }
    char *end;
    errno = 0;
    operations_max = strtoull(value, &end, 10);
    return errno == 0 && *value >= '0' && *value <= '9' && *end == '\0' && operations_max > 0;
}

/* What the child needs to know. */
struct job {
    const struct arguments *arguments;
    const char *folder; /* of the streams */
    char library[PATH_MAX];
};

/* Puts the library in front of others that may be there. */
static int preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    if (!others || !*others)
        return setenv("LD_PRELOAD", library, 1);
    char *both;
    if (asprintf(&both, "%s:%s", library, others) < 0)
        return -1;
    int failed = setenv("LD_PRELOAD", both, 1);
    free(both);
    return failed;
}

static int become(void *context)
{
    const struct job *job = context;
    if (preload(job->library) != 0 || setenv(RECORD_FOLDER_VARIABLE, job->folder, 1) != 0)
        return STATUS_CANNOT;
    execvp(job->arguments->words[0], job->arguments->words);
    int error = errno;
    fprintf(stderr, "tmf record: %s: %s\n", job->arguments->words[0], strerror(error));
    return error == ENOENT ? 127 : 126;
}

static void print_facts(const struct record_facts *facts, const struct trace *trace)
{
    const struct trace_facts *whole = trace_facts_of(trace);
    struct stat about = {0};
    stat(output, &about);
    fprintf(stderr,
            "tmf record: %s: %" PRIu64 " operations (%" PRIu64 " allocations, %" PRIu64
            " resizes, %" PRIu64 " frees) of %" PRIu32 " processes, %" PRIu32
            " threads; peak %" PRIu64 " blocks, %" PRIu64 " bytes; %jd bytes%s\n",
            output, whole->operations, whole->allocations, whole->resizes, whole->frees,
            whole->process_count, whole->threads, whole->blocks_peak, whole->bytes_peak,
            (intmax_t)about.st_size, facts->cut ? "; cut" : "");
    if (facts->left_out || facts->mended || facts->unfinished)
        fprintf(stderr,
                "tmf record: %" PRIu64 " frees of blocks from before left out, %" PRIu64
                " missed frees added, %" PRIu64 " operations unfinished at a death\n",
                facts->left_out, facts->mended, facts->unfinished);
    if (facts->stopped)
        fprintf(stderr, "tmf record: %" PRIu32 " processes were not recorded to their end: %s\n",
                facts->stopped, strerror(facts->error));
}

static json_t *describe_processes(const struct trace *trace)
{
    json_t *list = json_array();
    for (uint32_t n = 0; n < trace_facts_of(trace)->process_count; n++) {
        const struct trace_process *process = trace_process_at(trace, n);
        json_array_append_new(list, json_pack("{s:s%, s:I, s:I, s:I, s:I, s:I}", "name",
                                              process->name, strnlen(process->name, TRACE_NAME_MAX),
                                              "parent", (json_int_t)process->parent, "threads",
                                              (json_int_t)process->threads, "operations",
                                              (json_int_t)process->operations, "blocks_peak",
                                              (json_int_t)process->blocks_peak, "bytes_peak",
                                              (json_int_t)process->bytes_peak));
    }
    return list;
}

static void measure(json_t *metrics, const struct record_facts *facts, const struct trace *trace)
{
    const struct trace_facts *whole = trace_facts_of(trace);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"operations", whole->operations},   {"allocations", whole->allocations},
                   {"resizes", whole->resizes},         {"frees", whole->frees},
                   {"threads", whole->threads},         {"blocks_peak", whole->blocks_peak},
                   {"bytes_peak", whole->bytes_peak},   {"block_size_max", whole->block_size_max},
                   {"left_out", facts->left_out},       {"mended", facts->mended},
                   {"unfinished", facts->unfinished},   {"stopped", facts->stopped},
                   {"cut", (uint64_t)(facts->cut != 0)}};
    for (size_t n = 0; n < sizeof(numbers) / sizeof(*numbers); n++)
        json_object_set_new(metrics, numbers[n].name, json_integer((json_int_t)numbers[n].value));
    json_object_set_new(metrics, "processes", describe_processes(trace));
}

/* The trace is read back: what nobody can read is better known now. */
static int join(const struct arguments *arguments, const char *folder, struct result *result)
{
    struct record_facts facts;
    struct trace *trace;
    struct trace_fault fault;
    int error = record_join(folder, operations_max, output, &facts);
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "%s: %s", output, strerror(error));
    if (facts.operations == 0)
        return command_fail(arguments, STATUS_CANNOT,
                            "nothing was recorded: it asked for nothing, or it is linked "
                            "statically, or its malloc is its own");
    if (trace_open(output, &trace, &fault) != 0)
        return command_fail(arguments, STATUS_VIOLATION, "%s: %s", output, fault.what);
    if (!arguments->quiet)
        print_facts(&facts, trace);
    result_add_cases(result, 1);
    measure(result_metrics(result), &facts, trace);
    trace_close(trace);
    return STATUS_HELD;
}

static int record(const struct arguments *arguments, const char *folder)
{
    struct job job = {.arguments = arguments, .folder = folder};
    struct child_end end;
    if (program_beside("librecord.so", job.library) != 0)
        return command_fail(arguments, STATUS_CANNOT, "librecord.so is not beside this program");
    if (strpbrk(job.library, " :"))
        return command_fail(arguments, STATUS_CANNOT,
                            "the dynamic linker takes no path with ' ' or ':', as '%s'",
                            job.library);
    int error = child_run(become, &job, 0, &end);
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "%s", strerror(error));
    int ended = end.exited ? end.code : STATUS_SIGNAL + end.signal;
    struct result *result = result_new(arguments);
    int status = join(arguments, folder, result);
    int written = result_finish(result);
    status = status ? status : written;
    return ended ? ended : status;
}

static int run(const struct arguments *arguments)
{
    struct scratch scratch;
    int error = scratch_make(arguments->dir, &scratch);
    if (error)
        return command_fail(arguments, STATUS_CANNOT,
                            "making a folder to work in failed: %s; choose another by --dir",
                            strerror(error));
    int status = record(arguments, scratch.path);
    scratch_remove(scratch.path);
    return status;
}

const struct command command_record = {
    .name = "record",
    .about = "records what a program asks of malloc, as a trace for bench and trace:FILE",
    .text =
        "Takes all threads and all processes that COMMAND starts. Meanwhile some 25 bytes for\n"
        "each operation lie in --dir. The exit status is that of COMMAND, 128 + N where signal\n"
        "N ended it, or 3 where nothing could be recorded.",
    .words = "-- COMMAND [ARG...]",
    .word_count_min = 1,
    .word_count_max = SIZE_MAX,
    .takes = TAKES_JSON | TAKES_DIR | TAKES_QUIET,
    .options = options,
    .take = take,
    .run = run,
};
