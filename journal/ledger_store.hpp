// Keeps the ledger on disk: what the journal's segments say of requests is gone with the segments, and a
// window is longer than the journal usually is. So everything remembered is written to DIR/ledger before a
// segment that tells of requests goes, and at a clean stop; a start reads that file and then what the journal
// still holds, which is newer or the same.
//
//   file  = header (64 bytes), frame, frame, …
//   frame = frame header (16 bytes), ledger payload (journal/ledger.hpp)
//
// It is written under another name, synchronized and renamed: DIR/ledger is the old one or the new one,
// whatever dies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <mutex>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/journal.hpp"
#include "journal/ledger_table.hpp"

namespace wellhead {

namespace ledger_format {

inline constexpr std::uint32_t file_version = 1;
inline constexpr std::uint64_t file_magic = 0x31474C44'454C4857;  // "WHLEDLG1"

struct FileHeader {
  std::uint64_t magic;
  std::uint64_t checksum;  // XXH3-64 of this structure with this field 0
  std::uint32_t version;
  std::uint32_t reserved0;
  journal_format::JournalId journal_id;
  std::uint64_t bytes;      // of the file
  std::uint64_t entries;    // in all frames
  std::int64_t written_us;  // wall time, microseconds since 2000-01-01 UTC
};
static_assert(sizeof(FileHeader) == 64);

struct FrameHeader {
  std::uint32_t payload_bytes;
  std::uint32_t entries;
  std::uint64_t checksum;  // XXH3-64 of the payload
};
static_assert(sizeof(FrameHeader) == 16);

// A frame is closed when it has grown to this, so that reading takes no more memory than one of them.
inline constexpr std::size_t frame_bytes_full = 1U << 20;
inline constexpr std::size_t frame_bytes_max = frame_bytes_full + request_entry_bytes_max;

}  // namespace ledger_format

class LedgerStore {
 public:
  static constexpr const char* file_name = "ledger";
  static constexpr const char* new_file_name = "ledger.new";
  static constexpr const char* damaged_file_name = "quarantine/ledger";

  // `files` is the journal's directory, which this process has locked. All outlive the store.
  LedgerStore(FileSystem& files, const Clock& clock, const journal_format::JournalId& journal_id,
              LedgerTable& table);

  // Reads DIR/ledger, if there is one, into the table. With `accept_damage` a damaged file is set aside and
  // what could be read of it is taken; the sentence about it is returned. Empty: all is well.
  [[nodiscard]] std::expected<std::string, JournalError> load(bool accept_damage);
  // A ledger section of the journal. After load().
  [[nodiscard]] std::expected<void, JournalError> restore_section(std::span<const std::byte> payload,
                                                                  std::uint32_t entries);
  // After the last section.
  void finish_load();

  // Writes everything the table remembers. Any thread but a reactor's: it waits for the disk. On an error
  // DIR/ledger is what it was.
  [[nodiscard]] std::expected<void, JournalError> save();
  // For Journal::on_ledger_trim: saves, and says whether the segments may go. Between two saves lies nine
  // times what the first took, so that a large ledger does not use up the disk; until then the segments wait.
  [[nodiscard]] bool save_before_trim();

 private:
  class Writer;

  [[nodiscard]] std::expected<void, JournalError> write_file();
  [[nodiscard]] std::expected<void, JournalError> replace_file();

  FileSystem& files_;
  const Clock& clock_;
  journal_format::JournalId journal_id_;
  LedgerTable& table_;
  std::mutex saving_;
  std::int64_t next_save_ns_ = INT64_MIN;  // save_before_trim()'s own
};

// What a node does at its start: loads the ledger, takes over what the journal holds, and from then on keeps
// it whenever the journal is about to forget. Before Journal::start(); `store` outlives the journal. Returns
// what load() says.
[[nodiscard]] std::expected<std::string, JournalError> open_ledger(LedgerStore& store, Journal& journal,
                                                                   bool accept_damage);

}  // namespace wellhead
