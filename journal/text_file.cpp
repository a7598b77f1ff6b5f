#include "journal/text_file.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::string_view checksum_key = "checksum ";
constexpr std::size_t checksum_line_bytes = checksum_key.size() + 16 + 1;

std::string checksum_line(std::string_view body) {
  return fmt::format("{}{:016x}\n", checksum_key, XXH3_64bits(body.data(), body.size()));
}

FileResult<void> write_new(FileSystem& files, const std::string& path, std::string_view text) {
  auto file = files.open(path, OpenMode::create);
  if (!file && file.error() == EEXIST) {  // left by a crash
    if (auto removed = files.remove(path); !removed) return removed;
    file = files.open(path, OpenMode::create);
  }
  if (!file) return std::unexpected(file.error());
  if (auto written = write_all(**file, std::as_bytes(std::span(text)), 0); !written) return written;
  return (*file)->synchronize();
}

}  // namespace

std::string seal_text(std::string body) {
  WELLHEAD_ASSERT(body.ends_with('\n'));
  return body + checksum_line(body);
}

std::optional<std::string_view> unseal_text(std::string_view text) {
  if (text.size() < checksum_line_bytes) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - checksum_line_bytes);
  if (text.substr(body.size()) != checksum_line(body)) return std::nullopt;
  return body;
}

std::optional<std::string_view> line_value(std::string_view body, std::string_view key) {
  while (!body.empty()) {
    const std::string_view line = body.substr(0, body.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
      return line.substr(key.size() + 1);
    body.remove_prefix(std::min(body.size(), line.size() + 1));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> line_number(std::string_view body, std::string_view key) {
  const auto value = line_value(body, key);
  if (!value) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (error != std::errc() || end != value->data() + value->size()) return std::nullopt;
  return number;
}

FileResult<std::string> read_text(FileSystem& files, const std::string& path, std::size_t bytes_max) {
  const auto file = files.open(path, OpenMode::read);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  if (*size > bytes_max) return std::unexpected(EFBIG);
  std::string text(*size, '\0');
  for (std::size_t at = 0; at < text.size();) {
    const auto got = (*file)->read(std::as_writable_bytes(std::span(text)).subspan(at), at);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) return text.substr(0, at);
    at += *got;
  }
  return text;
}

FileResult<void> replace_text(FileSystem& files, const std::string& directory, const std::string& path,
                              std::string_view text) {
  const std::string fresh = path + ".new";
  if (auto written = write_new(files, fresh, text); !written) return written;
  if (auto renamed = files.rename(fresh, path); !renamed) return renamed;
  return files.synchronize_directory(directory);
}

FileResult<void> write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    const auto written = file.write({&piece, 1}, offset);
    if (!written) return std::unexpected(written.error());
    if (*written == 0) return std::unexpected(EIO);
    bytes = bytes.subspan(*written);
    offset += *written;
  }
  return {};
}

}  // namespace wellhead
