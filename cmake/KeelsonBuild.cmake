# What every room is built with: the language, the warnings, the hardening, the sanitizers.
# Presets switch these; see CMakePresets.json.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(KEELSON_WERROR "Warnings are errors (for us; off for those who build us)" OFF)
set(KEELSON_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=: address,undefined or thread")

find_program(KEELSON_CCACHE ccache)
if(KEELSON_CCACHE)
  # Precompiled headers are cached too: what they hold decides, not their times.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime "${KEELSON_CCACHE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

add_library(keelson_flags INTERFACE)
add_library(keelson::flags ALIAS keelson_flags)
target_include_directories(keelson_flags INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}")
target_compile_options(keelson_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Wno-missing-field-initializers  # designated initializers leave the rest at its default on purpose
  -fstack-protector-strong
  $<$<BOOL:${KEELSON_WERROR}>:-Werror>)
target_compile_definitions(keelson_flags INTERFACE _GLIBCXX_ASSERTIONS)

# GCC 12 takes its own std::string's operator+ for an overlapping copy (bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(keelson_flags INTERFACE -Wno-restrict)
endif()

if(KEELSON_SANITIZE)
  target_compile_options(keelson_flags INTERFACE -fsanitize=${KEELSON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(keelson_flags INTERFACE -fsanitize=${KEELSON_SANITIZE})
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_definitions(keelson_flags INTERFACE _FORTIFY_SOURCE=2)
endif()

# Fuzzers see their way through our libraries by their coverage; only the fuzzers themselves link libFuzzer's main.
if(KEELSON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "KEELSON_FUZZ needs clang; use the preset \"fuzz\"")
  endif()
  target_compile_options(keelson_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(keelson_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# keelson_library(NAME room SOURCES ... [PUBLIC libs...] [PRIVATE libs...])
# One capability, one static library; the link list is the dependency note.
function(keelson_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(keelson_${name} STATIC ${ARG_SOURCES})
  add_library(keelson::${name} ALIAS keelson_${name})
  target_link_libraries(keelson_${name} PUBLIC keelson::flags ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()
