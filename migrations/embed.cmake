# Writes OUTPUT, a C++ source that holds every SQL file of DIRECTORY: the binary migrates without files beside it.
# Called at build time: cmake -DDIRECTORY=… -DOUTPUT=… -P embed.cmake
cmake_minimum_required(VERSION 3.25)

# Appends the SQL files of a folder to `source`, as the function of this name.
function(embed folder function)
  file(GLOB paths "${folder}/*.sql")
  list(SORT paths)
  list(LENGTH paths count)
  string(APPEND source "namespace {\nconstexpr std::array<EmbeddedFile, ${count}> ${function}_list{{\n")
  foreach(path IN LISTS paths)
    get_filename_component(name "${path}" NAME)
    file(READ "${path}" content)
    string(APPEND source "    {\"${name}\", R\"wellhead_sql(${content})wellhead_sql\"},\n")
  endforeach()
  string(APPEND source "}};\n}  // namespace\n\n")
  string(APPEND source "std::span<const EmbeddedFile> ${function}() { return ${function}_list; }\n\n")
  set(source "${source}" PARENT_SCOPE)
endfunction()

set(source "// Made from migrations/ by migrations/embed.cmake.\n#include \"engine/migrations.hpp\"\n\n#include <array>\n\n")
string(APPEND source "namespace wellhead {\n\n")
embed("${DIRECTORY}" embedded_migration_files)
embed("${DIRECTORY}/down" embedded_down_files)
string(APPEND source "}  // namespace wellhead\n")
file(WRITE "${OUTPUT}" "${source}")
