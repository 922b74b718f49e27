/* SPDX-License-Identifier: MIT */
/*
 * tmf_bench --describe: what of a result's environment this program alone can tell, as JSON in the
 * shape of that: the libraries it is linked to or loads beside those of the tmf command, and
 * whether the library has fault points here.
 */
#ifndef TMF_BENCH_DESCRIBE_H
#define TMF_BENCH_DESCRIBE_H

#include <iosfwd>

void describe(std::ostream &to);

#endif
