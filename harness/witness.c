/* SPDX-License-Identifier: MIT */
#include "harness/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "harness/child.h"

#define LIMIT_SECONDS 15

struct job {
    const struct workload_place *place;
    const char *path;
    int ask, answer;
};

static void tell(const struct job *job, int what)
{
    if (write(job->answer, &what, sizeof(what)) != (ssize_t)sizeof(what))
        _exit(1); /* nobody listens any more */
}

static int try_to_read(tmf_storage *storage)
{
    tmf_reader *reader;
    int error = tmf_read_begin_try(storage, &reader);
    if (!error)
        tmf_read_end(reader);
    return error;
}

/* In the child. Its end of things is not tidy: closing might write. */
static int bear_witness(void *context)
{
    const struct job *job = context;
    tmf_storage *storage;
    char byte;
    int error = workload_open(job->place, job->path, &storage);
    tell(job, error);
    if (!error && read(job->ask, &byte, 1) == 1)
        tell(job, try_to_read(storage));
    return 0;
}

static int listen_to(const struct witness *witness, int *out)
{
    return read(witness->answer, out, sizeof(*out)) == (ssize_t)sizeof(*out) ? 0 : EPIPE;
}

int witness_start(const struct workload_place *place, const char *path, struct witness *out)
{
    int questions[2], answers[2];
    *out = (struct witness){.pid = 0};
    if (pipe2(questions, O_CLOEXEC) != 0)
        return errno;
    if (pipe2(answers, O_CLOEXEC) != 0) {
        int error = errno;
        close(questions[0]);
        close(questions[1]);
        return error;
    }
    struct job job = {place, path, questions[0], answers[1]};
    int error = child_start(bear_witness, &job, LIMIT_SECONDS, &out->pid);
    close(questions[0]);
    close(answers[1]);
    out->ask = questions[1];
    out->answer = answers[0];
    int opened = 0;
    if (!error)
        error = listen_to(out, &opened);
    if (error || opened)
        witness_end(out);
    return error ? error : opened;
}

/* Having answered it ends, and is let: who is killed takes the counters of its coverage along. */
int witness_ask(const struct witness *witness, int *out)
{
    char nothing;
    int error = write(witness->ask, "", 1) == 1 ? listen_to(witness, out) : EPIPE;
    if (!error && read(witness->answer, &nothing, 1) != 0)
        error = EPROTO;
    return error;
}

void witness_end(struct witness *witness)
{
    struct child_end ended;
    if (!witness->pid)
        return;
    kill(witness->pid, SIGKILL);
    child_wait(witness->pid, &ended);
    close(witness->ask);
    close(witness->answer);
    witness->pid = 0;
}
