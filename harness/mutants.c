/* SPDX-License-Identifier: MIT */
/*
 * tmf mutants: would the harness notice? Each bug of faults/mutants.h is woken in a child that runs
 * the campaign of the model that must see it, in the setting of its row, up to the first violation.
 * Who survives its model is a violation of this command; so is one that is found though its row
 * argues that nobody can find it. With --all-models each of the others has a try too: nobody must
 * see it there, but who does is worth knowing. With --sound the same campaigns run without a bug,
 * and must hold: else what was found says nothing.
 *
 * A child that does not end has hung for the bug's sake: it is caught. A model that is not in this
 * program, or cannot run here, is not run; but a row whose setting its model does not take is
 * wrong.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "faults/mutants.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/result.h"
#include "harness/scatter.h"

#define MEMORY        "/dev/shm"
#define LIMIT_SECONDS 240 /* for a child; its campaign is bounded by cases, not by time */
#define WORDS_MAX     40
#define SETTING_MAX   256

/* The models in order of the columns, and what makes their campaigns short. */
static const struct model {
    const char *name;
    const char *words; /* a setting follows, and may say otherwise */
    unsigned tries;    /* with other seeds, where what happens is up to the scheduler too */
    bool has_strategies;
    bool is_contest; /* where the words have no meaning if the setting asks for schedules */
} models[] = {
    {"model", "--until-first", 1, false, false},
    {"kill", "--until-first --transactions 4 --patience 2 --cases 400", 1, true, false},
    {"error", "--until-first --transactions 2 --patience 2 --cases 600", 1, true, false},
    {"power", "--until-first --transactions 3 --cases 5000", 1, true, false},
    {"threads", "--transactions 400 --patience 1", 5, true, true},
    {"procs", "--transactions 400 --patience 1", 5, true, true},
};
#define MODELS (sizeof(models) / sizeof(models[0]))

/* The commands that this program has. */
#define COMMAND(name) #name,
static const char *const commands[] = {
#include "commands.def"
};
#undef COMMAND

enum verdict { NOT_TRIED, SURVIVED, CAUGHT, HUNG, NOT_RUN, VERDICTS };
static const char *const verdict_name[] = {"not tried", "survived", "caught", "hung", "not run"};

struct cell {
    enum verdict verdict;
    json_int_t cases;
    double seconds;
    char what[512]; /* the first violation */
    char line[512]; /* to type */
};

struct tally {
    size_t must, by[VERDICTS];
};

struct campaign {
    const struct arguments *arguments;
    struct result *result;
    struct scratch scratch;
    struct tally tally[MODELS];
    size_t equivalent, tried;
};

static struct names chosen; /* mutants; none: all */
static const char *only_model;
static bool all_models;
static bool sound;

/* ---- options */

static const char *mutant_name(size_t n)
{
    return faults_mutant_at(n) ? faults_mutant_at(n)->name : NULL;
}

static const char *model_name(size_t n)
{
    return n < MODELS ? models[n].name : NULL;
}

enum { KEY_MUTANT = 0x200, KEY_MODEL, KEY_ALL_MODELS, KEY_SOUND };
static const struct argp_option options[] = {
    {"mutant", KEY_MUTANT, "A,B", 0, "only these, see `tmf list mutants`", 0},
    {"model", KEY_MODEL, "NAME", 0,
     "only model, kill, error, power, threads or procs; without --mutant those that it must see",
     0},
    {"all-models", KEY_ALL_MODELS, NULL, 0, "the models that need not see it have a try too", 0},
    {"sound", KEY_SOUND, NULL, 0, "run the same campaigns without a bug: they must hold", 0},
    {0},
};

static bool take_mutants(const char *value)
{
    char words[512];
    char *rest = NULL;
    if ((size_t)snprintf(words, sizeof(words), "%s", value) >= sizeof(words))
        return false;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        const char *name = name_find(mutant_name, word);
        if (!name || chosen.count == NAMES_MAX)
            return false;
        chosen.at[chosen.count++] = name;
    }
    return chosen.count > 0;
}

