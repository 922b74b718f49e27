/* SPDX-License-Identifier: MIT */
/*
 * How many instructions a piece of work takes, counted by callgrind: the same number every time,
 * for one compiler and machine. Only under `valgrind --tool=callgrind --instr-atstart=no
 * --callgrind-out-file=$TMF_BENCH_CALLGRIND`, which `tmf bench --instructions` does; elsewhere, or
 * built without valgrind's header, nothing is counted and nothing is lost.
 */
#ifndef TMF_BENCH_INSTRUCTIONS_H
#define TMF_BENCH_INSTRUCTIONS_H

#include <cstdint>

class instructions
{
  public:
    /* Is somebody counting? Then times mean nothing. */
    static bool are_counted();

    static void start();
    static std::uint64_t stop(); /* since start(); 0: nobody counts */
};

#endif
