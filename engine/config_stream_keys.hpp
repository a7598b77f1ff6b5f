// The keys of a stream's tables: each with the way to read its value and to print it.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "codec/schema.hpp"
#include "engine/toml.hpp"

namespace wellhead {

// The error is the end of a sentence that begins with the key.
using KeyOutcome = std::expected<void, std::string>;

template <typename Target>
struct StreamKey {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  KeyOutcome (*read)(const toml::node&, Target&);
  std::string (*print)(const Target&);  // as TOML; empty: not set
};

[[nodiscard]] std::span<const StreamKey<StreamConfig>> stream_keys() noexcept;
[[nodiscard]] std::span<const StreamKey<ColumnConfig>> column_keys() noexcept;
[[nodiscard]] std::span<const StreamKey<ScoringConfig>> scoring_keys() noexcept;
[[nodiscard]] std::span<const StreamKey<AttributesConfig>> attributes_keys() noexcept;

}  // namespace wellhead