static bool take(int key, const char *value)
{
    switch (key) {
    case KEY_MUTANT:
        return take_mutants(value);
    case KEY_MODEL:
        only_model = name_find(model_name, value);
        return only_model != NULL;
    case KEY_ALL_MODELS:
        return all_models = true;
    default:
        return sound = true;
    }
}

/* ---- a child */

struct line {
    const char *argv[WORDS_MAX];
    size_t count;
    char setting[SETTING_MAX], words[SETTING_MAX], json[PATH_MAX], seed[32];
};

static void add_word(struct line *line, const char *word)
{
    if (line->count + 1 < WORDS_MAX)
        line->argv[line->count++] = word;
}

static void add_words(struct line *line, char *words)
{
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        add_word(line, word);
}

/* Whether the option of a setting made for `own` says something to `other` too. */
static bool is_common(const char *option, const struct model *own, const struct model *other)
{
    static const char *const of_places[] = {"--strategy", "--durability", "--workload"};
    bool is_of_place = false;
    if (own == other || strcmp(option, "--index") == 0 || strcmp(option, "--quantum") == 0)
        return true;
    for (size_t n = 0; n < sizeof(of_places) / sizeof(of_places[0]); n++)
        is_of_place = is_of_place || strcmp(option, of_places[n]) == 0;
    return is_of_place && own->has_strategies && other->has_strategies;
}

static void add_setting(struct line *line, const struct model *own, const struct model *model)
{
    char *rest = NULL;
    char *option = strtok_r(line->setting, " ", &rest);
    bool has_workload = !model->has_strategies;
    for (; option; option = strtok_r(NULL, " ", &rest)) {
        char *value = strtok_r(NULL, " ", &rest);
        if (!is_common(option, own, model))
            continue;
        add_word(line, option);
        add_word(line, value);
        has_workload = has_workload || strcmp(option, "--workload") == 0;
    }
    if (!has_workload) {
        add_word(line, "--workload");
        add_word(line, own->has_strategies ? "bank" : "churn"); /* which works the heap */
    }
}

static void make_line(const struct campaign *campaign, const struct model *own, const char *setting,
                      const struct model *model, uint64_t seed, struct line *line)
{
    *line = (struct line){.argv = {"/proc/self/exe", model->name}, .count = 2};
    snprintf(line->setting, sizeof(line->setting), "%s", setting);
    snprintf(line->words, sizeof(line->words), "%s", model->words);
    snprintf(line->seed, sizeof(line->seed), "%" PRIu64, seed);
    snprintf(line->json, sizeof(line->json), "%s/result.json", campaign->scratch.path);
    if (own != model || !model->is_contest || !strstr(setting, "--schedules "))
        add_words(line, line->words);
    add_setting(line, own, model);
    add_word(line, "--seed");
    add_word(line, line->seed);
}

/* The line as a person types it. */
static void spell(const struct line *line, const char *mutant, char *to, size_t size)
{
    size_t length = mutant ? (size_t)snprintf(to, size, "TMF_MUTANT=%s tmf", mutant)
                           : (size_t)snprintf(to, size, "tmf");
    for (size_t n = 1; n < line->count && length < size; n++)
        length += (size_t)snprintf(to + length, size - length, " %s", line->argv[n]);
}

static void read_result(const struct line *line, struct cell *cell)
{
    json_t *envelope = json_load_file(line->json, 0, NULL);
    json_t *first = json_array_get(json_object_get(envelope, "failures"), 0);
    const char *what = json_string_value(json_object_get(first, "what"));
    cell->cases += json_integer_value(json_object_get(envelope, "cases"));
    cell->seconds += json_number_value(json_object_get(envelope, "seconds"));
    snprintf(cell->what, sizeof(cell->what), "%s", what ? what : "");
    json_decref(envelope);
}

static enum verdict verdict_of(const struct child_end *end)
{
    if (end->timed_out)
        return HUNG;
    if (!end->exited || end->code == STATUS_VIOLATION)
        return CAUGHT; /* also where the bug has brought the command itself down */
    return end->code == STATUS_CANNOT ? NOT_RUN : SURVIVED; /* also by a setting that is none */
}

