/* SPDX-License-Identifier: MIT */
/*
 * The folder that the benchmarks work in: made inside TMF_BENCH_DIR, else inside the current
 * directory, never in /tmp by default, which may be memory; removed with its content at the end. Or
 * TMF_BENCH_KEEP, a folder that is there and is kept with its content: who measures the same often,
 * as `tmf compare` does, need not fill a storage of 160 MiB each time.
 */
#ifndef TMF_BENCH_FOLDER_H
#define TMF_BENCH_FOLDER_H

#include <string>

class folder
{
  public:
    folder(); /* throws std::system_error */
    ~folder();
    folder(const folder &) = delete;
    folder &operator=(const folder &) = delete;

    std::string path(const char *name) const;

  private:
    std::string name_;
    bool is_kept_;
};

#endif
