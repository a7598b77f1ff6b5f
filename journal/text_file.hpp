// Small files a person can read (identity, epochs): text with a checksum as its last line, replaced as a
// whole.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "journal/file_system.hpp"

namespace wellhead {

// `body`, which ends with a newline, and the line "checksum <XXH3-64 of the body, 16 hexadecimal digits>".
[[nodiscard]] std::string seal_text(std::string body);
// The body; nothing where the checksum is missing or another. A view into `text`.
[[nodiscard]] std::optional<std::string_view> unseal_text(std::string_view text);
// The value of the line "key value" of a body, searched from its start; nothing where there is no such line.
[[nodiscard]] std::optional<std::string_view> line_value(std::string_view body, std::string_view key);
[[nodiscard]] std::optional<std::uint64_t> line_number(std::string_view body, std::string_view key);

// The whole of a file; EFBIG where it is larger than `bytes_max`.
[[nodiscard]] FileResult<std::string> read_text(FileSystem& files, const std::string& path,
                                                std::size_t bytes_max);
// Writes `path` whole or not at all: to `path`.new, synchronized, renamed over `path`, and the name
// synchronized in `directory`, which holds it.
[[nodiscard]] FileResult<void> replace_text(FileSystem& files, const std::string& directory,
                                            const std::string& path, std::string_view text);
// Writes all of `bytes` at `offset`, however short the single writes are.
[[nodiscard]] FileResult<void> write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset);

}  // namespace wellhead
