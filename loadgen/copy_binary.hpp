// PostgreSQL's COPY BINARY stream, read back (PostgreSQL documentation, "COPY", "Binary Format").
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead::loadgen {

// One row; its fields point into the parser's input and live until the next one.
class CopyRow {
 public:
  using Field = std::optional<std::string_view>;  // empty: NULL

  void clear() noexcept { fields_.clear(); }
  void add(Field field) { fields_.push_back(field); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
  [[nodiscard]] bool is_null(std::size_t column) const noexcept { return !fields_[column]; }
  // The field's bytes as text; empty for NULL.
  [[nodiscard]] std::string_view text(std::size_t column) const noexcept;
  // Empty when NULL or of another size. integer() takes int2, int4, int8 and timestamptz (as PostgreSQL
  // counts it).
  [[nodiscard]] std::optional<std::int64_t> integer(std::size_t column) const noexcept;
  // float4 and float8.
  [[nodiscard]] std::optional<double> number(std::size_t column) const noexcept;
  // Whether the field is the float4 or float8 that `value` becomes when it is stored.
  [[nodiscard]] bool equals_number(std::size_t column, double value) const noexcept;

 private:
  std::vector<Field> fields_;
};

class CopyRowVisitor {
 public:
  virtual ~CopyRowVisitor() = default;
  virtual void on_row(const CopyRow& row) = 0;
};

// Fed with the stream in pieces of any size.
class CopyBinaryParser {
 public:
  // The error is a sentence: the stream is not COPY BINARY.
  [[nodiscard]] std::expected<void, std::string> feed(std::string_view bytes, CopyRowVisitor& visitor);
  // Whether the stream's trailer was seen.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

 private:
  // Bytes taken from the front of `bytes`; 0 when it holds no whole item.
  [[nodiscard]] std::expected<std::size_t, std::string> take_header(std::string_view bytes);
  [[nodiscard]] std::expected<std::size_t, std::string> take_row(std::string_view bytes,
                                                                 CopyRowVisitor& visitor);

  std::string rest_;  // an item that was cut
  CopyRow row_;
  bool header_seen_ = false;
  bool complete_ = false;
};

}  // namespace wellhead::loadgen
