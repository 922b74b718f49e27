/* SPDX-License-Identifier: MIT */
/*
 * The system's own calls with a point around each: io/CALL/before, the call, io/CALL/after. So a
 * process can be killed before or after any call that the library makes.
 */
#ifndef FAULTS_IO_POINTS_H
#define FAULTS_IO_POINTS_H

#include "txn/io.h"

extern const struct tmf_io faults_io_points;

/* Makes it the library's table; no storage is open. */
void faults_io_points_install(void);

/* Whom the calls between the points are made of, instead of the system. */
void faults_io_points_lead(const struct tmf_io *to);

#endif
