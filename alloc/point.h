/* SPDX-License-Identifier: MIT */
/*
 * Named points: the places where the harness may stop the world. In the library as it ships they
 * are nothing; in the library built for the harness (TMF_FAULTS) each is a libfiu point of failure.
 * The table of all names, a sentence each, is faults/points.c; a test keeps it equal to the source.
 *
 * Mutants: a bug that is there only while the harness has switched it on, to see whether it would
 * notice; libfiu is asked only while one is awake. Their table is faults/mutants.c. Each stands in
 * one place. It is 0 or 1.
 */
#ifndef TMF_POINT_H
#define TMF_POINT_H

#ifdef TMF_FAULTS
#ifndef FIU_ENABLE
#define FIU_ENABLE 1
#endif
#include <fiu.h>
#include <stdbool.h>
extern bool tmf_mutant_is_awake; /* some; set before there are threads */
#define TMF_POINT(name)  ((void)fiu_fail(name))
#define TMF_MUTANT(name) (tmf_mutant_is_awake && fiu_fail("mutant/" name) != 0)
#else
#define TMF_POINT(name)  ((void)0)
#define TMF_MUTANT(name) (0)
#endif

#endif
