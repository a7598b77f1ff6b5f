#include "engine/attributes_csv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/json_text.hpp"

namespace wellhead {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

std::expected<void, std::string> check_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = utf8_sequence_length(text);
    if (bytes == 0) return std::unexpected("The line is not UTF-8.");
    if (text.front() == '\0') return std::unexpected("The line holds a NUL character.");
    text.remove_prefix(bytes);
  }
  return {};
}

}  // namespace

// --- lines and fields ---

CsvReader::CsvReader(std::string_view text) : text_(text) {
  if (text_.starts_with(byte_order_mark)) text_.remove_prefix(byte_order_mark.size());
}

bool CsvReader::at_line_end() const noexcept {
  return at('\n') || (at('\r') && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
}

void CsvReader::pass_line_end() noexcept {
  if (at('\r')) ++at_;
  if (at('\n')) ++at_;
  ++lines_passed_;
}

void CsvReader::pass_line() noexcept {
  while (at_ < text_.size() && !at('\n')) ++at_;
  pass_line_end();
}

std::string& CsvReader::next_field() {
  if (count_ == fields_.size()) fields_.emplace_back();
  fields_[count_].clear();
  return fields_[count_++];
}

std::expected<bool, std::string> CsvReader::next() {
  while (at_line_end()) pass_line_end();
  if (at_ == text_.size()) return false;
  line_ = lines_passed_ + 1;
  count_ = 0;
  const std::size_t begin = at_;
  if (const auto read = read_fields(); !read) {
    pass_line();
    return std::unexpected(read.error());
  }
  const std::string_view line = text_.substr(begin, at_ - begin);
  pass_line_end();
  if (const auto good = check_text(line); !good) return std::unexpected(good.error());
  return true;
}

std::expected<void, std::string> CsvReader::read_fields() {
  for (;;) {
    std::string& field = next_field();
    if (const auto read = at('"') ? read_quoted(field) : read_plain(field); !read) return read;
    if (at_ == text_.size() || at_line_end()) return {};
    if (!at(',')) return std::unexpected("Something stands between a closing quote and the next comma.");
    ++at_;
  }
}

std::expected<void, std::string> CsvReader::read_quoted(std::string& field) {
  for (++at_; at_ < text_.size(); ++at_) {
    if (at('\n')) ++lines_passed_;
    if (at('"')) {
      ++at_;
      if (!at('"')) return {};
    }
    field += text_[at_];
  }
  return std::unexpected("A field's opening quote is never closed.");
}

std::expected<void, std::string> CsvReader::read_plain(std::string& field) {
  for (; at_ < text_.size() && !at(',') && !at_line_end(); ++at_) {
    if (at('"')) return std::unexpected("A quote stands within a field that does not begin with one.");
    field += text_[at_];
  }
  return {};
}

void append_csv_line(std::string& out, std::span<const std::string_view> fields) {
  bool first = true;
  for (const std::string_view field : fields) {
    if (!std::exchange(first, false)) out += ',';
    out += '"';
    for (const char byte : field) out.append(byte == '"' ? 2 : 1, byte);
    out += '"';
  }
  out += '\n';
}

// --- the table ---

namespace {

class TableReader {
 public:
  TableReader(const StreamConfig& config, std::string_view text, const std::string& file)
      : config_(config), csv_(text), file_(file), builder_(config) {}

  std::expected<AttributesTable, std::vector<std::string>> read() {
    if (!read_header()) return std::unexpected(std::move(mistakes_));
    while (read_line()) {
    }
    if (mistakes_.empty()) return builder_.finish();
    if (untold_ != 0) mistakes_.push_back(fmt::format("{}: There are {} more mistakes.", file_, untold_));
    return std::unexpected(std::move(mistakes_));
  }

 private:
  void mistake(const std::string& sentence) {
    if (mistakes_.size() == attributes_mistakes_told_max)
      ++untold_;
    else
      mistakes_.push_back(fmt::format("{}:{}: {}", file_, csv_.line(), sentence));
  }

  bool read_header() {
    const auto next = csv_.next();
    if (!next || !*next) {
      mistake(next ? "The file is empty; its first line must name its columns." : next.error());
      return false;
    }
    field_count_ = csv_.fields().size();
    find(attributes_device_name(config_), "the device");
    for (const AttributeColumn& column : builder_.columns())
      find(column.attribute, fmt::format("the column \"{}\"", config_.columns[column.column].name));
    return mistakes_.empty();
  }

  void find(const std::string& name, const std::string& purpose) {
    const auto count = std::ranges::count(csv_.fields(), name);
    if (count != 1)
      return mistake(
          fmt::format("The header line has {} column \"{}\", which is wanted for {} of stream \"{}\".",
                      count == 0 ? "no" : "more than one", name, purpose, config_.name));
    positions_.push_back(
        static_cast<std::size_t>(std::ranges::find(csv_.fields(), name) - csv_.fields().begin()));
  }

  bool read_line() {
    const auto next = csv_.next();
    if (next && !*next) return false;
    if (!next) {
      mistake(next.error());
    } else if (csv_.fields().size() != field_count_) {
      mistake(fmt::format("The line has {} fields, and the header line has {}.", csv_.fields().size(),
                          field_count_));
    } else {
      values_.clear();
      for (const std::size_t position : positions_) values_.emplace_back(csv_.fields()[position]);
      if (const auto added = builder_.add(values_.front(), std::span(values_).subspan(1)); !added)
        mistake(added.error());
    }
    return true;
  }

  const StreamConfig& config_;
  CsvReader csv_;
  const std::string& file_;
  AttributesBuilder builder_;
  std::vector<std::size_t> positions_;  // of the device, then of the attributes
  std::size_t field_count_ = 0;
  std::vector<std::string_view> values_;
  std::vector<std::string> mistakes_;
  std::size_t untold_ = 0;
};

std::expected<std::string, std::string> read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.is_open() ? std::streamoff{file.tellg()} : -1;
  if (size < 0) return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
  if (static_cast<std::size_t>(size) > attributes_file_bytes_max)
    return std::unexpected(fmt::format("has {} bytes; {} is the most", size, attributes_file_bytes_max));
  std::string text(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(text.data(), size)) return std::unexpected("cannot be read to its end");
  return text;
}

}  // namespace

std::expected<AttributesTable, std::vector<std::string>> read_attributes(const StreamConfig& config,
                                                                         std::string_view text,
                                                                         const std::string& file) {
  return TableReader(config, text, file).read();
}

std::expected<AttributesTable, std::vector<std::string>> read_attributes_file(const StreamConfig& config) {
  const std::string& path = config.attributes.file;
  const auto text = read_whole(path);
  if (!text)
    return std::unexpected(std::vector{fmt::format("{}: The file with the attributes of stream \"{}\" {}.",
                                                   path, config.name, text.error())});
  return read_attributes(config, *text, path);
}

}  // namespace wellhead