static bool is_command(const char *name)
{
    for (size_t n = 0; n < sizeof(commands) / sizeof(commands[0]); n++) {
        if (strcmp(commands[n], name) == 0)
            return true;
    }
    return false;
}

static void try_once(const struct campaign *campaign, const char *mutant, const struct model *own,
                     const char *setting, const struct model *model, uint64_t seed,
                     struct cell *cell)
{
    struct line line;
    struct child_end end = {0};
    double before = cell->seconds;
    double started = result_seconds(campaign->result);
    make_line(campaign, own, setting, model, seed, &line);
    spell(&line, mutant, cell->line, sizeof(cell->line));
    add_word(&line, "--json");
    add_word(&line, line.json);
    remove(line.json);
    cell->verdict = NOT_RUN;
    if (!is_command(model->name))
        return;
    const struct program program = {.argv = line.argv,
                                    .output = "/dev/null",
                                    .tmpdir = campaign->scratch.path,
                                    .mutant = mutant,
                                    .limit_seconds = LIMIT_SECONDS};
    if (program_run(&program, &end) != 0)
        return;
    cell->verdict = verdict_of(&end);
    read_result(&line, cell);
    if (cell->seconds <= before) /* it could not say */
        cell->seconds = before + result_seconds(campaign->result) - started;
}

/* `mutant` NULL: none is awake. */
static void try_model(const struct campaign *campaign, const char *mutant, const struct model *own,
                      const char *setting, const struct model *model, struct cell *cell)
{
    uint64_t seed = campaign->arguments->seed;
    unsigned tries = mutant ? model->tries : 1;
    do {
        try_once(campaign, mutant, own, setting, model, seed++, cell);
    } while (cell->verdict == SURVIVED && --tries > 0);
}

/* ---- a mutant */

static const struct model *model_of(const struct faults_mutant *mutant)
{
    size_t n = 0;
    while (strcmp(models[n].name, mutant->model) != 0)
        n++;
    return &models[n];
}

static bool is_found(const struct cell *cell)
{
    return cell->verdict == CAUGHT || cell->verdict == HUNG;
}

#define NAME_WIDTH 28
#define CELL_WIDTH 15

static void print_head(FILE *to)
{
    fprintf(to, "%-*s", NAME_WIDTH, "mutant");
    for (size_t n = 0; n < MODELS; n++)
        fprintf(to, " %*s", CELL_WIDTH, models[n].name);
    fputs("\n", to);
}

/* The cell of the model that must see it stands in brackets. */
static void print_cell(FILE *to, const struct cell *cell, bool is_own)
{
    char text[64];
    char marked[72];
    const char *form = is_own ? "[%s]" : "%s ";
    if (cell->verdict == CAUGHT)
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT ", %.1f s", cell->cases,
                 cell->seconds);
    else
        snprintf(text, sizeof(text), "%s",
                 cell->verdict == NOT_TRIED ? "" : verdict_name[cell->verdict]);
    snprintf(marked, sizeof(marked), form, text);
    fprintf(to, " %*s", CELL_WIDTH, text[0] ? marked : "");
}

static void print_mutant(FILE *to, const struct faults_mutant *mutant,
                         const struct cell cells[MODELS])
{
    const struct model *own = model_of(mutant);
    fprintf(to, "%-*s", NAME_WIDTH, mutant->name);
    for (size_t n = 0; n < MODELS; n++)
        print_cell(to, &cells[n], &models[n] == own);
    fputs(mutant->equivalent ? "  equivalent\n" : "\n", to);
    fflush(to);
}

static json_t *describe_cells(const struct cell cells[MODELS])
{
    json_t *list = json_array();
    for (size_t n = 0; n < MODELS; n++) {
        const struct cell *cell = &cells[n];
        if (cell->verdict != NOT_TRIED)
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:I, s:f, s:s, s:s}", "model", models[n].name,
                                "verdict", verdict_name[cell->verdict], "cases", cell->cases,
                                "seconds", cell->seconds, "what", cell->what, "line", cell->line));
    }
    return list;
}

