// One JSON object in, one row out.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/decoder.hpp"
#include "codec/field_decoder.hpp"
#include "codec/row.hpp"
#include "codec/schema_index.hpp"
#include "codec/stream_rules.hpp"

namespace wellhead {

enum class RecordOutcome : std::uint8_t {
  accepted,
  rejected,   // rejection() says why
  broken,     // not JSON
  no_memory,  // the RowSink had no room
};

// One per thread. Reading and writing are apart, so that the caller can look at what stands behind the record
// first.
class RecordDecoder {
 public:
  explicit RecordDecoder(DecoderLimits limits) : fields_(limits) {}

  // Works by the rules that are in force now, for the whole request. The schema has to stay for it.
  void start_request(const DecodeRequest& request);
  void start_record(bool wants_message, bool wants_repair) {
    fields_.start_record(wants_message, wants_repair);
    unit_converted_ = false;
    slots_filled_ = false;
  }

  // Reads all fields into slots: accepted, rejected or broken. The record's text must stay until write().
  [[nodiscard]] RecordOutcome read(simdjson::ondemand::object& object);
  // Passes over what should be a record and is no object: rejected or broken.
  [[nodiscard]] RecordOutcome refuse(simdjson::ondemand::value& value);
  [[nodiscard]] RecordOutcome refuse(std::string_view text);
  // Writes the row of the record read last: accepted or no_memory. REQUIRES that read() returned accepted.
  [[nodiscard]] RecordOutcome write(std::uint32_t record_index, RowSink& rows);

  [[nodiscard]] Rejection& rejection() noexcept { return fields_.rejection(); }
  // Active when the record at hand has a NULL for a value that was out of range.
  [[nodiscard]] const Rejection& repair() const noexcept { return fields_.repair(); }
  // The device of the record at hand, as far as it was read; empty where it was not. Valid until the next
  // record.
  [[nodiscard]] std::string_view device_id() const noexcept;

 private:
  // A unit the record names for some of its numbers.
  struct NamedUnit {
    std::string_view name;
    bool seen = false;
    bool given = false;
  };

  [[nodiscard]] RecordOutcome refuse(ValueOutcome skipped);
  const StreamConfig& take_rules(const Schema& schema);
  void keep_field(Rejection& rejection) const;
  [[nodiscard]] bool fill_attributes(std::uint64_t device_hash) noexcept;
  void fill_request_blank(const DecodeRequest& request);
  void reset_slots();
  [[nodiscard]] ValueOutcome read_field(simdjson::ondemand::field& field);
  [[nodiscard]] ValueOutcome read_entry(const KeyEntry& entry, simdjson::ondemand::value& value);
  [[nodiscard]] ValueOutcome read_unit(const KeyEntry& entry, simdjson::ondemand::value& value);
  [[nodiscard]] ValueOutcome read_unknown(simdjson::ondemand::value& value, std::string_view key);
  [[nodiscard]] ValueOutcome refuse_duplicate(const ColumnPlan& plan, simdjson::ondemand::value& value);
  [[nodiscard]] bool find_key(const char* raw, std::uint16_t& index, std::string_view& key);
  void check_required();
  void convert_units();
  void refuse_unit(const ColumnPlan& plan, std::string_view unit);
  void judge(RowHeader& header, bool known_device);

  FieldDecoder fields_;
  const Schema* schema_ = nullptr;
  std::vector<RulesHold> rules_;  // by stream
  // Of the request's rules.
  const Schema* rules_schema_ = nullptr;
  const SchemaIndex* index_ = nullptr;
  const DeviceAttributes* attributes_ = nullptr;
  std::int64_t late_before_us_ = 0;   // readings with an earlier time arrive late
  std::int64_t ahead_after_us_ = 0;   // the clock of those with a later one is ahead
  bool slots_filled_ = false;         // by the record at hand
  bool unit_converted_ = false;       // it names a unit that is not the one expected
  std::vector<std::string> senders_;  // the request's, as each column for it takes it
  std::vector<Slot> request_blank_;   // SchemaIndex::blank() with what all records of the request have
  std::vector<Slot> slots_;
  std::vector<NamedUnit> units_;
  // Per stream: the key that came after each key last time; the last entry is for the first key. A device
  // sends its keys in the same order every time, so this saves the lookup.
  std::vector<std::vector<std::uint16_t>> followers_;
  std::vector<std::uint16_t>* follower_ = nullptr;
  std::uint16_t previous_key_ = 0;
};

}  // namespace wellhead
