/* SPDX-License-Identifier: MIT */
#include "harness/measuring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/disturbance.h"
#include "harness/pinning.h"
#include "harness/program.h"
#include "harness/progress.h"

/* The program's own word on what it is made of, into the environment: what is at work there, and
 * not in us. One that is not there will be missed later. */
static void ask_program(const char *relative, const char *folder, json_t *environment)
{
    char path[PATH_MAX], out[PATH_MAX];
    struct child_end end = {0};
    if (relative == NULL || program_beside(relative, path) != 0)
        return;
    setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=8192", 0); /* bench/peers.cc */
    snprintf(out, sizeof(out), "%s/program.json", folder);
    const char *const argv[] = {path, "--describe", NULL};
    if (program_run(&(struct program){.argv = argv, .output = out}, &end) != 0)
        return;
    json_t *said = json_load_file(out, 0, NULL);
    json_object_update_recursive(environment, said);
    json_decref(said);
}

/* False: --pin names a core that may not be used. */
static bool pin(const struct arguments *arguments, json_t *environment)
{
    struct cores cores;
    char list[CORES_TEXT_MAX] = "";
    if (!pinning_choose(arguments->pin, &cores))
        return false;
    int error = pinning_try();
    if (error != 0)
        json_object_set_new(environment, "pinning_refused", json_string(strerror(error)));
    if (!arguments->no_pin && error == 0 && cores.count > 0)
        pinning_spell(&cores, list);
    if (*list)
        setenv(PINNING_VARIABLE, list, 1);
    else
        unsetenv(PINNING_VARIABLE);
    json_object_set_new(environment, "pinned_cores", json_string(*list ? list : "none"));
    return true;
}

static size_t tell_disturbances(const struct arguments *arguments, const json_t *list)
{
    size_t n;
    const json_t *each;
    json_array_foreach(list, n, each)
        fprintf(stderr, "tmf %s: will disturb it: %s\n", arguments->command,
                json_string_value(json_object_get(each, "what")));
    return n;
}

static int prepare(const struct arguments *arguments, const struct measuring *how,
                   struct result *result, const char *folder)
{
    json_t *environment = result_environment(result);
    ask_program(how->program, folder, environment);
    if (!pin(arguments, environment))
        return command_fail(arguments, STATUS_CANNOT, "--pin %s: only cores %s may be used here",
                            arguments->pin,
                            json_string_value(json_object_get(environment, "allowed_cores")));
    json_t *disturbances = disturbance_list(environment, how->disk_bytes);
    result_disturb(result, disturbances);
    if (tell_disturbances(arguments, disturbances) > 0 && arguments->strict)
        return command_fail(arguments, STATUS_CANNOT, "nothing was measured, as --strict demands");
    return STATUS_HELD;
}

int measuring_run(const struct arguments *arguments, const struct measuring *how)
{
    struct arguments own = *arguments;
    if (own.dir == NULL)
        own.dir = ".";
    struct scratch scratch;
    int error = scratch_make(own.dir, &scratch);
    if (error != 0)
        return command_fail(&own, STATUS_CANNOT, "%s: %s", own.dir, strerror(error));
    struct result *result = result_new(&own);
    int status = how->disk_bytes > 0 ? prepare(&own, how, result, scratch.path) : STATUS_HELD;
    if (status == STATUS_HELD)
        status = how->measure(&own, result, scratch.path);
    scratch_remove(scratch.path);
    progress_clear();
    if (status == STATUS_CANNOT || status == STATUS_USAGE) {
        result_drop(result);
        return status;
    }
    int judged = result_finish(result);
    return status == STATUS_HELD ? judged : status;
}
