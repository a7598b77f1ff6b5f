// A device's attribute: from its text to the slot of its column.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "codec/attributes.hpp"
#include "codec/rejection.hpp"
#include "codec/timestamp.hpp"

namespace wellhead {
namespace {

using Value = std::expected<Slot, std::string>;

Slot slot_of(std::uint64_t bits, std::size_t length) noexcept {
  return {.text = nullptr,
          .bits = bits,
          .length = static_cast<std::int32_t>(length),
          .seen = true,
          .given = true};
}

template <typename Number>
std::expected<Number, std::string> parse(std::string_view text, std::string_view wanted) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return std::unexpected("does not fit the column's type");
  if (error != std::errc() || end != text.data() + text.size())
    return std::unexpected("is not " + std::string(wanted));
  return number;
}

std::expected<void, std::string> check_range(const ColumnConfig& column, double number) {
  if (column.minimum && number < *column.minimum)
    return std::unexpected("is below the column's minimum, " + shown(*column.minimum));
  if (column.maximum && number > *column.maximum)
    return std::unexpected("is above the column's maximum, " + shown(*column.maximum));
  return {};
}

Value read_floating(const ColumnConfig& column, std::string_view text) {
  const auto number = parse<double>(text, "a number");
  if (!number) return std::unexpected(number.error());
  if (!std::isfinite(*number)) return std::unexpected("is not a finite number");
  const bool single = column.type == ColumnType::real;
  if (single && std::abs(*number) > std::numeric_limits<float>::max())
    return std::unexpected("does not fit the column's type");
  const auto stored = static_cast<float>(*number);
  if (const auto ranged = check_range(column, single ? double{stored} : *number); !ranged)
    return std::unexpected(ranged.error());
  if (single) return slot_of(std::bit_cast<std::uint32_t>(stored), sizeof(float));
  return slot_of(std::bit_cast<std::uint64_t>(*number), sizeof(double));
}

template <typename Number, typename Bits>
Value read_integer(const ColumnConfig& column, std::string_view text) {
  const auto number = parse<Number>(text, "a whole number");
  if (!number) return std::unexpected(number.error());
  if (const auto ranged = check_range(column, static_cast<double>(*number)); !ranged)
    return std::unexpected(ranged.error());
  return slot_of(static_cast<Bits>(*number), sizeof(Number));
}

Value read_boolean(std::string_view text) {
  const bool yes = text == "true" || text == "t" || text == "1";
  const bool no = text == "false" || text == "f" || text == "0";
  if (!yes && !no) return std::unexpected("is neither true nor false");
  return slot_of(yes ? 1 : 0, 1);
}

Value read_time(std::string_view text) {
  const auto time_us = parse_rfc3339(text);
  if (!time_us) return std::unexpected("is not a time with its offset, such as 2026-03-01T12:00:00Z");
  return slot_of(static_cast<std::uint64_t>(*time_us), sizeof(std::int64_t));
}

Value read_text(const ColumnConfig& column, std::string_view text) {
  const std::size_t bytes_max = std::min<std::size_t>(column.text_bytes_max, attribute_text_bytes_max);
  if (text.size() > bytes_max)
    return std::unexpected("is longer than " + std::to_string(bytes_max) + " bytes");
  if (text.size() < column.text_bytes_min)
    return std::unexpected("is shorter than " + std::to_string(column.text_bytes_min) + " bytes");
  if (text.find('\0') != std::string_view::npos) return std::unexpected("holds a NUL character");
  if (!column.one_of.empty() && std::ranges::find(column.one_of, text) == column.one_of.end())
    return std::unexpected("is none of the values the column takes");
  return Slot{.text = text.data(),
              .bits = 0,
              .length = static_cast<std::int32_t>(text.size()),
              .seen = true,
              .given = true};
}

}  // namespace

Value read_attribute(const ColumnConfig& column, std::string_view text) {
  switch (column.type) {
    case ColumnType::text:
      return read_text(column, text);
    case ColumnType::real:
    case ColumnType::double_precision:
      return read_floating(column, text);
    case ColumnType::integer:
      return read_integer<std::int32_t, std::uint32_t>(column, text);
    case ColumnType::bigint:
      return read_integer<std::int64_t, std::uint64_t>(column, text);
    case ColumnType::boolean:
      return read_boolean(text);
    case ColumnType::timestamptz:
      return read_time(text);
    case ColumnType::jsonb:
    case ColumnType::bytea:
    case ColumnType::uuid:
      break;
  }
  return std::unexpected("cannot be kept in a column of this type");
}

}  // namespace wellhead
