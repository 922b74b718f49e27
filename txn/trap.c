/* SPDX-License-Identifier: MIT */
/*
 * The handlers of SIGSEGV and SIGBUS, installed once at the first open and kept for good. A fault
 * that is a store into an arena of ours goes to its transaction; any other goes to whoever was
 * there before us: a handler is called with the same arguments, the default action is put back so
 * that the faulting instruction runs into it again and the process dies of the signal it earned.
 *
 * The table of storages is read by the handler without a lock, so its entries are atomic pointers,
 * and a storage is taken out before it goes away.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <ucontext.h>

#include "txn/error.h"
#include "txn/io.h"
#include "txn/storage.h"

#define STORAGES_MAX 256

static struct tmf_storage *_Atomic storages[STORAGES_MAX];
static struct sigaction previous_segv, previous_bus;
static pthread_mutex_t install_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool installed;

static struct tmf_storage *find(const void *address)
{
    for (size_t n = 0; n < STORAGES_MAX; n++) {
        struct tmf_storage *storage = storages[n];
        if (storage && (uintptr_t)address - (uintptr_t)storage->arena.base < storage->arena.size)
            return storage;
    }
    return NULL;
}

/* Reads and jumps are not ours to mend. Where the processor does not tell, take it for a store. */
static bool is_store(const void *context)
{
#if defined(__x86_64__) || defined(__i386__)
    const ucontext_t *machine = context;
    return (machine->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    (void)context;
    return true;
#endif
}

static void hand_on(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *previous = signal == SIGSEGV ? &previous_segv : &previous_bus;
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signal, info, context);
    } else if (previous->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* somebody's kill(), which was ignored before us too */
    } else if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
        struct sigaction fatal = {.sa_handler = SIG_DFL};
        (void)tmf_io->sigaction(signal, &fatal, NULL);
        if (info->si_code <= 0) /* somebody's kill(): no instruction will fault again */
            (void)raise(signal);
    } else {
        previous->sa_handler(signal);
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    bool bus = signal == SIGBUS;
    bool ours = false;
    if (bus ? info->si_code == BUS_ADRERR : info->si_code == SEGV_ACCERR && is_store(context)) {
        struct tmf_storage *storage = find(info->si_addr);
        ours = storage && tmf_transaction_fault(storage, info->si_addr, bus);
    }
    errno = saved_errno;
    if (!ours)
        hand_on(signal, info, context);
}

static int install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigfillset(&action.sa_mask);
    if (tmf_io->sigaction(SIGSEGV, &action, &previous_segv) != 0)
        return errno;
    if (tmf_io->sigaction(SIGBUS, &action, &previous_bus) != 0) {
        int error = errno;
        (void)tmf_io->sigaction(SIGSEGV, &previous_segv, NULL);
        return error;
    }
    installed = true;
    return 0;
}

int tmf_trap_add(struct tmf_storage *storage)
{
    (void)pthread_mutex_lock(&install_mutex);
    int error = installed ? 0 : install();
    (void)pthread_mutex_unlock(&install_mutex);
    if (error)
        return tmf_fail(error, "installing the handlers of SIGSEGV and SIGBUS");
    for (size_t n = 0; n < STORAGES_MAX; n++) {
        struct tmf_storage *nobody = NULL;
        if (atomic_compare_exchange_strong(&storages[n], &nobody, storage))
            return 0;
    }
    return tmf_fail(EMFILE, "opening '%s': %d storages are open already", storage->odb_path,
                    STORAGES_MAX);
}

void tmf_trap_remove(struct tmf_storage *storage)
{
    for (size_t n = 0; n < STORAGES_MAX; n++) {
        struct tmf_storage *self = storage;
        if (atomic_compare_exchange_strong(&storages[n], &self, NULL))
            return;
    }
}
