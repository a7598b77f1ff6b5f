#include "journal/testing/writer_rig.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "journal/epoch_file.hpp"
#include "journal/format.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t epoch = 5;
constexpr std::uint32_t reactor = 1;

// The texts of the rows of a payload.
std::vector<std::string> texts(std::span<const std::byte> payload) {
  std::vector<std::string> rows;
  while (!payload.empty()) {
    RowHeader header;
    std::memcpy(&header, payload.data(), sizeof header);
    const auto tuple = payload.subspan(sizeof header, header.tuple_bytes);
    rows.emplace_back(reinterpret_cast<const char*>(tuple.data()), tuple.size());
    payload = payload.subspan(row_bytes(header.tuple_bytes));
  }
  return rows;
}

}  // namespace

WriterRig::WriterRig(const WriterRigOptions& options)
    : disk_({.seed = options.seed, .direct = options.direct}) {
  pool_ = std::make_unique<SegmentPool>(
      disk_, clock,
      SegmentPoolOptions{.journal_id = journal_id,
                         .epoch = epoch,
                         .reactors = 2,
                         .segment_bytes = options.segment_bytes,
                         .bytes_max = options.segments_max * options.segment_bytes,
                         .free_bytes_min = 0,
                         .direct = options.direct,
                         .spare_made = 0,
                         .spare_kept = 4});
  writer_ = std::make_unique<SegmentWriter>(
      *pool_, catalog, clock,
      SegmentWriterOptions{.journal_id = journal_id,
                           .epoch = epoch,
                           .reactor = reactor,
                           .shards = shard_count,
                           .segment_bytes = options.segment_bytes,
                           .block_bytes_max = options.segment_bytes - journal_format::segment_header_bytes,
                           .direct = options.direct});
  WELLHEAD_ASSERT(disk_.make_directory(epochs_directory).has_value());
  WELLHEAD_ASSERT(pool_->open().has_value());
  const JournalSurvey::Epoch ran{
      .epoch = epoch, .reactors = 2, .shards = shard_count, .batch_bytes = segment_bytes, .catalog = "none"};
  WELLHEAD_ASSERT(write_epoch(disk_, ran).has_value());
  work();
}

Batch& WriterRig::batch(std::uint32_t shard, const std::vector<std::string>& rows) {
  Batch& batch = batches_.emplace_back(segment_bytes, reactor);
  batch.set_shard(shard);
  for (const std::string& text : rows) {
    const auto bytes = static_cast<std::uint32_t>(text.size());
    std::byte* row = batch.append(0, 0, bytes);
    std::memset(row, 0, row_bytes(bytes));
    const RowHeader header{
        .device_hash = 1, .time_us = 2, .tuple_bytes = bytes, .record_index = 0, .stream = 0};
    std::memcpy(row, &header, sizeof header);
    std::memcpy(row + sizeof header, text.data(), bytes);
  }
  return batch;
}

AppendStatus WriterRig::append(std::initializer_list<Batch*> batches) {
  return writer_->append({batches.begin(), batches.size()}, {}, 0);
}

CompleteResult WriterRig::finish() {
  CompleteResult result = CompleteResult::more;
  while (result == CompleteResult::more) {
    const JournalOperation operation = writer_->operation();
    if (operation.kind == JournalOperation::Kind::write) {
      const auto written = operation.file->write(operation.pieces, operation.offset);
      result = writer_->complete(written ? static_cast<std::int64_t>(*written) : -written.error());
    } else {
      const auto synchronized = operation.file->synchronize();
      result = writer_->complete(synchronized ? 0 : -synchronized.error());
    }
  }
  return result;
}

void WriterRig::write_whole_but_report(int error) {
  const JournalOperation operation = writer_->operation();
  WELLHEAD_ASSERT(operation.file->write(operation.pieces, operation.offset).has_value());
  WELLHEAD_ASSERT(operation.file->synchronize().has_value());
  WELLHEAD_ASSERT(writer_->complete(error) == CompleteResult::failed);
}

void WriterRig::work() {
  constexpr std::int64_t pause_ns = 2'000'000'000;
  for (unsigned round = 0; round < 2; ++round) {
    while (pool_->work()) {
    }
    clock.now_ns += pause_ns;
  }
}

std::vector<WriterRig::OpenSegment> WriterRig::begun_segments() {
  std::vector<OpenSegment> begun;
  const std::vector<std::string> names = disk_.list(segments_directory).value();
  for (const std::string& name : names) {
    const SegmentId id = parse_segment_name(name).value();
    const auto header = check_segment_header(disk_.contents(segment_path(id)), journal_id, id);
    if (id.reactor == reactor && header && header->first_block > 0)
      begun.push_back({id, header->first_block});
  }
  return begun;
}

// Up to the first place where no whole section of the next block is.
void WriterRig::read_segment(const OpenSegment& segment, std::uint64_t end_block, std::uint32_t shard,
                             std::vector<std::string>& rows) {
  auto left = std::span<const std::byte>(disk_.contents(segment_path(segment.id)))
                  .subspan(journal_format::segment_header_bytes);
  std::vector<std::string> block_rows;
  for (std::uint64_t block = segment.first_block; block < end_block && !left.empty();) {
    const auto header = check_section_header(left, journal_id, segment.id);
    if (!header || header->block != block) return;
    const auto payload = left.subspan(sizeof(journal_format::SectionHeader), header->payload_bytes);
    if (payload_checksum(payload) != header->payload_checksum) return;
    if (header->kind == journal_format::SectionKind::rows && header->shard == shard)
      std::ranges::move(texts(payload), std::back_inserter(block_rows));
    left = left.subspan(journal_format::section_bytes(header->payload_bytes));
    if (header->section_index + 1 < header->section_count) continue;
    std::ranges::move(block_rows, std::back_inserter(rows));
    block_rows.clear();
    ++block;
  }
}

std::vector<std::string> WriterRig::rows_on_disk(std::uint32_t shard) {
  std::vector<std::string> rows;
  const auto begun = begun_segments();
  for (std::size_t index = 0; index < begun.size(); ++index) {
    const std::uint64_t end = index + 1 < begun.size() ? begun[index + 1].first_block : UINT64_MAX;
    read_segment(begun[index], end, shard, rows);
  }
  return rows;
}

}  // namespace wellhead
