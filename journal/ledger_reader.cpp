#include "journal/ledger_reader.hpp"

#include <fmt/format.h>

#include <vector>

#include "journal/error.hpp"
#include "journal/segment_walk.hpp"

namespace wellhead {
namespace {

using journal_format::SectionHeader;
using journal_format::SectionKind;
using Step = std::expected<void, JournalError>;

class LedgerReader {
 public:
  LedgerReader(FileSystem& files, const journal_format::JournalId& journal, DamageWatch& damage,
               const Journal::LedgerVisitor& visit)
      : damage_(damage), visit_(visit), walk_(files, journal) {}

  [[nodiscard]] Step read(const SegmentEntry& segment);

 private:
  [[nodiscard]] Step take();
  [[nodiscard]] Step pass_unreadable();
  [[nodiscard]] Step pass_damaged(const JournalFault& fault);
  [[nodiscard]] JournalError failed(int error) const {
    return system_error("read", segment_path(walk_.entry().id), error);
  }

  DamageWatch& damage_;
  const Journal::LedgerVisitor& visit_;
  SegmentWalk walk_;
  std::vector<std::byte> section_;
};

Step LedgerReader::pass_damaged(const JournalFault& fault) {
  if (!damage_.carry_on(fault, {{fault.segment.epoch, fault.segment.reactor, LostRows::unknown_shard}, 0, 0}))
    return std::unexpected(JournalError{
        JournalErrorCode::damaged,
        fault.sentence + " Nothing was changed; start once with damage accepted to go on without it."});
  walk_.pass(fault.extent);
  return {};
}

// What could not be read when the journal was opened is known and passed over; this was readable then.
Step LedgerReader::pass_unreadable() {
  const SegmentId& segment = walk_.entry().id;
  const auto extent = walk_.unreadable();
  if (!extent) return std::unexpected(failed(extent.error()));
  return pass_damaged({segment, *extent,
                       fmt::format("{}: {} bytes at offset {} are damaged, headers among them.",
                                   segment_path(segment), extent->end - extent->begin, extent->begin)});
}

Step LedgerReader::take() {
  const SectionHeader& header = walk_.header();
  const SegmentId& segment = walk_.entry().id;
  section_.resize(sizeof header + header.payload_bytes);
  const auto whole = walk_.read(section_);
  if (!whole) return std::unexpected(failed(whole.error()));
  if (!*whole)
    return pass_damaged(
        {segment, walk_.extent(),
         fmt::format("{}: the section at offset {} is damaged; {} entries of the ledger are lost.",
                     segment_path(segment), walk_.offset(), header.row_count)});
  visit_(std::span<const std::byte>(section_).subspan(sizeof header), header.row_count,
         {segment.epoch, segment.reactor, 0}, header.block);
  walk_.pass();
  return {};
}

Step LedgerReader::read(const SegmentEntry& segment) {
  if (const auto opened = walk_.open(segment); !opened)
    return std::unexpected(system_error("open", segment_path(segment.id), opened.error()));
  for (;;) {
    const auto looked = walk_.look();
    if (!looked) return std::unexpected(failed(looked.error()));
    if (*looked == SegmentWalk::Step::end) return {};
    if (*looked == SegmentWalk::Step::unreadable) {
      if (const Step passed = pass_unreadable(); !passed) return passed;
      continue;
    }
    if (walk_.header().kind != SectionKind::ledger) {
      walk_.pass();
    } else if (const Step taken = take(); !taken) {
      return taken;
    }
  }
}

}  // namespace

Step read_ledger_sections(FileSystem& files, const journal_format::JournalId& journal,
                          std::span<const SegmentEntry> segments, DamageWatch& damage,
                          const Journal::LedgerVisitor& visit) {
  LedgerReader reader(files, journal, damage, visit);
  for (const SegmentEntry& segment : segments) {
    if (segment.ledger_sections == 0) continue;
    if (const Step read = reader.read(segment); !read) return read;
  }
  return {};
}

}  // namespace wellhead
