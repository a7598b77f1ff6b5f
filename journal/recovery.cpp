#include "journal/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "journal/chain_end.hpp"
#include "journal/epoch_file.hpp"
#include "journal/error.hpp"

namespace wellhead {
namespace {

using ChainId = std::pair<std::uint32_t, std::uint32_t>;  // epoch, reactor
using Chains = std::map<ChainId, std::vector<SegmentId>>;
using Epochs = std::map<std::uint32_t, JournalSurvey::Epoch>;

std::expected<Chains, JournalError> list_segments(FileSystem& files) {
  Chains chains;
  const auto names = files.list(segments_directory);
  if (!names && names.error() == ENOENT) return chains;
  if (!names) return std::unexpected(system_error("list", segments_directory, names.error()));
  for (const std::string& name : *names)
    if (const auto id = parse_segment_name(name)) chains[{id->epoch, id->reactor}].push_back(*id);
  for (auto& [chain, segments] : chains) std::ranges::sort(segments);
  return chains;
}

JournalError unknown_epoch(const SegmentId& segment) {
  return {JournalErrorCode::damaged,
          fmt::format(
              "The journal has segments of run {0} and no file {1}, so the meaning of the rows in {2} is not "
              "known. Nothing was changed; restore {1} from a copy, or move the segments that begin with "
              "{0:08} out of the directory to go on without them.",
              segment.epoch, epoch_path(segment.epoch), segment_path(segment))};
}

class Recovery {
 public:
  Recovery(FileSystem& files, const journal_format::JournalId& journal, std::uint64_t verify_bytes_max,
           LastBlock last_block)
      : files_(files),
        known_ends_(read_chain_ends(files, journal)),
        scanner_(files, journal),
        verify_bytes_left_(verify_bytes_max),
        last_block_(last_block) {}

  [[nodiscard]] std::expected<Recovered, JournalError> run();

 private:
  using Step = std::expected<void, JournalError>;

  [[nodiscard]] Step recover_chain(std::span<const SegmentId> segments);
  [[nodiscard]] std::uint64_t end_of(std::span<const SegmentScan> scans, std::size_t index);
  [[nodiscard]] FileResult<void> scan(std::span<SegmentScan> scans, std::size_t index, const SegmentId& id);
  // The last block is the one that may be torn, so nothing of it is taken on trust. It may also be whole in
  // the page cache only, where a killed process left it: its rows go to the database from now on, so the
  // power must not be able to take it any more. The same goes for the headers of segments behind it, which
  // may cut a failed block off: it must not come back without them.
  [[nodiscard]] FileResult<void> secure_end(std::span<SegmentScan> scans);
  void add(ChainFindings findings);
  void sum_up(Epochs epochs);

