/* SPDX-License-Identifier: MIT */
#include "harness/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/pinning.h"
#include "harness/strategy.h"
#include "harness/workload.h"

enum key {
    KEY_JSON = 'j',
    KEY_SEED = 's',
    KEY_QUIET = 'q',
    KEY_STRATEGY = 0x100,
    KEY_INDEX,
    KEY_QUANTUM,
    KEY_WORKLOAD,
    KEY_CASES,
    KEY_TIME,
    KEY_DIR,
    KEY_SHARD,
    KEY_DURABILITY,
    KEY_PIN,
    KEY_NO_PIN,
    KEY_STRICT,
};

#define QUANTUM_DEFAULT ((size_t)32)

static const struct {
    unsigned takes;
    struct argp_option option;
} common[] = {
    {TAKES_STRATEGY,
     {"strategy", KEY_STRATEGY, "A,B", 0, "see `tmf list strategies`; all, or control", 0}},
    {TAKES_INDEX, {"index", KEY_INDEX, "A,B", 0, "free-space index, see `tmf list indexes`", 0}},
    {TAKES_QUANTUM, {"quantum", KEY_QUANTUM, "16,64", 0, "allocation quantum, bytes (64)", 0}},
    {TAKES_WORKLOAD, {"workload", KEY_WORKLOAD, "A,B", 0, "see `tmf list workloads` (all)", 0}},
    {TAKES_DURABILITY,
     {"durability", KEY_DURABILITY, "A,B", 0, "sync, group, process, or all (sync)", 0}},
    {TAKES_SEED, {"seed", KEY_SEED, "NUMBER", 0, "of everything that is drawn (1)", 0}},
    {TAKES_CASES, {"cases", KEY_CASES, "NUMBER", 0, "at most so many, spread evenly", 0}},
    {TAKES_TIME, {"time", KEY_TIME, "SECONDS", 0, "go on for so long", 0}},
    {TAKES_SHARD, {"shard", KEY_SHARD, "I/N", 0, "only the I-th of N parts (1/1)", 0}},
    {TAKES_DIR, {"dir", KEY_DIR, "FOLDER", 0, "where to work ($TMPDIR, or /tmp)", 0}},
    {TAKES_JSON, {"json", KEY_JSON, "FILE", 0, "the result as JSON; - is standard output", 0}},
    {TAKES_MEASURING,
     {"pin", KEY_PIN, "2,3-5", 0, "cores to run benchmarks on (all, core 0 last)", 0}},
    {TAKES_MEASURING, {"no-pin", KEY_NO_PIN, NULL, 0, "the kernel chooses the core", 0}},
    {TAKES_MEASURING,
     {"strict", KEY_STRICT, NULL, 0, "exit with 3 where something will disturb it", 0}},
    {TAKES_QUIET, {"quiet", KEY_QUIET, NULL, 0, "nothing but failures, errors and JSON", 0}},
};
#define COMMON_COUNT (sizeof(common) / sizeof(common[0]))
#define OWN_KEY      0x200 /* argp has large keys of its own */
#define OWN_MAX      ((size_t)16)

struct parse {
    const struct command *command;
    struct arguments *out;
};

static const char *workload_name(size_t n)
{
    return workload_at(n) ? workload_at(n)->name : NULL;
}

const char *name_find(const char *name_at(size_t n), const char *word)
{
    for (size_t n = 0; name_at(n); n++) {
        if (strcmp(name_at(n), word) == 0)
            return name_at(n);
    }
    return NULL;
}

static void add_name(struct names *names, const char *name)
{
    if (names->count < NAMES_MAX)
        names->at[names->count++] = name;
}

static void add_all(struct names *names, const char *name_at(size_t n))
{
    for (size_t n = 0; name_at(n); n++)
        add_name(names, name_at(n));
}

static void add_or_skip(struct arguments *out, const char *strategy)
{
    struct skipped *skipped = &out->skipped[out->skipped_count];
    if (strategy_is_available(strategy, skipped->missing, sizeof(skipped->missing)))
        add_name(&out->strategies, strategy);
    else
        out->skipped[out->skipped_count++].strategy = strategy;
}

/* The strategies that survive something, or those that do not. */
static void add_strategies(struct arguments *out, bool survive)
{
    out->skipped_count = 0;
    for (size_t n = 0; tmf_strategy_name(n) && n < NAMES_MAX; n++) {
        if ((tmf_strategy_survives(n) != TMF_SURVIVES_NOTHING) == survive)
            add_or_skip(out, tmf_strategy_name(n));
    }
}

static void add_strategy(struct argp_state *state, struct arguments *out, const char *word)
{
    char missing[256];
    const char *name = name_find(tmf_strategy_name, word);
    if (!name)
        argp_error(state, "no strategy is called '%s': `tmf list` names them all", word);
    else if (strategy_is_available(name, missing, sizeof(missing)))
        add_name(&out->strategies, name);
    else
        exit(command_fail(out, STATUS_CANNOT, "%s", missing));
}

