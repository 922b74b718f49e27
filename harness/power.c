/* SPDX-License-Identifier: MIT */
/*
 * tmf power: power fails at every step of a life on the simulated disk (faults/sim_disk.h), and
 * every image that this may leave is recovered by the library and judged. power_explore.h says
 * which images, power_campaign.h how a violation is told.
 *
 * A strategy that says it survives power loss must hold. One that says it does not must fail: a
 * harness that finds nothing wrong with it has found out nothing about the others, so that is the
 * violation then; what fails as it must is shown as a counterexample, and counted in its row alone.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faults/points.h"
#include "harness/kill_case.h"
#include "harness/power_campaign.h"
#include "harness/power_procs.h"
#include "harness/result.h"
#include "harness/strategy.h"

#define SECONDS      20 /* where nobody says how long, or how many */
#define TRANSACTIONS 8
#define IMAGES       256
#define PROCESSES    3
#define SCHEDULES    4
#define LIFE_SECONDS 0.5 /* that a life of processes is given, where there is time for several */
#define DEPTH        2
#define MEMORY       "/dev/shm"
#define POINTS_MAX   512
#define ENOUGH       50 /* images after which a strategy that must fail should have */

static struct power_settings chosen = {.transactions = TRANSACTIONS,
                                       .tear = DISK_SECTOR,
                                       .model = DISK_POSIX,
                                       .depth = DEPTH,
                                       .images = IMAGES};
static unsigned processes; /* 0: nothing was said about them */
static uint64_t schedules; /* 0: nobody said how many */
static const struct faults_mutant *mutant;

enum {
    KEY_TEAR = 0x200,
    KEY_MODEL,
    KEY_DEPTH,
    KEY_IMAGES,
    KEY_TRANSACTIONS,
    KEY_UNTIL_FIRST,
    KEY_PROCESSES,
    KEY_MIXED,
    KEY_SCHEDULE,
    KEY_SCHEDULES,
    KEY_DIES_BEFORE,
    KEY_MUTANT
};
static const struct argp_option options[] = {
    {"tear", KEY_TEAR, "BYTES", 0, "what is written whole: 512, 4096, or none (512)", 0},
    {"fs-model", KEY_MODEL, "NAME", 0, "what a sync promises: posix or ext4 (posix)", 0},
    {"depth", KEY_DEPTH, "NUMBER", 0, "2: power fails in some recoveries too; 1 to 4 (2)", 0},
    {"images", KEY_IMAGES, "NUMBER", 0, "of a state, at most (256)", 0},
    {"transactions", KEY_TRANSACTIONS, "NUMBER", 0, "of a life, from 1 to 1000 (8)", 0},
    {"until-first", KEY_UNTIL_FIRST, NULL, 0, "ends at the first violation of each life", 0},
    {"processes", KEY_PROCESSES, "NUMBER", 0,
     "that live over one storage, from 1 to 16, half of them readers (1)", 0},
    {"mixed", KEY_MIXED, NULL, 0,
     "the processes (3) take the strategies in turn, from that of the row on", 0},
    {"schedule", KEY_SCHEDULE, "SEED", 0,
     "that leads the first life of processes (3) (twice --seed)", 0},
    {"schedules", KEY_SCHEDULES, "NUMBER", 0,
     "so many seeds from there on, a life each; with even ones a process dies (as there is time, "
     "or 4)",
     0},
    {"dies-before", KEY_DIES_BEFORE, "POINT", 0,
     "where one of the processes (3) dies, see `tmf list points` (anywhere)", 0},
    {"mutant", KEY_MUTANT, "NAME", 0, "wakes a bug of `tmf list mutants`, or $TMF_MUTANT", 0},
    {0},
};

static bool take_number(const char *value, uint64_t most, uint64_t *out)
{
    char *end;
    *out = strtoull(value, &end, 10);
    return end != value && *end == 0 && *out >= 1 && *out <= most;
}

static bool take_point(const char *name)
{
    size_t n;
    bool is_known = faults_point_find(name, &n) == 0;
    if (is_known)
        chosen.procs.dies_before = faults_point_at(n)->name;
    return is_known;
}

