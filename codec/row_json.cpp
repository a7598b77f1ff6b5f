#include "codec/row_json.hpp"

#include <bit>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/json_text.hpp"
#include "codec/copy_binary.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {
namespace {

// Takes the fields of a tuple one after the other.
class TupleReader {
 public:
  explicit TupleReader(std::span<const std::byte> tuple) noexcept : rest_(tuple) {
    WELLHEAD_ASSERT(rest_.size() >= copy_binary::tuple_header_bytes);
    field_count_ = copy_binary::get<std::uint16_t>(rest_.data());
    rest_ = rest_.subspan(copy_binary::tuple_header_bytes);
  }
  [[nodiscard]] std::size_t field_count() const noexcept { return field_count_; }

  // False where the field is null.
  [[nodiscard]] bool next(std::span<const std::byte>& value) noexcept {
    WELLHEAD_ASSERT(rest_.size() >= copy_binary::field_header_bytes);
    const auto length = static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(rest_.data()));
    rest_ = rest_.subspan(copy_binary::field_header_bytes);
    const std::size_t bytes = length < 0 ? 0 : static_cast<std::size_t>(length);
    WELLHEAD_ASSERT(bytes <= rest_.size());
    value = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return length != copy_binary::null_length;
  }

 private:
  std::span<const std::byte> rest_;
  std::size_t field_count_ = 0;
};

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Unsigned>
Unsigned number_of(std::span<const std::byte> value) noexcept {
  WELLHEAD_ASSERT(value.size() == sizeof(Unsigned));
  return copy_binary::get<Unsigned>(value.data());
}

template <typename Number>
void append_number(std::string& out, Number number) {
  char digits[32];
  const auto [end, fault] = std::to_chars(digits, digits + sizeof(digits), number);
  WELLHEAD_ASSERT(fault == std::errc{});
  out.append(digits, end);
}

// What turns microseconds into the column's unit, as the exponent of a JSON number.
std::string_view exponent_of(EpochUnit unit) noexcept {
  switch (unit) {
    case EpochUnit::milliseconds:
      return "e-3";
    case EpochUnit::microseconds:
      return "";
    case EpochUnit::nanoseconds:
      return "e3";
    case EpochUnit::by_magnitude:  // takes numbers this far out for seconds
    case EpochUnit::seconds:
      break;
  }
  return "e-6";
}

// RFC 3339 has years of four digits; a record brought moments outside of them as a number, and so they are
// written.
void append_time(std::string& out, std::int64_t time_us, EpochUnit unit) {
  using namespace std::chrono;
  constexpr std::int64_t year_0_us = -63'113'904'000'000'000;      // since 2000-01-01
  constexpr std::int64_t year_10000_us = 252'455'616'000'000'000;  // likewise
  if (time_us < year_0_us || time_us >= year_10000_us) {
    append_number(out, time_us + postgres_epoch_unix_us);
    out += exponent_of(unit);
    return;
  }
  const sys_time<microseconds> moment{microseconds(time_us + postgres_epoch_unix_us)};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss time{moment - day};
  char text[40];
  std::snprintf(text, sizeof(text), "\"%04d-%02u-%02uT%02d:%02d:%02d.%06dZ\"", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  out += text;
}

class RowWriter {
 public:
  explicit RowWriter(const SchemaIndex& index)
      : index_(index), unit_named_(index.unit_columns().size(), false) {}

  void add(const ColumnPlan& plan, std::span<const std::byte> value) {
    const ColumnConfig& column = *plan.config;
    if (column.source != ColumnSource::field) return;  // the node fills it in again
    add_key(column.keys.empty() ? column.name : column.keys.front());
    append_value(plan, value);
    if (plan.unit_slot != no_index) name_unit(plan);
  }

  [[nodiscard]] std::string finish() && {
    out_ += '}';
    return std::move(out_);
  }

 private:
  void add_key(std::string_view key) {
    if (out_.size() > 1) out_ += ',';
    append_json_string(out_, key);
    out_ += ':';
  }

  // Columns that share a unit key are all written in the unit of the first of them.
  [[nodiscard]] const Unit& unit_of_key(const ColumnPlan& plan) const {
    return *index_.plans()[index_.unit_columns()[plan.unit_slot]].unit;
  }

  void name_unit(const ColumnPlan& plan) {
    if (unit_named_[plan.unit_slot]) return;
    unit_named_[plan.unit_slot] = true;
    add_key(plan.config->unit_key);
    append_json_string(out_, unit_of_key(plan).name);
  }

  void append_value(const ColumnPlan& plan, std::span<const std::byte> value) {
    switch (plan.type) {
      case ColumnType::timestamptz:
        return append_time(out_, static_cast<std::int64_t>(number_of<std::uint64_t>(value)),
                           plan.config->epoch);
      case ColumnType::real:
        return append_floating(plan, std::bit_cast<float>(number_of<std::uint32_t>(value)));
      case ColumnType::double_precision:
        return append_floating(plan, std::bit_cast<double>(number_of<std::uint64_t>(value)));
      case ColumnType::integer:
        return append_number(out_, static_cast<std::int32_t>(number_of<std::uint32_t>(value)));
      case ColumnType::bigint:
        return append_number(out_, static_cast<std::int64_t>(number_of<std::uint64_t>(value)));
      case ColumnType::boolean:
        WELLHEAD_ASSERT(value.size() == 1);
        out_ += value.front() != std::byte{0} ? "true" : "false";
        return;
      case ColumnType::jsonb:
        out_ += text_of(value.subspan(sizeof(copy_binary::jsonb_version)));
        return;
      case ColumnType::text:
        return append_json_string(out_, text_of(value));
      case ColumnType::bytea:
      case ColumnType::uuid:
        break;
    }
    WELLHEAD_ASSERT(false && "rows of the node's own streams were never records");
  }

  template <typename Floating>
  void append_floating(const ColumnPlan& plan, Floating number) {
    const Unit* wire = plan.unit_slot == no_index ? plan.input_unit : &unit_of_key(plan);
    if (plan.unit == nullptr || wire->same_scale(*plan.unit))
      append_number(out_, number);
    else
      append_number(out_, convert(number, *plan.unit, *wire));
  }

  const SchemaIndex& index_;
  std::vector<bool> unit_named_;  // by unit slot
  std::string out_ = "{";
};

}  // namespace

std::string row_as_json(const Schema& schema, std::span<const std::byte> tuple) {
  const SchemaIndex& index = schema.lookup();
  TupleReader fields(tuple);
  WELLHEAD_ASSERT(fields.field_count() == index.plans().size());
  RowWriter writer(index);
  for (const ColumnPlan& plan : index.plans()) {
    std::span<const std::byte> value;
    if (fields.next(value)) writer.add(plan, value);
  }
  return std::move(writer).finish();
}

std::string_view tuple_field(std::span<const std::byte> tuple, std::size_t field) noexcept {
  TupleReader fields(tuple);
  WELLHEAD_ASSERT(field < fields.field_count());
  std::span<const std::byte> value;
  for (std::size_t index = 0; index <= field; ++index) (void)fields.next(value);
  return text_of(value);
}

}  // namespace wellhead
