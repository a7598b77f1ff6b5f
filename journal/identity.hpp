// Whose journal it is: DIR/identity, written once when the journal is made.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/journal.hpp"

namespace wellhead {

struct JournalIdentity {
  journal_format::JournalId id{};
  std::string node_id;
};

[[nodiscard]] std::string journal_id_text(const journal_format::JournalId& id);  // 32 hexadecimal digits

// The identity in the directory, of whatever node; nothing where the directory holds no journal yet. Refuses
// another version and a file that is damaged.
[[nodiscard]] std::expected<std::optional<JournalIdentity>, JournalError> read_identity(FileSystem& files);
// Refuses the journal of another node.
[[nodiscard]] std::expected<void, JournalError> check_node(const JournalIdentity& identity,
                                                           const std::string& node_id);
// Makes an identity with a new random id, durable when it returns.
[[nodiscard]] std::expected<JournalIdentity, JournalError> make_identity(FileSystem& files,
                                                                         const std::string& node_id);

}  // namespace wellhead
