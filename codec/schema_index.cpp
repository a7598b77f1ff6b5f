#include "codec/schema_index.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"
#include "codec/constant_value.hpp"
#include "codec/quality.hpp"
#include "codec/schema_check.hpp"

namespace wellhead {
namespace {

FieldEncoding encoding_of(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::boolean:
      return FieldEncoding::bits8;
    case ColumnType::real:
    case ColumnType::integer:
      return FieldEncoding::bits32;
    case ColumnType::timestamptz:
    case ColumnType::double_precision:
    case ColumnType::bigint:
      return FieldEncoding::bits64;
    case ColumnType::text:
    case ColumnType::bytea:
    case ColumnType::uuid:
      return FieldEncoding::text;
    case ColumnType::jsonb:
      return FieldEncoding::jsonb;
  }
  WELLHEAD_ASSERT(false && "a column type without an encoding");
}

KeyHead head_of(std::string_view key) noexcept {
  char bytes[KeyHead::bytes] = {};
  std::copy_n(key.data(), std::min(key.size(), KeyHead::bytes), bytes);
  if (key.size() < KeyHead::bytes) bytes[key.size()] = '"';
  return KeyHead::load(bytes);
}

// What stands in a column that no key is read into: NULL, a default, or what a perfect reading has.
Slot blank_slot(const ColumnConfig& column) noexcept {
  Slot slot;
  switch (column.source) {
    case ColumnSource::quality_score:
      slot.bits = std::bit_cast<std::uint32_t>(1.0F);
      slot.length = sizeof(float);
      break;
    case ColumnSource::anomaly:
      slot.length = 1;
      break;
    case ColumnSource::quality_flags:
      slot.length = sizeof(std::int64_t);
      break;
    default:
      if (!column.default_value) break;
      slot.text = column.default_value->data();
      slot.length = static_cast<std::int32_t>(column.default_value->size());
  }
  return slot;
}

// A required column has no NULL to put in a value's place.
OutOfRange effective_rule(const ColumnConfig& column) noexcept {
  const bool has_range = column.minimum || column.maximum;
  if (!has_range || (column.required && column.out_of_range == OutOfRange::null)) return OutOfRange::reject;
  return column.out_of_range;
}

}  // namespace

KeyEntry::KeyEntry(std::string_view key) : text(key), head(head_of(key)) {
  WELLHEAD_ASSERT(!key.empty() && key.size() <= key_bytes_max);
  char ones[KeyHead::bytes] = {};
  std::fill_n(ones, std::min(key.size() + 1, KeyHead::bytes), '\xFF');
  mask = KeyHead::load(ones);
}

SchemaIndex::SchemaIndex(const StreamConfig& config) {
  for (const ColumnConfig& column : config.columns) {
    const auto index = static_cast<std::uint16_t>(plans_.size());
    if (column.name == config.device_column) device_column_ = index;
    if (column.name == config.time_column) time_column_ = index;
    add_column(column);
  }
  WELLHEAD_ASSERT(device_column_ != no_index && time_column_ != no_index);
  build_table();
}

void SchemaIndex::add_column(const ColumnConfig& column) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto index = static_cast<std::uint16_t>(plans_.size());
  const Unit* const unit = column.unit.empty() ? nullptr : find_unit(column.unit);
  const Unit* const input_unit = column.input_unit.empty() ? unit : find_unit(column.input_unit);
  const std::uint16_t unit_slot = column.unit_key.empty() ? no_index : add_unit_key(column.unit_key, index);
  const bool converts = unit != nullptr && (unit_slot != no_index || !unit->same_scale(*input_unit));
  plans_.push_back({.type = column.type,
                    .encoding = encoding_of(column.type),
                    .plain_real = column.type == ColumnType::real && !converts,
                    .converts = converts,
                    .column = index,
                    .unit_slot = unit_slot,
                    .unit = unit,
                    .input_unit = input_unit,
                    .minimum = column.minimum.value_or(-infinity),
                    .maximum = column.maximum.value_or(infinity),
                    .out_of_range = effective_rule(column),
                    .scored = scored_bit(column, index),
                    .config = &column});
  blank_.push_back(blank_slot(column));
  if (converts) converted_.push_back(index);
  if (column.required) required_.push_back(index);
  note_source(column, index);
  if (column.source != ColumnSource::field) return;
  if (column.keys.empty()) key_entry(column.name).column = index;
  for (const std::string& key : column.keys) key_entry(key).column = index;
}

void SchemaIndex::note_source(const ColumnConfig& column, std::uint16_t index) {
  if (column.source == ColumnSource::receive_time) receive_times_.push_back(index);
  if (column.source == ColumnSource::sender) senders_.push_back(index);
  if (column.source == ColumnSource::quality_score) quality_score_column_ = index;
  if (column.source == ColumnSource::quality_flags) quality_flags_column_ = index;
}

std::uint16_t SchemaIndex::scored_bit(const ColumnConfig& column, std::uint16_t index) {
  if (!column.scored) return 0;
  WELLHEAD_ASSERT(scored_count_ < scored_fields_max);
  const auto bit = static_cast<std::uint16_t>(1U << scored_count_++);
  if (column.primary) primaries_.push_back({.column = index, .scored = bit});
  return bit;
}

std::expected<void, std::string> SchemaIndex::read_constants(const StreamConfig& config) {
  for (const ColumnPlan& plan : plans_) {
    if (plan.config->source != ColumnSource::constant) continue;
    auto slot = read_constant(plan, constants_.emplace_back());
    if (!slot) return std::unexpected(column_subject(config, *plan.config) + slot.error());
    blank_[plan.column] = *slot;
  }
  return {};
}

std::uint16_t SchemaIndex::add_unit_key(const std::string& key, std::uint16_t column) {
  KeyEntry& entry = key_entry(key);
  if (entry.unit_slot == no_index) {
    entry.unit_slot = static_cast<std::uint16_t>(unit_columns_.size());
    unit_columns_.push_back(column);
  }
  return entry.unit_slot;
}

KeyEntry& SchemaIndex::key_entry(std::string_view key) {
  const auto found = std::ranges::find(keys_, key, &KeyEntry::text);
  if (found != keys_.end()) return *found;
  WELLHEAD_ASSERT(keys_.size() < no_index);
  return keys_.emplace_back(key);
}

void SchemaIndex::build_table() {
  table_.assign(std::bit_ceil(keys_.size() * 2), no_index);
  for (std::size_t index = 0; index < keys_.size(); ++index) {
    std::size_t probe = keys_[index].head.hash() & (table_.size() - 1);
    while (table_[probe] != no_index) probe = (probe + 1) & (table_.size() - 1);
    table_[probe] = static_cast<std::uint16_t>(index);
  }
}

std::uint16_t SchemaIndex::find(std::string_view key) const noexcept {
  std::size_t probe = head_of(key).hash() & (table_.size() - 1);
  while (table_[probe] != no_index && keys_[table_[probe]].text != key)
    probe = (probe + 1) & (table_.size() - 1);
  return table_[probe];
}

}  // namespace wellhead
