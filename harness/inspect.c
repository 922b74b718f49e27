/* SPDX-License-Identifier: MIT */
#include "harness/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"

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

/* The library tells no more of its log than it must. A reader keeps it from starting anew. */
static int look_at_log(const char *path, struct tmf_log_state *out)
{
    char log_path[PATH_MAX + 8];
    struct tmf_log log;
    snprintf(log_path, sizeof(log_path), "%s.log", path);
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = tmf_log_attach(&log, fd, 0);
    if (error == 0)
        error = tmf_log_look(&log, out);
    tmf_log_detach(&log);
    close(fd);
    return error;
}

static int ask(const char *path, struct inspection *out)
{
    int error = tmf_info_get(out->storage, &out->info);
    return error ? error : look_at_log(path, &out->log);
}

const char *inspect_log_kind(const struct inspection *inspection)
{
    return inspection->log.kind == TMF_LOG_REDO ? "redo" : "undo";
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
    error = ask(path, out);
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
    const struct tmf_log_state *log = &inspection->log;
    char id[32], address[32];
    snprintf(id, sizeof(id), "%016llx", (unsigned long long)info->id);
    snprintf(address, sizeof(address), "%p", info->address);
    json_t *facts = json_pack(
        "{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:I}", "id", id, "version",
        (json_int_t)info->version, "magic", (json_int_t)info->magic, "address", address,
        "size_bytes", (json_int_t)info->size, "root_size_bytes", (json_int_t)info->root_size,
        "quantum_bytes", (json_int_t)info->quantum, "index", info->index, "sequence",
        (json_int_t)info->sequence, "log_size_bytes", (json_int_t)info->log_size);
    json_t *state =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "strategy", info->strategy, "durability",
                  durability_name(info->durability), "log_kind", inspect_log_kind(inspection),
                  "log_turn", (json_int_t)log->turn, "log_first_sequence",
                  (json_int_t)log->sequence, "log_pending", log->pending);
    json_t *heap = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I}", "used_bytes", (json_int_t)info->used_bytes, "free_bytes",
        (json_int_t)info->free_bytes, "metadata_bytes", (json_int_t)info->metadata_bytes,
        "largest_free_bytes", (json_int_t)info->largest_free_bytes, "used_blocks",
        (json_int_t)info->used_blocks, "free_blocks", (json_int_t)info->free_blocks);
    json_object_update(metrics, facts);
    json_object_update(metrics, state);
    json_object_update(metrics, heap);
    json_decref(facts);
    json_decref(state);
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
