// Finding lines, and reading what stands in them: timestamps and numbers.
//
//   build/release/bin/parse_bench        one after the other; ./dev bench micro in turn
#include <fast_float/fast_float.h>
#include <simdjson.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "bench/records.hpp"
#include "bench/stage.hpp"
#include "codec/body_framing.hpp"
#include "codec/decoder.hpp"
#include "codec/field_decoder.hpp"
#include "codec/timestamp.hpp"

namespace wellhead::bench {
namespace {

using Texts = std::shared_ptr<const std::vector<std::string>>;

// --- framing

void add_framing() {
  const Case about{"framing", "lines", "line", record_count};
  const auto body = std::make_shared<const std::string>(lines(as_typical));
  measure(about, [body](benchmark::State&) {
    return [body] {
      LineReader reader(*body);
      std::string_view line;
      while (reader.next(line)) benchmark::DoNotOptimize(line);
    };
  });
  measure_reference(about, "memchr", [body](benchmark::State&) {
    return [body] {
      const char* at = body->data();
      const char* const end = at + body->size();
      while (at != end) {
        at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at))) + 1;
        benchmark::DoNotOptimize(at);
      }
    };
  });
  measure_memcpy(about, body->size());
}

// --- timestamps

// Calls `parse` for each text; it ends with a C string's zero, as libc's functions want it.
template <typename Parse>
auto for_each_text(const Texts& texts, Parse parse) {
  return [texts, parse](benchmark::State&) {
    return [texts, parse] {
      for (const std::string& text : *texts) benchmark::DoNotOptimize(parse(text));
    };
  };
}

template <typename Make>
Texts make_texts(Make make) {
  auto texts = std::make_shared<std::vector<std::string>>();
  for (std::uint32_t record = 0; record < record_count; ++record) texts->push_back(make(record));
  return texts;
}

Texts times(const char* offset) {
  return make_texts([&](std::uint32_t record) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "2024-05-01T11:%02u:%02u.%06u%s", record / 60, record % 60,
                  record * 997 % 1'000'000, offset);
    return std::string(text.data());
  });
}

std::int64_t parsed(std::string_view text) {
  const auto time_us = parse_rfc3339(text);
  WELLHEAD_ASSERT(time_us.has_value());
  return *time_us;
}

// As a service written by hand reads a time with libc: the fields, then the calendar.
std::int64_t by_strptime(const std::string& text) {
  std::tm fields{};
  const char* const rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &fields);
  WELLHEAD_ASSERT(rest != nullptr && *rest == '.');
  char* end = nullptr;
  const long micros = std::strtol(rest + 1, &end, 10);
  return std::int64_t{timegm(&fields)} * 1'000'000 + micros;
}

std::int64_t by_sscanf(const std::string& text) {
  std::tm fields{};
  int micros = 0;
  char sign = '+';
  int hours = 0;
  int minutes = 0;
  const int got = std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d.%d%c%d:%d", &fields.tm_year, &fields.tm_mon,
                              &fields.tm_mday, &fields.tm_hour, &fields.tm_min, &fields.tm_sec, &micros,
                              &sign, &hours, &minutes);
  WELLHEAD_ASSERT(got == 10);
  fields.tm_year -= 1900;
  fields.tm_mon -= 1;
  const std::int64_t offset_s = (std::int64_t{hours} * 60 + minutes) * 60;
  return (std::int64_t{timegm(&fields)} - (sign == '-' ? -offset_s : offset_s)) * 1'000'000 + micros;
}

void add_timestamps() {
  const Case utc{"timestamp", "rfc3339_utc", "timestamp", record_count};
  measure(utc, for_each_text(times("Z"), parsed));
  measure_reference(utc, "strptime", for_each_text(times("Z"), by_strptime));
  const Case offset{"timestamp", "rfc3339_offset", "timestamp", record_count};
  measure(offset, for_each_text(times("+02:00"), parsed));
  measure_reference(offset, "sscanf", for_each_text(times("+02:00"), by_sscanf));
  const Case epoch{"timestamp", "epoch_milliseconds", "timestamp", record_count};
  const Texts millis = make_texts(
      [](std::uint32_t record) { return std::to_string(1'714'564'740'000 + std::int64_t{record} * 997); });
  measure(epoch, for_each_text(millis, [](const std::string& text) {
            return parse_epoch(text, EpochUnit::by_magnitude).value();
          }));
  measure_reference(epoch, "strtoll", for_each_text(millis, [](const std::string& text) {
                      return std::strtoll(text.c_str(), nullptr, 10);
                    }));
}

// --- numbers

Texts readings() {
  return make_texts([random = std::mt19937(1)](std::uint32_t) mutable {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.4f", std::uniform_real_distribution<double>(0, 3500)(random));
    return std::string(text.data());
  });
}

// The numbers as one JSON array, each decoded into the slot of a telemetry column: the walk over the array is
// in the time.
class DecodeNumbers {
 public:
  explicit DecodeNumbers(const Texts& numbers) {
    std::string json = "[";
    for (const std::string& number : *numbers) json.append(number).push_back(',');
    json.back() = ']';
    json_bytes_ = json.size();
    json_ = padded(std::move(json));
    auto schema = Schema::compile(builtin_streams().front(), 0);
    WELLHEAD_ASSERT(schema.has_value());
    schema_ = std::move(*schema);
    fields_->start_record(false, false);
  }

  void operator()() {
    const SchemaIndex& index = schema_->lookup();
    const ColumnPlan& plan = index.plans()[index.keys()[index.find("pressure")].column];
    simdjson::ondemand::document document;
    simdjson::ondemand::array array;
    WELLHEAD_ASSERT(parser_->iterate(json_.data(), json_bytes_, json_.size()).get(document) ==
                    simdjson::SUCCESS);
    WELLHEAD_ASSERT(document.get_array().get(array) == simdjson::SUCCESS);
    for (auto item : array) {
      simdjson::ondemand::value value;
      Slot slot;
      WELLHEAD_ASSERT(std::move(item).get(value) == simdjson::SUCCESS);
      WELLHEAD_ASSERT(fields_->decode(value, plan, slot) == ValueOutcome::taken);
      benchmark::DoNotOptimize(slot.bits);
    }
  }

 private:
  std::string json_;
  std::size_t json_bytes_ = 0;
  SchemaPointer schema_;
  std::unique_ptr<FieldDecoder> fields_ = std::make_unique<FieldDecoder>(DecoderLimits{});
  std::unique_ptr<simdjson::ondemand::parser> parser_ = std::make_unique<simdjson::ondemand::parser>();
};

void add_numbers() {
  const Case about{"number", "reading", "number", record_count};
  const Texts numbers = readings();
  measure(about, [numbers](benchmark::State&) { return DecodeNumbers(numbers); });
  measure_reference(about, "fast_float", for_each_text(numbers, [](const std::string& text) {
                      float value = 0;
                      fast_float::from_chars(text.data(), text.data() + text.size(), value);
                      return value;
                    }));
  measure_reference(about, "from_chars", for_each_text(numbers, [](const std::string& text) {
                      float value = 0;
                      std::from_chars(text.data(), text.data() + text.size(), value);
                      return value;
                    }));
  measure_reference(about, "strtof", for_each_text(numbers, [](const std::string& text) {
                      return std::strtof(text.c_str(), nullptr);
                    }));
}

}  // namespace

void enlist() {
  add_framing();
  add_timestamps();
  add_numbers();
}

}  // namespace wellhead::bench
