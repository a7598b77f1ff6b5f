// The first line of an NDJSON connection may say who sends: {"producer":"NAME","sequence":N}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wellhead {

// An idempotency key or a producer's name: 1 … 255 visible ASCII characters.
inline constexpr std::size_t retry_name_bytes_max = 255;
[[nodiscard]] bool is_retry_name(std::string_view name) noexcept;

struct ProducerGreeting {
  std::string producer;
  std::optional<std::uint64_t> sequence;  // of the next line, from 1
  std::string_view fault;  // what is wrong with it, a sentence; else empty, and then the rest is good
};

// Nothing when the line is a record. An object that has a member "producer" and no others but "sequence" is a
// greeting, whatever their values; all else is a record.
[[nodiscard]] std::optional<ProducerGreeting> read_greeting(std::string_view line);

}  // namespace wellhead
