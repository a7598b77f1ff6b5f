#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "base/json_text.hpp"

namespace wellhead::log {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto created =
        std::make_shared<spdlog::logger>("wellhead", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // The message is already a run of JSON members; the pattern closes the object around it.
    created->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})",
                         spdlog::pattern_time_type::utc);
    created->set_level(spdlog::level::info);
    created->flush_on(spdlog::level::debug);
    return created;
  }();
  return *instance;
}

void write(spdlog::level::level_enum level, std::string_view message, Fields fields) {
  if (!logger().should_log(level)) return;
  std::string members = "\"message\":";
  append_json_string(members, message);
  for (const Field& field : fields) {
    members += ',';
    append_json_string(members, field.key);
    members += ':';
    if (field.quoted)
      append_json_string(members, field.value);
    else
      members += field.value;
  }
  logger().log(level, spdlog::string_view_t(members.data(), members.size()));
}

}  // namespace

void set_level(Level level) noexcept {
  switch (level) {
    case Level::debug:
      logger().set_level(spdlog::level::debug);
      break;
    case Level::info:
      logger().set_level(spdlog::level::info);
      break;
    case Level::warning:
      logger().set_level(spdlog::level::warn);
      break;
    case Level::error:
      logger().set_level(spdlog::level::err);
      break;
    case Level::off:
      logger().set_level(spdlog::level::off);
      break;
  }
}

void debug(std::string_view message, Fields fields) {
  write(spdlog::level::debug, message, fields);
}
void info(std::string_view message, Fields fields) {
  write(spdlog::level::info, message, fields);
}
void warning(std::string_view message, Fields fields) {
  write(spdlog::level::warn, message, fields);
}
void error(std::string_view message, Fields fields) {
  write(spdlog::level::err, message, fields);
}

}  // namespace wellhead::log
