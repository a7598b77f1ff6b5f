// What the tests of scoring share: streams of a few scored fields, and rows of them made by hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "codec/sorted_row.hpp"

namespace wellhead::test {

inline constexpr std::int64_t second_us = 1'000'000;
// 2026-01-01 00:00 UTC, microseconds since 2000-01-01.
inline constexpr std::int64_t start_us = 820'540'800'000'000;

// device, time, `fields` columns of type real that are scored and called f0, f1, …, and the computed columns.
[[nodiscard]] StreamConfig watched_stream(std::uint32_t fields);
[[nodiscard]] SchemaPointer compile(StreamConfig config, std::uint16_t index = 0);

using Values = std::vector<std::optional<float>>;

// Rows in memory of their own that stays where it is; gives them in the sink's order.
class Rows {
 public:
  // `hash`: of the device; 0: one made of its text.
  RowHeader& add(std::string_view device, std::int64_t time_us, const Values& values, std::uint64_t hash = 0);
  void clear() { memory_.clear(); }

  [[nodiscard]] std::vector<SortedRow> sorted() const;
  [[nodiscard]] std::size_t size() const { return memory_.size(); }
  [[nodiscard]] const RowHeader& header(std::size_t row) const;

 private:
  struct Memory {
    std::string device;
    std::vector<std::uint64_t> words;
  };
  std::vector<Memory> memory_;
};

// What score() wrote into a row.
struct Computed {
  float score;
  bool anomaly;
  std::uint64_t flags;

  bool operator==(const Computed&) const = default;
};
[[nodiscard]] Computed computed_of(const RowHeader& row);

}  // namespace wellhead::test
