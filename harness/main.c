/* SPDX-License-Identifier: MIT */
/*
 * tmf: finds the command, lets command.c parse its options, and runs it. With TMF_MUTANT=NAME in
 * the environment that bug is awake meanwhile, in the command and all its children.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "built.h"
#include "faults/mutants.h"
#include "harness/command.h"
#include "revision.h"

#define COMMAND(name) extern const struct command command_##name;
#include "commands.def"
#undef COMMAND

#define COMMAND(name) &command_##name,
static const struct command *const commands[] = {
#include "commands.def"
};
#undef COMMAND
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
    fputs("Usage: tmf COMMAND [OPTION...]\n"
          "tmf tries to break tmfalloc, a transactional mapped-file allocator.\n\n",
          to);
    for (size_t n = 0; n < COMMAND_COUNT; n++)
        fprintf(to, "  %-10s %s\n", commands[n]->name, commands[n]->about);
    fputs("\n`tmf COMMAND --help` tells the options of a command.\n"
          "Exit status: 0 all held; 1 a violation; 2 wrong usage; 3 cannot run here.\n",
          to);
}

static bool is_one_of(const char *word, const char *long_form, const char *short_form)
{
    return strcmp(word, long_form) == 0 || strcmp(word, short_form) == 0;
}

static int wake_mutant(void)
{
    const char *name = getenv("TMF_MUTANT");
    const struct faults_mutant *mutant = name ? faults_mutant_find(name) : NULL;
    if (name && !mutant) {
        fprintf(stderr, "tmf: TMF_MUTANT is no mutant's name: `tmf list mutants` has them all\n");
        return STATUS_USAGE;
    }
    if (mutant && faults_mutants_init() != 0)
        return STATUS_CANNOT;
    if (mutant)
        faults_mutant_wake(mutant);
    return STATUS_HELD;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct arguments arguments;
    command_parse(command, argc, argv, &arguments);
    int status = wake_mutant();
    return status == STATUS_HELD ? command->run(&arguments) : status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-?")) {
        print_help(stdout);
        return STATUS_HELD;
    }
    if (is_one_of(argv[1], "--version", "-V")) {
        printf("tmf %s (%s)\n", TMF_VERSION, TMF_REVISION);
        return STATUS_HELD;
    }
    for (size_t n = 0; n < COMMAND_COUNT; n++) {
        if (strcmp(argv[1], commands[n]->name) == 0)
            return run(commands[n], argc - 1, argv + 1);
    }
    fprintf(stderr, "tmf: no command is called '%s': `tmf --help` lists them\n", argv[1]);
    return STATUS_USAGE;
}
