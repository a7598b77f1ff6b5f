#include "journal/ledger_store.hpp"

#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "journal/error.hpp"
#include "journal/ledger_file.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

using namespace ledger_format;

using Done = std::expected<void, JournalError>;

// What a failed save means is told apart from other failures: nothing is lost by it.
JournalError cannot_write(std::string_view doing, int error) {
  JournalError failure = system_error(doing, "the ledger of answered requests", error);
  failure.sentence +=
      " Repeated requests are still known, but the journal keeps old segments, and grows, until the ledger "
      "can be written.";
  return failure;
}

}  // namespace

// Puts entries into frames, and frames into the new file. Entries come while a lock is held, so only flush()
// waits for the disk.
class LedgerStore::Writer {
 public:
  explicit Writer(File& file) : file_(file) {}

  template <typename Entry>
  void add(const Entry& entry) {
    if (frames_.empty() || frames_.back().bytes.size() >= sizeof(FrameHeader) + frame_bytes_full)
      frames_.push_back({.bytes = std::vector<std::byte>(sizeof(FrameHeader))});
    append_entry(frames_.back().bytes, entry);
    ++frames_.back().entries;
    ++entries_;
  }
  void flush();
  [[nodiscard]] FileResult<void> finish(FileHeader header);

 private:
  struct Frame {
    std::vector<std::byte> bytes;
    std::uint32_t entries = 0;
  };

  File& file_;
  std::vector<Frame> frames_;
  std::uint64_t offset_ = sizeof(FileHeader);
  std::uint64_t entries_ = 0;
  FileResult<void> result_;
};

void LedgerStore::Writer::flush() {
  for (Frame& frame : frames_) {
    const std::span<std::byte> payload = std::span(frame.bytes).subspan(sizeof(FrameHeader));
    const FrameHeader header{.payload_bytes = static_cast<std::uint32_t>(payload.size()),
                             .entries = frame.entries,
                             .checksum = XXH3_64bits(payload.data(), payload.size())};
    std::memcpy(frame.bytes.data(), &header, sizeof header);
    if (result_) result_ = write_all(file_, frame.bytes, offset_);
    offset_ += frame.bytes.size();
  }
  frames_.clear();
}

FileResult<void> LedgerStore::Writer::finish(FileHeader header) {
  if (!result_) return result_;
  header.bytes = offset_;
  header.entries = entries_;
  header.checksum = ledger_header_checksum(header);
  if (const auto written = write_all(file_, std::as_writable_bytes(std::span(&header, 1)), 0); !written)
    return written;
  return file_.synchronize();
}

LedgerStore::LedgerStore(FileSystem& files, const Clock& clock, const journal_format::JournalId& journal_id,
                         LedgerTable& table)
    : files_(files), clock_(clock), journal_id_(journal_id), table_(table) {}

// --- reading ---

std::expected<std::string, JournalError> LedgerStore::load(bool accept_damage) {
  auto read =
      read_ledger_file(files_, journal_id_, [this](const LedgerEntry& entry) { table_.restore(entry); });
  if (read) return std::string();
  if (read.error().code != JournalErrorCode::damaged || !accept_damage)
    return std::unexpected(std::move(read.error()));
  if (const auto made = files_.make_directory("quarantine"); !made)
    return std::unexpected(cannot_write("set aside", made.error()));
  if (const auto renamed = files_.rename(file_name, damaged_file_name); !renamed)
    return std::unexpected(cannot_write("set aside", renamed.error()));
  return "The ledger of answered requests was damaged and is now " + std::string(damaged_file_name) +
         ": a client that repeats an earlier request may store it twice.";
}

std::expected<void, JournalError> LedgerStore::restore_section(std::span<const std::byte> payload,
                                                               std::uint32_t entries) {
  return visit_ledger_payload(payload, entries, [this](const LedgerEntry& entry) { table_.restore(entry); });
}

void LedgerStore::finish_load() {
  table_.finish_restore(clock_.wall_us());
}

// --- writing ---

std::expected<void, JournalError> LedgerStore::save() {
  const std::scoped_lock lock(saving_);
  // Left behind by a crash, or by a save that failed.
  if (const auto removed = files_.remove(new_file_name); !removed && removed.error() != ENOENT)
    return std::unexpected(cannot_write("write", removed.error()));
  if (Done written = write_file(); !written) return written;
  return replace_file();
}

bool LedgerStore::save_before_trim() {
  constexpr std::int64_t pause_per_save = 9;
  const std::int64_t begun_ns = clock_.monotonic_ns();
  if (begun_ns < next_save_ns_) return false;
  const Done saved = save();
  if (!saved) log::error(saved.error().sentence);
  const std::int64_t ended_ns = clock_.monotonic_ns();
  next_save_ns_ = ended_ns + pause_per_save * (ended_ns - begun_ns);
  return saved.has_value();
}

std::expected<void, JournalError> LedgerStore::write_file() {
  const auto file = files_.open(new_file_name, OpenMode::create);
  if (!file) return std::unexpected(cannot_write("write", file.error()));
  Writer writer(**file);
  const auto flush = [&writer] { writer.flush(); };
  table_.keys.visit([&writer](const RequestEntry& entry) { writer.add(entry); }, flush);
  table_.producers.visit([&writer](const ProducerEntry& entry) { writer.add(entry); }, flush);
  const auto finished = writer.finish({.magic = file_magic,
                                       .checksum = 0,
                                       .version = file_version,
                                       .reserved0 = 0,
                                       .journal_id = journal_id_,
                                       .bytes = 0,
                                       .entries = 0,
                                       .written_us = clock_.wall_us()});
  if (!finished) return std::unexpected(cannot_write("write", finished.error()));
  return {};
}

std::expected<void, JournalError> LedgerStore::replace_file() {
  if (const auto renamed = files_.rename(new_file_name, file_name); !renamed)
    return std::unexpected(cannot_write("replace", renamed.error()));
  if (const auto synchronized = files_.synchronize_directory("."); !synchronized)
    return std::unexpected(cannot_write("replace", synchronized.error()));
  return {};
}

std::expected<std::string, JournalError> open_ledger(LedgerStore& store, Journal& journal,
                                                     bool accept_damage) {
  auto loaded = store.load(accept_damage);
  if (!loaded) return loaded;
  Done restored;
  const auto read = journal.read_ledger(
      [&](std::span<const std::byte> payload, std::uint32_t entries, LaneId, std::uint64_t) {
        if (restored) restored = store.restore_section(payload, entries);
      });
  if (!read) return std::unexpected(read.error());
  if (!restored) return std::unexpected(std::move(restored.error()));
  store.finish_load();
  journal.on_ledger_trim([&store] { return store.save_before_trim(); });
  return loaded;
}

}  // namespace wellhead