static bool take_processes(int key, const char *value)
{
    uint64_t number = PROCESSES;
    if (key == KEY_PROCESSES && !take_number(value, POWER_PROCS_MAX, &number))
        return false;
    if (key == KEY_SCHEDULE && !take_number(value, UINT64_MAX / 2, &chosen.procs.schedule))
        return false;
    if (key == KEY_SCHEDULES && !take_number(value, UINT32_MAX, &schedules))
        return false;
    if (key == KEY_DIES_BEFORE && !take_point(value))
        return false;
    chosen.procs.is_mixed |= key == KEY_MIXED;
    if (key == KEY_PROCESSES || !processes)
        processes = (unsigned)number;
    return true;
}

static bool take(int key, const char *value)
{
    uint64_t number;
    switch (key) {
    case KEY_PROCESSES:
    case KEY_MIXED:
    case KEY_SCHEDULE:
    case KEY_SCHEDULES:
    case KEY_DIES_BEFORE:
        return take_processes(key, value);
    case KEY_TEAR:
        return power_tear_parse(value, &chosen.tear);
    case KEY_MODEL:
        return power_model_parse(value, &chosen.model);
    case KEY_DEPTH:
        if (!take_number(value, POWER_DEPTH_MAX, &number))
            return false;
        chosen.depth = (unsigned)number;
        return true;
    case KEY_IMAGES:
        return take_number(value, UINT64_C(1) << 30, &chosen.images);
    case KEY_TRANSACTIONS:
        return take_number(value, POWER_TRANSACTIONS_MAX, &chosen.transactions);
    case KEY_UNTIL_FIRST:
        chosen.until_first = true;
        return true;
    default:
        mutant = faults_mutant_find(value);
        return mutant != NULL;
    }
}

/* ---- what is expected, and what was found */

/* Of one strategy. */
struct verdict_of {
    const char *name;
    bool must_hold;
    uint64_t violations, executed;
    struct power_report shortest; /* no transactions: none */
};

/* All lives of a row of the table. */
struct row {
    struct power_counts counts;
    uint64_t lives, deaths; /* of processes */
};

struct session {
    const struct arguments *arguments;
    struct result *result;
    struct power_campaign campaign;
    struct row row;
    bool is_reached[POINTS_MAX];
    struct verdict_of verdicts[NAMES_MAX];
    size_t verdict_count;
};

static struct verdict_of *verdict_for(struct session *session, const char *strategy)
{
    for (size_t n = 0; n < session->verdict_count; n++) {
        if (strcmp(session->verdicts[n].name, strategy) == 0)
            return &session->verdicts[n];
    }
    struct verdict_of *verdict = &session->verdicts[session->verdict_count++];
    memset(verdict, 0, sizeof(*verdict));
    verdict->name = strategy;
    verdict->must_hold = strategy_survives(strategy) == TMF_SURVIVES_POWER;
    return verdict;
}

static bool is_shorter(const struct power_report *report, const struct power_report *than)
{
    if (than->transactions == 0 || report->transactions != than->transactions)
        return than->transactions == 0 || report->transactions < than->transactions;
    return report->arrived < than->arrived;
}

static void replay_line(const char *name, char line[POWER_TEXT_MAX + 32])
{
    snprintf(line, POWER_TEXT_MAX + 32, "tmf replay '%s'", name);
}

static void report_violations(struct session *session)
{
    const struct power_board *board = session->campaign.board;
    char replay[POWER_TEXT_MAX + 32];
    for (unsigned n = 0; n < board->report_count; n++) {
        replay_line(board->reports[n].name, replay);
        result_fail(session->result, board->reports[n].name, board->reports[n].what, replay);
    }
    for (uint64_t n = board->report_count; n < board->counts.violations; n++)
        result_count_violation(session->result);
}

static void judge_campaign(struct session *session)
{
    const struct power_board *board = session->campaign.board;
    struct verdict_of *verdict = verdict_for(session, session->campaign.settings.place.strategy);
    verdict->violations += board->counts.violations;
    verdict->executed += board->counts.executed;
    result_add_cases(session->result, board->counts.executed);
    for (unsigned n = 0; n < board->report_count; n++) {
        if (is_shorter(&board->reports[n], &verdict->shortest))
            verdict->shortest = board->reports[n];
    }
    if (verdict->must_hold || !board->lived)
        report_violations(session);
}

