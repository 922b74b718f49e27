/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness/environment_facts.h"
#include "harness/pinning.h"

/* The first value of `key` in /proc/cpuinfo or a file like it. */
static bool find_value(const char *path, const char *key, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    char line[4096];
    bool found = false;
    while (!found && file && fgets(line, sizeof(line), file)) {
        const char *value = strncmp(line, key, strlen(key)) == 0 ? strchr(line, ':') : NULL;
        found = value != NULL;
        if (found)
            snprintf(out, size, "%.*s", (int)strcspn(value + 1 + strspn(value + 1, " \t"), "\n"),
                     value + 1 + strspn(value + 1, " \t"));
    }
    if (file)
        fclose(file);
    return found;
}

json_t *find_processor(const char *dir)
{
    (void)dir;
    char name[WORD_MAX] = UNKNOWN;
    find_value("/proc/cpuinfo", "model name", name, sizeof(name));
    return json_string(name);
}

json_t *find_machine(const char *dir)
{
    (void)dir;
    struct utsname machine = {.machine = UNKNOWN};
    uname(&machine);
    return json_string(machine.machine);
}

json_t *find_kernel(const char *dir)
{
    (void)dir;
    struct utsname machine = {.release = UNKNOWN};
    uname(&machine);
    return json_string(machine.release);
}

json_t *find_kernel_version(const char *dir)
{
    (void)dir;
    struct utsname machine = {.version = UNKNOWN};
    uname(&machine);
    return json_string(machine.version);
}

json_t *find_cores(const char *dir)
{
    (void)dir;
    return json_integer(sysconf(_SC_NPROCESSORS_ONLN));
}

json_t *find_allowed_cores(const char *dir)
{
    (void)dir;
    struct cores allowed = pinning_allowed();
    char list[CORES_TEXT_MAX] = UNKNOWN;
    if (allowed.count > 0)
        pinning_spell(&allowed, list);
    return json_string(list);
}

/* Of the allowed cores, each that there is once. A virtual machine has none. */
json_t *find_governor(const char *dir)
{
    (void)dir;
    struct cores allowed = pinning_allowed();
    char all[WORD_MAX] = "", path[WORD_MAX], one[64];
    for (size_t n = 0; n < allowed.count; n++) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
                 allowed.at[n]);
        size_t length = strlen(all);
        if (fact_read_line(path, one, sizeof(one)) && !strstr(all, one))
            snprintf(all + length, sizeof(all) - length, "%s%s", length ? ", " : "", one);
    }
    return json_string(*all ? all : "none");
}

/* "no", "yes", or "yes, " and what it calls itself. */
json_t *find_virtual(const char *dir)
{
    (void)dir;
    char flags[4096] = "", name[WORD_MAX], spelled[WORD_MAX + 8];
    bool says = find_value("/proc/cpuinfo", "flags", flags, sizeof(flags)) &&
                strstr(flags, " hypervisor") != NULL;
    bool named = fact_read_line("/sys/hypervisor/type", name, sizeof(name));
    if (!says && !named)
        return json_string("no");
    if (!named && !fact_read_line("/sys/class/dmi/id/product_name", name, sizeof(name)))
        return json_string("yes");
    snprintf(spelled, sizeof(spelled), "yes, %s", name);
    return json_string(spelled);
}

static json_t *memory_bytes(const char *key)
{
    char value[64];
    bool found = find_value("/proc/meminfo", key, value, sizeof(value));
    return json_integer(found ? (json_int_t)strtoll(value, NULL, 10) * 1024 : -1);
}

json_t *find_memory(const char *dir)
{
    (void)dir;
    char pages[WORD_MAX] = UNKNOWN, overcommit[16] = UNKNOWN;
    fact_read_line("/sys/kernel/mm/transparent_hugepage/enabled", pages, sizeof(pages));
    fact_keep_chosen(pages);
    fact_read_line("/proc/sys/vm/overcommit_memory", overcommit, sizeof(overcommit));
    return json_pack("{s:o, s:o, s:s, s:s}", "total_bytes", memory_bytes("MemTotal:"),
                     "available_bytes", memory_bytes("MemAvailable:"), "transparent_huge_pages",
                     pages, "overcommit", overcommit);
}

static json_t *limit_of(enum __rlimit_resource resource)
{
    struct rlimit limit;
    bool limited = getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    return json_integer(limited ? (json_int_t)limit.rlim_cur : -1);
}

/* CAP_IPC_LOCK makes RLIMIT_MEMLOCK mean nothing. */
static bool may_lock_anything(void)
{
    enum { CAP_IPC_LOCK_BIT = 14 };
    char effective[64];
    return find_value("/proc/self/status", "CapEff:", effective, sizeof(effective)) &&
           (strtoull(effective, NULL, 16) >> CAP_IPC_LOCK_BIT & 1) != 0;
}

json_t *find_limits(const char *dir)
{
    (void)dir;
    char line[WORD_MAX] = "-1";
    fact_read_line("/proc/sys/vm/max_map_count", line, sizeof(line));
    return json_pack("{s:I, s:o, s:b, s:o, s:o, s:o, s:o}", "max_map_count",
                     (json_int_t)strtoll(line, NULL, 10), "memlock_bytes", limit_of(RLIMIT_MEMLOCK),
                     "memlock_ignored", may_lock_anything(), "open_files", limit_of(RLIMIT_NOFILE),
                     "stack_bytes", limit_of(RLIMIT_STACK), "address_space_bytes",
                     limit_of(RLIMIT_AS), "file_size_bytes", limit_of(RLIMIT_FSIZE));
}

json_t *find_load(void)
{
    double of_minutes[3] = {-1, -1, -1}; /* 1, 5 and 15 */
    getloadavg(of_minutes, 3);
    return json_pack("[f, f, f]", of_minutes[0], of_minutes[1], of_minutes[2]);
}
