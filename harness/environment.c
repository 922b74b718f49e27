/* SPDX-License-Identifier: MIT */
/*
 * What a measurement or a verdict depends on besides our code. What cannot be found out is
 * "unknown" and no error: an envelope without a device name is better than none.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness/result.h"
#include "revision.h"

#define UNKNOWN  "unknown"
#define WORD_MAX ((size_t)256)

#if defined(__clang__)
#define COMPILER __VERSION__ /* names itself */
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The first line of a file without its end. */
static bool read_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    bool found = file && fgets(out, (int)size, file);
    if (file)
        fclose(file);
    if (found)
        out[strcspn(out, "\n")] = 0;
    return found;
}

static void find_processor(char out[WORD_MAX])
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[WORD_MAX];
    while (file && fgets(line, sizeof(line), file)) {
        char *value = strncmp(line, "model name", 10) == 0 ? strstr(line, ": ") : NULL;
        if (value) {
            value[strcspn(value, "\n")] = 0;
            memmove(out, value + 2, strlen(value + 2) + 1);
            break;
        }
    }
    if (file)
        fclose(file);
}

struct mount {
    char type[64], source[WORD_MAX], options[WORD_MAX];
};

/* A line of /proc/self/mountinfo: ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... - TYPE SOURCE SUPER
 */
static bool parse_mount(const char *line, dev_t device, struct mount *out)
{
    unsigned major_number, minor_number;
    if (sscanf(line, "%*d %*d %u:%u %*s %*s %255s", &major_number, &minor_number, out->options) !=
        3)
        return false;
    const char *rest = strstr(line, " - ");
    return rest && makedev(major_number, minor_number) == device &&
           sscanf(rest, " - %63s %255s", out->type, out->source) == 2;
}

static void find_mount(dev_t device, struct mount *out)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    struct mount mount;
    while (file && fgets(line, sizeof(line), file)) {
        if (parse_mount(line, device, &mount))
            *out = mount;
    }
    if (file)
        fclose(file);
}

/* A partition has no queue of its own: its disk's is one folder up. */
static void find_write_cache(dev_t device, char out[WORD_MAX])
{
    char path[WORD_MAX];
    static const char *const places[] = {"queue", "../queue"};
    for (size_t n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/write_cache", major(device),
                 minor(device), places[n]);
        if (read_line(path, out, WORD_MAX))
            return;
    }
}

static json_t *describe_file_system(const char *dir)
{
    if (!dir)
        dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    struct mount mount = {UNKNOWN, UNKNOWN, UNKNOWN};
    char write_cache[WORD_MAX] = UNKNOWN;
    struct stat about;
    if (stat(dir, &about) == 0) {
        find_mount(about.st_dev, &mount);
        find_write_cache(about.st_dev, write_cache);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "dir", dir, "type", mount.type, "options",
                     mount.options, "device", mount.source, "write_cache", write_cache);
}

static json_t *describe_limits(void)
{
    char line[WORD_MAX];
    json_int_t map_count =
        read_line("/proc/sys/vm/max_map_count", line, sizeof(line)) ? strtoll(line, NULL, 10) : -1;
    struct rlimit locked;
    bool limited = getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY;
    return json_pack("{s:I, s:I}", "max_map_count", map_count, "memlock_bytes",
                     limited ? (json_int_t)locked.rlim_cur : (json_int_t)-1);
}

static json_t *describe_libraries(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "glibc", gnu_get_libc_version(), "jansson",
                     jansson_version_str(), "libfiu", TMF_FIU_VERSION, "libxxhash",
                     TMF_XXHASH_VERSION);
}

json_t *environment_describe(const char *dir)
{
    char processor[WORD_MAX] = UNKNOWN;
    find_processor(processor);
    struct utsname machine = {.release = UNKNOWN, .machine = UNKNOWN};
    uname(&machine);
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:s, s:s, s:o, s:o}", "processor", processor,
                     "machine", machine.machine, "cores", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
                     "kernel", machine.release, "file_system", describe_file_system(dir),
                     "compiler", COMPILER, "version", TMF_VERSION, "revision", TMF_REVISION,
                     "limits", describe_limits(), "libraries", describe_libraries());
}
