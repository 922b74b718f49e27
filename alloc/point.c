/* SPDX-License-Identifier: MIT */
/* Only in the library built for the harness. */
#include "point.h"

bool tmf_mutant_is_awake;
