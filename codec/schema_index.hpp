// A schema in the decoder's form: plans for columns, slots for their values, and the lookup from JSON key to
// slot.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "codec/units.hpp"

namespace wellhead {

inline constexpr std::uint16_t no_index = std::numeric_limits<std::uint16_t>::max();

// How a slot's value is laid out in the tuple; `text` is any bytes as they are.
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
  bool plain_real;          // a real without units to convert
  bool converts;            // its value waits for the record's end: the unit may follow it
  std::uint16_t column;     // index in Schema::columns(), and of its slot
  std::uint16_t unit_slot;  // which unit key names its unit; no_index: none
  const Unit* unit;         // null: none
  const Unit* input_unit;
  double minimum, maximum;  // infinite where there is none
  OutOfRange out_of_range;  // reject where a NULL cannot stand for the value, or there is no range
  std::uint16_t scored;     // its bit in the masks of codec/quality.hpp; 0: not scored
  const ColumnConfig* config;
};

// The first bytes of a key and its closing quote, in two words; zeros behind them.
struct KeyHead {
  static constexpr std::size_t bytes = 2 * sizeof(std::uint64_t);
  std::uint64_t words[2] = {0, 0};

  // Reads `bytes` bytes.
  [[nodiscard]] static KeyHead load(const char* raw) noexcept {
    KeyHead head;
    std::memcpy(head.words, raw, sizeof(head.words));
    return head;
  }
  // How many bytes come before the first quote or backslash; `bytes` when there is none.
  [[nodiscard]] std::size_t plain_bytes() const noexcept {
    const std::uint64_t first = stop_bytes(words[0]);
    if (first != 0) return static_cast<std::size_t>(std::countr_zero(first)) / 8;
    const std::uint64_t second = stop_bytes(words[1]);
    if (second != 0) return sizeof(std::uint64_t) + static_cast<std::size_t>(std::countr_zero(second)) / 8;
    return bytes;
  }
  // Turns all bytes but the first `count` to zero.
  void keep(std::size_t count) noexcept {
    static constexpr auto ones_then_zeros = [] {
      std::array<unsigned char, 2 * bytes> mask{};
      for (std::size_t index = 0; index < bytes; ++index) mask[index] = 0xFF;
      return mask;
    }();
    std::uint64_t mask[2];
    std::memcpy(mask, ones_then_zeros.data() + (bytes - count), sizeof(mask));
    words[0] &= mask[0];
    words[1] &= mask[1];
  }
  [[nodiscard]] std::size_t hash() const noexcept {
    constexpr std::uint64_t odd_1 = 0x9E37'79B9'7F4A'7C15, odd_2 = 0xC2B2'AE3D'27D4'EB4F;
    const std::uint64_t mixed = (words[0] * odd_1) ^ (words[1] * odd_2);
    return static_cast<std::size_t>(mixed >> 32);
  }

 private:
  // The high bit of each byte that is a quote or a backslash, counted from the first byte in memory as the
  // lowest. Bits above the first one set may be wrong: a borrow runs upwards.
  [[nodiscard]] static std::uint64_t stop_bytes(std::uint64_t word) noexcept {
    constexpr std::uint64_t each = 0x0101'0101'0101'0101;
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    const std::uint64_t quotes = word ^ (each * '"');
    const std::uint64_t backslashes = word ^ (each * '\\');
    return (((quotes - each) & ~quotes) | ((backslashes - each) & ~backslashes)) & (each * 0x80);
  }
};

// One JSON key: what it is read into, either a column or a unit's name.
struct KeyEntry {
  std::string text;
  KeyHead head;  // as it stands in a record written without escapes
  KeyHead mask;  // all ones where head counts
  std::uint16_t column = no_index;
  std::uint16_t unit_slot = no_index;

  explicit KeyEntry(std::string_view key);

  // Whether a key starts at `raw` (behind its opening quote) that is this one, written without escapes. Reads
  // up to key_bytes_max + 1 bytes, at least KeyHead::bytes.
  [[nodiscard]] bool matches(const char* raw) const noexcept {
    const KeyHead loaded = KeyHead::load(raw);
    if (((loaded.words[0] ^ head.words[0]) & mask.words[0]) != 0) return false;
    if (((loaded.words[1] ^ head.words[1]) & mask.words[1]) != 0) return false;
    if (text.size() < KeyHead::bytes) return true;
    return std::memcmp(raw + KeyHead::bytes, text.data() + KeyHead::bytes, text.size() - KeyHead::bytes) ==
               0 &&
           raw[text.size()] == '"';
  }
};

