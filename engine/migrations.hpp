// The numbered SQL files of migrations/, as they are embedded in the binary.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

struct EmbeddedFile {
  std::string_view name;  // "0002_telemetry.sql"
  std::string_view content;
};
// In order of their names.
[[nodiscard]] std::span<const EmbeddedFile> embedded_migration_files();

struct Migration {
  int version = 0;
  std::string name;      // "telemetry"
  std::string option;    // applied only where it is asked for; empty: always
  std::string checksum;  // SHA-256 of the file, in hexadecimal
  std::string_view sql;
};

// From NNNN_name.sql, numbered from 1 without gaps. A first line "-- option: NAME" makes one optional. The
// error is a sentence. The files outlive the result.
[[nodiscard]] std::expected<std::vector<Migration>, std::string> parse_migrations(
    std::span<const EmbeddedFile> files);

[[nodiscard]] std::string sha256_hexadecimal(std::string_view bytes);

}  // namespace wellhead