static void record(struct result *result, const struct faults_mutant *mutant,
                   const struct cell cells[MODELS])
{
    json_t *all = json_object_get(result_metrics(result), "mutants");
    json_array_append_new(all,
                          json_pack("{s:s, s:s, s:s, s:s?, s:o}", "mutant", mutant->name, "about",
                                    mutant->about, "model", mutant->model, "equivalent",
                                    mutant->equivalent, "cells", describe_cells(cells)));
}

static void judge(struct campaign *campaign, const struct faults_mutant *mutant,
                  const struct cell *cell)
{
    char what[1024];
    struct tally *tally = &campaign->tally[model_of(mutant) - models];
    if (cell->verdict == NOT_TRIED)
        return;
    campaign->equivalent += mutant->equivalent != NULL;
    if (!mutant->equivalent) {
        tally->must++;
        tally->by[cell->verdict]++;
    }
    bool is_wrong = mutant->equivalent ? is_found(cell) : cell->verdict == SURVIVED;
    if (!is_wrong)
        return;
    snprintf(what, sizeof(what), "%s\n%s%s", mutant->about,
             mutant->equivalent ? "it was found, though its row says: " : "it was not found by ",
             mutant->equivalent ? mutant->equivalent : mutant->model);
    result_fail(campaign->result, mutant->name, what, cell->line);
}

static bool is_asked(const struct faults_mutant *mutant, const struct model *model)
{
    if (only_model)
        return strcmp(only_model, model->name) == 0;
    return all_models || model == model_of(mutant);
}

static void try_mutant(struct campaign *campaign, const struct faults_mutant *mutant)
{
    struct cell cells[MODELS] = {{.verdict = NOT_TRIED}};
    const struct model *own = model_of(mutant);
    for (size_t n = 0; n < MODELS; n++) {
        if (!is_asked(mutant, &models[n]))
            continue;
        progress_show("mutants: %s in %s", mutant->name, models[n].name);
        try_model(campaign, mutant->name, own, mutant->setting, &models[n], &cells[n]);
        result_add_cases(campaign->result, cells[n].verdict != NOT_RUN);
    }
    campaign->tried++;
    judge(campaign, mutant, &cells[own - models]);
    print_mutant(result_text(campaign->result), mutant, cells);
    record(campaign->result, mutant, cells);
}

/* ---- which, in which order */

static bool is_chosen(const struct faults_mutant *mutant)
{
    for (size_t n = 0; n < chosen.count; n++) {
        if (strcmp(chosen.at[n], mutant->name) == 0)
            return true;
    }
    return chosen.count == 0 &&
           (!only_model || all_models || strcmp(only_model, mutant->model) == 0);
}

static size_t count_mutants(void)
{
    size_t count = 0;
    while (faults_mutant_at(count))
        count++;
    return count;
}

/* As in the table; where the time may not do for all, scattered by the seed. */
static const struct faults_mutant *mutant_in_order(const struct campaign *campaign, size_t n,
                                                   size_t count)
{
    if (campaign->arguments->time_seconds > 0)
        n = (size_t)scattered_hit(n, count, campaign->arguments->seed) - 1;
    return faults_mutant_at(n);
}

static bool is_over(const struct campaign *campaign)
{
    double most = campaign->arguments->time_seconds;
    return most > 0 && result_seconds(campaign->result) >= most;
}

static void try_mutants(struct campaign *campaign)
{
    const struct arguments *arguments = campaign->arguments;
    size_t count = count_mutants();
    size_t number = 0;
    for (size_t n = 0; n < count && !is_over(campaign); n++) {
        const struct faults_mutant *mutant = mutant_in_order(campaign, n, count);
        if (is_chosen(mutant) && number++ % arguments->shards == arguments->shard - 1)
            try_mutant(campaign, mutant);
    }
}

/* ---- without a bug */