/* Calls `take` for each of the words in `value` that commas separate. */
static void each_word(struct argp_state *state, const char *value, const char *kind,
                      void take(struct argp_state *state, struct arguments *out, const char *word))
{
    const struct parse *parse = state->input;
    char words[256];
    char *rest = NULL;
    if ((size_t)snprintf(words, sizeof(words), "%s", value) >= sizeof(words))
        argp_error(state, "the list '%s' is too long", value);
    char *word = strtok_r(words, ",", &rest);
    if (!word)
        argp_error(state, "'%s' names no %s: `tmf list` names them all", value, kind);
    for (; word; word = strtok_r(NULL, ",", &rest))
        take(state, parse->out, word);
}

static void take_strategy(struct argp_state *state, struct arguments *out, const char *word)
{
    bool all = strcmp(word, "all") == 0;
    if (all || strcmp(word, "control") == 0)
        add_strategies(out, all);
    else
        add_strategy(state, out, word);
}

static void take_name(struct argp_state *state, struct names *out, const char *name_at(size_t n),
                      const char *kind, const char *word)
{
    const char *name = name_find(name_at, word);
    if (name)
        add_name(out, name);
    else if (strcmp(word, "all") == 0)
        add_all(out, name_at);
    else
        argp_error(state, "no %s is called '%s': `tmf list` names them all", kind, word);
}

static void take_index(struct argp_state *state, struct arguments *out, const char *word)
{
    take_name(state, &out->indexes, tmf_index_name, "index", word);
}

static void take_workload(struct argp_state *state, struct arguments *out, const char *word)
{
    struct difference why;
    const struct workload *trace = NULL;
    if (!workload_is_trace(word))
        take_name(state, &out->workloads, workload_name, "workload", word);
    else if ((trace = workload_trace(word, &why)) != NULL)
        add_name(&out->workloads, trace->name);
    else
        argp_error(state, "%s", why.what);
}

static const tmf_durability durabilities[] = {TMF_DURABILITY_SYNC, TMF_DURABILITY_GROUP,
                                              TMF_DURABILITY_PROCESS};
#define DURABILITY_COUNT (sizeof(durabilities) / sizeof(durabilities[0]))

static void add_durability(struct arguments *out, tmf_durability durability)
{
    if (out->durability_count < DURABILITIES_MAX)
        out->durabilities[out->durability_count++] = durability;
}

static void take_durability(struct argp_state *state, struct arguments *out, const char *word)
{
    tmf_durability durability;
    if (durability_parse(word, &durability))
        add_durability(out, durability);
    else if (strcmp(word, "all") != 0)
        argp_error(state, "--durability is sync, group or process, not '%s'", word);
    for (size_t n = 0; strcmp(word, "all") == 0 && n < DURABILITY_COUNT; n++)
        add_durability(out, durabilities[n]);
}

static bool parse_number(const char *value, char **end, uint64_t *out)
{
    errno = 0;
    *out = strtoull(value, end, 0);
    return errno == 0 && *end != value && *value != '-';
}

static uint64_t whole_number(struct argp_state *state, const char *value, const char *option)
{
    char *end;
    uint64_t number;
    if (!parse_number(value, &end, &number) || *end)
        argp_error(state, "%s takes a whole number, not '%s'", option, value);
    return number;
}

static void parse_quanta(struct argp_state *state, const char *value, struct arguments *out)
{
    out->quantum_count = 0;
    const char *at = value;
    for (;;) {
        char *end;
        uint64_t quantum;
        bool good = parse_number(at, &end, &quantum) && quantum >= 16 && quantum <= 4096 &&
                    (quantum & (quantum - 1)) == 0 && (*end == 0 || *end == ',');
        if (!good || out->quantum_count == NAMES_MAX)
            argp_error(state, "--quantum takes powers of two from 16 to 4096, not '%s'", value);
        out->quanta[out->quantum_count++] = quantum;
        if (*end == 0)
            return;
        at = end + 1;
    }
}

static void parse_shard(struct argp_state *state, const char *value, struct arguments *out)
{
    char *end;
    uint64_t shard, shards = 0;
    bool good = parse_number(value, &end, &shard) && *end == '/' &&
                parse_number(end + 1, &end, &shards) && *end == 0;
    if (!good || shard < 1 || shard > shards || shards > 65536)
        argp_error(state, "--shard takes I/N with I from 1 to N, not '%s'", value);
    out->shard = (unsigned)shard;
    out->shards = (unsigned)shards;
}

static void parse_time(struct argp_state *state, const char *value, struct arguments *out)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end || !(seconds > 0 && seconds < 1e9))
        argp_error(state, "--time takes seconds, not '%s'", value);
    out->time_seconds = seconds;
}

static void parse_pin(struct argp_state *state, const char *value, struct arguments *out)
{
    struct cores cores;
    if (!pinning_parse(value, &cores))
        argp_error(state, "--pin takes cores as 2,3-5, each once, not '%s'", value);
    out->pin = value;
}

