#include "engine/config.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "engine/config_check.hpp"
#include "engine/config_keys.hpp"
#include "engine/config_streams.hpp"
#include "engine/toml.hpp"

extern char** environ;

namespace wellhead {
namespace {

constexpr std::string_view environment_prefix = "WELLHEAD_";
// Variables of that prefix that are no keys: where the file is, and what the tests are told.
constexpr std::string_view config_variable = "WELLHEAD_CONFIG";
constexpr std::string_view test_prefix = "WELLHEAD_TEST_";

class Loader {
 public:
  explicit Loader(const ConfigSources& sources) : sources_(sources) {
    loaded_.origins.resize(config_keys().size());
  }

  std::expected<LoadedConfig, ConfigErrors> load() {
    if (sources_.file) read_file(*sources_.file);
    read_environment();
    read_flags();
    choose_streams();
    resolve_database();
    resolve_node_id();
    if (errors_.empty()) check_config(loaded_, streams_, errors_);
    if (!errors_.empty()) return std::unexpected(std::move(errors_));
    return std::move(loaded_);
  }

 private:
  void set(const ConfigKey& key, std::string_view text, Origin origin) {
    // A broken value of a lower layer stays an error even where a higher one overrides it: it would come
    // back.
    if (const auto outcome = assign(loaded_.config, key, text); !outcome)
      return errors_.push_back(fmt::format("{}: {} = {}.", origin.where, key.name, outcome.error()));
    loaded_.origins[config_key_index(key.name)] = std::move(origin);
  }

  // --- the file ---

  void read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    if (!file.is_open())
      return errors_.push_back(
          fmt::format("{}: the configuration file cannot be read: {}.", path, std::strerror(errno)));
    const toml::parse_result parsed = toml::parse(content.str(), path);
    if (!parsed)
      return errors_.push_back(fmt::format("{}: this is not TOML: {}.",
                                           place_of(path, parsed.error().source()),
                                           parsed.error().description()));
    for (const auto& [key, node] : members_as_written(parsed.table())) {
      if (const toml::table* section = node.as_table())
        read_section(path, key, *section);
      else
        unknown_key(path, key.source(), std::string(key.str()));
    }
  }

  void read_section(const std::string& path, const toml::key& section, const toml::table& table) {
    const bool known_section = std::ranges::any_of(config_keys(), [&](const ConfigKey& key) {
      return key.name.starts_with(fmt::format("{}.", section.str()));
    });
    if (!known_section) return unknown_key(path, section.source(), std::string(section.str()));
    for (const auto& [key, node] : members_as_written(table)) {
      if (section.str() == "streams" && node.is_table()) {
        streams_.push_back(place_stream(key.str(), *node.as_table(), path));
        continue;
      }
      const std::string name = fmt::format("{}.{}", section.str(), key.str());
      if (const ConfigKey* known = find_config_key(name))
        read_value(*known, node, path);
      else
        unknown_key(path, key.source(), name);
    }
  }

  // A table without columns changes the built-in stream of its name.
  PlacedStream place_stream(std::string_view name, const toml::table& table, const std::string& path) {
    std::vector<StreamConfig> built_in = builtin_streams();
    const auto base = std::ranges::find(built_in, name, &StreamConfig::name);
    if (base == built_in.end() || table.contains("columns")) return read_stream(name, table, path, errors_);
    return change_stream(std::move(*base), table, path, errors_);
  }

  void read_value(const ConfigKey& key, const toml::node& node, const std::string& path) {
    const std::string where = place_of(path, node.source());
    const auto refuse = [&](std::string_view wanted) {
      errors_.push_back(fmt::format("{}: {} must be {}.", where, key.name, wanted));
    };
    const auto text = node.value_exact<std::string>();
    const auto number = node.value_exact<std::int64_t>();
    const auto flag = node.value_exact<bool>();
    if (key.type == KeyType::boolean && !flag) return refuse("true or false, without quotes");
    if (key.type == KeyType::integer && !number) return refuse("a whole number, without quotes");
    if (key.type == KeyType::duration && !text)
      return refuse("a duration in quotes with its unit, e.g. \"20ms\" or \"5s\"");
    if (key.type == KeyType::size && !text && !number) return refuse("a size, e.g. \"64KiB\"");
    const bool textual =
        key.type == KeyType::text || key.type == KeyType::choice || key.type == KeyType::endpoint;
    if (textual && !text) return refuse("a text in quotes");
    const std::string value = text ? *text : number ? std::to_string(*number) : *flag ? "true" : "false";
    set(key, value, {Origin::Layer::file, where});
  }

  void unknown_key(const std::string& path, const toml::source_region& region, const std::string& name) {
    std::vector<std::string> candidates = config_key_names();
    // A section's name is compared with the sections' names as well.
    for (const ConfigKey& key : config_keys())
      candidates.emplace_back(key.name.substr(0, key.name.find('.')));
    const auto meant = nearest(name, candidates);
    errors_.push_back(fmt::format("{}: {} is not a known key{}.", place_of(path, region), name,
                                  meant ? fmt::format("; did you mean {}?", *meant) : ""));
    if (errors_.back().ends_with("?.")) errors_.back().pop_back();
  }

