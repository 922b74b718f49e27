/* SPDX-License-Identifier: MIT */
/*
 * Named points: the places where the harness may stop the world. In the library as it ships they
 * are nothing; in the library built for the harness (TMF_FAULTS) each is a libfiu point of failure.
 * The table of all names, a sentence each, is faults/points.c; a test keeps it equal to the source.
 */
#ifndef TMF_POINT_H
#define TMF_POINT_H

#ifdef TMF_FAULTS
#ifndef FIU_ENABLE
#define FIU_ENABLE 1
#endif
#include <fiu.h>
#define TMF_POINT(name) ((void)fiu_fail(name))
#else
#define TMF_POINT(name) ((void)0)
#endif

#endif
