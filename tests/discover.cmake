# Writes OUT: a ctest for every case of PROGRAM, named "PREFIX: CASE". doctest's own script takes a name with a semicolon for two that
# match nothing, and a filter that matches nothing is no failure to doctest; here it is one.
execute_process(COMMAND ${PROGRAM} --list-test-cases --no-colors=1 OUTPUT_VARIABLE told RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} did not list its cases (${code}): ${told}")
endif()
# CMake's lists end at semicolons and count brackets.
string(ASCII 1 semicolon)
string(ASCII 2 opening)
string(ASCII 3 closing)
string(REPLACE ";" "${semicolon}" told "${told}")
string(REPLACE "[" "${opening}" told "${told}")
string(REPLACE "]" "${closing}" told "${told}")
string(REPLACE "\n" ";" lines "${told}")
set(script "")
foreach(line IN LISTS lines)
  if(line STREQUAL "" OR line MATCHES "^(${opening}doctest${closing}|===)")
    continue()
  endif()
  string(REPLACE "${semicolon}" ";" case "${line}")
  string(REPLACE "${opening}" "[" case "${case}")
  string(REPLACE "${closing}" "]" case "${case}")
  string(REPLACE "," "\\," filter "${case}")
  string(APPEND script "add_test([==[${PREFIX}: ${case}]==] [==[${PROGRAM}]==] [==[--test-case=${filter}]==])\n"
                       "set_tests_properties([==[${PREFIX}: ${case}]==] PROPERTIES WORKING_DIRECTORY [==[${FOLDER}]==] ${PROPERTIES}"
                       " FAIL_REGULAR_EXPRESSION [==[test cases: +0 ]==])\n")
endforeach()
file(WRITE ${OUT} "${script}")
