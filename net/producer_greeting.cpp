#include "net/producer_greeting.hpp"

#include <simdjson.h>

#include <algorithm>

namespace wellhead {
namespace {

// With every character of the name escaped, and room for spaces. Longer lines are records.
constexpr std::size_t greeting_bytes_max = 2'048;

constexpr std::string_view bad_name =
    "\"producer\" must be a string of 1 to 255 visible ASCII characters without spaces.";
constexpr std::string_view bad_sequence =
    "\"sequence\" must be the number of the next line: a whole number from 1 to 9007199254740991.";

// A number that every client's JSON library can hold (2^53 - 1).
constexpr std::uint64_t sequence_max = 9'007'199'254'740'991;

bool only_greeting_members(const simdjson::dom::object& object) {
  return std::ranges::all_of(object, [](const simdjson::dom::key_value_pair& member) {
    return member.key == "producer" || member.key == "sequence";
  });
}

}  // namespace

bool is_retry_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= retry_name_bytes_max &&
         std::ranges::all_of(name, [](char character) { return character > ' ' && character < '\x7f'; });
}

std::optional<ProducerGreeting> read_greeting(std::string_view line) {
  // Records are told by a glance: this stands in front of every connection.
  if (line.size() > greeting_bytes_max || line.find("\"producer\"") == std::string_view::npos)
    return std::nullopt;
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(line);
  simdjson::dom::object object;
  if (parser.parse(padded).get_object().get(object) != simdjson::SUCCESS) return std::nullopt;
  if (!only_greeting_members(object)) return std::nullopt;
  ProducerGreeting greeting;
  std::string_view name;
  if (object.at_key("producer").get_string().get(name) != simdjson::SUCCESS || !is_retry_name(name)) {
    greeting.fault = bad_name;
    return greeting;
  }
  greeting.producer = name;
  const auto member = object.at_key("sequence");
  if (member.error() == simdjson::NO_SUCH_FIELD) return greeting;
  std::uint64_t sequence = 0;
  if (member.get_uint64().get(sequence) != simdjson::SUCCESS || sequence == 0 || sequence > sequence_max)
    greeting.fault = bad_sequence;
  greeting.sequence = sequence;
  return greeting;
}

}  // namespace wellhead
