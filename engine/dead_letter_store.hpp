// The table dead_letter as the commands see it. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/database.hpp"

namespace wellhead {

// The id of a dead letter: a version 7 UUID, whose time says where in the table its row is.
class DeadLetterId {
 public:
  // Nothing where the text is no such id.
  [[nodiscard]] static std::optional<DeadLetterId> parse(std::string_view text);
  // 36 characters, lower case.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::uint64_t unix_ms() const noexcept { return unix_ms_; }

 private:
  DeadLetterId(std::string text, std::uint64_t unix_ms) : text_(std::move(text)), unix_ms_(unix_ms) {}
  std::string text_;
  std::uint64_t unix_ms_;
};

// A row as text; NULL is empty. Times are RFC 3339 in UTC.
struct DeadLetterEntry {
  std::string id, received_at, node_id, stream, code, field, message, sqlstate, source, device_id;
  std::string payload_form, record_index, replayed_at;
  std::uint64_t payload_bytes = 0;  // of the whole record
  std::uint64_t kept_bytes = 0;     // of it in the table
  std::string payload;              // where it was asked for

  [[nodiscard]] bool whole() const noexcept { return kept_bytes > 0 && kept_bytes == payload_bytes; }
};

// Which rows; every condition that is given must hold. Times are SQL expressions made by moment_sql().
struct DeadLetterFilter {
  std::vector<DeadLetterId> ids = {};  // any of them; empty: all
  std::string stream = {};
  std::string code = {};
  std::string since = {};   // received then or later
  std::string before = {};  // received earlier
  std::optional<bool> replayed = {};
  bool stored_too = true;  // also of records that are stored, repaired
};

// "90m" (before now), "2026-03-01T12:00:00Z". The error is the end of a sentence that begins with the text.
[[nodiscard]] std::expected<std::string, std::string> moment_sql(std::string_view text);

class DeadLetterStore {
 public:
  // REQUIRES a connected database, which outlives this.
  explicit DeadLetterStore(Database& database) : database_(database) {}

  // The newest first. Errors are sentences, here and below.
  [[nodiscard]] std::expected<std::vector<DeadLetterEntry>, std::string> list(const DeadLetterFilter& filter,
                                                                              std::uint64_t limit);
  // The oldest first.
  [[nodiscard]] std::expected<std::vector<DeadLetterId>, std::string> ids(const DeadLetterFilter& filter,
                                                                          std::uint64_t limit);
  // With its payload; nothing where there is none of this id.
  [[nodiscard]] std::expected<std::optional<DeadLetterEntry>, std::string> find(const DeadLetterId& id);
  [[nodiscard]] std::expected<std::uint64_t, std::string> count(const DeadLetterFilter& filter);
  // Sets replayed_at to now; a time that is there already stays.
  [[nodiscard]] std::expected<void, std::string> mark_replayed(const DeadLetterId& id);
  // Returns how many went.
  [[nodiscard]] std::expected<std::uint64_t, std::string> remove(const DeadLetterFilter& filter);

 private:
  Database& database_;
};

}  // namespace wellhead
