/* SPDX-License-Identifier: MIT */
#include "written_file.h"

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <vector>

static void must(bool done)
{
    if (!done)
        throw std::system_error(errno, std::generic_category(), "a file that is written to");
}

written_file::written_file(const std::string &path, std::size_t size)
    : descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600))
{
    must(descriptor_ >= 0);
    auto end = static_cast<off_t>(size);
    if (lseek(descriptor_, 0, SEEK_END) == end)
        return;
    std::vector<char> part(1 << 20, 1);
    for (off_t at = 0; at < end; at += static_cast<off_t>(part.size()))
        write(part.data(), part.size(), at);
    sync();
}

written_file::~written_file()
{
    close(descriptor_);
}

void written_file::write(const char *from, std::size_t size, off_t at) const
{
    must(pwrite(descriptor_, from, size, at) == static_cast<ssize_t>(size));
}

void written_file::sync() const
{
    must(fdatasync(descriptor_) == 0);
}
