#include "sink/baselines.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

void append_hexadecimal(std::string& text, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<std::size_t>(byte >> 4)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
}

std::optional<std::vector<std::byte>> from_hexadecimal(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t at = 0; at < text.size(); at += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    if (error != std::errc{} || end != text.data() + at + 2) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

// Adds an element to an array's text form, {"a","b"}, still without its brackets.
void append_element(std::string& array, std::string_view text) {
  if (!array.empty()) array += ',';
  array += '"';
  for (const char character : text) {
    if (character == '"' || character == '\\') array += '\\';
    array += character;
  }
  array += '"';
}

std::string array_literal(const std::string& elements) {
  return sql_literal("{" + elements + "}") + "::text[]";
}

struct Saved {
  std::string_view stream;
  const DeviceState* state;
};

std::string save_statement(std::span<const Saved> saved) {
  std::string devices;
  std::string states;
  for (const Saved& one : saved) {
    append_element(devices, one.state->device.text);
    if (!states.empty()) states += ',';
    append_hexadecimal(states, one.state->bytes);
  }
  return "INSERT INTO " + std::string(baselines_table) + " (stream, device_id, state, saved_at) SELECT " +
         sql_literal(saved.front().stream) + ", device_id, decode(state, 'hex'), now() FROM unnest(" +
         array_literal(devices) + ", " + array_literal(states) +
         ") AS saved (device_id, state) ON CONFLICT (stream, device_id) DO UPDATE SET state = "
         "EXCLUDED.state, saved_at = EXCLUDED.saved_at";
}

}  // namespace

// Without the settings, a table without statistics is read as a whole for a few devices. They end with the
// message, which is a transaction of its own. The number, and not the text, says which device a row is of:
// the database may hold texts in another encoding.
std::string BaselineTable::select_statement(std::string_view stream, std::span<const DeviceName> devices) {
  WELLHEAD_ASSERT(!devices.empty() && devices.size() <= baselines_per_lookup);
  std::string elements;
  for (const DeviceName& device : devices) append_element(elements, device.text);
  return "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SELECT wanted.number, "
         "encode(baseline.state, 'hex') FROM unnest(" +
         array_literal(elements) + ") WITH ORDINALITY AS wanted (device_id, number) JOIN " +
         std::string(baselines_table) + " AS baseline ON baseline.stream = " + sql_literal(stream) +
         " AND baseline.device_id = wanted.device_id";
}

std::optional<BaselineTable::Found> BaselineTable::read(const DatabaseRow& row) {
  WELLHEAD_ASSERT(row.size() == 2 && row[0].has_value());
  Found found{};
  const auto [end, error] = std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), found.device);
  WELLHEAD_ASSERT(error == std::errc{} && found.device > 0);
  --found.device;  // SQL counts from 1
  auto state = from_hexadecimal(row[1].value_or(""));
  if (!state) return std::nullopt;
  found.state = std::move(*state);
  return found;
}

std::vector<std::string> BaselineTable::save_statements(std::span<const std::string_view> streams,
                                                        std::span<const DeviceState> states) {
  std::vector<Saved> saved;
  saved.reserve(states.size());
  for (const DeviceState& state : states) {
    const bool kept = state.device.stream < streams.size() && !state.bytes.empty() &&
                      state.device.text.size() <= baseline_device_bytes_max;
    if (kept) saved.push_back({streams[state.device.stream], &state});
  }
  // By the streams' names: their numbers are another node's others.
  std::ranges::sort(saved, {},
                    [](const Saved& one) { return std::pair(one.stream, one.state->device.text); });
  std::vector<std::string> statements;
  for (auto first = saved.begin(); first != saved.end();) {
    const auto other_stream = [&](const Saved& one) { return one.stream != first->stream; };
    const auto most = std::min<std::ptrdiff_t>(saved.end() - first, baselines_per_save);
    const auto last = std::find_if(first, first + most, other_stream);
    statements.push_back(save_statement(std::span(first, last)));
    first = last;
  }
  return statements;
}

}  // namespace wellhead
