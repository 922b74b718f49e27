/* SPDX-License-Identifier: MIT */
/*
 * A command of the harness: NAME.c defines `const struct command command_NAME`, and NAME stands in
 * the list of commands in CMakeLists.txt; nothing else is needed to add one.
 *
 * Options that several commands share are parsed here, once, and checked before run() is called: a
 * strategy, index or workload that nobody knows never reaches a command. A command says which of
 * them it takes; the others are refused instead of ignored.
 */
#ifndef HARNESS_COMMAND_H
#define HARNESS_COMMAND_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "txn/tmf.h"

/* What the program exits with. */
enum status {
    STATUS_HELD = 0,      /* everything asked for held */
    STATUS_VIOLATION = 1, /* something did not */
    STATUS_USAGE = 2,     /* wrong usage */
    STATUS_CANNOT = 3     /* cannot run here; what is missing was said */
};

/* Common options, for command.takes. --json, --quiet and --seed go with every campaign. */
enum takes {
    TAKES_JSON = 1 << 0,
    TAKES_SEED = 1 << 1,
    TAKES_STRATEGY = 1 << 2,
    TAKES_INDEX = 1 << 3,
    TAKES_QUANTUM = 1 << 4,
    TAKES_WORKLOAD = 1 << 5,
    TAKES_CASES = 1 << 6,
    TAKES_TIME = 1 << 7,
    TAKES_DIR = 1 << 8,
    TAKES_SHARD = 1 << 9,
    TAKES_QUIET = 1 << 10,
    TAKES_DURABILITY = 1 << 11,
    TAKES_CAMPAIGN = (1 << 12) - 1, /* all of them */
    TAKES_MEASURING = 1 << 12       /* --pin, --no-pin, --strict */
};

/*
 * A list of names, one or more; "all" on the command line names them all. Of strategies "all" are
 * those that survive something and that can run here, "control" those that survive nothing: a
 * harness must catch them.
 */
#define NAMES_MAX ((size_t)16)
struct names {
    const char *at[NAMES_MAX];
    size_t count;
};

/* A strategy that "all" left out. */
struct skipped {
    const char *strategy;
    char missing[256]; /* what it needs and is not here, a sentence */
};

#define DURABILITIES_MAX ((size_t)3)

struct arguments {
    const char *command;     /* its name */
    struct names strategies; /* --strategy A,B; default: that of the library */
    struct skipped skipped[NAMES_MAX];
    size_t skipped_count;
    struct names indexes;     /* --index A,B; default: the first */
    struct names workloads;   /* --workload A,B; default: all */
    size_t quanta[NAMES_MAX]; /* --quantum 16,64, bytes; default: 64 */
    size_t quantum_count;
    tmf_durability durabilities[DURABILITIES_MAX]; /* --durability A,B; default: sync */
    size_t durability_count;
    uint64_t seed;          /* --seed; default: 1 */
    uint64_t cases;         /* --cases; 0: not given */
    double time_seconds;    /* --time; 0: not given */
    const char *dir;        /* --dir; NULL: $TMPDIR, or /tmp */
    unsigned shard, shards; /* --shard I/N, 1 <= I <= N; default 1/1 */
    const char *json;       /* --json; "-" is standard output; NULL: not given */
    bool quiet;             /* --quiet: nothing but failures, errors and JSON */
    const char *pin;        /* --pin, a list of cores; NULL: not given */
    bool no_pin;            /* --no-pin */
    bool strict;            /* --strict: nothing is measured where something will disturb it */
    char *const *words;     /* what is no option, word_count of them */
    size_t word_count;
    char *const *given; /* the whole command line after the command's name, given_count words */
    size_t given_count;
};

struct command {
    const char *name;
    const char *about; /* one line for `tmf --help` */
    const char *text;  /* some more for `tmf NAME --help`; may be NULL */
    const char *words; /* how its words are called in the usage, as "PATH"; NULL: it takes none */
    size_t word_count_min, word_count_max;
    unsigned takes; /* enum takes */
    /* Options of its own: NULL, or a table that ends in {0} with keys from 0x200 to 0x2ff, and what
     * takes each of them; false says that the value is wrong. */
    const struct argp_option *options;
    bool (*take)(int key, const char *value);
    int (*run)(const struct arguments *arguments); /* returns enum status */
};

/* Parses the words behind `tmf`; exits with STATUS_USAGE where they are wrong. argv[0] is NAME. */
void command_parse(const struct command *command, int argc, char **argv, struct arguments *out);

/* Prints "tmf COMMAND: sentence" to standard error and returns `status`. */
int command_fail(const struct arguments *arguments, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fills in `skipped`, for a command that tries all strategies without being asked. */
void command_skip_missing(struct arguments *arguments);

/* The name among name_at(0), name_at(1), ... that is `word`, as name_at() gives it; NULL: none. */
const char *name_find(const char *name_at(size_t n), const char *word);

/* The word for it on the command line, and back (false: no such word). */
const char *durability_name(tmf_durability durability);
bool durability_parse(const char *word, tmf_durability *out);

#endif
