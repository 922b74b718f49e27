/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <system_error>

static void warn_where_syncs_are_free(const std::string &name)
{
    struct statfs about = {};
    if (statfs(name.c_str(), &about) == 0 && about.f_type == TMPFS_MAGIC)
        std::cerr << "tmf_bench: " << name << " is in memory (tmpfs): syncs cost nothing there, so "
                  << "transactions look faster than on a disk; set TMF_BENCH_DIR\n";
}

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
    warn_where_syncs_are_free(name_);
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
