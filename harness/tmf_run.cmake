# SPDX-License-Identifier: MIT
# For scripts that run the built command, given as -DTMF=..., in an empty folder -DDIR=...
file(REMOVE_RECURSE ${DIR})
file(MAKE_DIRECTORY ${DIR})

# tmf(STATUS PATTERN WORDS...): must exit so, and say something that matches. Leaves it in `said`.
function(tmf status pattern)
  execute_process(COMMAND ${TMF} ${ARGN} RESULT_VARIABLE got OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT got STREQUAL status OR NOT out MATCHES "${pattern}")
    message(SEND_ERROR "tmf ${ARGN}: exit status ${got}, must be ${status}; must match '${pattern}':\n${out}")
  endif()
  set(said "${out}" PARENT_SCOPE)
endfunction()

# must_be_clear(WHO [FOLDER]): no folder of scratch is left there. Whoever clears up may still be at it.
function(must_be_clear who)
  set(folder ${DIR})
  if(ARGC GREATER 1)
    set(folder ${ARGV1})
  endif()
  foreach(try RANGE 100)
    file(GLOB left ${folder}/tmf-*)
    if(NOT left)
      return()
    endif()
    execute_process(COMMAND sleep 0.1)
  endforeach()
  message(SEND_ERROR "${who} left behind: ${left}")
endfunction()