  FileSystem& files_;
  std::vector<ChainEnd> known_ends_;
  std::optional<ChainEnd> chain_end_;  // the known one of the chain that is scanned
  SegmentScanner scanner_;
  std::uint64_t verify_bytes_left_;
  LastBlock last_block_;
  Recovered recovered_;
};

// The block with which a segment ends; no segment but the last that was begun needs the known end.
std::uint64_t Recovery::end_of(std::span<const SegmentScan> scans, std::size_t index) {
  const std::uint64_t end = end_block_before(scans.subspan(index + 1));
  const SegmentScan& scan = scans[index];
  if (end != SegmentScanner::no_end || !scan.header || scan.unbegun()) return end;
  chain_end_ = find_chain_end(known_ends_, scan.id, *scan.header);
  return chain_end_ ? chain_end_->end_block : end;
}

FileResult<void> Recovery::scan(std::span<SegmentScan> scans, std::size_t index, const SegmentId& id) {
  auto opened = scanner_.open(id);
  if (!opened) return std::unexpected(opened.error());
  scans[index] = std::move(*opened);
  const bool verify = verify_bytes_left_ >= scans[index].file_bytes;
  if (verify) verify_bytes_left_ -= scans[index].file_bytes;
  return scanner_.find_sections(scans[index], end_of(scans, index), verify);
}

FileResult<void> Recovery::secure_end(std::span<SegmentScan> scans) {
  for (std::size_t left = scans.size(); left > 0; --left) {
    SegmentScan& scan = scans[left - 1];
    if (const auto opened = scanner_.open(scan.id); !opened) return std::unexpected(opened.error());
    for (FoundSection& section : scan.sections) {
      if (section.block != scan.sections.back().block) continue;
      if (const auto verified = scanner_.verify(section); !verified) return verified;
    }
    if (last_block_ == LastBlock::secured)
      if (const auto durable = scanner_.synchronize(); !durable) return durable;
    if (!scan.sections.empty()) break;
  }
  return {};
}

// From the last to the first, for the first block of a segment tells where the one before ends.
Recovery::Step Recovery::recover_chain(std::span<const SegmentId> segments) {
  std::vector<SegmentScan> scans(segments.size());
  chain_end_.reset();
  for (std::size_t left = segments.size(); left > 0; --left) {
    const SegmentId& id = segments[left - 1];
    if (const auto scanned = scan(scans, left - 1, id); !scanned)
      return std::unexpected(system_error("read", segment_path(id), scanned.error()));
  }
  // An end that is known was secured by the start that found it.
  if (!chain_end_)
    if (const auto secured = secure_end(scans); !secured)
      return std::unexpected(system_error("read", segment_path(segments.back()), secured.error()));
  add(survey_chain(scans, chain_end_));
  return {};
}

template <typename Value>
void append(std::vector<Value>& into, std::vector<Value>& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void Recovery::add(ChainFindings findings) {
  JournalSurvey& survey = recovered_.survey;
  append(recovered_.entries, findings.entries);
  append(recovered_.unused, findings.unused);
  append(recovered_.faults, findings.faults);
  append(survey.lost, findings.lost);
  append(survey.lanes, findings.lanes);
  append(survey.findings, findings.torn);
  if (findings.end) recovered_.ends.push_back(*findings.end);
  survey.torn_blocks += findings.torn_blocks;
  survey.torn_bytes += findings.torn_bytes;
}

void Recovery::sum_up(Epochs epochs) {
  JournalSurvey& survey = recovered_.survey;
  std::ranges::sort(recovered_.entries, {}, &SegmentEntry::id);
  std::ranges::sort(survey.lanes, {}, &OldLane::lane);
  std::ranges::sort(recovered_.ends);
  recovered_.ends_changed = recovered_.ends != known_ends_;
  for (const JournalFault& fault : recovered_.faults) survey.findings.push_back(fault.sentence);
  for (const SegmentEntry& entry : recovered_.entries) {
    survey.bytes += entry.bytes;
    survey.epochs.emplace(entry.id.epoch, epochs.at(entry.id.epoch));
  }
  survey.segments = recovered_.entries.size();
  for (const auto& [number, epoch] : epochs) {
    recovered_.last_epoch = std::max(recovered_.last_epoch, number);
    if (!survey.epochs.contains(number)) recovered_.empty_epochs.push_back(number);
  }
}

std::expected<Recovered, JournalError> Recovery::run() {
  auto epochs = read_epochs(files_);
  if (!epochs) return std::unexpected(epochs.error());
  const auto chains = list_segments(files_);
  if (!chains) return std::unexpected(chains.error());
  for (const auto& [chain, segments] : *chains)
    if (!epochs->contains(chain.first)) return std::unexpected(unknown_epoch(segments.front()));
  // The newest first: they are what verify_bytes_max is for.
  for (auto chain = chains->rbegin(); chain != chains->rend(); ++chain)
    if (const auto recovered = recover_chain(chain->second); !recovered)
      return std::unexpected(recovered.error());
  sum_up(std::move(*epochs));
  return std::move(recovered_);
}

}  // namespace

std::expected<Recovered, JournalError> recover(FileSystem& files, const journal_format::JournalId& journal,
                                               std::uint64_t verify_bytes_max, LastBlock last_block) {
  return Recovery(files, journal, verify_bytes_max, last_block).run();
}

}  // namespace wellhead
