#include "journal/chain_survey.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {
namespace {

using journal_format::SectionKind;
using Block = std::span<const FoundSection>;

std::optional<std::uint64_t> first_block_of(const SegmentScan& scan) {
  if (scan.header && scan.header->first_block > 0) return scan.header->first_block;
  if (!scan.header && !scan.sections.empty()) return scan.sections.front().block;
  return std::nullopt;
}

bool whole(Block block) {
  for (std::size_t index = 0; index < block.size(); ++index)
    if (block[index].section_index != index || block[index].payload == PayloadState::damaged) return false;
  return block.size() == block.front().section_count;
}

std::string lane_text(const LaneId& lane) {
  return fmt::format("epoch {}, reactor {}, shard {}", lane.epoch, lane.reactor, lane.shard);
}

class ChainSurvey {
 public:
  ChainSurvey(std::span<const SegmentScan> scans, const std::optional<ChainEnd>& end);
  [[nodiscard]] ChainFindings run();

 private:
  void survey_segment(std::size_t index);
  void judge_start(const SegmentScan& scan);
  void judge_file(const SegmentScan& scan);
  void judge_blocks(const SegmentScan& scan);
  void judge_block(const SegmentScan& scan, Block block);
  void judge_unreadable(const SegmentScan& scan);
  void judge_end(std::size_t index);
  // The blocks up to `end_block`, with which what follows begins, should be in the segment.
  void lose_end(const SegmentScan& scan, std::uint64_t end_block);
  [[nodiscard]] bool cut_in_block(const SegmentScan& scan) const;
  void find_end();
  void lose_blocks(std::uint64_t until);
  [[nodiscard]] std::uint64_t begin_of(const SegmentScan& scan, Block block) const;
  void take_section(const SegmentScan& scan, const FoundSection& section);
  void lose_section(const SegmentScan& scan, const FoundSection& section);
  // Moves the lane along to `sequence`; what lies between is lost.
  void move_lane(const FoundSection& section);
  void cut_off(const SegmentScan& scan, std::uint64_t offset, std::uint64_t bytes);
  void fault(const SegmentScan& scan, Extent extent, std::string sentence);
  void lose_unknown();
  [[nodiscard]] LaneId lane_of(const FoundSection& section) const;

