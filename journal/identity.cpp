#include "journal/identity.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "base/assert.hpp"
#include "journal/error.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

constexpr const char* identity_path = "identity";
constexpr std::size_t identity_bytes_max = 64U << 10;
constexpr std::string_view first_words = "wellhead-journal";  // then the format's version

std::string text_of(const JournalIdentity& identity) {
  return seal_text(fmt::format("{} {}\njournal {}\nnode {}\n", first_words, journal_format::version,
                               journal_id_text(identity.id), identity.node_id));
}

std::optional<journal_format::JournalId> parse_id(std::string_view text) {
  journal_format::JournalId id{};
  if (text.size() != 2 * id.size()) return std::nullopt;
  for (std::size_t byte = 0; byte < id.size(); ++byte) {
    const char* digits = text.data() + 2 * byte;
    if (std::from_chars(digits, digits + 2, id[byte], 16).ptr != digits + 2) return std::nullopt;
  }
  return id;
}

JournalError damaged_identity() {
  return {JournalErrorCode::damaged,
          "The journal's file identity is damaged, so nobody can tell whose records it holds. Nothing was "
          "changed; restore that file from a copy of the journal's directory, or move the directory away to "
          "start an empty journal without the records in it."};
}

JournalError other_version(std::uint64_t version) {
  return {
      JournalErrorCode::wrong_version,
      fmt::format("The journal has format {}, this wellhead reads format {}. Nothing was changed; start the "
                  "version of wellhead that wrote it and let it drain, then change versions.",
                  version, journal_format::version)};
}

std::expected<JournalIdentity, JournalError> parse(std::string_view text) {
  // The version first: the rest of another version's file may look otherwise.
  const auto version = line_number(text, first_words);
  const auto body = unseal_text(text);
  if (!version || (!body && *version == journal_format::version)) return std::unexpected(damaged_identity());
  if (*version != journal_format::version) return std::unexpected(other_version(*version));
  const auto id = line_value(*body, "journal");
  const auto parsed = parse_id(id.value_or(""));
  const auto node = line_value(*body, "node");
  if (!parsed || !node) return std::unexpected(damaged_identity());
  return JournalIdentity{*parsed, std::string(*node)};
}

void fill_random(journal_format::JournalId& id) {
  std::size_t filled = 0;
  while (filled < id.size()) {
    const ssize_t got = getrandom(id.data() + filled, id.size() - filled, 0);
    WELLHEAD_ASSERT(got > 0 || errno == EINTR);
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
}

}  // namespace

std::string journal_id_text(const journal_format::JournalId& id) {
  std::string text;
  for (const std::uint8_t byte : id) text += fmt::format("{:02x}", byte);
  return text;
}

std::expected<std::optional<JournalIdentity>, JournalError> read_identity(FileSystem& files) {
  const auto text = read_text(files, identity_path, identity_bytes_max);
  if (!text && text.error() == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(system_error("read", identity_path, text.error()));
  auto identity = parse(*text);
  if (!identity) return std::unexpected(identity.error());
  return std::move(*identity);
}

std::expected<void, JournalError> check_node(const JournalIdentity& identity, const std::string& node_id) {
  if (identity.node_id == node_id) return {};
  return std::unexpected(JournalError{
      JournalErrorCode::wrong_node,
      fmt::format(
          "The journal belongs to node \"{}\", this is node \"{}\". Nothing was changed; give this node a "
          "directory of its own, or start it with the other's node id if it is to take over its records.",
          identity.node_id, node_id)});
}

std::expected<JournalIdentity, JournalError> make_identity(FileSystem& files, const std::string& node_id) {
  JournalIdentity identity{{}, node_id};
  fill_random(identity.id);
  const auto written = replace_text(files, "", identity_path, text_of(identity));
  if (!written) return std::unexpected(system_error("write", identity_path, written.error()));
  return identity;
}

}  // namespace wellhead
