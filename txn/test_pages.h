/* SPDX-License-Identifier: MIT */
/* A root object that points to a block of whole pages, which tests store to page by page. */
#ifndef TMF_TEST_PAGES_H
#define TMF_TEST_PAGES_H

#include "txn/test_kit.h"

#define PAGE_WORDS (TEST_PAGE / sizeof(uint64_t))

struct root {
    uint64_t *block; /* zeroed, aligned to a page */
};

/* The root_init of such a root; its context points to the number of pages, a size_t. */
int test_make_pages(tmf_writer *writer, void *root, void *page_count);

/* The block, of a writer or reader. */
uint64_t *test_pages_of(tmf_writer *writer);
const uint64_t *test_pages_seen(const tmf_reader *reader);

#endif
