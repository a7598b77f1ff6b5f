#include "engine/dead_letter_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "codec/dead_letter.hpp"
#include "codec/timestamp.hpp"
#include "engine/config_values.hpp"

namespace wellhead {
namespace {

constexpr std::string_view undefined_table = "42P01";
constexpr std::string_view insufficient_privilege = "42501";

std::string sentence_of(const DatabaseError& error) {
  if (error.sqlstate == undefined_table)
    return "The database has no table dead_letter: run `wellhead migrate up`.";
  if (error.sqlstate == insufficient_privilege)
    return "The database's role may not do that: GRANT SELECT, UPDATE, DELETE ON dead_letter to it. It "
           "said: " +
           error.message;
  return "The dead letters cannot be read or changed; nothing was done to them. The database said: " +
         error.message;
}

std::string utc_text(std::string_view column) {
  return fmt::format(R"(to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))", column);
}

// The id alone would have every chunk looked at.
std::string condition_of(const DeadLetterId& id) {
  return fmt::format(
      "(id = '{}' AND received_at >= TIMESTAMPTZ 'epoch' + {} * INTERVAL '1 ms' AND received_at < "
      "TIMESTAMPTZ "
      "'epoch' + {} * INTERVAL '1 ms')",
      id.text(), id.unix_ms(), id.unix_ms() + 1);
}

std::string where_of(const DeadLetterFilter& filter) {
  std::string conditions = "TRUE";
  const auto add = [&](const std::string& condition) { conditions += " AND " + condition; };
  if (!filter.ids.empty()) {
    std::string any;
    for (const DeadLetterId& id : filter.ids) any += (any.empty() ? "" : " OR ") + condition_of(id);
    add("(" + any + ")");
  }
  if (!filter.stream.empty()) add("stream = " + sql_literal(filter.stream));
  if (!filter.code.empty()) add("code = " + sql_literal(filter.code));
  if (!filter.since.empty()) add("received_at >= " + filter.since);
  if (!filter.before.empty()) add("received_at < " + filter.before);
  if (filter.replayed) add(*filter.replayed ? "replayed_at IS NOT NULL" : "replayed_at IS NULL");
  if (!filter.stored_too) add("code <> " + sql_literal(std::string(dead_letter_repaired_code)));
  return " FROM dead_letter WHERE " + conditions;
}

std::uint64_t number_in(const std::string& text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int hexadecimal_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

std::string from_hexadecimal(std::string_view digits) {
  std::string bytes;
  bytes.reserve(digits.size() / 2);
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2)
    bytes += static_cast<char>(hexadecimal_value(digits[at]) * 16 + hexadecimal_value(digits[at + 1]));
  return bytes;
}

std::string columns() {
  return fmt::format(
      "id, {}, node_id, stream, code, field, message, sqlstate, source, device_id, payload_form, "
      "record_index, "
      "{}, COALESCE(payload_bytes, 0), COALESCE(octet_length(payload), 0)",
      utc_text("received_at"), utc_text("replayed_at"));
}

DeadLetterEntry entry_of(const DatabaseRow& row) {
  std::size_t next = 0;
  const auto text = [&] { return row[next++].value_or(""); };
  DeadLetterEntry entry;
  for (std::string* member : {&entry.id, &entry.received_at, &entry.node_id, &entry.stream, &entry.code,
                              &entry.field, &entry.message, &entry.sqlstate, &entry.source, &entry.device_id,
                              &entry.payload_form, &entry.record_index, &entry.replayed_at})
    *member = text();
  entry.payload_bytes = number_in(text());
  entry.kept_bytes = number_in(text());
  if (next < row.size()) entry.payload = from_hexadecimal(text());
  return entry;
}

}  // namespace

std::optional<DeadLetterId> DeadLetterId::parse(std::string_view text) {
  constexpr std::string_view shape = "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != shape.size()) return std::nullopt;
  std::string lower(text);
  std::uint64_t unix_ms = 0;
  std::size_t digits = 0;
  for (std::size_t at = 0; at < shape.size(); ++at) {
    if (lower[at] >= 'A' && lower[at] <= 'F') lower[at] = static_cast<char>(lower[at] - 'A' + 'a');
    const int value = hexadecimal_value(lower[at]);
    const bool fits = shape[at] == 'x' ? value >= 0 : lower[at] == shape[at];
    if (!fits) return std::nullopt;
    if (shape[at] == 'x' && digits++ < 12) unix_ms = unix_ms << 4 | static_cast<std::uint64_t>(value);
  }
  return DeadLetterId(std::move(lower), unix_ms);
}

std::expected<std::string, std::string> moment_sql(std::string_view text) {
  if (const auto age = parse_duration(text))
    return fmt::format("(now() - {} * INTERVAL '1 ms')", age->count());
  if (const auto moment = parse_rfc3339(text))
    return fmt::format("(TIMESTAMPTZ '2000-01-01 00:00:00Z' + {} * INTERVAL '1 microsecond')", *moment);
  return std::unexpected(fmt::format(
      "\"{}\" is neither an age, such as 90m or 7d, nor a time, such as 2026-03-01T12:00:00Z", text));
}

std::expected<std::vector<DeadLetterEntry>, std::string> DeadLetterStore::list(const DeadLetterFilter& filter,
                                                                               std::uint64_t limit) {
  const auto rows = database_.query(fmt::format("SELECT {}{} ORDER BY received_at DESC, id DESC LIMIT {}",
                                                columns(), where_of(filter), limit));
  if (!rows) return std::unexpected(sentence_of(rows.error()));
  std::vector<DeadLetterEntry> entries;
  entries.reserve(rows->size());
  for (const DatabaseRow& row : *rows) entries.push_back(entry_of(row));
  return entries;
}

std::expected<std::vector<DeadLetterId>, std::string> DeadLetterStore::ids(const DeadLetterFilter& filter,
                                                                           std::uint64_t limit) {
  const auto rows =
      database_.query(fmt::format("SELECT id{} ORDER BY received_at, id LIMIT {}", where_of(filter), limit));
  if (!rows) return std::unexpected(sentence_of(rows.error()));
  std::vector<DeadLetterId> ids;
  ids.reserve(rows->size());
  for (const DatabaseRow& row : *rows) {
    // Rows that something else than a node wrote may have ids of another kind; there is no way to name them.
    if (auto id = DeadLetterId::parse(row.front().value_or(""))) ids.push_back(std::move(*id));
  }
  return ids;
}

std::expected<std::optional<DeadLetterEntry>, std::string> DeadLetterStore::find(const DeadLetterId& id) {
  const auto rows = database_.query(fmt::format("SELECT {}, encode(payload, 'hex') FROM dead_letter WHERE {}",
                                                columns(), condition_of(id)));
  if (!rows) return std::unexpected(sentence_of(rows.error()));
  if (rows->empty()) return std::nullopt;
  return entry_of(rows->front());
}

std::expected<std::uint64_t, std::string> DeadLetterStore::count(const DeadLetterFilter& filter) {
  const auto rows = database_.query("SELECT count(*)" + where_of(filter));
  if (!rows) return std::unexpected(sentence_of(rows.error()));
  return number_in(rows->front().front().value_or(""));
}

std::expected<void, std::string> DeadLetterStore::mark_replayed(const DeadLetterId& id) {
  const auto step = database_.run(
      "UPDATE dead_letter SET replayed_at = now() WHERE replayed_at IS NULL AND " + condition_of(id));
  if (!step) return std::unexpected(sentence_of(step.error()));
  return {};
}

std::expected<std::uint64_t, std::string> DeadLetterStore::remove(const DeadLetterFilter& filter) {
  const auto step = database_.run("DELETE" + where_of(filter));
  if (!step) return std::unexpected(sentence_of(step.error()));
  return step->rows_updated;
}

}  // namespace wellhead