/* Of what is tried: over which storages. */
static error_t parse_what(int key, const char *value, struct argp_state *state,
                          struct arguments *out)
{
    switch (key) {
    case KEY_STRATEGY:
        out->strategies.count = 0;
        each_word(state, value, "strategy", take_strategy);
        return 0;
    case KEY_INDEX:
        out->indexes.count = 0;
        each_word(state, value, "index", take_index);
        return 0;
    case KEY_WORKLOAD:
        out->workloads.count = 0;
        each_word(state, value, "workload", take_workload);
        return 0;
    case KEY_QUANTUM:
        parse_quanta(state, value, out);
        return 0;
    case KEY_DURABILITY:
        out->durability_count = 0;
        each_word(state, value, "durability", take_durability);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Of how much, where, and what is told. */
static error_t parse_how(int key, const char *value, struct argp_state *state,
                         struct arguments *out)
{
    switch (key) {
    case KEY_SHARD:
        parse_shard(state, value, out);
        return 0;
    case KEY_TIME:
        parse_time(state, value, out);
        return 0;
    case KEY_SEED:
        out->seed = whole_number(state, value, "--seed");
        return 0;
    case KEY_CASES:
        out->cases = whole_number(state, value, "--cases");
        return 0;
    case KEY_DIR:
        out->dir = value;
        return 0;
    case KEY_JSON:
        out->json = value;
        return 0;
    case KEY_QUIET:
        out->quiet = true;
        return 0;
    case KEY_PIN:
        parse_pin(state, value, out);
        return 0;
    case KEY_NO_PIN:
        out->no_pin = true;
        return 0;
    case KEY_STRICT:
        out->strict = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_own(int key, const char *value, struct argp_state *state,
                         const struct command *command)
{
    if (key < OWN_KEY || key >= OWN_KEY + 0x100 || !command->take)
        return ARGP_ERR_UNKNOWN;
    if (!command->take(key, value))
        argp_error(state, "'%s' is no value for this option", value ? value : "");
    return 0;
}

static void check_words(const struct argp_state *state, const struct command *command,
                        const struct arguments *out)
{
    if (out->pin && out->no_pin)
        argp_error(state, "--pin and --no-pin exclude each other");
    if (out->word_count < command->word_count_min)
        argp_error(state, "%s is missing", command->words);
    if (out->word_count > command->word_count_max)
        argp_error(state, "'%s' is one word too many", out->words[command->word_count_max]);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    const struct parse *parse = state->input;
    struct arguments *out = parse->out;
    if (key == ARGP_KEY_ARGS) {
        out->words = state->argv + state->next;
        out->word_count = (size_t)(state->argc - state->next);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        check_words(state, parse->command, out);
        return 0;
    }
    error_t error = parse_what(key, value, state, out);
    if (error == ARGP_ERR_UNKNOWN)
        error = parse_how(key, value, state, out);
    return error == ARGP_ERR_UNKNOWN ? parse_own(key, value, state, parse->command) : error;
}

static void collect_options(const struct command *command, struct argp_option *out)
{
    for (const struct argp_option *own = command->options; own && own->name; own++)
        *out++ = *own;
    for (size_t n = 0; n < COMMON_COUNT; n++) {
        if (command->takes & common[n].takes)
            *out++ = common[n].option;
    }
    *out = (struct argp_option){0};
}

static void set_defaults(struct arguments *out)
{
    add_name(&out->strategies, strategy_default());
    add_name(&out->indexes, tmf_index_name(0));
    add_all(&out->workloads, workload_name);
    out->quanta[out->quantum_count++] = QUANTUM_DEFAULT;
    add_durability(out, TMF_DURABILITY_SYNC);
    out->seed = 1;
    out->shard = out->shards = 1;
}

void command_parse(const struct command *command, int argc, char **argv, struct arguments *out)
{
    char name[64], about[2048];
    snprintf(name, sizeof(name), "tmf %s", command->name);
    snprintf(about, sizeof(about), "tmf %s %s\v%s", command->name, command->about,
             command->text ? command->text : "");
    *out = (struct arguments){
        .command = command->name, .given = argv + 1, .given_count = (size_t)argc - 1};
    set_defaults(out);

    struct argp_option options[COMMON_COUNT + OWN_MAX + 1];
    collect_options(command, options);
    struct argp argp = {options, parse_option, command->words, about, NULL, NULL, NULL};
    struct parse parse = {command, out};
    char *command_name = argv[0];
    argv[0] = name; /* argp calls the program by it in usage and errors */
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &parse);
    argv[0] = command_name;
}

void command_skip_missing(struct arguments *arguments)
{
    add_strategies(arguments, true);
}

int command_fail(const struct arguments *arguments, enum status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "tmf %s: ", arguments->command);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return status;
}

const char *durability_name(tmf_durability durability)
{
    switch (durability) {
    case TMF_DURABILITY_GROUP:
        return "group";
    case TMF_DURABILITY_PROCESS:
        return "process";
    case TMF_DURABILITY_DEFAULT:
    case TMF_DURABILITY_SYNC:
        break;
    }
    return "sync";
}

bool durability_parse(const char *word, tmf_durability *out)
{
    for (size_t n = 0; n < DURABILITY_COUNT; n++) {
        if (strcmp(durability_name(durabilities[n]), word) == 0) {
            *out = durabilities[n];
            return true;
        }
    }
    return false;
}
