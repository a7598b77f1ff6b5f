#include "bench/on_demand.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "bench/records.hpp"
#include "codec/decoder.hpp"

namespace wellhead::bench {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t parser_bytes = 1U << 20;

template <FieldOrder order>
double read(ondemand::object& object, const FieldNames& names) {
  const auto find = [&](std::string_view name) {
    if constexpr (order == FieldOrder::kept) return object.find_field(name);
    return object.find_field_unordered(name);
  };
  double sum = 0;
  for (const std::string_view name : names.texts) {
    std::string_view text;
    WELLHEAD_ASSERT(find(name).get_string().get(text) == simdjson::SUCCESS);
    sum += static_cast<double>(text.size());
  }
  for (const std::string_view name : names.numbers) {
    double number = 0;
    WELLHEAD_ASSERT(find(name).get_double().get(number) == simdjson::SUCCESS);
    sum += number;
  }
  return sum;
}

double read_unnamed(ondemand::object& object) {
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

}  // namespace

double read_fields(ondemand::object object, const FieldNames& names, FieldOrder order) {
  switch (order) {
    case FieldOrder::kept:
      return read<FieldOrder::kept>(object, names);
    case FieldOrder::any:
      return read<FieldOrder::any>(object, names);
    case FieldOrder::unnamed:
      return read_unnamed(object);
  }
  return 0;
}

ReadLines::ReadLines(std::string_view text, const FieldNames& names, FieldOrder order)
    : text_(text), names_(names), order_(order) {
  WELLHEAD_ASSERT(parser_.allocate(parser_bytes) == simdjson::SUCCESS);
}

void ReadLines::operator()() {
  const char* at = text_.data();
  const char* const end = at + text_.size();
  while (at != end) {
    const auto* const line_end =
        static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    const auto bytes = static_cast<std::size_t>(line_end - at);
    ondemand::document document;
    ondemand::object object;
    WELLHEAD_ASSERT(parser_.iterate(at, bytes, bytes + input_padding_bytes).get(document) ==
                    simdjson::SUCCESS);
    WELLHEAD_ASSERT(document.get_object().get(object) == simdjson::SUCCESS);
    benchmark::DoNotOptimize(read_fields(object, names_, order_));
    at = line_end + 1;
  }
}

ReadStream::ReadStream(std::string_view text, const FieldNames& names) : text_(text), names_(names) {
#ifdef SIMDJSON_THREADS_ENABLED
  parser_.threaded = false;  // a second thread's work would be missing in the time
#endif
}

void ReadStream::operator()() {
  ondemand::document_stream stream;
  WELLHEAD_ASSERT(parser_.iterate_many(text_.data(), text_.size(), text_.size()).get(stream) ==
                  simdjson::SUCCESS);
  std::size_t records = 0;
  for (auto document : stream) {
    ondemand::object object;
    WELLHEAD_ASSERT(document.get_object().get(object) == simdjson::SUCCESS);
    benchmark::DoNotOptimize(read_fields(object, names_, FieldOrder::kept));
    ++records;
  }
  WELLHEAD_ASSERT(records == record_count);
}

ReadArray::ReadArray(std::string_view text, const FieldNames& names) : text_(text), names_(names) {}

void ReadArray::operator()() {
  ondemand::document document;
  ondemand::array array;
  WELLHEAD_ASSERT(
      parser_.iterate(text_.data(), text_.size(), text_.size() + input_padding_bytes).get(document) ==
      simdjson::SUCCESS);
  WELLHEAD_ASSERT(document.get_array().get(array) == simdjson::SUCCESS);
  for (auto item : array) {
    ondemand::object object;
    WELLHEAD_ASSERT(item.get_object().get(object) == simdjson::SUCCESS);
    benchmark::DoNotOptimize(read_fields(object, names_, FieldOrder::kept));
  }
}

}  // namespace wellhead::bench
