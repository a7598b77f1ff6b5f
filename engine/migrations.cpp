#include "engine/migrations.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t version_digits = 4;
constexpr std::string_view suffix = ".sql";
constexpr std::array editions{Edition::plain, Edition::apache, Edition::community};

// The value of a header line "-- KEY: VALUE"; nullopt where the line is none of this key.
std::optional<std::string_view> header_value(std::string_view line, std::string_view key) {
  const std::string mark = fmt::format("-- {}: ", key);
  if (!line.starts_with(mark)) return std::nullopt;
  return line.substr(mark.size());
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char character : text) {
    const bool between = character == ' ' || character == ',';
    if (!between) word += character;
    if (between && !word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// False for what is no condition.
bool parse_condition(std::string_view text, EditionCondition& condition) {
  const std::vector<std::string> words = words_of(text);
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string& word = words[index];
    if (word == ">=" || word == "<") {
      if (++index == words.size()) return false;
      const ExtensionVersion version = parse_extension_version(words[index]);
      if (version == ExtensionVersion{}) return false;
      (word == "<" ? condition.below : condition.at_least) = version;
      continue;
    }
    const auto known = std::ranges::find(editions, word, [](Edition edition) { return to_string(edition); });
    if (known == editions.end()) return false;
    condition.editions.push_back(*known);
  }
  return !condition.editions.empty();
}

// Reads the header lines of a file into `migration`; false for one that says nonsense.
bool parse_header(std::string_view sql, Migration& migration) {
  while (sql.starts_with("-- ")) {
    const std::size_t end = std::min(sql.find('\n'), sql.size());
    const std::string_view line = sql.substr(0, end);
    if (const auto option = header_value(line, "option"))
      migration.option = *option;
    else if (const auto transaction = header_value(line, "transaction"))
      migration.transactional = *transaction != "none";
    else if (const auto edition = header_value(line, "edition")) {
      if (!parse_condition(*edition, migration.edition)) return false;
    } else
      return true;
    sql.remove_prefix(std::min(end + 1, sql.size()));
  }
  return true;
}

DownPart parse_down(std::string_view sql) {
  const auto loses = header_value(sql.substr(0, sql.find('\n')), "loses");
  return {sql, loses ? words_of(*loses) : std::vector<std::string>()};
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

bool EditionCondition::holds(const Server& server) const noexcept {
  if (editions.empty()) return true;
  if (std::ranges::find(editions, server.edition) == editions.end()) return false;
  return server.timescaledb_version >= at_least &&
         (below == ExtensionVersion{} || server.timescaledb_version < below);
}

std::expected<std::vector<Migration>, std::string> parse_migrations(
    std::span<const EmbeddedFile> files, std::span<const EmbeddedFile> down_files) {
  std::vector<Migration> migrations;
  for (const EmbeddedFile& file : files) {
    const int version = version_of(file.name);
    const int before = migrations.empty() ? 0 : migrations.back().version;
    if (version <= before)
      return std::unexpected(fmt::format(
          "The migration {} is out of place: a number above {:04} was expected, as NNNN_name.sql.", file.name,
          before));
    const std::string_view stem = file.name.substr(0, file.name.size() - suffix.size());
    Migration migration;
    migration.version = version;
    migration.name = stem.substr(version_digits + 1);
    migration.checksum = sha256_hexadecimal(file.content);
    migration.sql = file.content;
    if (!parse_header(file.content, migration))
      return std::unexpected(fmt::format(
          "The migration {} names no condition that is known: see the first lines of the file.", file.name));
    const auto down = std::ranges::find(down_files, file.name, &EmbeddedFile::name);
    if (down != down_files.end()) migration.down = parse_down(down->content);
    migrations.push_back(std::move(migration));
  }
  return migrations;
}

std::vector<std::string> split_statements(std::string_view sql) {
  std::vector<std::string> statements;
  std::string statement;
  while (!sql.empty()) {
    const std::size_t end = std::min(sql.find('\n'), sql.size());
    const std::string_view line = sql.substr(0, end);
    sql.remove_prefix(std::min(end + 1, sql.size()));
    if (line.empty() || line.starts_with("--")) continue;
    statement += statement.empty() ? "" : "\n";
    statement += line;
    if (line.ends_with(';')) statements.push_back(std::exchange(statement, {}));
  }
  if (!statement.empty()) statements.push_back(std::move(statement));
  return statements;
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
