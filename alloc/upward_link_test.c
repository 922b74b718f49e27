/* SPDX-License-Identifier: MIT */
/* Must not link: this layer knows nothing of the one above it, where tmf_open() is. */
#include "txn/tmf.h"

int main(void)
{
    tmf_storage *storage;
    return tmf_open("", NULL, &storage);
}
