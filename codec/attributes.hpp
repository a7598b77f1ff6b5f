// Attributes of devices: what is known of a device by itself (its site, its pump's model), copied into the
// rows of its readings.
//
// In:  texts, as a file or a query gives them, one row a device (AttributesBuilder). Out: an immutable table
// from which the decoder copies ready slots (DeviceAttributes), found by the hash it computes of the device
// anyway and compared by text.
//
// Memory: 16 bytes a device and its name, 4 bytes for each of its attributes, 8 to 16 bytes of index; a value
// is kept once, however many devices have it (its text and 24 bytes). A million devices of 16 bytes with four
// attributes each, few of them different, take about 60 MB. Building takes some more, until it is finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "codec/schema.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {

inline constexpr std::size_t attributes_devices_max = 1'000'000;
inline constexpr std::size_t attribute_device_bytes_max = 1024;
inline constexpr std::size_t attribute_text_bytes_max = 1024;  // and the column's text_bytes_max
static_assert(attributes_devices_max * attribute_device_bytes_max <= UINT32_MAX,
              "places of names have 32 bits");

// A column and the attribute it holds.
struct AttributeColumn {
  std::string attribute;
  std::uint16_t column;  // position in Schema::columns()
};
// The stream's columns that hold attributes, in their order.
[[nodiscard]] std::vector<AttributeColumn> attribute_columns(const StreamConfig& config);
// The name of the file's or query's column that names the device.
[[nodiscard]] const std::string& attributes_device_name(const StreamConfig& config);
[[nodiscard]] bool has_attributes(const StreamConfig& config) noexcept;
// Whether a table that was built for the one is right for the other as well.
[[nodiscard]] bool same_attribute_columns(const StreamConfig& one, const StreamConfig& other);

// The value of a column as its text says it; what the slot points to lies in `text`. Numbers are decimal,
// times RFC 3339, booleans true, false, t, f, 1 or 0. The error is the end of a sentence whose subject is the
// text, e.g. "is not a number".
[[nodiscard]] std::expected<Slot, std::string> read_attribute(const ColumnConfig& column,
                                                              std::string_view text);

// Immutable; any number of threads.
class DeviceAttributes {
 public:
  // Without any device: each is unknown.
  DeviceAttributes() = default;
  DeviceAttributes(const DeviceAttributes&) = delete;
  DeviceAttributes& operator=(const DeviceAttributes&) = delete;

  // Copies what is known of the device into the slots of its columns; those of attributes it does not have
  // stay as they are. False, and no slot touched, for a device that is not here. `hash`: XXH3-64 of `device`;
  // `slots`: one a column of the stream. The slots point into the table.
  [[nodiscard]] bool fill(std::uint64_t hash, std::string_view device, std::span<Slot> slots) const noexcept;

  [[nodiscard]] std::size_t devices() const noexcept { return devices_.size(); }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  friend class AttributesBuilder;

  struct Device {
    std::uint64_t hash;
    std::uint32_t name_offset;  // in names_
    std::uint32_t name_bytes;
  };
  // The different values of one column.
  struct Values {
    std::uint16_t column;
    std::vector<Slot> slots;  // 0 stands for none
    std::deque<std::string> texts;
    std::size_t text_bytes = 0;
  };

  [[nodiscard]] std::uint32_t find(std::uint64_t hash, std::string_view device) const noexcept;
  [[nodiscard]] std::string_view name_of(const Device& device) const noexcept {
    return std::string_view(names_).substr(device.name_offset, device.name_bytes);
  }
  void place(std::uint32_t device) noexcept;
  void grow();

  std::vector<Device> devices_;
  std::string names_;
  std::vector<std::uint32_t> values_;  // by device, then by column: position in Values::slots
  std::vector<Values> columns_;
  std::vector<std::uint32_t> table_;  // open addressing, at most half full: position in devices_, or none
};

// One thread.
class AttributesBuilder {
 public:
  explicit AttributesBuilder(const StreamConfig& config);

  // Attributes wanted, in this order.
  [[nodiscard]] const std::vector<AttributeColumn>& columns() const noexcept { return wanted_; }
  // `values`: one for each of columns(); an empty text is none. The error is a sentence; the device is then
  // not added.
  [[nodiscard]] std::expected<void, std::string> add(std::string_view device,
                                                     std::span<const std::string_view> values);
  [[nodiscard]] std::shared_ptr<const DeviceAttributes> finish();

 private:
  using Known = std::unordered_map<std::string_view, std::uint32_t>;  // views of Source::texts

  [[nodiscard]] std::expected<std::uint32_t, std::string> value_of(std::size_t column, std::string_view text);

  std::vector<ColumnConfig> configs_;  // by position in wanted_
  std::vector<AttributeColumn> wanted_;
  std::vector<Known> known_;
  std::unique_ptr<DeviceAttributes> table_;
};

}  // namespace wellhead
