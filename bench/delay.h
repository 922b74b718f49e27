/* SPDX-License-Identifier: MIT */
/*
 * A slower library, on purpose: does the comparison of two revisions notice? In tmf_bench_points,
 * the same benchmarks linked to the library built with its fault points, TMF_BENCH_DELAY=POINT=P
 * makes libfiu call back at that point, where P per cent of the time since the last hit are spent:
 * where every transaction hits it once, each takes P per cent longer. tmf_bench has no points, and
 * refuses the variable rather than measure what was not asked for.
 */
#ifndef TMF_BENCH_DELAY_H
#define TMF_BENCH_DELAY_H

bool has_fault_points();

/* Both throw std::runtime_error: where that cannot be had; where the point was never reached. */
void delay_start();
void delay_check();

#endif
