// JSON logs: one object a line on standard error. Thread-safe; never on the path of a record.
//
// What a level asks of the operator: error — act now, something is not being done; warning — look soon,
// something is worse than it should be; info — nothing, a state changed. Values must never be secrets.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace wellhead::log {

enum class Level : std::uint8_t { debug, info, warning, error, off };

// One key and value of a log line; numbers and booleans stay unquoted.
struct Field {
  std::string_view key;
  std::string value;
  bool quoted = true;

  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const char* text) : key(name), value(text) {}
  Field(std::string_view name, const std::string& text) : key(name), value(text) {}
  Field(std::string_view name, bool flag) : key(name), value(flag ? "true" : "false"), quoted(false) {}
  template <typename Number>
    requires((std::integral<Number> || std::floating_point<Number>) && !std::same_as<Number, bool>)
  Field(std::string_view name, Number number) : key(name), value(std::to_string(number)), quoted(false) {}
};

using Fields = std::initializer_list<Field>;

// Lines below `level` are dropped. Default: info.
void set_level(Level level) noexcept;

// `message` is a sentence for an operator; `fields` are the facts in it.
void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warning(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace wellhead::log
