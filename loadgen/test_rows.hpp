// Synthetic database rows for tests.
#pragma once

#include <bit>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "loadgen/copy_binary.hpp"

namespace wellhead::loadgen {

inline std::string big_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t index = bytes; index-- > 0;) text += static_cast<char>(value >> (8 * index));
  return text;
}

// A row that owns its fields.
class TestRow {
 public:
  TestRow() = default;
  TestRow(const TestRow&) = delete;
  TestRow& operator=(const TestRow&) = delete;

  TestRow& text(std::string_view value) { return raw(std::string(value)); }
  TestRow& real(double value) {
    return raw(big_endian(std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4));
  }
  TestRow& bigint(std::int64_t value) { return raw(big_endian(static_cast<std::uint64_t>(value), 8)); }
  TestRow& null() {
    row_.add(std::nullopt);
    return *this;
  }
  [[nodiscard]] const CopyRow& row() const noexcept { return row_; }

 private:
  TestRow& raw(std::string bytes) {
    row_.add(fields_.emplace_back(std::move(bytes)));
    return *this;
  }

  std::deque<std::string> fields_;
  CopyRow row_;
};

}  // namespace wellhead::loadgen
