# SPDX-License-Identifier: MIT
# Which revision is being built, dirty or not: asked at each build, written where it has changed.
# cmake -DROOT=... -DTO=... -P revision.cmake
execute_process(COMMAND git describe --always --dirty --tags WORKING_DIRECTORY ${ROOT}
  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT revision)
  set(revision unknown)
endif()
file(CONFIGURE OUTPUT ${TO} CONTENT "#define TMF_REVISION \"${revision}\"\n")
