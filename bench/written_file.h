/* SPDX-License-Identifier: MIT */
/*
 * A file every byte of which was written and synced before, so that no benchmark pays for the
 * disk's first allocation of a block. Everything throws std::system_error.
 */
#ifndef TMF_BENCH_WRITTEN_FILE_H
#define TMF_BENCH_WRITTEN_FILE_H

#include <cstddef>
#include <string>
#include <sys/types.h>

class written_file
{
  public:
    /* Taken as it is if there is one of that size, which is a number of MiB. */
    written_file(const std::string &path, std::size_t size);
    ~written_file();
    written_file(const written_file &) = delete;
    written_file &operator=(const written_file &) = delete;

    void write(const char *from, std::size_t size, off_t at) const;
    void sync() const; /* fdatasync */
    int descriptor() const
    {
        return descriptor_;
    }

  private:
    int descriptor_;
};

#endif
