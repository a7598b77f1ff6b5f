#include "scoring/test_support.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <functional>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead::test {

StreamConfig watched_stream(std::uint32_t fields) {
  StreamConfig config{
      .name = "watched", .table = "watched", .device_column = "device", .time_column = "time"};
  config.columns = {{.name = "device", .type = ColumnType::text, .required = true},
                    {.name = "time", .type = ColumnType::timestamptz, .required = true}};
  config.columns[0].text_bytes_min = 1;
  for (std::uint32_t field = 0; field < fields; ++field)
    config.columns.push_back({.name = "f" + std::to_string(field), .scored = true});
  config.columns.push_back({.name = "score", .source = ColumnSource::quality_score});
  config.columns.push_back({.name = "odd", .type = ColumnType::boolean, .source = ColumnSource::anomaly});
  config.columns.push_back(
      {.name = "flags", .type = ColumnType::bigint, .source = ColumnSource::quality_flags});
  return config;
}

SchemaPointer compile(StreamConfig config, std::uint16_t index) {
  auto compiled = Schema::compile(std::move(config), index);
  WELLHEAD_ASSERT(compiled.has_value());
  return *compiled;
}

RowHeader& Rows::add(std::string_view device, std::int64_t time_us, const Values& values,
                     std::uint64_t hash) {
  std::byte tuple[4096];
  std::byte* at = copy_binary::put(tuple, static_cast<std::uint16_t>(values.size() + 5));
  at = copy_binary::put(at, static_cast<std::uint32_t>(device.size()));
  at = copy_binary::put_bytes(at, device.data(), device.size());
  at = copy_binary::put(at, std::uint32_t{8});
  at = copy_binary::put(at, static_cast<std::uint64_t>(time_us));
  for (const std::optional<float>& value : values) {
    at = copy_binary::put(
        at, value ? std::uint32_t{4} : static_cast<std::uint32_t>(std::int32_t{copy_binary::null_length}));
    if (value) at = copy_binary::put(at, std::bit_cast<std::uint32_t>(*value));
  }
  at = copy_binary::put(at, std::uint32_t{4});
  at = copy_binary::put(at, std::bit_cast<std::uint32_t>(1.0F));
  at = copy_binary::put(at, std::uint32_t{1});
  *at++ = std::byte{0};
  at = copy_binary::put(at, std::uint32_t{8});
  at = copy_binary::put(at, std::uint64_t{0});
  const auto bytes = static_cast<std::size_t>(at - tuple);
  memory_.push_back({std::string(device), std::vector<std::uint64_t>(row_bytes(bytes) / 8)});
  auto* const header = reinterpret_cast<RowHeader*>(memory_.back().words.data());
  *header = {.device_hash = hash != 0 ? hash : std::hash<std::string_view>()(device),
             .time_us = time_us,
             .tuple_bytes = static_cast<std::uint32_t>(bytes),
             .record_index = 0,
             .stream = 0};
  std::memcpy(header + 1, tuple, bytes);
  return *header;
}

const RowHeader& Rows::header(std::size_t row) const {
  return *reinterpret_cast<const RowHeader*>(memory_[row].words.data());
}

std::vector<SortedRow> Rows::sorted() const {
  std::vector<std::size_t> order(memory_.size());
  for (std::size_t row = 0; row < order.size(); ++row) order[row] = row;
  std::ranges::stable_sort(order, [this](std::size_t left, std::size_t right) {
    if (memory_[left].device != memory_[right].device) return memory_[left].device < memory_[right].device;
    return header(left).time_us > header(right).time_us;
  });
  std::vector<SortedRow> rows;
  rows.reserve(order.size());
  for (const std::size_t row : order)
    rows.push_back({header(row).time_us, &header(row), static_cast<std::uint32_t>(row)});
  return rows;
}

Computed computed_of(const RowHeader& row) {
  const std::byte* const end = reinterpret_cast<const std::byte*>(&row + 1) + row.tuple_bytes;
  return {std::bit_cast<float>(copy_binary::get<std::uint32_t>(end - 8 - 4 - 1 - 4 - 4)),
          *(end - 8 - 4 - 1) == std::byte{1}, copy_binary::get<std::uint64_t>(end - 8)};
}

}  // namespace wellhead::test