/* What must fail has failed: that is shown. If not, nothing was shown by all this. */
static void judge_control(struct session *session, const struct verdict_of *verdict)
{
    char text[POWER_TEXT_MAX + 32];
    if (verdict->must_hold || (!verdict->violations && verdict->executed < ENOUGH))
        return;
    if (!verdict->violations) {
        power_case_format(&session->campaign.settings, text);
        result_fail(session->result, text,
                    "nothing was found wrong with a strategy that power loss destroys",
                    "tmf power");
        return;
    }
    const struct power_report *report = &verdict->shortest;
    FILE *to = result_text(session->result);
    replay_line(report->name, text);
    fprintf(to,
            "\n%s does not survive power loss, as is expected of it. The shortest of %" PRIu64
            " counterexamples:\n",
            verdict->name, verdict->violations);
    for (const char *line = report->what; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(to, "  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    fprintf(to, "  replay: %s\n", text);
    json_t *list = json_object_get(result_metrics(session->result), "counterexamples");
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "strategy", verdict->name, "case",
                                          report->name, "what", report->what, "replay", text));
}

/* ---- branches: the points of txn/ that recovery came by */

static bool is_branch(size_t point)
{
    return strncmp(faults_point_at(point)->name, "txn/", strlen("txn/")) == 0;
}

static void note_branches(struct session *session)
{
    for (size_t n = 0; n < faults_point_count() && n < POINTS_MAX; n++)
        session->is_reached[n] |= is_branch(n) && faults_point_hits(n) > 0;
}

static void tell_branches(struct session *session)
{
    size_t reached = 0, all = 0;
    json_t *list = json_array();
    for (size_t n = 0; n < faults_point_count() && n < POINTS_MAX; n++) {
        all += is_branch(n);
        reached += session->is_reached[n];
        if (session->is_reached[n])
            json_array_append_new(list, json_string(faults_point_at(n)->name));
    }
    json_object_set_new(result_metrics(session->result), "branches", list);
    fprintf(result_text(session->result),
            "recovery and what followed it came by %zu of the %zu points of txn/\n", reached, all);
}

/* ---- rows */

static double images_per_second(const struct power_counts *counts)
{
    return counts->recovering_seconds > 0 ? (double)counts->executed / counts->recovering_seconds
                                          : 0;
}

static void describe_processes(const struct session *session, json_t *row)
{
    const struct power_procs *procs = &session->campaign.settings.procs;
    json_object_set_new(row, "processes", json_integer(procs->count));
    json_object_set_new(row, "mixed", json_boolean(procs->is_mixed));
    json_object_set_new(row, "lives", json_integer((json_int_t)session->row.lives));
    json_object_set_new(row, "deaths", json_integer((json_int_t)session->row.deaths));
}

static void add_row(struct session *session)
{
    const struct power_settings *settings = &session->campaign.settings;
    const struct power_counts *counts = &session->row.counts;
    bool must_hold = strategy_survives(settings->place.strategy) == TMF_SURVIVES_POWER;
    json_t *row = place_describe(&settings->place);
    json_t *own = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, "
        "s:f}",
        "tear", power_tear_name(settings->tear), "fs_model", power_model_name(settings->model),
        "depth", (int)settings->depth, "transactions", (json_int_t)settings->transactions, "steps",
        (json_int_t)counts->steps, "states", (json_int_t)counts->states, "legal_log10",
        counts->legal_log10, "distinct", (json_int_t)counts->distinct, "cases",
        (json_int_t)counts->executed, "nested", (json_int_t)counts->nested, "went_on",
        (json_int_t)counts->went_on, "unsampled_states", (json_int_t)counts->unsampled_states,
        "unfinished", (json_int_t)counts->is_cut_short, "violations",
        (json_int_t)counts->violations, "expected", must_hold ? "held" : "caught",
        "images_per_second", images_per_second(counts), "recovering_seconds",
        counts->recovering_seconds, "seconds", counts->seconds);
    json_object_update(row, own);
    json_decref(own);
    if (settings->procs.count)
        describe_processes(session, row);
    json_array_append_new(json_object_get(result_metrics(session->result), "runs"), row);
}

static void print_head(FILE *to)
{
    fprintf(to, "%-14s %-8s %6s %6s %8s %9s %9s %8s %8s %9s %11s  %s\n", "strategy", "workload",
            "steps", "states", "legal", "distinct", "executed", "nested", "went on", "images/s",
            "violations", "expected");
}

