// The table of every key outside [streams.NAME]: the one place that knows a key's name, type, bounds and
// meaning.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "engine/config.hpp"

namespace wellhead {

enum class KeyType : std::uint8_t { text, choice, boolean, integer, duration, size, endpoint };
[[nodiscard]] std::string_view to_string(KeyType type) noexcept;

// The member of a Config a key sets.
using KeySlot =
    std::variant<std::string*, bool*, std::uint32_t*, std::uint64_t*, std::chrono::milliseconds*, Endpoint*>;

struct ConfigKey {
  std::string_view name;  // "section.key"
  KeyType type;
  KeySlot (*slot)(Config&);
  std::int64_t minimum = 0;  // integer; duration in ms; size in bytes
  std::int64_t maximum = 0;
  std::string_view choices = {};  // choice: the words, separated by '|'
  std::string_view help = {};     // a sentence
  bool secret = false;            // never printed, never a flag
};

[[nodiscard]] std::span<const ConfigKey> config_keys();
[[nodiscard]] const ConfigKey* find_config_key(std::string_view name);
// Position in config_keys(). REQUIRES the key to exist.
[[nodiscard]] std::size_t config_key_index(std::string_view name);

// "limits.depth_max" → "WELLHEAD_LIMITS_DEPTH_MAX".
[[nodiscard]] std::string environment_name(std::string_view key);

// Sets the key from its text form. The error says what is wrong with the text.
[[nodiscard]] std::expected<void, std::string> assign(Config& config, const ConfigKey& key,
                                                      std::string_view text);
// The key's value in its text form.
[[nodiscard]] std::string text_of(const Config& config, const ConfigKey& key);
// The key's value as TOML: quoted where TOML wants it.
[[nodiscard]] std::string toml_of(const Config& config, const ConfigKey& key);
// "1 … 4096", "1KiB … 1GiB", "`a`, `b`"; empty where there are none.
[[nodiscard]] std::string bounds_of(const ConfigKey& key);

// The candidate nearest to `word`, if any is near enough to be what was meant.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 std::span<const std::string> candidates);
[[nodiscard]] std::vector<std::string> config_key_names();

}  // namespace wellhead
