#include "journal/testing/journal_driver.hpp"

#include <cstring>
#include <string>

#include "base/assert.hpp"

namespace wellhead {

std::map<Place, Payload> WrittenRows::durable() const {
  std::map<Place, Payload> rows;
  for (const WrittenBlock& block : blocks)
    if (block.durable) rows.insert(block.sections.begin(), block.sections.end());
  return rows;
}

void fill_batch(Batch& batch, std::uint32_t shard, std::uint32_t row_count, std::uint32_t tuple_bytes,
                std::uint64_t number) {
  batch.set_shard(shard);
  for (std::uint32_t row = 0; row < row_count; ++row) {
    std::byte* at = batch.append(0, 0, tuple_bytes);
    std::memset(at, 0, row_bytes(tuple_bytes));
    const RowHeader header{
        .device_hash = number, .time_us = row, .tuple_bytes = tuple_bytes, .record_index = row, .stream = 0};
    std::memcpy(at, &header, sizeof header);
    std::memset(at + sizeof header, static_cast<int>(number % 251 + 1), tuple_bytes);
  }
}

CompleteResult carry_out(JournalWriter& writer) {
  for (;;) {
    const JournalOperation operation = writer.operation();
    std::int64_t result = 0;
    if (operation.kind == JournalOperation::Kind::write) {
      const auto written = operation.file->write(operation.pieces, operation.offset);
      result = written ? static_cast<std::int64_t>(*written) : -written.error();
    } else if (const auto synchronized = operation.file->synchronize(); !synchronized) {
      result = -synchronized.error();
    }
    if (const CompleteResult completed = writer.complete(result); completed != CompleteResult::more)
      return completed;
  }
}

void JournalDriver::prepare() {
  while (journal_.work()) {
  }
}

std::optional<CompleteResult> JournalDriver::append(std::uint32_t reactor,
                                                    std::span<const std::uint32_t> shards,
                                                    std::uint32_t row_count, std::uint32_t tuple_bytes,
                                                    std::uint32_t ledger_entries) {
  std::vector<std::unique_ptr<Batch>> batches;
  std::vector<Batch*> pointers;
  for (const std::uint32_t shard : shards) {
    pointers.push_back(batches.emplace_back(std::make_unique<Batch>(batch_bytes, reactor)).get());
    fill_batch(*pointers.back(), shard, row_count, tuple_bytes, ++rows_.batches);
  }
  const std::string ledger(std::size_t{40} * ledger_entries, 'l');
  JournalWriter& writer = journal_.writer(reactor);
  if (writer.append(pointers, std::as_bytes(std::span(ledger)), ledger_entries) != AppendStatus::planned)
    return std::nullopt;
  WrittenBlock block;
  for (const Batch* batch : pointers)
    block.sections.emplace_back(Place{batch->lane(), batch->lane_sequence()},
                                Payload(batch->rows().begin(), batch->rows().end()));
  const CompleteResult result = carry_out(writer);
  block.durable = result == CompleteResult::durable;
  rows_.blocks.push_back(std::move(block));
  return result;
}

ReadBack read_lane(JournalReader& reader, LaneId lane, std::uint64_t until) {
  Batch batch(JournalDriver::batch_bytes, Batch::no_reactor);
  ReadBack back;
  while ((back.status = reader.next(batch, until)) == JournalReader::Status::read) {
    WELLHEAD_ASSERT(batch.lane() == lane);
    back.payloads.emplace(Place{lane, batch.lane_sequence()},
                          Payload(batch.rows().begin(), batch.rows().end()));
  }
  back.problem = reader.problem();
  return back;
}

}  // namespace wellhead
