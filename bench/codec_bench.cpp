// Records per second through the decoder, beside simdjson On-Demand merely reading the same fields.
//
//   build/release/bin/codec_bench
//
// `reference_*` parses each line and reads every field: every number as a double, every string as raw text.
// It builds no row, looks up no key and checks nothing, so it is what any decoder on On-Demand pays at least.
//
// `rules_off` and `rules_on` decode the same records, without and with ranges, units, flags and computed
// columns. Rules may add 15 % to the time of a record at most. Measure both in one run, in turn:
//
//   build/release/bin/codec_bench --benchmark_filter=rules --benchmark_enable_random_interleaving=true
//     --benchmark_repetitions=20 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "codec/decoder.hpp"

namespace wellhead {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::uint32_t record_count = 1000;
constexpr std::int64_t receive_time_us = 767'880'000'000'000;  // 2024-05-01T12:00:00Z

using Members = std::vector<std::pair<std::string, std::string>>;

Members typical_members(std::uint32_t record) {
  std::mt19937 random(record);
  const auto number = [&](double low, double high) {
    char digits[32];
    const auto bytes = std::snprintf(digits, sizeof(digits), "%.4f",
                                     std::uniform_real_distribution<double>(low, high)(random));
    return std::string(digits, static_cast<std::size_t>(bytes));
  };
  char device[32];
  char time[64];
  std::snprintf(device, sizeof(device), "\"well-%04u\"", record % 500);
  std::snprintf(time, sizeof(time), "\"2024-05-01T11:59:%02u.%06uZ\"", record % 60, record * 997 % 1'000'000);
  return {{"timestamp", time},
          {"device_id", device},
          {"temperature", number(60, 110)},
          {"vibration", number(0, 0.5)},
          {"pressure", number(100, 3000)},
          {"flow_rate", number(500, 1500)},
          {"motor_current", number(40, 60)},
          {"rpm", number(3000, 3600)},
          {"intake_pressure", number(1800, 2200)},
          {"discharge_pressure", number(2500, 3500)}};
}

std::string to_json(const Members& members, std::string_view separator) {
  std::string json = "{";
  for (const auto& [key, value] : members) {
    if (json.size() > 1) json += ',';
    json += separator;
    json.append("\"").append(key).append("\":").append(value);
  }
  return json + std::string(separator.substr(0, separator.find(' '))) + "}";
}

using Change = std::function<void(Members&, std::uint32_t)>;

std::string lines(const Change& change) {
  std::string body;
  for (std::uint32_t record = 0; record < record_count; ++record) {
    Members members = typical_members(record);
    change(members, record);
    body += to_json(members, "") + '\n';
  }
  return body;
}

std::string pretty_array() {
  std::string body = "[\n";
  for (std::uint32_t record = 0; record < record_count; ++record) {
    if (record > 0) body += ",\n";
    body += to_json(typical_members(record), "\n    ");
  }
  return body + "\n]\n";
}

void as_typical(Members&, std::uint32_t) {}

void shuffle(Members& members, std::uint32_t record) {
  std::shuffle(members.begin(), members.end(), std::mt19937(record));
}

void add_unknown(Members& members, std::uint32_t) {
  members.insert(members.begin() + 2, {"firmware", R"("4.2.1-rc1")"});
  members.emplace_back("anomaly", "false");
  members.emplace_back("tags", R"({"field":"north","pads":[1,2,3]})");
}

void add_unit(Members& members, std::uint32_t) {
  members.insert(members.begin() + 3, {"temperature_unit", R"("F")"});
}

void add_escapes(Members& members, std::uint32_t record) {
  members[1].second = R"("well\/north-)" + std::to_string(record % 500) + R"(\u00e9")";
  members.emplace_back("source_system", R"("scada \"a\"")");
}

// Takes rows and forgets them, as fast as a batch would take them.
class ForgettingSink final : public RowSink {
 public:
  std::byte* allocate_row(std::uint64_t, std::uint32_t tuple_bytes) override {
    const std::size_t bytes = row_bytes(tuple_bytes);
    if (used_ + bytes > sizeof(memory_)) used_ = 0;
    std::byte* const row = memory_ + used_;
    used_ += bytes;
    return row;
  }

 private:
  alignas(row_alignment) std::byte memory_[1 << 18];
  std::size_t used_ = 0;
};

std::string padded(std::string body) {
  body.append(input_padding_bytes, '\0');
  return body;
}

void report(benchmark::State& state, std::size_t body_bytes) {
  const auto records = static_cast<double>(state.iterations()) * record_count;
  state.counters["records/s"] = benchmark::Counter(records, benchmark::Counter::kIsRate);
  state.counters["bytes/record"] = static_cast<double>(body_bytes) / record_count;
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(body_bytes));
}

