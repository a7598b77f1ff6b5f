#include "journal/file_journal.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "journal/epoch_file.hpp"
#include "journal/error.hpp"
#include "journal/ledger_reader.hpp"
#include "journal/quarantine.hpp"
#include "journal/trim.hpp"

namespace wellhead {
namespace {

// How long the preparer sleeps when nobody asks for a segment; it is what a failed attempt waits for too.
constexpr std::chrono::milliseconds preparer_wait{100};

SegmentPoolOptions pool_options(const JournalOptions& options, const OpenedJournal& opened) {
  SegmentPoolOptions pool;
  pool.journal_id = opened.identity.id;
  pool.epoch = opened.epoch.epoch;
  pool.reactors = options.reactors;
  pool.segment_bytes = options.segment_bytes;
  pool.bytes_max = options.bytes_max;
  pool.free_bytes_min = options.free_bytes_min;
  pool.direct = opened.direct;
  return pool;
}

}  // namespace

FileJournal::FileJournal(FileSystem& files, const Clock& clock, const JournalOptions& options,
                         OpenedJournal opened)
    : files_(files),
      clock_(clock),
      options_(options),
      identity_(opened.identity),
      epoch_(opened.epoch.epoch),
      survey_(std::move(opened.recovered.survey)),
      unused_(std::move(opened.recovered.unused)),
      pool_(files, clock, pool_options(options, opened)),
      lost_(survey_.lost) {
  survey_.direct = opened.direct;
  for (SegmentEntry& entry : opened.recovered.entries) catalog_.add(std::move(entry));
  for (const auto& [number, epoch] : survey_.epochs) earlier_epochs_.insert(number);
  for (const SegmentId& segment : unused_) earlier_epochs_.insert(segment.epoch);
  for (std::uint32_t reactor = 0; reactor < options.reactors; ++reactor)
    writers_.push_back(std::make_unique<SegmentWriter>(
        pool_, catalog_, clock,
        SegmentWriterOptions{identity_.id, epoch_, reactor, options.shards, options.segment_bytes,
                             options.block_bytes_max, opened.direct}));
}

FileJournal::~FileJournal() {
  stop();
}

FileJournal::Step FileJournal::begin() {
  if (const auto opened = pool_.open(); !opened)
    return std::unexpected(system_error("prepare", spare_directory, opened.error()));
  for (const SegmentId& segment : unused_)
    if (const Step recycled = recycle(segment); !recycled) return recycled;
  unused_.clear();
  return remove_empty_epochs();
}

std::vector<LostRows> FileJournal::lost_rows() const {
  const std::lock_guard lock(damage_mutex_);
  return lost_;
}

std::expected<void, JournalError> FileJournal::read_ledger(const LedgerVisitor& visit) {
  std::vector<SegmentEntry> segments = catalog_.segments();
  std::erase_if(segments, [this](const SegmentEntry& segment) { return segment.id.epoch == epoch_; });
  return read_ledger_sections(files_, identity_.id, segments, *this, visit);
}

JournalWriter& FileJournal::writer(std::uint32_t reactor) {
  WELLHEAD_ASSERT(reactor < writers_.size());
  return *writers_[reactor];
}

std::unique_ptr<JournalReader> FileJournal::reader(LaneId lane, std::uint64_t first) {
  DamageWatch& damage = *this;
  return std::make_unique<LaneReader>(files_, identity_.id, catalog_, damage, lane, first);
}

// Set aside first, then forgotten: only what is on disk elsewhere may be passed over. What an earlier run
// set aside was accepted then.
bool FileJournal::carry_on(const JournalFault& fault, const LostRows& lost) {
  const std::lock_guard lock(damage_mutex_);
  const auto fresh = new_faults(files_, {&fault, 1});
  if (!fresh || (!fresh->empty() && !options_.accept_damage)) return false;
  if (!fresh->empty())
    if (const auto aside = set_aside(files_, fault); !aside) {
      log::error(aside.error().sentence);
      return false;
    }
  if (!catalog_.mark_unusable(fault.segment, fault.extent)) return true;
  lost_.push_back(lost);
  log::error(fault.sentence, {{"set_aside", quarantine_path(fault)}});
  return true;
}

void FileJournal::start() {
  WELLHEAD_ASSERT(!preparer_.joinable());
  stopping_.store(false, std::memory_order_relaxed);
  preparer_ = std::thread([this] { prepare_segments(); });
}

void FileJournal::prepare_segments() {
  while (!stopping_.load(std::memory_order_relaxed))
    if (!pool_.work()) pool_.wait_for_work(preparer_wait);
}

void FileJournal::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  if (preparer_.joinable()) preparer_.join();
}

FileJournal::Step FileJournal::recycle(const SegmentId& segment) {
  const auto recycled = pool_.recycle(segment_name(segment));
  if (!recycled) return std::unexpected(system_error("recycle", segment_path(segment), recycled.error()));
  return {};
}

FileJournal::Step FileJournal::remove_empty_epochs() {
  for (auto epoch = earlier_epochs_.begin(); epoch != earlier_epochs_.end();) {
    if (catalog_.holds_epoch(*epoch)) {
      ++epoch;
      continue;
    }
    if (const Step removed = remove_epoch(files_, *epoch); !removed) return removed;
    epoch = earlier_epochs_.erase(epoch);
  }
  return {};
}

// The catalog forgets a segment before its file is used again, so that a reader in it can tell.
std::expected<std::size_t, JournalError> FileJournal::trim(
    std::span<const std::pair<LaneId, std::uint64_t>> flushed) {
  const std::lock_guard lock(trim_mutex_);
  const KeepBounds keep{options_.keep_bytes,
                        std::chrono::duration_cast<std::chrono::microseconds>(options_.keep_time).count()};
  std::vector<SegmentEntry> going = plan_trim(catalog_.segments(), flushed, keep, clock_.wall_us());
  const auto ledger =
      std::ranges::find_if(going, [](const SegmentEntry& segment) { return segment.ledger_sections > 0; });
  if (ledger != going.end() && keep_ledger_ && !keep_ledger_()) hold_ledger(going);
  std::size_t gone = 0;
  for (const SegmentEntry& segment : going) {
    catalog_.remove(segment.id);
    if (const Step recycled = recycle(segment.id); !recycled) return std::unexpected(recycled.error());
    ++gone;
  }
  if (const Step removed = remove_empty_epochs(); !removed) return std::unexpected(removed.error());
  return gone;
}

Journal::Usage FileJournal::usage() const {
  return {catalog_.segment_count(), pool_.bytes(), pool_.spare_count(), options_.bytes_max};
}

}  // namespace wellhead
