/* SPDX-License-Identifier: MIT */
/*
 * Storages for the fuzz targets of txn/: pairs of files as a kill in the middle leaves them, made
 * by the library itself with each strategy, and always the same ones: what the library draws at
 * random is drawn from a fixed seed here, and the arena has an address of its own.
 */
#ifndef TMF_FUZZ_PAIR_H
#define TMF_FUZZ_PAIR_H

#include "txn/format.h"
#include "txn/tmf.h"

#define FUZZ_ODB_SIZE ((size_t)8 * 4096)
#define FUZZ_LOG_SIZE ((size_t)8 * 4096) /* at most */

struct fuzz_pair {
    const char *strategy;
    unsigned char odb[FUZZ_ODB_SIZE];
    unsigned char log[FUZZ_LOG_SIZE];
    size_t log_size;
    struct tmf_log_slot slot; /* the log's current one */
};

/* Makes them, in a folder in memory that is removed at exit. */
void fuzz_pairs_make(void);
size_t fuzz_pair_count(void);
const struct fuzz_pair *fuzz_pair_at(size_t n);

/* Lays files where the path is that fuzz_pair_open() opens. */
void fuzz_pair_lay(const unsigned char *odb, size_t odb_size, const unsigned char *log,
                   size_t log_size);

/*
 * Opens what lies there, as the `how`-th of all combinations of strategy and options would, and
 * works with it. What comes of it may be any error; but what could be opened is mapped where its
 * header says, and where the heap was sound, whoever opens next can, finds it sound, and sees what
 * a commit that returned has stored.
 */
void fuzz_pair_use(unsigned how);

#endif
