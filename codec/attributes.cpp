#include "codec/attributes.hpp"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/assert.hpp"
#include "codec/rejection.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t no_device = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t table_size_min = 16;

}  // namespace

const std::string& attributes_device_name(const StreamConfig& config) {
  return config.attributes.device_column.empty() ? config.device_column : config.attributes.device_column;
}

bool has_attributes(const StreamConfig& config) noexcept {
  return !config.attributes.file.empty() || !config.attributes.query.empty();
}

std::vector<AttributeColumn> attribute_columns(const StreamConfig& config) {
  std::vector<AttributeColumn> columns;
  for (std::size_t index = 0; index < config.columns.size(); ++index) {
    const ColumnConfig& column = config.columns[index];
    if (column.source != ColumnSource::attribute) continue;
    columns.push_back(
        {column.attribute.empty() ? column.name : column.attribute, static_cast<std::uint16_t>(index)});
  }
  return columns;
}

bool same_attribute_columns(const StreamConfig& one, const StreamConfig& other) {
  const auto rule = [](const ColumnConfig& column) {
    return std::tie(column.type, column.minimum, column.maximum, column.text_bytes_min, column.text_bytes_max,
                    column.one_of);
  };
  const std::vector<AttributeColumn> first = attribute_columns(one);
  const std::vector<AttributeColumn> second = attribute_columns(other);
  return std::ranges::equal(first, second, [&](const AttributeColumn& left, const AttributeColumn& right) {
    return left.attribute == right.attribute && left.column == right.column &&
           rule(one.columns[left.column]) == rule(other.columns[right.column]);
  });
}

// --- the table ---

std::uint32_t DeviceAttributes::find(std::uint64_t hash, std::string_view device) const noexcept {
  if (table_.empty()) return no_device;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t probe = hash & mask;; probe = (probe + 1) & mask) {
    const std::uint32_t found = table_[probe];
    if (found == no_device) return no_device;
    if (devices_[found].hash == hash && name_of(devices_[found]) == device) return found;
  }
}

bool DeviceAttributes::fill(std::uint64_t hash, std::string_view device,
                            std::span<Slot> slots) const noexcept {
  const std::uint32_t found = find(hash, device);
  if (found == no_device) return false;
  const std::uint32_t* value = values_.data() + std::size_t{found} * columns_.size();
  for (const Values& column : columns_) {
    if (*value != 0) slots[column.column] = column.slots[*value];
    ++value;
  }
  return true;
}

std::size_t DeviceAttributes::memory_bytes() const noexcept {
  std::size_t bytes = devices_.capacity() * sizeof(Device) + names_.capacity() +
                      (values_.capacity() + table_.capacity()) * sizeof(std::uint32_t);
  for (const Values& column : columns_) {
    bytes += column.slots.capacity() * sizeof(Slot) + column.texts.size() * sizeof(std::string);
    bytes += column.text_bytes;
  }
  return bytes;
}

void DeviceAttributes::place(std::uint32_t device) noexcept {
  const std::size_t mask = table_.size() - 1;
  std::size_t probe = devices_[device].hash & mask;
  while (table_[probe] != no_device) probe = (probe + 1) & mask;
  table_[probe] = device;
}

void DeviceAttributes::grow() {
  table_.assign(std::max(table_size_min, table_.size() * 2), no_device);
  for (std::uint32_t device = 0; device < devices_.size(); ++device) place(device);
}

// --- building it ---

AttributesBuilder::AttributesBuilder(const StreamConfig& config)
    : wanted_(attribute_columns(config)),
      known_(wanted_.size()),
      table_(std::make_unique<DeviceAttributes>()) {
  for (const AttributeColumn& wanted : wanted_) {
    configs_.push_back(config.columns[wanted.column]);
    table_->columns_.push_back({.column = wanted.column, .slots = {Slot{}}, .texts = {}});
  }
}

std::expected<void, std::string> AttributesBuilder::add(std::string_view device,
                                                        std::span<const std::string_view> values) {
  WELLHEAD_ASSERT(values.size() == wanted_.size());
  DeviceAttributes& table = *table_;
  if (device.empty()) return std::unexpected("The device has no name.");
  if (device.size() > attribute_device_bytes_max)
    return std::unexpected("The device's name " + in_quotes(device) + " is longer than " +
                           std::to_string(attribute_device_bytes_max) + " bytes.");
  if (table.devices_.size() == attributes_devices_max)
    return std::unexpected("There are more than " + std::to_string(attributes_devices_max) +
                           " devices, the most that are kept.");
  const std::uint64_t hash = XXH3_64bits(device.data(), device.size());
  if (table.find(hash, device) != no_device)
    return std::unexpected("The device " + in_quotes(device) + " is here a second time.");
  const std::size_t first = table.values_.size();
  for (std::size_t column = 0; column < values.size(); ++column) {
    const auto value = value_of(column, values[column]);
    if (!value) {
      table.values_.resize(first);
      return std::unexpected(value.error());
    }
    table.values_.push_back(*value);
  }
  if (table.table_.size() < (table.devices_.size() + 1) * 2) table.grow();
  table.devices_.push_back({.hash = hash,
                            .name_offset = static_cast<std::uint32_t>(table.names_.size()),
                            .name_bytes = static_cast<std::uint32_t>(device.size())});
  table.names_ += device;
  table.place(static_cast<std::uint32_t>(table.devices_.size() - 1));
  return {};
}

std::expected<std::uint32_t, std::string> AttributesBuilder::value_of(std::size_t column,
                                                                      std::string_view text) {
  if (text.empty()) return 0;
  Known& known = known_[column];
  if (const auto found = known.find(text); found != known.end()) return found->second;
  DeviceAttributes::Values& values = table_->columns_[column];
  const std::string& kept = values.texts.emplace_back(text);
  const auto slot = read_attribute(configs_[column], kept);
  if (!slot) {
    values.texts.pop_back();
    return std::unexpected("The attribute " + in_quotes(wanted_[column].attribute) + " = " + in_quotes(text) +
                           " " + slot.error() + "; it goes into the " +
                           std::string(to_string(configs_[column].type)) + " column " +
                           in_quotes(configs_[column].name) + ".");
  }
  values.text_bytes += text.size();
  values.slots.push_back(*slot);
  const auto number = static_cast<std::uint32_t>(values.slots.size() - 1);
  known.emplace(kept, number);
  return number;
}

std::shared_ptr<const DeviceAttributes> AttributesBuilder::finish() {
  known_.clear();
  for (DeviceAttributes::Values& column : table_->columns_) {
    column.slots.shrink_to_fit();
    // Texts are kept where slots point to them only.
    const bool points =
        std::ranges::any_of(column.slots, [](const Slot& slot) { return slot.text != nullptr; });
    if (points) continue;
    column.texts.clear();
    column.text_bytes = 0;
  }
  table_->devices_.shrink_to_fit();
  table_->names_.shrink_to_fit();
  table_->values_.shrink_to_fit();
  return std::move(table_);
}

}  // namespace wellhead
