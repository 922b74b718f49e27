/* SPDX-License-Identifier: MIT */
/* The table of all free-space indexes; the first is the default, see `tmf bench` and README. */
#include "index.h"

#include <string.h>

static const struct tmf_index_ops *const indexes[] = {
    &tmf_index_bins,      &tmf_index_btree,   &tmf_index_rb_twin,
    &tmf_index_rb_twin32, &tmf_index_rb_tags, &tmf_index_tlsf,
};

static const size_t index_count = sizeof indexes / sizeof indexes[0];

const struct tmf_index_ops *tmf_index_find(const char *name)
{
    for (size_t n = 0; n < index_count; n++) {
        if (strcmp(indexes[n]->name, name) == 0) {
            return indexes[n];
        }
    }
    return NULL;
}

const struct tmf_index_ops *tmf_index_find_id(uint32_t id)
{
    for (size_t n = 0; n < index_count; n++) {
        if (indexes[n]->id == id) {
            return indexes[n];
        }
    }
    return NULL;
}

const char *tmf_index_name(size_t n)
{
    return n < index_count ? indexes[n]->name : NULL;
}

const char *tmf_index_about(size_t n)
{
    return n < index_count ? indexes[n]->about : NULL;
}
