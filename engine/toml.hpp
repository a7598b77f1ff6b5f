// toml++ as every file of this folder must see it: without exceptions, errors as values.
#pragma once

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <string>

namespace wellhead {

// "wellhead.toml:12:3", the way compilers name a place.
[[nodiscard]] inline std::string place_of(const std::string& file, const toml::source_region& region) {
  return file + ':' + std::to_string(region.begin.line) + ':' + std::to_string(region.begin.column);
}

}  // namespace wellhead
