# Writes OUTPUT, a C++ source that holds every SQL file of DIRECTORY: the binary migrates without files beside it.
# Called at build time: cmake -DDIRECTORY=… -DOUTPUT=… -P embed.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB paths "${DIRECTORY}/*.sql")
list(SORT paths)
list(LENGTH paths count)

set(source "// Made from migrations/*.sql by migrations/embed.cmake.\n#include \"engine/migrations.hpp\"\n\n#include <array>\n\n")
string(APPEND source "namespace wellhead {\nnamespace {\n\nconstexpr std::array<EmbeddedFile, ${count}> files{{\n")
foreach(path IN LISTS paths)
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" content)
  string(APPEND source "    {\"${name}\", R\"wellhead_sql(${content})wellhead_sql\"},\n")
endforeach()
string(APPEND source "}};\n\n}  // namespace\n\nstd::span<const EmbeddedFile> embedded_migration_files() { return files; }\n\n}  // namespace wellhead\n")
file(WRITE "${OUTPUT}" "${source}")
