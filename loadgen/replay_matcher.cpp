#include "loadgen/replay_matcher.hpp"

#include <fmt/core.h>
#include <simdjson.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/clock.hpp"
#include "loadgen/timestamp_text.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::size_t device_column = 0;
constexpr std::size_t time_column = 1;
constexpr std::size_t first_value_column = 2;
// A converted value may differ in its last bits, depending on the order of the operations.
constexpr double converted_tolerance = 1e-6;

std::uint64_t hash_key(std::string_view device, std::int64_t unix_us) {
  return XXH3_64bits_withSeed(device.data(), device.size(), static_cast<XXH64_hash_t>(unix_us));
}

std::string quoted_literal(std::string_view text) {
  std::string literal = "'";
  for (const char character : text) {
    if (character == '\'') literal += '\'';
    literal += character;
  }
  return literal + "'";
}

std::string timestamp_literal(std::int64_t unix_us) {
  std::string text(timestamp_text_bytes, ' ');
  TimestampWriter().write(std::max<std::int64_t>(unix_us, 0), text.data());
  return quoted_literal(text);
}

bool same_json(std::string_view left, std::string_view right) {
  simdjson::dom::parser left_parser;
  simdjson::dom::parser right_parser;
  simdjson::dom::element one;
  simdjson::dom::element other;
  if (left_parser.parse(left.data(), left.size()).get(one) != simdjson::SUCCESS) return false;
  if (right_parser.parse(right.data(), right.size()).get(other) != simdjson::SUCCESS) return false;
  const auto same = [](const auto& self, simdjson::dom::element a, simdjson::dom::element b) -> bool {
    simdjson::dom::object fields;
    simdjson::dom::array items;
    simdjson::dom::array other_items;
    if (a.get(fields) == simdjson::SUCCESS) {
      simdjson::dom::object other_fields;
      if (b.get(other_fields) != simdjson::SUCCESS || fields.size() != other_fields.size()) return false;
      return std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
        simdjson::dom::element counterpart;
        return other_fields[field.key].get(counterpart) == simdjson::SUCCESS &&
               self(self, field.value, counterpart);
      });
    }
    if (a.get(items) == simdjson::SUCCESS) {
      if (b.get(other_items) != simdjson::SUCCESS || items.size() != other_items.size()) return false;
      return std::equal(items.begin(), items.end(), other_items.begin(),
                        [&](auto x, auto y) { return self(self, x, y); });
    }
    if (a.is_number() && b.is_number()) return a.get_double().value_unsafe() == b.get_double().value_unsafe();
    return simdjson::minify(a) == simdjson::minify(b);
  };
  return same(same, one, other);
}

bool holds(const CopyRow& row, std::size_t column, const ReplayColumn& kind, const ExpectedValue& expected) {
  if (std::holds_alternative<std::monostate>(expected)) return row.is_null(column);
  if (const auto* number = std::get_if<ExpectedNumber>(&expected)) {
    if (!number->converted) return row.equals_number(column, number->value);
    const auto stored = row.number(column);
    return stored &&
           std::fabs(*stored - number->value) <= converted_tolerance * std::max(1.0, std::fabs(*stored));
  }
  if (const auto* whole = std::get_if<std::int64_t>(&expected)) return row.integer(column) == *whole;
  const auto& text = std::get<std::string>(expected);
  return kind.kind == ReplayColumnKind::json ? same_json(row.text(column), text) : row.text(column) == text;
}

}  // namespace

