# Third-party libraries, found once. tools/packages.txt names the Debian packages.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(cppzmq REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(ssl REQUIRED IMPORTED_TARGET libssl)
find_package(Boost 1.81 REQUIRED)  # Asio and Beast: headers
find_package(ftxui 5 QUIET HINTS ${PROJECT_SOURCE_DIR}/build/ftxui)  # draws `troupe console`; tools/prepare-ftxui gets it
if(NOT ftxui_FOUND)
  message(STATUS "FTXUI is not there: `troupe console` is built without its live screen (run tools/prepare-ftxui)")
endif()

# Debian ships CAF without CMake files. TROUPE_CAF_PREFIX names a rebuilt core (the thread sanitizer needs one).
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED HINTS ${TROUPE_CAF_PREFIX}/include)
if(TROUPE_CAF_PREFIX)
  find_library(CAF_CORE_LIBRARY NAMES caf_core REQUIRED PATHS ${TROUPE_CAF_PREFIX}/lib NO_DEFAULT_PATH)
else()
  find_library(CAF_CORE_LIBRARY NAMES caf_core REQUIRED)
endif()
add_library(caf::core SHARED IMPORTED)
set_target_properties(caf::core PROPERTIES IMPORTED_LOCATION "${CAF_CORE_LIBRARY}"
                                           INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}")
target_link_libraries(caf::core INTERFACE Threads::Threads)

if(TROUPE_BUILD_TESTS)
  find_package(doctest REQUIRED)
  include(doctest)
  find_library(RAPIDCHECK_LIBRARY NAMES rapidcheck REQUIRED)
endif()

# A room: a static library of the sources below the calling folder, included from the project's root
# ("kernels/engine.hpp"). DEPENDS are the rooms and libraries below it; the link rule is the layering rule.
function(troupe_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  add_library(troupe_${name} STATIC ${ARG_SOURCES})
  target_include_directories(troupe_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(troupe_${name} PUBLIC ${ARG_DEPENDS})
endfunction()
