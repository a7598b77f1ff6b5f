#include "journal/audit_reader.hpp"

#include <cerrno>
#include <utility>

#include "journal/error.hpp"
#include "journal/section.hpp"

namespace wellhead {
namespace {

using journal_format::SectionHeader;
using journal_format::SectionKind;

// A running node may take a segment away between the listing and the reading of it; each look is a new
// listing.
constexpr unsigned looks_max = 5;

std::expected<Recovered, JournalError> look(FileSystem& files, const journal_format::JournalId& journal) {
  auto recovered = recover(files, journal, 0, LastBlock::looked_at);
  for (unsigned looks = 1; !recovered && looks < looks_max; ++looks)
    recovered = recover(files, journal, 0, LastBlock::looked_at);
  return recovered;
}

}  // namespace

AuditReader::AuditReader(FileSystem& files, JournalIdentity identity, Recovered recovered)
    : files_(&files),
      identity_(std::move(identity)),
      recovered_(std::move(recovered)),
      walk_(files, identity_.id) {}

std::expected<AuditReader, JournalError> AuditReader::open(FileSystem& files) {
  auto identity = read_identity(files);
  if (!identity) return std::unexpected(identity.error());
  if (!*identity)
    return std::unexpected(
        JournalError{JournalErrorCode::io,
                     "There is no journal in this directory: it has no file identity. Nothing was changed; "
                     "look at the configured directory."});
  auto recovered = look(files, (*identity)->id);
  if (!recovered) return std::unexpected(recovered.error());
  return AuditReader(files, std::move(**identity), std::move(*recovered));
}

LaneId AuditReader::lane_of(std::uint32_t shard) const noexcept {
  return {id_.epoch, id_.reactor, shard};
}

bool AuditReader::gone() const {
  const auto file = files_->open(segment_path(id_), OpenMode::read);
  return !file && file.error() == ENOENT;
}

// What follows in the lanes does not continue what was read.
AuditReader::Step AuditReader::trimmed() {
  ++segments_trimmed_;
  next_.clear();
  return Step::end_of_segment;
}

AuditReader::StepResult AuditReader::judge(int error) {
  if (gone()) return trimmed();
  return std::unexpected(system_error("read", segment_path(id_), error));
}

AuditReader::StepResult AuditReader::pass_unreadable() {
  const auto extent = walk_.unreadable();
  if (!extent) return judge(extent.error());
  if (gone()) return trimmed();
  lost_.push_back({lane_of(LostRows::unknown_shard), 0, 0});
  walk_.pass(*extent);
  return Step::more;
}

bool AuditReader::move_lane(std::uint32_t shard, std::uint64_t sequence) {
  // The first segment of all begins with the first sequence of all.
  std::uint64_t& next = next_.try_emplace(shard, id_.segment == 1 ? 1 : sequence).first->second;
  if (sequence < next) return false;
  for (; next < sequence; ++next) lost_.push_back({lane_of(shard), next, 0});
  ++next;
  return true;
}

AuditReader::StepResult AuditReader::take(const WrittenRange& range, const Visit& visit) {
  const SectionHeader header = walk_.header();
  const bool wanted = header.kind == SectionKind::rows && move_lane(header.shard, header.lane_sequence) &&
                      range.contains(header.written_us);
  if (!wanted) {
    walk_.pass();
    return Step::more;
  }
  section_.resize(sizeof header + header.payload_bytes);
  const auto whole = walk_.read(section_);
  if (!whole) return judge(whole.error());
  const auto rows = std::span<const std::byte>(section_).subspan(sizeof header);
  walk_.pass();
  if (*whole && rows_add_up(rows, header.row_count)) {
    const bool more =
        visit({lane_of(header.shard), header.lane_sequence, header.written_us, header.row_count, rows});
    return more ? Step::more : Step::end;
  }
  if (gone()) return trimmed();
  lost_.push_back({lane_of(header.shard), header.lane_sequence, header.row_count});
  return Step::more;
}

AuditReader::StepResult AuditReader::read_segment(const SegmentEntry& segment, const WrittenRange& range,
                                                  const Visit& visit) {
  SegmentEntry unjudged = segment;
  unjudged.unusable.clear();
  if (const auto opened = walk_.open(unjudged); !opened) return judge(opened.error());
  for (;;) {
    const auto looked = walk_.look();
    if (!looked) return judge(looked.error());
    if (*looked == SegmentWalk::Step::end) return Step::end_of_segment;
    const auto step = *looked == SegmentWalk::Step::section ? take(range, visit) : pass_unreadable();
    if (!step || *step != Step::more) return step;
  }
}

std::expected<void, JournalError> AuditReader::read(const WrittenRange& range, const Visit& visit) {
  lost_.clear();
  segments_trimmed_ = 0;
  next_.clear();
  for (const SegmentEntry& segment : recovered_.entries) {
    const bool other_chain = segment.id.epoch != id_.epoch || segment.id.reactor != id_.reactor;
    const bool passed_over = segment.last_written_us < range.since_us;
    if (other_chain || passed_over) next_.clear();
    if (passed_over) continue;
    id_ = segment.id;
    const auto step = read_segment(segment, range, visit);
    if (!step) return std::unexpected(step.error());
    if (*step == Step::end) return {};
  }
  return {};
}

}  // namespace wellhead
