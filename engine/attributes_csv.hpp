// Attributes of devices as CSV (RFC 4180): a header line that names the columns, one line a device, UTF-8.
// Columns nobody asks for are passed over; an empty field is no value.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/attributes.hpp"

namespace wellhead {

// Larger files are refused: they are read into memory.
inline constexpr std::size_t attributes_file_bytes_max = std::size_t{1} << 30;
// Mistakes of one file that are told one by one; of the others there is only their number.
inline constexpr std::size_t attributes_mistakes_told_max = 20;

using AttributesTable = std::shared_ptr<const DeviceAttributes>;

// Goes through a CSV text line by line.
class CsvReader {
 public:
  // `text` outlives the reader. A byte order mark is passed over.
  explicit CsvReader(std::string_view text);

  // Reads the next line that is not empty; false at the end. The error is a sentence; the reader goes on with
  // the line behind.
  [[nodiscard]] std::expected<bool, std::string> next();
  // Of the line read last, until the next one.
  [[nodiscard]] std::span<const std::string> fields() const noexcept { return {fields_.data(), count_}; }
  // Its number, from 1; of its first one, where a field in quotes goes over several.
  [[nodiscard]] std::size_t line() const noexcept { return line_; }

 private:
  [[nodiscard]] bool at(char byte) const noexcept { return at_ < text_.size() && text_[at_] == byte; }
  [[nodiscard]] bool at_line_end() const noexcept;
  void pass_line_end() noexcept;
  void pass_line() noexcept;
  std::string& next_field();
  [[nodiscard]] std::expected<void, std::string> read_fields();
  [[nodiscard]] std::expected<void, std::string> read_quoted(std::string& field);
  [[nodiscard]] std::expected<void, std::string> read_plain(std::string& field);

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t lines_passed_ = 0;
  std::size_t line_ = 0;
  std::vector<std::string> fields_;  // kept for their memory; the first count_ count
  std::size_t count_ = 0;
};

// The table in `text`; `file` is what its mistakes are named by, each a sentence such as
// `devices.csv:7: The device "well-7" is here a second time.`.
[[nodiscard]] std::expected<AttributesTable, std::vector<std::string>> read_attributes(
    const StreamConfig& config, std::string_view text, const std::string& file);
// The same of the stream's file.
[[nodiscard]] std::expected<AttributesTable, std::vector<std::string>> read_attributes_file(
    const StreamConfig& config);

// Appends one line as CsvReader reads it back.
void append_csv_line(std::string& out, std::span<const std::string_view> fields);

}  // namespace wellhead
