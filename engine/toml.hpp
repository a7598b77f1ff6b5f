// toml++ as every file of this folder must see it: without exceptions, errors as values.
#pragma once

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace wellhead {

// "wellhead.toml:12:3", the way compilers name a place.
[[nodiscard]] inline std::string place_of(const std::string& file, const toml::source_region& region) {
  return file + ':' + std::to_string(region.begin.line) + ':' + std::to_string(region.begin.column);
}

// One key and value of a table.
struct TomlMember {
  const toml::key& key;
  const toml::node& node;
};

// The table's members as they are written, from top to bottom; toml++ itself gives them in alphabetical
// order.
[[nodiscard]] inline std::vector<TomlMember> members_as_written(const toml::table& table) {
  std::vector<const toml::key*> keys;
  keys.reserve(table.size());
  for (const auto& [key, node] : table) keys.push_back(&key);
  std::ranges::stable_sort(keys, {}, [](const toml::key* key) {
    return std::pair(key->source().begin.line, key->source().begin.column);
  });
  std::vector<TomlMember> members;
  members.reserve(keys.size());
  for (const toml::key* key : keys) members.push_back({*key, *table.get(key->str())});
  return members;
}

}  // namespace wellhead