  // --- the environment and the flags ---

  void read_environment() {
    for (const auto& [name, value] : sources_.environment) {
      if (!name.starts_with(environment_prefix) || name == config_variable || name.starts_with(test_prefix))
        continue;
      // Empty is "not set": compose files and unit files pass variables through that nobody has set.
      if (!value.empty()) read_variable(name, value);
    }
  }

  void read_variable(const std::string& name, const std::string& value) {
    for (const ConfigKey& key : config_keys()) {
      if (environment_name(key.name) == name) return set(key, value, {Origin::Layer::environment, name});
    }
    // A warning only: container platforms set variables of their own (WELLHEAD_SERVICE_HOST, WELLHEAD_PORT,
    // …) for a service called wellhead.
    std::vector<std::string> names;
    for (const ConfigKey& key : config_keys()) names.push_back(environment_name(key.name));
    const auto meant = nearest(name, names);
    loaded_.warnings.push_back(fmt::format("The environment variable {} belongs to no key and is ignored{}",
                                           name, meant ? fmt::format("; did you mean {}?", *meant) : "."));
  }

  void read_flags() {
    for (const ConfigSources::Flag& flag : sources_.flags) {
      if (const ConfigKey* key = find_config_key(flag.key))
        set(*key, flag.value, {Origin::Layer::flag, flag.flag});
      else
        errors_.push_back(fmt::format("{}: {} is not a known key.", flag.flag, flag.key));
    }
  }

  // --- what is not one key ---

  // A stream of the file takes the place of the built-in one of the same name.
  void choose_streams() {
    std::vector<PlacedStream> own = std::exchange(streams_, {});
    if (loaded_.config.builtin_streams) {
      for (StreamConfig& stream : builtin_streams())
        streams_.push_back({.config = std::move(stream), .where = "built in"});
    }
    for (PlacedStream& stream : own) {
      const auto replaced = std::ranges::find_if(
          streams_, [&](const PlacedStream& known) { return known.config.name == stream.config.name; });
      if (replaced == streams_.end())
        streams_.push_back(std::move(stream));
      else
        *replaced = std::move(stream);
    }
    for (const PlacedStream& stream : streams_) {
      loaded_.config.streams.push_back(stream.config);
      loaded_.stream_places.push_back(stream.where);
    }
  }

  [[nodiscard]] const Origin& origin(std::string_view key) const {
    return loaded_.origins[config_key_index(key)];
  }

  [[nodiscard]] std::string environment_value(std::string_view name) const {
    for (const auto& [known, value] : sources_.environment) {
      if (known == name) return value;
    }
    return "";
  }

  void resolve_database() {
    DatabaseConfig& database = loaded_.config.database;
    const Origin& url = origin("database.url");
    const Origin& file = origin("database.url_file");
    if (!database.url.empty() && !database.url_file.empty()) {
      if (url.layer == file.layer)
        return errors_.push_back(fmt::format(
            "{}: database.url and database.url_file are both given; keep one of them.", file.where));
      // The higher layer wins, as for one key.
      if (url.layer > file.layer)
        database.url_file.clear();
      else
        database.url.clear();
    }
    if (!database.url_file.empty()) return read_url_file(database, file.where);
    if (database.url.empty()) database.url = environment_value("DATABASE_URL");
  }

  void read_url_file(DatabaseConfig& database, const std::string& where) {
    std::ifstream file(database.url_file);
    std::getline(file, database.url);
    while (!database.url.empty() && std::isspace(static_cast<unsigned char>(database.url.back())) != 0)
      database.url.pop_back();
    if (database.url.empty())
      errors_.push_back(
          fmt::format("{}: database.url_file = {}: its first line holds no URL, or it cannot be read.", where,
                      quote_toml(database.url_file)));
  }

  void resolve_node_id() {
    std::string& id = loaded_.config.node_id;
    if (!id.empty()) return;
    std::array<char, 256> name{};
    id = gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "wellhead";
  }

  const ConfigSources& sources_;
  LoadedConfig loaded_;
  std::vector<PlacedStream> streams_;
  ConfigErrors errors_;
};

}  // namespace

std::expected<LoadedConfig, ConfigErrors> load_config(const ConfigSources& sources) {
  return Loader(sources).load();
}

std::optional<std::string> choose_config_file(const std::optional<std::string>& flag) {
  if (flag) return flag;
  const char* variable = std::getenv(std::string(config_variable).c_str());
  if (variable != nullptr && *variable != '\0') return variable;
  std::error_code ignored;
  if (std::filesystem::exists(default_config_path, ignored)) return default_config_path;
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace wellhead