static void print_row(FILE *to, const struct session *session)
{
    const struct power_settings *settings = &session->campaign.settings;
    const struct power_counts *counts = &session->row.counts;
    char legal[32];
    bool is_few = counts->legal_log10 < 6;
    snprintf(legal, sizeof(legal), "%s%.0f", is_few ? "" : "10^",
             is_few ? pow(10, counts->legal_log10) : counts->legal_log10);
    fprintf(to,
            "%-14s %-8s %6" PRIu64 " %6" PRIu64 " %8s %9" PRIu64 " %9" PRIu64 " %8" PRIu64
            " %8" PRIu64 " %9.0f %11" PRIu64 "  %s",
            settings->place.strategy, settings->place.workload->name, counts->steps, counts->states,
            legal, counts->distinct, counts->executed, counts->nested, counts->went_on,
            images_per_second(counts), counts->violations,
            strategy_survives(settings->place.strategy) == TMF_SURVIVES_POWER ? "none" : "some");
    if (settings->procs.count)
        fprintf(to, "; %u processes, lives: %" PRIu64 ", with a death: %" PRIu64,
                settings->procs.count, session->row.lives, session->row.deaths);
    fprintf(to, "\n");
    fflush(to);
}

/* ---- the session */

/* How many lives a row has: of processes as many as there is time for, where time is what bounds
 * it. */
static uint64_t count_lives(bool is_timed, double seconds)
{
    if (!chosen.procs.count)
        return 1;
    if (schedules)
        return schedules;
    if (!is_timed)
        return SCHEDULES;
    return seconds < 2 * LIFE_SECONDS ? 1 : (uint64_t)(seconds / LIFE_SECONDS);
}

/* An even one: in a single life somebody dies. */
static uint64_t first_schedule(const struct arguments *arguments)
{
    return chosen.procs.schedule ? chosen.procs.schedule : 2 * arguments->seed;
}

static void run_life(struct session *session)
{
    faults_points_reset();
    int error = power_campaign_run(&session->campaign);
    if (error)
        command_fail(session->arguments, STATUS_CANNOT, "starting a child failed: %s",
                     strerror(error));
    power_counts_add(&session->row.counts, &session->campaign.board->counts);
    session->row.lives++;
    session->row.deaths += session->campaign.settings.procs.dies_at > 0;
    judge_campaign(session);
    note_branches(session);
}

static void run_one(struct session *session, const struct workload_place *place, size_t n,
                    size_t count)
{
    const struct arguments *arguments = session->arguments;
    struct power_settings *settings = &session->campaign.settings;
    double total = arguments->time_seconds;
    double until = total * (double)(n + 1) / (double)count;
    uint64_t lives = count_lives(total > 0, until - result_seconds(session->result));
    assert(count > 0 && lives > 0);
    session->row = (struct row){.lives = 0};
    for (uint64_t life = 0; life < lives; life++) {
        *settings = chosen;
        settings->place = *place;
        power_size(&settings->place);
        settings->shard = arguments->shard;
        settings->shards = arguments->shards;
        settings->cases = arguments->cases / count / lives;
        settings->cases += arguments->cases > settings->cases * count * lives;
        double left = (until - result_seconds(session->result)) / (double)(lives - life);
        settings->seconds = total <= 0 ? 0 : left > 0.05 ? left : 0.05;
        settings->procs.schedule = first_schedule(arguments) + life;
        settings->procs.may_die = settings->procs.schedule % 2 == 0;
        run_life(session);
        if (settings->until_first && session->row.counts.violations)
            break;
    }
    add_row(session);
    print_row(result_text(session->result), session);
}

static void run_all(struct session *session)
{
    struct workload_place place;
    size_t count = 0;
    while (workload_pick(session->arguments, count, &place))
        count++;
    json_t *metrics = result_metrics(session->result);
    json_object_set_new(metrics, "runs", json_array());
    json_object_set_new(metrics, "counterexamples", json_array());
    print_head(result_text(session->result));
    for (size_t n = 0; n < count && workload_pick(session->arguments, n, &place); n++)
        run_one(session, &place, n, count);
    tell_branches(session);
    for (size_t n = 0; n < session->verdict_count; n++)
        judge_control(session, &session->verdicts[n]);
}

static bool is_given(const struct arguments *arguments, const char *option)
{
    for (size_t n = 0; n < arguments->given_count; n++) {
        if (strncmp(arguments->given[n], option, strlen(option)) == 0)
            return true;
    }
    return false;
}

static void keep_mixable(struct names *strategies)
{
    size_t kept = 0;
    for (size_t n = 0; n < strategies->count; n++) {
        if (strategy_survives(strategies->at[n]) == TMF_SURVIVES_POWER)
            strategies->at[kept++] = strategies->at[n];
    }
    strategies->count = kept;
}