// Immutable. Points into the StreamConfig of the schema that owns it.
class SchemaIndex {
 public:
  // REQUIRES a config that Schema::compile() has checked.
  explicit SchemaIndex(const StreamConfig& config);
  // Puts the constant columns' values into blank(). To be called once before the index is used; the error is
  // a sentence that names the stream and the column.
  [[nodiscard]] std::expected<void, std::string> read_constants(const StreamConfig& config);

  [[nodiscard]] const std::vector<ColumnPlan>& plans() const noexcept { return plans_; }
  [[nodiscard]] const std::vector<KeyEntry>& keys() const noexcept { return keys_; }
  // The index in keys(), or no_index. `key` without its quotes, its escapes removed.
  [[nodiscard]] std::uint16_t find(std::string_view key) const noexcept;

  // The same for a key as it stands in a record, behind its opening quote, without knowing its length first.
  // `key` is set to it where that was found on the way; it stays empty where the key is long, has escapes or
  // is empty.
  [[nodiscard]] std::uint16_t find_in_place(const char* raw, std::string_view& key) const noexcept {
    KeyHead head = KeyHead::load(raw);
    const std::size_t plain_bytes = head.plain_bytes();
    if (plain_bytes < KeyHead::bytes) {
      if (raw[plain_bytes] == '\\') return no_index;
      key = {raw, plain_bytes};
      head.keep(plain_bytes + 1);
    }
    std::size_t probe = head.hash() & (table_.size() - 1);
    while (table_[probe] != no_index && !keys_[table_[probe]].matches(raw))
      probe = (probe + 1) & (table_.size() - 1);
    return table_[probe];
  }

  // A record's slots before its first field: nulls and default values.
  [[nodiscard]] const std::vector<Slot>& blank() const noexcept { return blank_; }
  [[nodiscard]] const std::vector<std::uint16_t>& required() const noexcept { return required_; }
  [[nodiscard]] const std::vector<std::uint16_t>& receive_times() const noexcept { return receive_times_; }
  [[nodiscard]] const std::vector<std::uint16_t>& senders() const noexcept { return senders_; }
  // The scored columns without which a record is incomplete.
  struct Primary {
    std::uint16_t column;
    std::uint16_t scored;  // ColumnPlan::scored
  };
  [[nodiscard]] const std::vector<Primary>& primaries() const noexcept { return primaries_; }
  // Columns that are computed; no_index: none.
  [[nodiscard]] std::uint16_t quality_score_column() const noexcept { return quality_score_column_; }
  [[nodiscard]] std::uint16_t quality_flags_column() const noexcept { return quality_flags_column_; }
  [[nodiscard]] const std::vector<std::uint16_t>& converted() const noexcept { return converted_; }
  // The first column each unit key serves: the one its errors name.
  [[nodiscard]] const std::vector<std::uint16_t>& unit_columns() const noexcept { return unit_columns_; }
  [[nodiscard]] std::uint16_t device_column() const noexcept { return device_column_; }
  [[nodiscard]] std::uint16_t time_column() const noexcept { return time_column_; }

 private:
  void add_column(const ColumnConfig& column);
  void note_source(const ColumnConfig& column, std::uint16_t index);
  [[nodiscard]] std::uint16_t scored_bit(const ColumnConfig& column, std::uint16_t index);
  std::uint16_t add_unit_key(const std::string& key, std::uint16_t column);
  KeyEntry& key_entry(std::string_view key);
  void build_table();

  std::vector<ColumnPlan> plans_;
  std::vector<KeyEntry> keys_;
  std::vector<std::uint16_t> table_;  // open addressing, at most half full: index in keys_, or no_index
  std::vector<Slot> blank_;
  std::vector<std::uint16_t> required_;
  std::vector<std::uint16_t> receive_times_;
  std::vector<std::uint16_t> senders_;
  std::vector<Primary> primaries_;
  std::deque<std::string> constants_;  // texts that blank_ points to
  std::vector<std::uint16_t> converted_;
  std::vector<std::uint16_t> unit_columns_;
  std::uint16_t device_column_ = no_index;
  std::uint16_t time_column_ = no_index;
  std::uint16_t quality_score_column_ = no_index;
  std::uint16_t quality_flags_column_ = no_index;
  std::uint32_t scored_count_ = 0;
};

}  // namespace wellhead
