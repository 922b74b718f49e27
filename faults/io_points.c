/* SPDX-License-Identifier: MIT */
#include "faults/io_points.h"

#include <errno.h>

#include "alloc/point.h"

#ifndef TMF_FAULTS
#error "faults/ is built with fault points only"
#endif

static const struct tmf_io *called = &tmf_io_system;

/* The caller looks at errno after a call; what a point does must not show there. */
#define CALL_WITH_POINTS(result, name, parameters, arguments)                                      \
    static result name##_with_points parameters                                                    \
    {                                                                                              \
        TMF_POINT("io/" #name "/before");                                                          \
        result returned = called->name arguments;                                                  \
        int error = errno;                                                                         \
        TMF_POINT("io/" #name "/after");                                                           \
        errno = error;                                                                             \
        return returned;                                                                           \
    }
TMF_IO_CALLS(CALL_WITH_POINTS)

#define ENTRY(result, name, parameters, arguments) .name = name##_with_points,
const struct tmf_io faults_io_points = {TMF_IO_CALLS(ENTRY)};

void faults_io_points_lead(const struct tmf_io *to)
{
    called = to;
}

void faults_io_points_install(void)
{
    tmf_io = &faults_io_points;
}