/* Without any option: every strategy that there is, for some time. */
static void fill_in(struct arguments *arguments)
{
    bool is_bounded = arguments->time_seconds > 0 || arguments->cases > 0 || arguments->shards > 1;
    if (!is_bounded)
        arguments->time_seconds = SECONDS;
    if (is_given(arguments, "--strategy"))
        return;
    arguments->strategies.count = 0;
    command_skip_missing(arguments);
    if (chosen.procs.is_mixed) {
        keep_mixable(&arguments->strategies);
        return;
    }
    for (size_t n = 0; tmf_strategy_name(n); n++) {
        if (tmf_strategy_survives(n) == TMF_SURVIVES_NOTHING)
            arguments->strategies.at[arguments->strategies.count++] = tmf_strategy_name(n);
    }
}

/* In memory, if nobody says where: the disk is a simulated one anyway. */
static int make_scratch(const struct arguments *arguments, struct scratch *out)
{
    if (!arguments->dir && scratch_make(MEMORY, out) == 0)
        return 0;
    return scratch_make(arguments->dir, out);
}

static bool promises_nothing(const struct arguments *arguments)
{
    for (size_t n = 0; n < arguments->durability_count; n++) {
        if (arguments->durabilities[n] == TMF_DURABILITY_PROCESS)
            return true;
    }
    return false;
}

static bool may_mix(const struct arguments *arguments)
{
    bool may = chosen.procs.count > 1;
    for (size_t n = 0; n < arguments->strategies.count; n++)
        may &= strategy_survives(arguments->strategies.at[n]) == TMF_SURVIVES_POWER;
    return may;
}

static int check(const struct arguments *arguments)
{
    const char *name = getenv("TMF_MUTANT");
    if (promises_nothing(arguments))
        return command_fail(arguments, STATUS_USAGE,
                            "durability process promises nothing where power is lost");
    chosen.procs.count = processes > 1 ? processes : 0;
    if (chosen.procs.is_mixed && !may_mix(arguments))
        return command_fail(arguments, STATUS_USAGE,
                            "--mixed takes two processes or more, and strategies that survive "
                            "power loss");
    if (!mutant && name && *name) {
        mutant = faults_mutant_find(name);
        if (!mutant)
            return command_fail(arguments, STATUS_USAGE, "TMF_MUTANT: there is no mutant '%s'",
                                name);
    }
    return kill_switch_on(arguments);
}

static int run_session(const struct arguments *arguments, const struct scratch *scratch)
{
    struct session *session = child_shared(sizeof(*session)); /* it is large */
    struct power_board *board = child_shared(sizeof(*board));
    if (!session || !board)
        return command_fail(arguments, STATUS_CANNOT, "no memory");
    *session = (struct session){.arguments = arguments, .result = result_new(arguments)};
    session->campaign =
        (struct power_campaign){.mutant = mutant, .scratch = scratch, .board = board};
    run_all(session);
    return result_finish(session->result);
}

static int power_run(const struct arguments *arguments)
{
    struct arguments own = *arguments;
    struct scratch scratch;
    fill_in(&own);
    int status = check(&own);
    if (status != STATUS_HELD)
        return status;
    int error = make_scratch(&own, &scratch);
    if (error)
        return command_fail(&own, STATUS_CANNOT,
                            "making a folder to work in failed: %s; choose another by --dir",
                            strerror(error));
    status = run_session(&own, &scratch);
    scratch_remove(scratch.path);
    return status;
}

const struct command command_power = {
    .name = "power",
    .about = "power failures on the simulated disk",
    .text =
        "A life is recorded on a simulated disk: write calls and stores into a shared mapping, "
        "sizes, names and syncs. Power fails at every step, in every way that the file system "
        "and a torn write allow: all of them while they are few, the extremes and a sample by "
        "seed beyond --images. Each image is recovered in memory and judged; some recoveries "
        "are cut off by another failure. Strategies that say that they do not survive this must "
        "fail, all others must hold. A life may be that of several processes, which a schedule "
        "leads: their disk has one order of events. Without --time, --cases and --shard it takes "
        "20 seconds; "
        "with --shard alone it takes what it takes, and the parts add up.",
    .takes = TAKES_CAMPAIGN,
    .options = options,
    .take = take,
    .run = power_run,
};
