// Telemetry records as JSON, in the shapes that senders give them; the same bytes in every run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wellhead::bench {

inline constexpr std::uint32_t record_count = 1000;
inline constexpr std::uint32_t device_count = 500;
inline constexpr std::int64_t receive_time_us = 767'880'000'000'000;  // 2024-05-01T12:00:00Z

// Keys with their values as JSON, in the order of the record.
using Members = std::vector<std::pair<std::string, std::string>>;
// Changes what is typical; the second argument is the record's number.
using Change = std::function<void(Members&, std::uint32_t)>;

// One record a line, record_count of them.
[[nodiscard]] std::string lines(const Change& change);
// An array of records, each over many lines and indented.
[[nodiscard]] std::string pretty_array();

// Changes for lines().
void as_typical(Members& members, std::uint32_t record);
void shuffle(Members& members, std::uint32_t record);
void add_unknown(Members& members,
                 std::uint32_t record);  // three keys that no column has, one of them nested
void add_unit(Members& members, std::uint32_t record);
void add_escapes(Members& members, std::uint32_t record);  // in the device's name and a further text

[[nodiscard]] std::string device_name(std::uint32_t record);

// With what the decoder and simdjson may read behind the end.
[[nodiscard]] std::string padded(std::string body);

}  // namespace wellhead::bench
