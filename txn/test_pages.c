/* SPDX-License-Identifier: MIT */
/* See test_pages.h. */
#include "txn/test_pages.h"

#include <errno.h>
#include <string.h>

int test_make_pages(tmf_writer *writer, void *root, void *page_count)
{
    size_t size = *(const size_t *)page_count * TEST_PAGE;
    struct root *made = root;
    made->block = tmf_alloc_aligned(writer, TEST_PAGE, size);
    if (!made->block)
        return errno;
    memset(made->block, 0, size);
    return 0;
}

uint64_t *test_pages_of(tmf_writer *writer)
{
    return ((const struct root *)tmf_writer_root(writer))->block;
}

const uint64_t *test_pages_seen(const tmf_reader *reader)
{
    return ((const struct root *)tmf_reader_root(reader))->block;
}
