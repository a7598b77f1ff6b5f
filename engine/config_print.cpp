// The configuration as text: what is in force, and the reference.
#include <fmt/format.h>

#include <string>

#include "engine/config.hpp"
#include "engine/config_keys.hpp"
#include "engine/config_streams.hpp"

namespace wellhead {
namespace {

std::string_view section_of(std::string_view key) {
  return key.substr(0, key.find('.'));
}
std::string_view name_in_section(std::string_view key) {
  return key.substr(key.find('.') + 1);
}

std::string print_key(const LoadedConfig& loaded, const ConfigKey& key, const Origin& origin) {
  const std::string_view name = name_in_section(key.name);
  if (key.secret)
    return fmt::format("# {} is {}\n", name,
                       text_of(loaded.config, key).empty() ? "not set" : "set, and not shown");
  return fmt::format("{} = {}  # {}\n", name, toml_of(loaded.config, key), origin.where);
}

std::string reference_row(const ConfigKey& key, const Config& defaults) {
  const std::string shown = toml_of(defaults, key);
  return fmt::format("| `{}` | {} | `{}` | {} | `{}` | {} |\n", key.name, to_string(key.type), shown,
                     bounds_of(key), environment_name(key.name), key.help);
}

std::string stream_reference(std::string_view heading, std::span<const StreamKeyDescription> keys) {
  std::string text =
      fmt::format("\n### {}\n\n| key | type | default | meaning |\n|---|---|---|---|\n", heading);
  for (const StreamKeyDescription& key : keys) {
    const std::string shown = key.default_text.empty() ? "" : "`" + key.default_text + "`";
    text += fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.type, shown, key.help);
  }
  return text;
}

}  // namespace

std::string print_config(const LoadedConfig& loaded) {
  std::string text;
  std::string_view section;
  for (std::size_t index = 0; index < config_keys().size(); ++index) {
    const ConfigKey& key = config_keys()[index];
    if (section_of(key.name) != section) {
      section = section_of(key.name);
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += print_key(loaded, key, loaded.origins[index]);
  }
  return text + print_streams(loaded.config);
}

std::string print_streams(const Config& config) {
  std::string text;
  for (const StreamConfig& stream : config.streams) text += "\n" + print_stream(stream);
  return text;
}

std::string print_reference() {
  const Config defaults;
  std::string text;
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    if (section_of(key.name) != section) {
      section = section_of(key.name);
      text += fmt::format(
          "{}### [{}]\n\n| key | type | default | bounds | environment | meaning "
          "|\n|---|---|---|---|---|---|\n",
          text.empty() ? "" : "\n", section);
    }
    text += reference_row(key, defaults);
  }
  text += stream_reference("[streams.NAME]", stream_key_descriptions());
  text += stream_reference("[[streams.NAME.columns]]", column_key_descriptions());
  text += stream_reference("[streams.NAME.scoring]", scoring_key_descriptions());
  text += stream_reference("[streams.NAME.attributes]", attributes_key_descriptions());
  return text;
}

}  // namespace wellhead