ReplayMatcher::ReplayMatcher(const ReplayWorkload& workload)
    : workload_(workload),
      reader_(workload.stream()),
      time_us_min_(std::numeric_limits<std::int64_t>::max()),
      time_us_max_(std::numeric_limits<std::int64_t>::min()),
      there_before_(workload.records()),
      there_left_(workload.records()),
      had_row_(workload.records()) {
  std::set<std::string> devices;
  for (std::uint64_t record = 0; record < workload.records(); ++record) {
    ReplayKey key = reader_.key(workload.line(record));
    if (!key.device || !key.unix_us) continue;
    entries_.push_back({.key_hash = hash_key(*key.device, *key.unix_us), .record = record});
    time_us_min_ = std::min(time_us_min_, *key.unix_us);
    time_us_max_ = std::max(time_us_max_, *key.unix_us);
    devices.insert(std::move(*key.device));
  }
  std::ranges::sort(entries_, {}, [](const Entry& entry) { return std::pair(entry.key_hash, entry.record); });
  devices_.assign(devices.begin(), devices.end());
}

std::string ReplayMatcher::select_statement(const std::string& table) const {
  const std::string_view device = device_key(workload_.stream());
  std::string columns = fmt::format("{}, \"timestamp\"", device);
  for (const ReplayColumn& column : replay_columns(workload_.stream())) {
    columns += fmt::format(", {}{}", column.name, column.kind == ReplayColumnKind::json ? "::text" : "");
  }
  if (entries_.empty()) return fmt::format("SELECT {} FROM {} WHERE false", columns, table);
  std::string list;
  for (const std::string& name : devices_) list += (list.empty() ? "" : ", ") + quoted_literal(name);
  return fmt::format("SELECT {} FROM {} WHERE {} IN ({}) AND \"timestamp\" BETWEEN {} AND {}", columns, table,
                     device, list, timestamp_literal(time_us_min_), timestamp_literal(time_us_max_));
}

std::string ReplayMatcher::difference(const CopyRow& row, std::uint64_t record) {
  const auto expected = reader_.expected(workload_.line(record));
  if (!expected) return "the record sent is not a JSON object";
  const auto& columns = replay_columns(workload_.stream());
  for (std::size_t index = 0; index < columns.size(); ++index) {
    if (!holds(row, first_value_column + index, columns[index], (*expected)[index])) {
      return fmt::format("{} is not what was sent", columns[index].name);
    }
  }
  return {};
}

RowMatch ReplayMatcher::find(const CopyRow& row) {
  RowMatch best;
  const auto time_us = row.integer(time_column);
  if (!time_us || row.size() != first_value_column + replay_columns(workload_.stream()).size()) return best;
  const std::int64_t unix_us = *time_us + postgres_epoch_unix_us;
  const std::uint64_t hash = hash_key(row.text(device_column), unix_us);
  const auto range = std::ranges::equal_range(entries_, hash, {}, &Entry::key_hash);
  bool best_is_fresh = false;
  for (const Entry& entry : range) {
    const ReplayKey key = reader_.key(workload_.line(entry.record));
    if (key.device != row.text(device_column) || key.unix_us != unix_us)
      continue;  // another key of the same hash
    std::string difference_text = difference(row, entry.record);
    const bool equal = difference_text.empty();
    const bool fresh = !had_row_[entry.record];
    const bool better = !best.record || std::pair(equal, fresh) > std::pair(best.values_equal, best_is_fresh);
    if (!better) continue;
    best.record = entry.record;
    best.values_equal = equal;
    best.difference = std::move(difference_text);
    best_is_fresh = fresh;
  }
  return best;
}

void ReplayMatcher::remember(const CopyRow& row) {
  const RowMatch found = find(row);
  if (found.record) {
    ++there_before_[*found.record];
  } else {
    ++foreign_before_;
  }
}

void ReplayMatcher::rewind() {
  there_left_ = there_before_;
  foreign_left_ = foreign_before_;
  had_row_.assign(had_row_.size(), false);
}

RowMatch ReplayMatcher::match(const CopyRow& row) {
  RowMatch found = find(row);
  if (!found.record) {
    found.already_there = foreign_left_ > 0;
    if (foreign_left_ > 0) --foreign_left_;
    return found;
  }
  if (there_left_[*found.record] > 0) {
    --there_left_[*found.record];
    found.already_there = true;
  } else {
    had_row_[*found.record] = true;
  }
  return found;
}

}  // namespace wellhead::loadgen