  std::span<const SegmentScan> scans_;
  std::optional<ChainEnd> end_;  // as an earlier survey found it
  ChainFindings findings_;
  SegmentId id_;                          // of the first segment
  std::uint64_t last_block_ = 0;          // with anything in it, in the whole chain
  std::uint64_t begun_block_ = 0;         // the highest a segment begins with, or comes behind a known end
  std::uint64_t next_block_ = 0;          // to come; 0: not known
  std::uint64_t torn_from_ = UINT64_MAX;  // offset in this segment from which on everything is torn
  std::uint64_t headerless_ = 0;          // lost sections, at least, whose headers are gone
  std::uint64_t skipped_ = 0;             // lost sequences known by what came behind them
  std::map<std::uint32_t, std::uint64_t> next_sequence_;  // by shard
};

ChainSurvey::ChainSurvey(std::span<const SegmentScan> scans, const std::optional<ChainEnd>& end)
    : scans_(scans), end_(end), id_(scans.front().id) {
  if (end_) begun_block_ = end_->end_block;
  for (const SegmentScan& scan : scans_) {
    if (scan.unbegun()) continue;
    if (!scan.sections.empty()) last_block_ = std::max(last_block_, scan.sections.back().block);
    begun_block_ = std::max(begun_block_, first_block_of(scan).value_or(0));
  }
}

LaneId ChainSurvey::lane_of(const FoundSection& section) const {
  return {id_.epoch, id_.reactor, section.shard};
}

void ChainSurvey::fault(const SegmentScan& scan, Extent extent, std::string sentence) {
  findings_.faults.push_back({scan.id, extent, std::move(sentence)});
  if (extent.begin < extent.end) findings_.entries.back().unusable.push_back(extent);
}

void ChainSurvey::cut_off(const SegmentScan& scan, std::uint64_t offset, std::uint64_t bytes) {
  ++findings_.torn_blocks;
  findings_.torn_bytes += bytes;
  findings_.torn.push_back(
      fmt::format("{} ends with a block that was not written to its end ({} bytes at offset {}): it was "
                  "never acknowledged "
                  "and does not count.",
                  segment_path(scan.id), bytes, offset));
}

// Without its header, or shorter than it was made, a file may have lost blocks at its end that nothing tells
// of.
void ChainSurvey::judge_file(const SegmentScan& scan) {
  if (!scan.header) {
    const bool empty = scan.sections.empty();
    fault(scan, {0, std::min<std::uint64_t>(scan.file_bytes, journal_format::segment_header_bytes)},
          fmt::format("{}: the segment's header is damaged; {}.", segment_path(scan.id),
                      empty ? "no block can be found in it, and whether there was one is not known"
                            : "the blocks in it are found without it"));
    if (empty) ++headerless_;
  }
  if (scan.shortened()) {
    fault(scan, {scan.file_bytes, scan.file_bytes},
          fmt::format("{}: the file was cut off at {} of {} bytes; blocks at its end may be lost.",
                      segment_path(scan.id), scan.file_bytes, scan.header->bytes));
  }
}

// The number a segment begins with says how many blocks came before, found or not.
void ChainSurvey::judge_start(const SegmentScan& scan) {
  const auto first = first_block_of(scan);
  if (!first) return;
  if (next_block_ != 0) {
    lose_blocks(*first);
  } else if (!scan.header && !scan.unreadable.empty() &&
             scan.unreadable.front().begin == journal_format::segment_header_bytes) {
    ++headerless_;
  }
  next_block_ = std::max(next_block_, *first);
}

// A block whose headers are all gone had a section at least.
void ChainSurvey::lose_blocks(std::uint64_t until) {
  if (next_block_ != 0 && until > next_block_) headerless_ += until - next_block_;
}

void ChainSurvey::judge_unreadable(const SegmentScan& scan) {
  for (const Extent& extent : scan.unreadable) {
    if (extent.begin >= torn_from_) continue;
    fault(scan, extent,
          fmt::format("{}: {} bytes at offset {} are damaged, headers among them.", segment_path(scan.id),
                      extent.end - extent.begin, extent.begin));
  }
}

void ChainSurvey::move_lane(const FoundSection& section) {
  auto [next, fresh] = next_sequence_.try_emplace(section.shard, section.lane_sequence);
  // The first segment of all begins with the first sequence of all.
  if (fresh && scans_.front().id.segment == 1) next->second = 1;
  const std::uint64_t first = std::min(next->second, section.lane_sequence);
  for (; next->second < section.lane_sequence; ++next->second) {
    findings_.lost.push_back({lane_of(section), next->second, 0});
    ++skipped_;
  }
  next->second = section.lane_sequence + 1;
  auto& lanes = findings_.entries.back().lanes;
  const auto range = std::ranges::find(lanes, section.shard, &LaneRange::shard);
  if (range == lanes.end())
    lanes.push_back({section.shard, first, section.lane_sequence});
  else
    range->last = section.lane_sequence;
}

void ChainSurvey::lose_section(const SegmentScan& scan, const FoundSection& section) {
  const bool rows = section.kind == SectionKind::rows;
  if (rows) findings_.lost.push_back({lane_of(section), section.lane_sequence, section.row_count});
  fault(scan, section.extent(),
        rows ? fmt::format("{}: the section at offset {} is damaged; {} rows of {} (batch {}) are lost.",
                           segment_path(scan.id), section.offset, section.row_count,
                           lane_text(lane_of(section)), section.lane_sequence)
             : fmt::format("{}: the section at offset {} is damaged; {} entries of the ledger are lost.",
                           segment_path(scan.id), section.offset, section.row_count));
}

void ChainSurvey::take_section(const SegmentScan& scan, const FoundSection& section) {
  const bool rows = section.kind == SectionKind::rows;
  const auto next = next_sequence_.find(section.shard);
  if (rows && next != next_sequence_.end() && section.lane_sequence < next->second) {
    fault(scan, section.extent(),
          fmt::format("{}: the section at offset {} repeats batch {} of {} and is left out.",
                      segment_path(scan.id), section.offset, section.lane_sequence,
                      lane_text(lane_of(section))));
    return;
  }
  SegmentEntry& entry = findings_.entries.back();
  if (rows)
    move_lane(section);
  else
    ++entry.ledger_sections;
  if (section.payload == PayloadState::damaged) return lose_section(scan, section);
  ++entry.sections;
  if (rows) entry.rows += section.row_count;
}

// Where the write of a torn block began: its first section may be what is missing.
std::uint64_t ChainSurvey::begin_of(const SegmentScan& scan, Block block) const {
  if (block.front().block != next_block_) return block.front().offset;
  if (block.data() == scan.sections.data()) return journal_format::segment_header_bytes;
  return (block.data() - 1)->extent().end;
}

void ChainSurvey::judge_block(const SegmentScan& scan, Block block) {
  const std::uint64_t number = block.front().block;
  lose_blocks(number);
  const bool last = number == last_block_ && begun_block_ <= last_block_ && !scan.shortened();
  if (last && !whole(block)) {
    torn_from_ = begin_of(scan, block);
    return cut_off(scan, torn_from_, block.front().block_bytes);
  }
  headerless_ += block.front().section_count - block.size();
  for (const FoundSection& section : block) take_section(scan, section);
  findings_.entries.back().last_written_us = block.back().written_us;
  next_block_ = number + 1;
}

void ChainSurvey::judge_blocks(const SegmentScan& scan) {
  const std::span sections(scan.sections);
  for (std::size_t begin = 0; begin < sections.size();) {
    std::size_t end = begin;
    while (end < sections.size() && sections[end].block == sections[begin].block) ++end;
    judge_block(scan, sections.subspan(begin, end - begin));
    begin = end;
  }
}

bool ChainSurvey::cut_in_block(const SegmentScan& scan) const {
  return !scan.sections.empty() &&
         scan.sections.back().section_index + 1 < scan.sections.back().section_count;
}

void ChainSurvey::lose_end(const SegmentScan& scan, std::uint64_t end_block) {
  fault(scan, {scan.end, std::max(scan.end, scan.file_bytes)},
        fmt::format(
            "{}: what was written from offset {} on is damaged; blocks up to number {} should be there.",
            segment_path(scan.id), scan.end, end_block - 1));
}

// What is missing behind the last section that was found.
void ChainSurvey::judge_end(std::size_t index) {
  const SegmentScan& scan = scans_[index];
  const std::span later = scans_.subspan(index + 1);
  const auto begun =
      std::ranges::find_if(later, [](const SegmentScan& next) { return first_block_of(next).has_value(); });
  if (begun == later.end() && end_ && end_->segment == scan.id) {
    if (cut_in_block(scan) || next_block_ < end_->end_block) lose_end(scan, end_->end_block);
    return;
  }
  if (begun == later.end()) {
    // Nothing came later: bytes that look like the beginning of a block are one that was not finished.
    if (scan.begun && torn_from_ == UINT64_MAX && !scan.shortened())
      cut_off(scan, scan.end, journal_format::alignment);
    return;
  }
  const bool cut = cut_in_block(scan);
  if (!cut && next_block_ >= *first_block_of(*begun)) return;
  if (begun->id.segment == scan.id.segment + 1 || cut)
    lose_end(scan, *first_block_of(*begun));
  else
    fault(scan, {scan.end, scan.end},
          fmt::format("{} is the next segment behind {}: those between, with blocks {} to {}, are missing.",
                      segment_path(begun->id), segment_path(scan.id), next_block_,
                      *first_block_of(*begun) - 1));
}

void ChainSurvey::survey_segment(std::size_t index) {
  const SegmentScan& scan = scans_[index];
  if (scan.unbegun()) {
    if (!scan.sections.empty() || scan.begun) cut_off(scan, scan.end, journal_format::alignment);
    findings_.unused.push_back(scan.id);
    return;
  }
  SegmentEntry& entry = findings_.entries.emplace_back();
  entry.id = scan.id;
  entry.bytes = scan.file_bytes;
  entry.last_written_us = scan.header ? scan.header->created_us : 0;
  torn_from_ = UINT64_MAX;
  judge_file(scan);
  judge_start(scan);
  judge_blocks(scan);
  judge_unreadable(scan);
  judge_end(index);
  std::ranges::sort(findings_.entries.back().unusable);
  findings_.entries.back().end_offset = std::min(scan.end, torn_from_);
  findings_.entries.back().end_block = next_block_;
  findings_.entries.back().first_block = first_block_of(scan).value_or(next_block_);
}

// Sections that are lost and of which nothing is known, not even by a gap in their lane.
void ChainSurvey::lose_unknown() {
  for (; skipped_ < headerless_; ++skipped_)
    findings_.lost.push_back({{id_.epoch, id_.reactor, LostRows::unknown_shard}, 0, 0});
}

void ChainSurvey::find_end() {
  findings_.end = end_;
  if (end_ || !findings_.faults.empty() || findings_.entries.empty()) return;
  const SegmentEntry& last = findings_.entries.back();
  const auto scan = std::ranges::find(scans_, last.id, &SegmentScan::id);
  findings_.end = ChainEnd{last.id, scan->header->checksum, last.end_block};
}

ChainFindings ChainSurvey::run() {
  for (std::size_t index = 0; index < scans_.size(); ++index) survey_segment(index);
  if (end_) lose_blocks(end_->end_block);
  find_end();
  lose_unknown();
  std::map<std::uint32_t, OldLane> lanes;
  for (const SegmentEntry& entry : findings_.entries)
    for (const LaneRange& range : entry.lanes) {
      const LaneId lane{id_.epoch, id_.reactor, range.shard};
      lanes.try_emplace(range.shard, OldLane{lane, range.first, range.last}).first->second.last = range.last;
    }
  for (const auto& [shard, lane] : lanes) findings_.lanes.push_back(lane);
  return std::move(findings_);
}

}  // namespace

ChainFindings survey_chain(std::span<const SegmentScan> scans, const std::optional<ChainEnd>& end) {
  WELLHEAD_ASSERT(!scans.empty());
  return ChainSurvey(scans, end).run();
}

std::uint64_t end_block_before(std::span<const SegmentScan> later) {
  for (const SegmentScan& scan : later)
    if (const auto first = first_block_of(scan)) return *first;
  return SegmentScanner::no_end;
}

}  // namespace wellhead
