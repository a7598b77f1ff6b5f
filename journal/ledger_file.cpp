#include "journal/ledger_file.hpp"

#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "journal/error.hpp"
#include "journal/read_window.hpp"

namespace wellhead {
namespace {

using namespace ledger_format;

using Done = std::expected<void, JournalError>;

JournalError cannot_read(int error) {
  JournalError failure = system_error("read", "the ledger of answered requests", error);
  failure.sentence +=
      " Without it a client that repeats a request could store it twice, so the node does not start.";
  return failure;
}

JournalError damaged(const std::string& how) {
  return {
      JournalErrorCode::damaged,
      "The ledger of answered requests is damaged: " + how +
          ". Without it a client that repeats a request may store it twice; no stored record is touched. "
          "Restore the journal's file \"ledger\", or let the node start with journal.accept_damage, which "
          "sets the damaged file aside and carries on with what could be read."};
}

Done check_header(const FileHeader& header, std::uint64_t file_bytes, const journal_format::JournalId& id) {
  if (header.magic != file_magic || header.checksum != ledger_header_checksum(header))
    return std::unexpected(damaged("its header is not one"));
  if (header.version != file_version)
    return std::unexpected(
        JournalError{JournalErrorCode::wrong_version,
                     "The ledger of answered requests has version " + std::to_string(header.version) +
                         ", and this program knows version " + std::to_string(file_version) +
                         ". Nothing was touched. Start the program that wrote it."});
  if (header.journal_id != id)
    return std::unexpected(JournalError{
        JournalErrorCode::wrong_node,
        "The ledger of answered requests belongs to another journal. Nothing was touched. Put the file "
        "\"ledger\" back where it came from."});
  if (header.bytes != file_bytes)
    return std::unexpected(damaged("it has " + std::to_string(file_bytes) + " bytes instead of " +
                                   std::to_string(header.bytes)));
  return {};
}

template <typename Part>
Part part_of(std::span<const std::byte> bytes) {
  Part part;
  std::memcpy(&part, bytes.data(), sizeof part);
  return part;
}

std::expected<FileHeader, JournalError> read_file(File& file, const journal_format::JournalId& journal,
                                                  const LedgerEntryVisitor& visit) {
  const auto size = file.size();
  if (!size) return std::unexpected(cannot_read(size.error()));
  const std::uint64_t file_bytes = *size;
  constexpr std::size_t window_bytes = 2 * frame_bytes_full;
  static_assert(window_bytes >= frame_bytes_max && window_bytes % journal_format::alignment == 0);
  ReadWindow window(window_bytes);
  window.open(file);
  const auto read = [&](std::uint64_t offset,
                        std::size_t bytes) -> std::expected<std::span<const std::byte>, JournalError> {
    const auto found = window.view(offset, bytes);
    if (!found) return std::unexpected(cannot_read(found.error()));
    if (found->size() < bytes) return std::unexpected(damaged("it is cut short"));
    return found->first(bytes);
  };
  const auto head = read(0, sizeof(FileHeader));
  if (!head) return std::unexpected(head.error());
  const auto header = part_of<FileHeader>(*head);
  if (Done done = check_header(header, file_bytes, journal); !done) return std::unexpected(done.error());
  std::uint64_t entries = 0;
  for (std::uint64_t offset = sizeof header; offset < file_bytes;) {
    const auto frame_head = read(offset, sizeof(FrameHeader));
    if (!frame_head) return std::unexpected(frame_head.error());
    const auto frame = part_of<FrameHeader>(*frame_head);
    if (frame.payload_bytes > frame_bytes_max) return std::unexpected(damaged("a frame's length is wrong"));
    const auto payload = read(offset + sizeof frame, frame.payload_bytes);
    if (!payload) return std::unexpected(payload.error());
    if (XXH3_64bits(payload->data(), payload->size()) != frame.checksum)
      return std::unexpected(damaged("a frame's checksum is wrong"));
    if (Done done = visit_ledger_payload(*payload, frame.entries, visit); !done)
      return std::unexpected(done.error());
    offset += sizeof frame + payload->size();
    entries += frame.entries;
  }
  if (entries != header.entries) return std::unexpected(damaged("entries are missing"));
  return header;
}

}  // namespace

std::uint64_t ledger_header_checksum(FileHeader header) {
  header.checksum = 0;
  return XXH3_64bits(&header, sizeof header);
}

std::expected<std::optional<FileHeader>, JournalError> read_ledger_file(
    FileSystem& files, const journal_format::JournalId& journal, const LedgerEntryVisitor& visit) {
  const auto file = files.open(LedgerStore::file_name, OpenMode::read);
  if (!file && file.error() == ENOENT) return std::nullopt;
  if (!file) return std::unexpected(cannot_read(file.error()));
  return read_file(**file, journal, visit);
}

std::expected<void, JournalError> visit_ledger_payload(std::span<const std::byte> payload,
                                                       std::uint32_t entries,
                                                       const LedgerEntryVisitor& visit) {
  const auto decoded = decode_entries(payload, entries);
  if (!decoded) return std::unexpected(damaged(std::string(to_string(decoded.error()))));
  for (const LedgerEntry& entry : *decoded) visit(entry);
  return {};
}

}  // namespace wellhead