/* Whether no chosen mutant before the n-th has the same model and setting. */
static bool is_first_with_setting(size_t n)
{
    const struct faults_mutant *mutant = faults_mutant_at(n);
    for (size_t before = 0; before < n; before++) {
        const struct faults_mutant *other = faults_mutant_at(before);
        if (is_chosen(other) && strcmp(other->model, mutant->model) == 0 &&
            strcmp(other->setting, mutant->setting) == 0)
            return false;
    }
    return true;
}

static void try_sound(struct campaign *campaign)
{
    for (size_t n = 0; faults_mutant_at(n); n++) {
        const struct faults_mutant *mutant = faults_mutant_at(n);
        const struct model *own = model_of(mutant);
        struct cell cell = {.verdict = NOT_TRIED};
        if (!is_chosen(mutant) || !is_first_with_setting(n))
            continue;
        progress_show("mutants: none awake, %s %s", own->name, mutant->setting);
        try_model(campaign, NULL, own, mutant->setting, own, &cell);
        result_add_cases(campaign->result, 1);
        fprintf(result_text(campaign->result), "%-9s %5" JSON_INTEGER_FORMAT " cases %5.1f s  %s\n",
                is_found(&cell) ? "violated" : verdict_name[cell.verdict], cell.cases, cell.seconds,
                cell.line);
        if (is_found(&cell))
            result_fail(campaign->result, "no mutant awake", cell.what, cell.line);
    }
}

/* ---- totals */

static void print_totals(const struct campaign *campaign)
{
    FILE *to = result_text(campaign->result);
    json_t *totals = json_array();
    fprintf(to, "\n%-8s %9s %8s %6s %10s %9s\n", "model", "must see", "caught", "hung", "survived",
            "not run");
    for (size_t n = 0; n < MODELS; n++) {
        const struct tally *tally = &campaign->tally[n];
        if (!tally->must)
            continue;
        fprintf(to, "%-8s %9zu %8zu %6zu %10zu %9zu\n", models[n].name, tally->must,
                tally->by[CAUGHT], tally->by[HUNG], tally->by[SURVIVED], tally->by[NOT_RUN]);
        json_array_append_new(totals, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "model",
                                                models[n].name, "must_see", (json_int_t)tally->must,
                                                "caught", (json_int_t)tally->by[CAUGHT], "hung",
                                                (json_int_t)tally->by[HUNG], "survived",
                                                (json_int_t)tally->by[SURVIVED], "not_run",
                                                (json_int_t)tally->by[NOT_RUN]));
    }
    fprintf(to, "%zu tried, %zu of them equivalent\n", campaign->tried, campaign->equivalent);
    json_object_set_new(result_metrics(campaign->result), "models", totals);
}

static int run(const struct arguments *arguments)
{
    struct campaign campaign = {.arguments = arguments};
    int error = scratch_make(arguments->dir ? arguments->dir : MEMORY, &campaign.scratch);
    if (error && !arguments->dir)
        error = scratch_make(NULL, &campaign.scratch);
    if (error)
        return command_fail(arguments, STATUS_CANNOT, "making a folder to work in failed: %s",
                            strerror(error));
    campaign.result = result_new(arguments);
    json_object_set_new(result_metrics(campaign.result), "mutants", json_array());
    if (sound) {
        try_sound(&campaign);
    } else {
        print_head(result_text(campaign.result));
        try_mutants(&campaign);
        print_totals(&campaign);
    }
    scratch_remove(campaign.scratch.path);
    return result_finish(campaign.result);
}

const struct command command_mutants = {
    .name = "mutants",
    .about = "wakes bugs that are to be found, and tells who finds them",
    .text =
        "Each runs in a child, in the model that must see it, up to the first violation: a cell "
        "says after how many cases and seconds that was. Who survives is a violation of this "
        "command. --time is for all of them together: those that it does for, drawn by the "
        "seed.",
    .takes = TAKES_JSON | TAKES_SEED | TAKES_TIME | TAKES_SHARD | TAKES_DIR | TAKES_QUIET,
    .options = options,
    .take = take,
    .run = run,
};
