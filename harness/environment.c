/* SPDX-License-Identifier: MIT */
#include "harness/environment.h"

#include <stdio.h>
#include <string.h>

#include "harness/environment_facts.h"
#include "revision.h"

static const struct {
    const char *name;
    fact_finder *find;
} facts[] = {
    {"processor", find_processor},
    {"machine", find_machine},
    {"cores", find_cores},
    {"allowed_cores", find_allowed_cores},
    {"governor", find_governor},
    {"virtual", find_virtual},
    {"kernel", find_kernel},
    {"kernel_version", find_kernel_version},
    {"memory", find_memory},
    {"limits", find_limits},
    {"file_system", find_file_system},
    {"compiler", find_compiler},
    {"build", find_build},
    {"version", find_version},
    {"revision", find_revision},
    {"libraries", find_libraries},
};

json_t *environment_describe(const char *dir)
{
    json_t *all = json_object();
    for (size_t n = 0; n < sizeof(facts) / sizeof(*facts); n++)
        json_object_set_new(all, facts[n].name, facts[n].find(dir));
    json_object_set_new(all, "load", json_pack("{s:o}", "at_start", find_load()));
    return all;
}

void environment_end(json_t *environment)
{
    json_object_set_new(json_object_get(environment, "load"), "at_end", find_load());
}

const char *environment_revision(void)
{
    return TMF_REVISION;
}

bool fact_read_line(const char *path, char *out, size_t size)
{
    char line[WORD_MAX];
    FILE *file = fopen(path, "re");
    bool found = file && fgets(line, sizeof(line), file);
    if (file)
        fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%s", line);
    }
    return found;
}

void fact_keep_chosen(char *line)
{
    char *begin = strchr(line, '['), *end = begin ? strchr(begin, ']') : NULL;
    if (!end)
        return;
    *end = 0;
    memmove(line, begin + 1, strlen(begin + 1) + 1);
}
