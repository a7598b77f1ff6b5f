#include "loadgen/copy_binary.hpp"

#include <bit>
#include <utility>

namespace wellhead::loadgen {
namespace {

constexpr std::string_view signature{"PGCOPY\n\377\r\n\0", 11};
constexpr std::size_t header_bytes = signature.size() + 8;  // flags, length of the extension

// The number at the front of `bytes`. REQUIRES at least its size of them.
template <typename Unsigned>
Unsigned read_big_endian(std::string_view bytes) noexcept {
  Unsigned value{};
  for (const char byte : bytes.substr(0, sizeof(Unsigned))) {
    value = static_cast<Unsigned>(static_cast<std::uint64_t>(value) << 8U) | static_cast<unsigned char>(byte);
  }
  return value;
}

}  // namespace

std::string_view CopyRow::text(std::size_t column) const noexcept {
  return fields_[column].value_or(std::string_view{});
}

std::optional<std::int64_t> CopyRow::integer(std::size_t column) const noexcept {
  const std::string_view bytes = text(column);
  switch (bytes.size()) {
    case 2:
      return static_cast<std::int16_t>(read_big_endian<std::uint16_t>(bytes));
    case 4:
      return static_cast<std::int32_t>(read_big_endian<std::uint32_t>(bytes));
    case 8:
      return static_cast<std::int64_t>(read_big_endian<std::uint64_t>(bytes));
    default:
      return std::nullopt;
  }
}

std::optional<double> CopyRow::number(std::size_t column) const noexcept {
  const std::string_view bytes = text(column);
  switch (bytes.size()) {
    case 4:
      return std::bit_cast<float>(read_big_endian<std::uint32_t>(bytes));
    case 8:
      return std::bit_cast<double>(read_big_endian<std::uint64_t>(bytes));
    default:
      return std::nullopt;
  }
}

bool CopyRow::equals_number(std::size_t column, double value) const noexcept {
  const std::optional<double> stored = number(column);
  if (!stored) return false;
  const double expected = text(column).size() == 4 ? static_cast<double>(static_cast<float>(value)) : value;
  return std::bit_cast<std::uint64_t>(*stored) == std::bit_cast<std::uint64_t>(expected);
}

std::expected<std::size_t, std::string> CopyBinaryParser::take_header(std::string_view bytes) {
  if (bytes.size() < header_bytes) return 0;
  if (!bytes.starts_with(signature)) {
    return std::unexpected("the database's answer is not a COPY BINARY stream: nothing was verified");
  }
  const auto extension_bytes = read_big_endian<std::uint32_t>(bytes.substr(header_bytes - 4));
  if (bytes.size() - header_bytes < extension_bytes) return 0;
  header_seen_ = true;
  return header_bytes + extension_bytes;
}

std::expected<std::size_t, std::string> CopyBinaryParser::take_row(std::string_view bytes,
                                                                   CopyRowVisitor& visitor) {
  if (bytes.size() < 2) return 0;
  const auto fields = static_cast<std::int16_t>(read_big_endian<std::uint16_t>(bytes));
  std::size_t position = 2;
  if (fields < 0) {
    complete_ = true;
    return position;
  }
  row_.clear();
  for (std::int16_t index = 0; index < fields; ++index) {
    if (bytes.size() - position < 4) return 0;
    const auto length = static_cast<std::int32_t>(read_big_endian<std::uint32_t>(bytes.substr(position)));
    position += 4;
    if (length < -1)
      return std::unexpected("the database's COPY BINARY stream has a field of negative length");
    if (length == -1) {
      row_.add(std::nullopt);
      continue;
    }
    const auto size = static_cast<std::size_t>(length);
    if (bytes.size() - position < size) return 0;
    row_.add(bytes.substr(position, size));
    position += size;
  }
  visitor.on_row(row_);
  return position;
}

std::expected<void, std::string> CopyBinaryParser::feed(std::string_view bytes, CopyRowVisitor& visitor) {
  if (!rest_.empty()) {
    rest_ += bytes;
    bytes = rest_;
  }
  while (!complete_ && !bytes.empty()) {
    auto taken = header_seen_ ? take_row(bytes, visitor) : take_header(bytes);
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken == 0) break;
    bytes.remove_prefix(*taken);
  }
  std::string cut(bytes);  // before rest_ changes: `bytes` may point into it
  rest_ = std::move(cut);
  return {};
}

}  // namespace wellhead::loadgen
