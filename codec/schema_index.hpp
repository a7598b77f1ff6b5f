// A schema in the decoder's form: plans for columns, slots for their values, and the lookup from JSON key to
// slot.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "codec/units.hpp"

namespace wellhead {

inline constexpr std::uint16_t no_index = std::numeric_limits<std::uint16_t>::max();

// How a slot's value is laid out in the tuple.
enum class FieldEncoding : std::uint8_t { bits8, bits32, bits64, text, jsonb };

// One column's value on its way into a tuple. Numbers, times and booleans wait as the bits PostgreSQL wants,
// before the swap to big-endian; texts as a place in the record or in the decoder's scratch memory.
struct Slot {
  const char* text = nullptr;
  std::uint64_t bits = 0;
  std::int32_t length = -1;  // of the field in the tuple; -1: null
  bool seen = false;         // the record has a key for it
  bool given = false;        // and its value is not null
};

struct ColumnPlan {
  ColumnType type;
  FieldEncoding encoding;
  bool converts;            // its value waits for the record's end: the unit may follow it
  std::uint16_t column;     // index in Schema::columns(), and of its slot
  std::uint16_t unit_slot;  // which unit key names its unit; no_index: none
  const Unit* unit;         // null: none
  const Unit* input_unit;
  double minimum, maximum;  // infinite where there is none
  const ColumnConfig* config;
};

// One JSON key: what it is read into, either a column or a unit's name.
struct KeyEntry {
  // The first bytes of the key and its closing quote, for a comparison in place by two loads.
  static constexpr std::size_t head_bytes = 16;

  std::string text;
  std::uint64_t head[2] = {0, 0};
  std::uint64_t head_mask[2] = {0, 0};
  std::uint16_t column = no_index;
  std::uint16_t unit_slot = no_index;

  explicit KeyEntry(std::string_view key);

  // Whether a key starts at `raw` (behind its opening quote) that is this one, written without escapes. Reads
  // up to key_bytes_max + 1 bytes, at least head_bytes.
  [[nodiscard]] bool matches(const char* raw) const noexcept {
    std::uint64_t loaded[2];
    std::memcpy(loaded, raw, sizeof(loaded));
    if (((loaded[0] ^ head[0]) & head_mask[0]) != 0 || ((loaded[1] ^ head[1]) & head_mask[1]) != 0)
      return false;
    if (text.size() < head_bytes) return true;
    return std::memcmp(raw + head_bytes, text.data() + head_bytes, text.size() - head_bytes) == 0 &&
           raw[text.size()] == '"';
  }
};

// Immutable. Points into the StreamConfig of the schema that owns it.
class SchemaIndex {
 public:
  // REQUIRES a config that Schema::compile() has checked.
  explicit SchemaIndex(const StreamConfig& config);

  [[nodiscard]] const std::vector<ColumnPlan>& plans() const noexcept { return plans_; }
  [[nodiscard]] const std::vector<KeyEntry>& keys() const noexcept { return keys_; }
  // The index in keys(), or no_index.
  [[nodiscard]] std::uint16_t find(std::string_view key) const noexcept;

  // A record's slots before its first field: nulls and default values.
  [[nodiscard]] const std::vector<Slot>& blank() const noexcept { return blank_; }
  [[nodiscard]] const std::vector<std::uint16_t>& required() const noexcept { return required_; }
  [[nodiscard]] const std::vector<std::uint16_t>& receive_times() const noexcept { return receive_times_; }
  [[nodiscard]] const std::vector<std::uint16_t>& converted() const noexcept { return converted_; }
  // The first column each unit key serves: the one its errors name.
  [[nodiscard]] const std::vector<std::uint16_t>& unit_columns() const noexcept { return unit_columns_; }
  [[nodiscard]] std::uint16_t device_column() const noexcept { return device_column_; }
  [[nodiscard]] std::uint16_t time_column() const noexcept { return time_column_; }

 private:
  void add_column(const ColumnConfig& column);
  std::uint16_t add_unit_key(const std::string& key, std::uint16_t column);
  KeyEntry& key_entry(std::string_view key);
  void build_table();

  std::vector<ColumnPlan> plans_;
  std::vector<KeyEntry> keys_;
  std::vector<std::uint16_t> table_;  // open addressing, at most half full: index in keys_, or no_index
  std::vector<Slot> blank_;
  std::vector<std::uint16_t> required_;
  std::vector<std::uint16_t> receive_times_;
  std::vector<std::uint16_t> converted_;
  std::vector<std::uint16_t> unit_columns_;
  std::uint16_t device_column_ = no_index;
  std::uint16_t time_column_ = no_index;
};

}  // namespace wellhead
