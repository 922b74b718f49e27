# SPDX-License-Identifier: MIT
# Runs the README's example twice in an empty folder: it must count its runs, so commits persist.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
foreach(run RANGE 1 2)
  execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER}
    OUTPUT_VARIABLE output RESULT_VARIABLE status)
  if(NOT status EQUAL 0 OR NOT output STREQUAL "run ${run}\n")
    message(FATAL_ERROR "run ${run}: status ${status}, output '${output}'")
  endif()
endforeach()
