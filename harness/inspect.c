/* SPDX-License-Identifier: MIT */
#include "harness/inspect.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "harness/workload.h"

/* Damage is a violation; a wrong path or a missing permission is not. */
static enum status status_of(int error)
{
    switch (error) {
    case TMF_ECORRUPT:
    case TMF_EWRONGFILETYPE:
    case TMF_EWRONGSIZE:
    case TMF_EPOISONED:
        return STATUS_VIOLATION;
    default:
        return STATUS_CANNOT;
    }
}

static int say(const struct arguments *arguments, const char *doing, const char *path, int error)
{
    const char *hint = error == ENOENT ? "; give the path without .odb or .log" : "";
    return command_fail(arguments, status_of(error), "%s %s failed: %s%s", doing, path,
                        error_text(error), hint);
}

int inspect_begin(const struct arguments *arguments, struct inspection *out)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", arguments->words[0]) >= (int)sizeof(path))
        return command_fail(arguments, STATUS_USAGE, "the path is too long");
    char *end = strrchr(path, '.');
    if (end && strcmp(end, ".odb") == 0)
        *end = 0;

    tmf_options as_it_is = {0};
    int error = tmf_open(path, &as_it_is, &out->storage);
    if (error)
        return say(arguments, "opening", path, error);
    error = tmf_read_begin(out->storage, &out->reader);
    if (error) {
        int status = say(arguments, "reading", path, error);
        tmf_close(out->storage);
        return status;
    }
    error = tmf_info_get(out->storage, &out->info);
    if (error) {
        int status = say(arguments, "asking for the facts of", path, error);
        inspect_end(out);
        return status;
    }
    return STATUS_HELD;
}

void inspect_end(struct inspection *inspection)
{
    tmf_read_end(inspection->reader);
    tmf_close(inspection->storage);
}

void inspect_measure(const struct inspection *inspection, json_t *metrics)
{
    const tmf_info *info = &inspection->info;
    char id[32], address[32];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)info->id);
    snprintf(address, sizeof(address), "%p", info->address);
    json_t *facts = json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:I}", "id", id, "version",
        (json_int_t)info->version, "magic", (json_int_t)info->magic, "address", address,
        "size_bytes", (json_int_t)info->size, "root_size_bytes", (json_int_t)info->root_size,
        "quantum_bytes", (json_int_t)info->quantum, "index", info->index, "sequence",
        (json_int_t)info->sequence, "log_size_bytes", (json_int_t)info->log_size);
    json_t *heap = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I}", "used_bytes", (json_int_t)info->used_bytes, "free_bytes",
        (json_int_t)info->free_bytes, "metadata_bytes", (json_int_t)info->metadata_bytes,
        "largest_free_bytes", (json_int_t)info->largest_free_bytes, "used_blocks",
        (json_int_t)info->used_blocks, "free_blocks", (json_int_t)info->free_blocks);
    json_object_update(metrics, facts);
    json_object_update(metrics, heap);
    json_decref(facts);
    json_decref(heap);
}

const char *bytes_text(size_t bytes, char to[BYTES_TEXT_MAX])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(to, BYTES_TEXT_MAX, "%zu B", bytes);
        return to;
    }
    double scaled = (double)bytes / 1024;
    size_t unit = 0;
    for (; scaled >= 1024; unit++)
        scaled /= 1024;
    snprintf(to, BYTES_TEXT_MAX, "%.1f %s", scaled, units[unit]);
    return to;
}
