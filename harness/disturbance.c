/* SPDX-License-Identifier: MIT */
#include "harness/disturbance.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LOAD_SHARE_MAX    0.25 /* of the cores: what others take, so do measurements in turn */
#define MEMLOCK_MIN       ((json_int_t)16 << 20) /* the pages of the largest transaction */
#define ADDRESS_SPACE_MIN ((json_int_t)2 << 40)  /* an arena of 1 TiB is opened */
#define WHAT_MAX          ((size_t)512)
#define MIB               ((double)(1 << 20))

/* Whether it does, and then how. `limit` is what the measurement needs, where that counts. */
typedef bool disturber(const json_t *environment, json_int_t limit, char what[WHAT_MAX]);

/* What stands at KEY, or at KEY of what stands at GROUP. */
static const json_t *get(const json_t *environment, const char *group, const char *key)
{
    return json_object_get(group ? json_object_get(environment, group) : environment, key);
}

static const char *text(const json_t *environment, const char *group, const char *key)
{
    const char *found = json_string_value(get(environment, group, key));
    return found ? found : "";
}

/* -1: unknown, or no limit. */
static json_int_t number(const json_t *environment, const char *group, const char *key)
{
    const json_t *found = get(environment, group, key);
    return json_is_integer(found) ? json_integer_value(found) : -1;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++) {
        size_t length = strlen(*words);
        bool begins = (*words)[length - 1] == '*' && strncmp(word, *words, length - 1) == 0;
        if (begins || strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

static bool by_load(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    double cores = (double)number(environment, NULL, "cores");
    double load =
        json_number_value(json_array_get(get(environment, "load", "at_start"), 0)); /* 1 minute */
    snprintf(what, WHAT_MAX,
             "the load is %.2f on %.0f cores: wait until others are done, and it is below %.2f",
             load, cores, LOAD_SHARE_MAX * cores);
    return cores > 0 && load > LOAD_SHARE_MAX * cores;
}

static bool by_build_type(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    static const char *const optimised[] = {"Release", "RelWithDebInfo", "MinSizeRel", NULL};
    const char *type = text(environment, "build", "type");
    snprintf(what, WHAT_MAX, "the build is of type '%s', not optimised: build the preset release",
             type);
    return get(environment, "build", "type") && !is_one_of(type, optimised);
}

static bool by_sanitizer(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    const char *sanitizers = text(environment, "build", "sanitizers");
    bool counts = strcmp(text(environment, "build", "coverage"), "ON") == 0;
    snprintf(what, WHAT_MAX, "the build %s%s: build the preset release",
             *sanitizers ? "has sanitizers: " : "counts what is run", sanitizers);
    return *sanitizers || counts;
}

static bool by_points(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    snprintf(what, WHAT_MAX, "the benchmarks are linked to libraries with fault points");
    return json_is_true(get(environment, "build", "fault_points"));
}

static bool by_folder(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    static const char *const in_memory[] = {"tmpfs", "ramfs", "devtmpfs", NULL};
    static const char *const elsewhere[] = {"nfs*",   "cifs",    "smb*", "9p",
                                            "fuse*",  "ceph",    "afs",  "virtiofs",
                                            "lustre", "overlay", "aufs", NULL};
    const char *type = text(environment, "file_system", "type");
    bool memory = is_one_of(type, in_memory);
    snprintf(what, WHAT_MAX, "%s is on %s, %s: give a folder on a disk by --dir",
             text(environment, "file_system", "dir"), type,
             memory ? "in memory, where syncs cost nothing"
                    : "which has another file system or a network below it");
    return memory || is_one_of(type, elsewhere);
}

static bool by_free_disk(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    json_int_t free_bytes = number(environment, "file_system", "free_bytes");
    snprintf(what, WHAT_MAX, "%s has %.0f MiB free, and up to %.0f are needed: free some",
             text(environment, "file_system", "dir"), (double)free_bytes / MIB,
             (double)limit / MIB);
    return free_bytes >= 0 && free_bytes < limit;
}

static bool by_governor(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    const char *governor = text(environment, NULL, "governor");
    snprintf(what, WHAT_MAX, "the frequency governor is %s: cpupower frequency-set -g performance",
             governor);
    return strstr(governor, "powersave") != NULL;
}

static bool by_pinning(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    const char *refused = text(environment, NULL, "pinning_refused");
    snprintf(what, WHAT_MAX, "nothing can be pinned to a core here: %s", refused);
    return *refused;
}

static bool by_memlock(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    json_int_t bytes = number(environment, "limits", "memlock_bytes");
    snprintf(what, WHAT_MAX,
             "%.1f MiB may be locked in memory, a strategy may want %.0f: ulimit -l",
             (double)bytes / MIB, (double)MEMLOCK_MIN / MIB);
    return bytes >= 0 && bytes < MEMLOCK_MIN &&
           !json_is_true(get(environment, "limits", "memlock_ignored"));
}

static bool by_address_space(const json_t *environment, json_int_t limit, char what[WHAT_MAX])
{
    (void)limit;
    json_int_t bytes = number(environment, "limits", "address_space_bytes");
    snprintf(what, WHAT_MAX,
             "addresses are limited to %.0f MiB, too few for large arenas: ulimit -v",
             (double)bytes / MIB);
    return bytes >= 0 && bytes < ADDRESS_SPACE_MIN;
}

static const struct {
    const char *name;
    disturber *disturbs;
} disturbers[] = {
    {"load", by_load},           {"build", by_build_type},
    {"sanitizer", by_sanitizer}, {"fault points", by_points},
    {"folder", by_folder},       {"free disk", by_free_disk},
    {"governor", by_governor},   {"pinning", by_pinning},
    {"memlock", by_memlock},     {"addresses", by_address_space},
};

json_t *disturbance_list(const json_t *environment, json_int_t disk_bytes)
{
    json_t *list = json_array();
    char what[WHAT_MAX];
    for (size_t n = 0; n < sizeof(disturbers) / sizeof(*disturbers); n++) {
        if (disturbers[n].disturbs(environment, disk_bytes, what))
            json_array_append_new(
                list, json_pack("{s:s, s:s}", "name", disturbers[n].name, "what", what));
    }
    return list;
}
