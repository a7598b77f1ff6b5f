#include "journal/lane_reader.hpp"

#include <fmt/format.h>

#include "journal/error.hpp"

namespace wellhead {
namespace {

using journal_format::SectionHeader;
using journal_format::SectionKind;

}  // namespace

JournalReader::Status LaneReader::failed(int error) {
  problem_ = system_error("read", segment_path(walk_.entry().id), error).sentence;
  walk_.close();
  return Status::failed;
}

void LaneReader::seek(std::uint64_t sequence) {
  if (sequence < position_) {
    walk_.close();
    from_segment_ = 0;
  }
  position_ = sequence;
}

JournalReader::Status LaneReader::next(Batch& into, std::uint64_t until) {
  problem_.clear();
  learn_end();
  while (position_ <= until) {
    const Outcome outcome = walk_.is_open() ? step(into, until) : turn_to_segment();
    if (outcome) return *outcome;
  }
  return Status::end;
}

// The segment was the one being written when it was opened. If the writer has turned to the next since, the
// block that follows here may be one that failed and was written again there.
void LaneReader::learn_end() {
  if (walk_.is_open() && walk_.entry().end_block == UINT64_MAX)
    walk_.set_end_block(catalog_.end_block(walk_.entry().id));
}

LaneReader::Outcome LaneReader::turn_to_segment() {
  const auto [answer, entry] = catalog_.find(lane_, position_, from_segment_);
  if (answer == SegmentCatalog::Answer::missing) return Status::missing;
  if (answer == SegmentCatalog::Answer::end) return Status::end;
  const auto opened = walk_.open(entry);
  if (opened) return std::nullopt;
  if (!catalog_.holds(entry.id)) return Status::missing;
  return failed(opened.error());
}

LaneReader::Outcome LaneReader::step(Batch& into, std::uint64_t until) {
  const auto looked = walk_.look();
  if (!looked) return failed(looked.error());
  if (*looked == SegmentWalk::Step::end) return end_of_segment();
  if (*looked == SegmentWalk::Step::unreadable) return pass_unreadable();
  const SectionHeader& header = walk_.header();
  const bool mine = header.kind == SectionKind::rows && header.shard == lane_.shard;
  if (mine && header.lane_sequence > until) return Status::end;
  if (mine && header.lane_sequence >= position_) return take(into);
  walk_.pass();
  return std::nullopt;
}

LaneReader::Outcome LaneReader::take(Batch& into) {
  const SectionHeader& header = walk_.header();
  if (into.memory().size() < sizeof header + header.payload_bytes) {
    problem_ = fmt::format("A batch of {} bytes in {} does not fit into one of {}; it stays in the journal.",
                           header.payload_bytes, segment_path(walk_.entry().id), into.memory().size());
    return Status::failed;
  }
  const auto whole = walk_.read(into.memory());
  if (!whole) return failed(whole.error());
  const auto payload = into.memory().subspan(sizeof header, header.payload_bytes);
  if (!*whole || !rows_add_up(payload, header.row_count)) return pass_damaged();
  into.adopt(header.payload_bytes, header.row_count);
  into.set_lane(lane_, header.lane_sequence);
  into.set_shard(lane_.shard);
  position_ = header.lane_sequence + 1;
  walk_.pass();
  return Status::read;
}

// What of the lane should be behind this place is in a later segment, or lost.
LaneReader::Outcome LaneReader::end_of_segment() {
  from_segment_ = walk_.entry().id.segment + 1;
  walk_.close();
  return std::nullopt;
}

LaneReader::Outcome LaneReader::pass_unreadable() {
  const SegmentId id = walk_.entry().id;
  // The writer may have turned to the next segment after this one was opened.
  const auto [answer, entry] = catalog_.find(lane_, position_, from_segment_);
  if (answer == SegmentCatalog::Answer::missing) return Status::missing;
  if (answer == SegmentCatalog::Answer::found && entry.id != id) return end_of_segment();
  const auto extent = walk_.unreadable();
  if (!extent) return failed(extent.error());
  return damaged({id, *extent,
                  fmt::format("{}: {} bytes at offset {} are damaged, headers among them.", segment_path(id),
                              extent->end - extent->begin, extent->begin)},
                 {{lane_.epoch, lane_.reactor, LostRows::unknown_shard}, 0, 0});
}

LaneReader::Outcome LaneReader::pass_damaged() {
  const SectionHeader& header = walk_.header();
  const SegmentId id = walk_.entry().id;
  return damaged(
      {id, walk_.extent(),
       fmt::format("{}: the section at offset {} is damaged; {} rows of epoch {}, reactor {}, shard {} "
                   "(batch {}) are lost.",
                   segment_path(id), walk_.offset(), header.row_count, lane_.epoch, lane_.reactor,
                   lane_.shard, header.lane_sequence)},
      {lane_, header.lane_sequence, header.row_count});
}

LaneReader::Outcome LaneReader::damaged(const JournalFault& fault, const LostRows& lost) {
  if (!catalog_.holds(fault.segment)) {
    walk_.close();
    return Status::missing;
  }
  if (!damage_.carry_on(fault, lost)) {
    problem_ = fault.sentence +
               " Reading of this lane stops here; start once with damage accepted to go on "
               "without what is damaged.";
    return Status::failed;
  }
  walk_.pass(fault.extent);
  return std::nullopt;
}

}  // namespace wellhead
