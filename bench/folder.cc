/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

folder::folder()
{
    const char *kept = std::getenv("TMF_BENCH_KEEP");
    is_kept_ = kept != nullptr;
    if (is_kept_) {
        name_ = kept;
        return;
    }
    const char *parent = std::getenv("TMF_BENCH_DIR");
    name_ = std::string(parent != nullptr ? parent : ".") + "/tmf_bench.XXXXXX";
    if (mkdtemp(name_.data()) == nullptr)
        throw std::system_error(errno, std::generic_category(), name_);
}

folder::~folder()
{
    std::error_code ignored;
    if (!is_kept_)
        std::filesystem::remove_all(name_, ignored);
}

std::string folder::path(const char *name) const
{
    return name_ + "/" + name;
}