// The stream as it would be without rules: it stores what comes, and judges nothing.
StreamConfig without_rules(StreamConfig stream) {
  std::erase_if(stream.columns, [](const ColumnConfig& column) { return computed(column.source); });
  for (ColumnConfig& column : stream.columns) {
    column.minimum = column.maximum = std::nullopt;
    column.scored = column.primary = false;
    column.unit.clear();
    column.unit_key.clear();
  }
  return stream;
}

void decode_into(benchmark::State& state, StreamConfig stream, const std::string& text) {
  const auto schema = Schema::compile(std::move(stream), 0);
  WELLHEAD_ASSERT(schema.has_value());
  const std::string memory = padded(text);
  Decoder decoder({});
  ForgettingSink rows;
  RecordErrors errors;
  while (state.KeepRunning()) {
    const DecodeResult result = decoder.decode({.schema = **schema,
                                                .body = std::string_view(memory).substr(0, text.size()),
                                                .format = BodyFormat::detect,
                                                .receive_time_us = receive_time_us},
                                               rows, errors);
    WELLHEAD_ASSERT(result.accepted == record_count);
  }
  report(state, text.size());
}

void decode(benchmark::State& state, const std::string& text) {
  decode_into(state, builtin_streams().front(), text);
}

void rules_off(benchmark::State& state, const std::string& text) {
  decode_into(state, without_rules(builtin_streams().front()), text);
}

void rules_on(benchmark::State& state, const std::string& text) {
  decode_into(state, builtin_streams().front(), text);
}

double read_all_fields(ondemand::object object) {
  double sum = 0;
  for (auto item : object) {
    ondemand::field field;
    WELLHEAD_ASSERT(std::move(item).get(field) == simdjson::SUCCESS);
    double number = 0;
    ondemand::raw_json_string text;
    if (field.value().get_double().get(number) == simdjson::SUCCESS) {
      sum += number;
    } else if (field.value().get_raw_json_string().get(text) == simdjson::SUCCESS) {
      sum += static_cast<double>(text.raw()[0]);
    }
  }
  return sum;
}

void read_lines(benchmark::State& state, const std::string& text) {
  const std::string memory = padded(text);
  ondemand::parser parser;
  WELLHEAD_ASSERT(parser.allocate(1U << 20) == simdjson::SUCCESS);
  while (state.KeepRunning()) {
    const char* at = memory.data();
    const char* const end = at + text.size();
    while (at != end) {
      const auto* const line_end =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
      const auto bytes = static_cast<std::size_t>(line_end - at);
      ondemand::document document;
      ondemand::object object;
      WELLHEAD_ASSERT(parser.iterate(at, bytes, bytes + input_padding_bytes).get(document) ==
                      simdjson::SUCCESS);
      WELLHEAD_ASSERT(document.get_object().get(object) == simdjson::SUCCESS);
      benchmark::DoNotOptimize(read_all_fields(object));
      at = line_end + 1;
    }
  }
  report(state, text.size());
}

void read_array(benchmark::State& state, const std::string& text) {
  const std::string memory = padded(text);
  ondemand::parser parser;
  while (state.KeepRunning()) {
    ondemand::document document;
    ondemand::array array;
    WELLHEAD_ASSERT(parser.iterate(memory.data(), text.size(), memory.size()).get(document) ==
                    simdjson::SUCCESS);
    WELLHEAD_ASSERT(document.get_array().get(array) == simdjson::SUCCESS);
    for (auto item : array) {
      ondemand::object object;
      WELLHEAD_ASSERT(item.get_object().get(object) == simdjson::SUCCESS);
      benchmark::DoNotOptimize(read_all_fields(object));
    }
  }
  report(state, text.size());
}

BENCHMARK_CAPTURE(read_lines, reference_typical, lines(as_typical));
BENCHMARK_CAPTURE(decode, typical, lines(as_typical));
BENCHMARK_CAPTURE(rules_off, typical, lines(as_typical));
BENCHMARK_CAPTURE(rules_on, typical, lines(as_typical));
BENCHMARK_CAPTURE(rules_off, with_unit, lines(add_unit));
BENCHMARK_CAPTURE(rules_on, with_unit, lines(add_unit));
BENCHMARK_CAPTURE(read_lines, reference_shuffled_keys, lines(shuffle));
BENCHMARK_CAPTURE(decode, shuffled_keys, lines(shuffle));
BENCHMARK_CAPTURE(read_lines, reference_unknown_keys, lines(add_unknown));
BENCHMARK_CAPTURE(decode, unknown_keys, lines(add_unknown));
BENCHMARK_CAPTURE(read_lines, reference_escapes, lines(add_escapes));
BENCHMARK_CAPTURE(decode, escapes, lines(add_escapes));
BENCHMARK_CAPTURE(read_array, reference_pretty_array, pretty_array());
BENCHMARK_CAPTURE(decode, pretty_array, pretty_array());

}  // namespace
}  // namespace wellhead

BENCHMARK_MAIN();
