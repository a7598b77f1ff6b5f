// JSON to rows: decoding by shape of record, what its rules cost, and the encoding of tuples.
//
//   build/release/bin/codec_bench        one after the other; ./dev bench micro and ./dev bench codec in turn
//
// `decode` stands beside simdjson On-Demand merely reading all fields (bench/on_demand.hpp) and memcpy of the
// same bytes. `rules` decodes the same records with ranges, units, flags, computed columns and attributes of
// devices; its reference is the same decoder without them.
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "bench/on_demand.hpp"
#include "bench/records.hpp"
#include "bench/stage.hpp"
#include "codec/decoder.hpp"
#include "codec/row_encoder.hpp"
#include "codec/stream_rules.hpp"

namespace wellhead::bench {
namespace {

using Text = std::shared_ptr<const std::string>;  // padded()

constexpr std::array<std::string_view, 2> texts{"timestamp", "device_id"};
constexpr std::array<std::string_view, 8> numbers{"temperature",     "vibration",         "pressure",
                                                  "flow_rate",       "motor_current",     "rpm",
                                                  "intake_pressure", "discharge_pressure"};
constexpr FieldNames telemetry_fields{texts, numbers};

Text text_of(std::string body) {
  return std::make_shared<const std::string>(padded(std::move(body)));
}

std::string_view body_of(const Text& text) {
  return std::string_view(*text).substr(0, text->size() - input_padding_bytes);
}

// Takes rows and forgets them, as fast as a batch would take them.
class ForgettingSink final : public RowSink {
 public:
  std::byte* allocate_row(std::uint64_t, std::uint32_t tuple_bytes) override {
    const std::size_t bytes = row_bytes(tuple_bytes);
    if (used_ + bytes > memory_bytes) used_ = 0;
    std::byte* const row = memory_.get() + used_;
    used_ += bytes;
    return row;
  }

 private:
  static constexpr std::size_t memory_bytes = 1 << 18;
  std::unique_ptr<std::byte[]> memory_ = std::make_unique<std::byte[]>(memory_bytes);
  std::size_t used_ = 0;
};

SchemaPointer compiled(StreamConfig config) {
  auto schema = Schema::compile(std::move(config), 0);
  WELLHEAD_ASSERT(schema.has_value());
  return std::move(*schema);
}

StreamConfig telemetry() {
  return builtin_streams().front();
}

// The stream as it would be without rules: it stores what comes, and judges nothing.
StreamConfig without_rules(StreamConfig stream) {
  std::erase_if(stream.columns, [](const ColumnConfig& column) {
    return computed(column.source) || column.source == ColumnSource::attribute;
  });
  stream.attributes = {};
  for (ColumnConfig& column : stream.columns) {
    column.minimum = column.maximum = std::nullopt;
    column.scored = column.primary = false;
    column.unit.clear();
    column.unit_key.clear();
  }
  return stream;
}

// Two texts and a number that are known of each device.
StreamConfig with_attributes() {
  StreamConfig stream = telemetry();
  stream.attributes.file = "devices.csv";
  const auto attribute = [&](const char* name, ColumnType type) {
    stream.columns.push_back({.name = name, .type = type, .source = ColumnSource::attribute});
  };
  attribute("site", ColumnType::text);
  attribute("pump_model", ColumnType::text);
  attribute("depth", ColumnType::real);
  return stream;
}

SchemaPointer enriched_schema() {
  SchemaPointer schema = compiled(with_attributes());
  AttributesBuilder builder(schema->config());
  for (std::uint32_t device = 0; device < device_count; ++device) {
    const std::array<std::string_view, 3> values{device % 2 == 0 ? "north" : "south", "REDA-D1050N",
                                                 "2150.5"};
    WELLHEAD_ASSERT(builder.add(device_name(device), values).has_value());
  }
  schema->rules().set({nullptr, builder.finish()});
  return schema;
}

class Decode {
 public:
  Decode(SchemaPointer schema, Text text) : schema_(std::move(schema)), text_(std::move(text)) {}

  void operator()() {
    const DecodeResult result = decoder_.decode({.schema = *schema_,
                                                 .body = body_of(text_),
                                                 .format = BodyFormat::detect,
                                                 .receive_time_us = receive_time_us},
                                                rows_, errors_);
    WELLHEAD_ASSERT(result.accepted == record_count && result.repaired == 0);
  }

