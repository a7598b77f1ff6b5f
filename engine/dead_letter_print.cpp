#include "engine/dead_letter_print.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/json_text.hpp"

namespace wellhead {
namespace {

constexpr std::size_t line_message_bytes_max = 120;

// One line of it.
std::string flat(std::string_view text) {
  std::string line = escaped(text);
  for (char& character : line)
    if (character == '\n' || character == '\t') character = ' ';
  return line;
}

std::string size_text(const DeadLetterEntry& entry) {
  if (entry.kept_bytes == 0) return "none";
  if (entry.whole()) return fmt::format("{} bytes", entry.payload_bytes);
  return fmt::format("the first {} of {} bytes", entry.kept_bytes, entry.payload_bytes);
}

// All members that are texts, with their names in JSON and on the screen.
struct Member {
  std::string_view name;
  std::string DeadLetterEntry::* text;
};
constexpr std::array<Member, 13> members{{{"id", &DeadLetterEntry::id},
                                          {"received_at", &DeadLetterEntry::received_at},
                                          {"node_id", &DeadLetterEntry::node_id},
                                          {"stream", &DeadLetterEntry::stream},
                                          {"code", &DeadLetterEntry::code},
                                          {"field", &DeadLetterEntry::field},
                                          {"message", &DeadLetterEntry::message},
                                          {"sqlstate", &DeadLetterEntry::sqlstate},
                                          {"source", &DeadLetterEntry::source},
                                          {"device_id", &DeadLetterEntry::device_id},
                                          {"record_index", &DeadLetterEntry::record_index},
                                          {"payload_form", &DeadLetterEntry::payload_form},
                                          {"replayed_at", &DeadLetterEntry::replayed_at}}};

}  // namespace

std::string escaped(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const auto first = static_cast<unsigned char>(bytes.front());
    const std::size_t length = utf8_sequence_length(bytes);
    // C1 control characters, U+0080 to U+009F, are written 0xC2 0x80 to 0xC2 0x9F.
    const bool second_control = length == 2 && first == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0;
    const bool control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F || second_control;
    if (length == 0 || control) {
      text += fmt::format("\\x{:02x}", first);
      bytes.remove_prefix(1);
      continue;
    }
    text += bytes.substr(0, length);
    bytes.remove_prefix(length);
  }
  return text;
}

std::string print_line(const DeadLetterEntry& entry) {
  return fmt::format(
      "{}  {}  {:<12}  {:<24}  {:<16}  {}{}\n", entry.received_at, entry.id, flat(entry.stream),
      flat(entry.code) + (entry.field.empty() ? "" : "(" + flat(entry.field) + ")"),
      entry.device_id.empty() ? "-" : flat(entry.device_id), entry.replayed_at.empty() ? "" : "[replayed] ",
      flat(storable_text(entry.message, line_message_bytes_max)));
}

std::string print_json(const DeadLetterEntry& entry) {
  std::string json = "{";
  for (const Member& member : members) {
    const std::string& text = entry.*member.text;
    append_json_string(json, member.name);
    json += ':';
    if (text.empty())
      json += "null";
    else if (member.text == &DeadLetterEntry::record_index)
      json += text;
    else
      append_json_string(json, text);
    json += ',';
  }
  return json +
         fmt::format("\"payload_bytes\":{},\"kept_bytes\":{}}}\n", entry.payload_bytes, entry.kept_bytes);
}

std::string print_letter(const DeadLetterEntry& entry) {
  std::string text;
  for (const Member& member : members) {
    if (!(entry.*member.text).empty())
      text += fmt::format("{:<13}{}\n", std::string(member.name) + ":", flat(entry.*member.text));
  }
  text += fmt::format("{:<13}{}\n", "payload:", size_text(entry));
  if (!entry.payload.empty()) text += "\n" + escaped(entry.payload) + "\n";
  return text;
}

}  // namespace wellhead
