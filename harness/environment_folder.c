/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "harness/environment_facts.h"

struct mount {
    char point[WORD_MAX], type[64], source[WORD_MAX], options[WORD_MAX];
};

/* A line of /proc/self/mountinfo: ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... - TYPE SOURCE SUPER
 */
static bool parse_mount(const char *line, unsigned long long id, struct mount *out)
{
    unsigned long long found;
    const char *rest = strstr(line, " - ");
    return rest && sscanf(line, "%llu", &found) == 1 && found == id &&
           sscanf(line, "%*u %*u %*s %*s %255s %255s", out->point, out->options) == 2 &&
           sscanf(rest, " - %63s %255s", out->type, out->source) == 2;
}

/* By its number, as devices do not tell mounts apart: Btrfs has one for each subvolume. */
static void find_mount(const char *dir, struct mount *out)
{
    struct statx about;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    struct mount mount;
    bool known = statx(AT_FDCWD, dir, 0, STATX_MNT_ID, &about) == 0;
    while (known && file && fgets(line, sizeof(line), file)) {
        if (parse_mount(line, about.stx_mnt_id, &mount))
            *out = mount;
    }
    if (file)
        fclose(file);
}

/* The disk below: what is mounted where that is a device, else what the folder says it is on. */
static dev_t find_device(const char *dir, const struct mount *mount)
{
    struct stat about;
    if (stat(mount->source, &about) == 0 && S_ISBLK(about.st_mode))
        return about.st_rdev;
    return stat(dir, &about) == 0 ? about.st_dev : 0;
}

/* A partition has no queue of its own: its disk's is one folder up. */
static json_t *ask_queue(dev_t device, const char *name)
{
    char path[WORD_MAX], value[WORD_MAX] = UNKNOWN;
    static const char *const places[] = {"queue", "../queue"};
    for (size_t n = 0; n < sizeof(places) / sizeof(places[0]); n++) {
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device), minor(device),
                 places[n], name);
        if (fact_read_line(path, value, sizeof(value)))
            break;
    }
    fact_keep_chosen(value);
    return json_string(value);
}

static json_int_t free_bytes(const char *dir)
{
    struct statvfs disk;
    return statvfs(dir, &disk) == 0 ? (json_int_t)(disk.f_bavail * disk.f_frsize) : -1;
}

json_t *find_file_system(const char *dir)
{
    if (!dir)
        dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    struct mount mount = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
    find_mount(dir, &mount);
    dev_t device = find_device(dir, &mount);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "dir", dir, "mounted_at",
                     mount.point, "type", mount.type, "options", mount.options, "device",
                     mount.source, "free_bytes", free_bytes(dir), "write_cache",
                     ask_queue(device, "write_cache"), "rotational",
                     ask_queue(device, "rotational"), "scheduler", ask_queue(device, "scheduler"));
}
