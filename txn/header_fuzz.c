/* SPDX-License-Identifier: MIT */
/*
 * The bytes are the beginning of an .odb, with its header, the root and the heap's header; the rest
 * of it is as it was, and so is its log. The control says which pair of fuzz_pair.h it is, what is
 * put right in the header, how long the file is, and who opens it.
 */
#include <string.h>

#include "alloc/fuzz.h"
#include "txn/checksum.h"
#include "txn/fuzz_pair.h"

enum {
    CONTROL_PAIR,
    CONTROL_MENDS,
    CONTROL_HOW,      /* two bytes of it */
    CONTROL_SIZE = 4, /* in sectors, two bytes; 0: as it was */
};

enum { MENDS_CHECKSUM = 1, MENDS_IDENTITY = 2, MENDS_ADDRESS = 4 };

#define SEEDS_OF_PAIR 4

static void mend(struct tmf_file_header *header, const struct fuzz_pair *pair, unsigned mends)
{
    struct tmf_file_header made;
    memcpy(&made, pair->odb, sizeof(made));
    if (mends & MENDS_IDENTITY) {
        size_t identity = offsetof(struct tmf_file_header, magic);
        memcpy(header, &made, identity);
    }
    if (mends & MENDS_ADDRESS)
        header->address = made.address;
    if (mends & MENDS_CHECKSUM)
        header->checksum =
            tmf_checksum(header, offsetof(struct tmf_file_header, checksum), header->id);
}

static size_t seed(size_t n, unsigned char *to)
{
    if (n >= fuzz_pair_count() * SEEDS_OF_PAIR)
        return 0;
    const struct fuzz_pair *pair = fuzz_pair_at(n / SEEDS_OF_PAIR);
    memset(to, 0, FUZZ_CONTROL);
    to[CONTROL_PAIR] = (unsigned char)(n / SEEDS_OF_PAIR);
    to[CONTROL_MENDS] = (unsigned char)(n % SEEDS_OF_PAIR * 2 + (n % SEEDS_OF_PAIR > 0));
    to[CONTROL_HOW] = (unsigned char)(n * 31);
    memcpy(to + FUZZ_CONTROL, pair->odb, TMF_PAGE_SIZE);
    return FUZZ_CONTROL + TMF_PAGE_SIZE;
}

static void run(const unsigned char *bytes, size_t size)
{
    static unsigned char odb[FUZZ_ODB_SIZE];
    struct tmf_file_header header;
    const struct fuzz_pair *pair = fuzz_pair_at(bytes[CONTROL_PAIR] % fuzz_pair_count());
    memcpy(odb, pair->odb, sizeof(odb));
    memcpy(odb, bytes + FUZZ_CONTROL, size - FUZZ_CONTROL);
    memcpy(&header, odb, sizeof(header));
    mend(&header, pair, bytes[CONTROL_MENDS]);
    memcpy(odb, &header, sizeof(header));
    size_t sectors = bytes[CONTROL_SIZE] + 256u * bytes[CONTROL_SIZE + 1];
    size_t odb_size = sectors * TMF_SECTOR_SIZE;
    if (sectors == 0 || odb_size > sizeof(odb))
        odb_size = sizeof(odb);
    fuzz_pair_lay(odb, odb_size, pair->log, pair->log_size);
    fuzz_pair_use(bytes[CONTROL_HOW] + 256u * bytes[CONTROL_HOW + 1]);
}

const struct fuzz_target fuzz_target = {
    .name = "header_fuzz",
    .size_max = FUZZ_CONTROL + 2 * TMF_PAGE_SIZE,
    .runs = 1000,
    .begin = fuzz_pairs_make,
    .seed = seed,
    .run = run,
};
