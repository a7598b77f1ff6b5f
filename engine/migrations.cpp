#include "engine/migrations.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t version_digits = 4;
constexpr std::string_view suffix = ".sql";
constexpr std::string_view option_mark = "-- option: ";

std::string option_of(std::string_view sql) {
  const std::string_view first_line = sql.substr(0, sql.find('\n'));
  return first_line.starts_with(option_mark) ? std::string(first_line.substr(option_mark.size()))
                                             : std::string();
}

// 0 where the name is not NNNN_name.sql.
int version_of(std::string_view name) {
  int version = 0;
  const bool shaped = name.size() > version_digits + 1 + suffix.size() && name[version_digits] == '_' &&
                      name.ends_with(suffix);
  if (!shaped) return 0;
  const std::string digits(name.substr(0, version_digits));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  return error == std::errc() && end == digits.data() + digits.size() ? version : 0;
}

}  // namespace

std::expected<std::vector<Migration>, std::string> parse_migrations(std::span<const EmbeddedFile> files) {
  std::vector<Migration> migrations;
  for (const EmbeddedFile& file : files) {
    const int expected_version = static_cast<int>(migrations.size()) + 1;
    if (version_of(file.name) != expected_version)
      return std::unexpected(
          fmt::format("The migration {} is out of place: version {:04} was expected, as {:04}_name.sql.",
                      file.name, expected_version, expected_version));
    const std::string_view stem = file.name.substr(0, file.name.size() - suffix.size());
    migrations.push_back({.version = expected_version,
                          .name = std::string(stem.substr(version_digits + 1)),
                          .option = option_of(file.content),
                          .checksum = sha256_hexadecimal(file.content),
                          .sql = file.content});
  }
  return migrations;
}

std::string sha256_hexadecimal(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  WELLHEAD_ASSERT(done == 1);
  std::string text;
  for (unsigned int index = 0; index < size; ++index) text += fmt::format("{:02x}", digest[index]);
  return text;
}

}  // namespace wellhead