 private:
  SchemaPointer schema_;
  Text text_;
  Decoder decoder_{{}};
  ForgettingSink rows_;
  RecordErrors errors_;
};

auto decode_with(const SchemaPointer& schema, const Text& text) {
  return [schema, text](benchmark::State&) { return Decode(schema, text); };
}

Case add_decode(const char* name, const SchemaPointer& schema, const Text& text) {
  const Case about{"decode", name, "record", record_count};
  measure(about, decode_with(schema, text));
  measure_memcpy(about, body_of(text).size());
  return about;
}

void add_decode_lines(const char* name, const Change& change, FieldOrder order) {
  const Text text = text_of(lines(change));
  const Case about = add_decode(name, compiled(telemetry()), text);
  measure_reference(about, "on_demand", [text, order](benchmark::State&) {
    return [text, read = std::make_shared<ReadLines>(body_of(text), telemetry_fields, order)] { (*read)(); };
  });
}

void add_decode_array() {
  const Text text = text_of(pretty_array());
  const Case about = add_decode("pretty_array", compiled(telemetry()), text);
  measure_reference(about, "on_demand", [text](benchmark::State&) {
    return [text, read = std::make_shared<ReadArray>(body_of(text), telemetry_fields)] { (*read)(); };
  });
}

// Two more ways to read what is typical. As a stream, simdjson finds the structure of all lines at once,
// which is what isolating each from the others costs; unnamed, nobody asks which field is which.
void add_other_references() {
  const Text text = text_of(lines(as_typical));
  const Case about{"decode", "typical", "record", record_count};
  measure_reference(about, "on_demand_unnamed", [text](benchmark::State&) {
    return [text, read = std::make_shared<ReadLines>(body_of(text), telemetry_fields, FieldOrder::unnamed)] {
      (*read)();
    };
  });
  measure_reference(about, "on_demand_stream", [text](benchmark::State&) {
    return [text, read = std::make_shared<ReadStream>(body_of(text), telemetry_fields)] { (*read)(); };
  });
}

void add_rules(const char* name, const SchemaPointer& schema, const Change& change) {
  const Text text = text_of(lines(change));
  const Case about{"rules", name, "record", record_count};
  measure(about, decode_with(schema, text));
  measure_reference(about, "without_rules", decode_with(compiled(without_rules(schema->config())), text));
}

// Slots of one telemetry record, as the decoder leaves them.
std::vector<Slot> telemetry_slots(const SchemaIndex& index) {
  static constexpr std::string_view device = "well-0042";
  std::vector<Slot> slots = index.blank();
  for (const ColumnPlan& plan : index.plans()) {
    Slot& slot = slots[plan.column];
    if (slot.length >= 0) continue;
    slot.bits = plan.column;
    if (plan.type == ColumnType::timestamptz) slot.length = sizeof(std::int64_t);
    if (plan.type == ColumnType::real) slot.length = sizeof(float);
    if (plan.type == ColumnType::text) {
      slot.text = device.data();
      slot.length = static_cast<std::int32_t>(device.size());
    }
    WELLHEAD_ASSERT(slot.length >= 0);
  }
  return slots;
}

class Encode {
 public:
  explicit Encode(SchemaPointer schema)
      : schema_(std::move(schema)),
        slots_(telemetry_slots(schema_->lookup())),
        tuples_(std::make_unique<std::byte[]>(bytes())) {}

  [[nodiscard]] std::size_t bytes() const { return record_count * std::size_t{tuple_bytes(slots_)}; }

  void operator()() {
    std::byte* at = tuples_.get();
    for (std::uint32_t record = 0; record < record_count; ++record)
      at = encode_tuple(at, schema_->lookup().plans(), slots_);
    benchmark::ClobberMemory();
  }

 private:
  SchemaPointer schema_;
  std::vector<Slot> slots_;
  std::unique_ptr<std::byte[]> tuples_;
};

void add_encode() {
  const Case about{"encode", "telemetry", "record", record_count};
  const SchemaPointer schema = compiled(telemetry());
  measure(about, [schema](benchmark::State&) { return Encode(schema); });
  measure_memcpy(about, Encode(schema).bytes());
}

}  // namespace

void enlist() {
  add_decode_lines("typical", as_typical, FieldOrder::kept);
  add_other_references();
  add_decode_lines("shuffled_keys", shuffle, FieldOrder::any);
  add_decode_lines("unknown_keys", add_unknown, FieldOrder::kept);
  add_decode_lines("escapes", add_escapes, FieldOrder::kept);
  add_decode_array();
  add_rules("typical", compiled(telemetry()), as_typical);
  add_rules("unit_in_record", compiled(telemetry()), add_unit);
  add_rules("attributes", enriched_schema(), as_typical);
  add_encode();
}

}  // namespace wellhead::bench
