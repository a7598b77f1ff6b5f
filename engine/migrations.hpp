// The numbered SQL files of migrations/, as they are embedded in the binary.
#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "database/server.hpp"

namespace wellhead {

struct EmbeddedFile {
  std::string_view name;  // "0002_telemetry.sql"
  std::string_view content;
};
// In order of their names. The second are those of migrations/down, each the way back of the file of its
// name.
[[nodiscard]] std::span<const EmbeddedFile> embedded_migration_files();
[[nodiscard]] std::span<const EmbeddedFile> embedded_down_files();

// On which servers a migration applies. Empty: on all.
struct EditionCondition {
  std::vector<Edition> editions;
  ExtensionVersion at_least;  // {0, 0}: any
  ExtensionVersion below;     // {0, 0}: any

  [[nodiscard]] bool holds(const Server& server) const noexcept;
};

// How to undo a migration.
struct DownPart {
  std::string_view sql;
  std::vector<std::string> loses;  // tables whose rows are gone with it, and TABLE.COLUMN
};

struct Migration {
  int version = 0;
  std::string name;    // "telemetry"
  std::string option;  // applied only where it is asked for; empty: always
  EditionCondition edition;
  bool transactional = true;  // false: each statement alone, and all of them again after an interruption
  std::string checksum;       // SHA-256 of the file, in hexadecimal
  std::string_view sql;
  std::optional<DownPart> down;
};

// From NNNN_name.sql, with ascending numbers. A file may begin with lines of these forms, in any order:
//   -- option: NAME                    applied only where it is asked for
//   -- edition: apache, plain          applied only there; also "community >= 2.18", "community < 2.18"
//   -- transaction: none               its statements cannot run in a transaction, and may be repeated
// and a down file with
//   -- loses: TABLE TABLE.COLUMN       the rows of the table go, and of the other this column
// The error is a sentence. The files outlive the result.
[[nodiscard]] std::expected<std::vector<Migration>, std::string> parse_migrations(
    std::span<const EmbeddedFile> files, std::span<const EmbeddedFile> down_files = {});

// The statements of a file that has no function bodies and no semicolons in constants, without comments.
[[nodiscard]] std::vector<std::string> split_statements(std::string_view sql);

[[nodiscard]] std::string sha256_hexadecimal(std::string_view bytes);

}  // namespace wellhead
