// SPDX-License-Identifier: MIT
// tmf.h as C++17: it compiles without a warning, links as C, and initialises as C++ does.
#include "txn/tmf.h"

#include <cerrno>
#include <cstring>

static_assert(__cplusplus == 201703L, "this file is to be compiled as C++17");

extern "C" int header_test_cxx(void);

// 0: a C++ program sees what a C program does.
int header_test_cxx(void)
{
    tmf_options options{};
    tmf_storage *storage = nullptr;
    options.durability = TMF_DURABILITY_PROCESS;
    options.root_init = [](tmf_writer *, void *, void *) { return 0; };
    if (tmf_open("/nonexistent/storage", &options, &storage) != ENOENT || storage)
        return 1;
    if (!std::strstr(tmf_explain(), "/nonexistent/storage"))
        return 2;
    if (!std::strstr(tmf_strerror(TMF_ECORRUPT), "damaged"))
        return 3;
    return tmf_close(nullptr);
}
