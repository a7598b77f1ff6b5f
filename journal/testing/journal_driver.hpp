// Writes blocks through a journal's writers as a reactor does, and remembers what was in them, so that a test
// can compare what it reads back, byte by byte.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "journal/journal.hpp"
#include "queue/batch.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// A lane and a sequence in it.
using Place = std::pair<LaneId, std::uint64_t>;
using Payload = std::vector<std::byte>;

struct WrittenBlock {
  std::vector<std::pair<Place, Payload>> sections;
  bool durable = false;  // else it failed, and may be there whole or not at all
};

// What was written to one journal, through all its runs.
struct WrittenRows {
  // Of one place there are several where a block failed and its sequences were given again.
  std::vector<WrittenBlock> blocks;
  std::uint64_t batches = 0;  // makes every payload another

  [[nodiscard]] std::map<Place, Payload> durable() const;
};

// Rows of a batch as large as asked, different for every `number`.
void fill_batch(Batch& batch, std::uint32_t shard, std::uint32_t row_count, std::uint32_t tuple_bytes,
                std::uint64_t number);

class JournalDriver {
 public:
  static constexpr std::size_t batch_bytes = 16384;

  JournalDriver(Journal& journal, WrittenRows& rows) : journal_(journal), rows_(rows) {}

  // Appends a block with a batch for each of `shards` and, where `ledger_entries` is not 0, a ledger section,
  // and carries its operations out. durable, failed, or nothing where there was no segment.
  std::optional<CompleteResult> append(std::uint32_t reactor, std::span<const std::uint32_t> shards,
                                       std::uint32_t row_count, std::uint32_t tuple_bytes,
                                       std::uint32_t ledger_entries = 0);
  // Lets the preparer work until there is nothing to do.
  void prepare();

 private:
  Journal& journal_;
  WrittenRows& rows_;
};

// Carries out what the writer asks for, until the block is durable or has failed.
CompleteResult carry_out(JournalWriter& writer);

struct ReadBack {
  std::map<Place, Payload> payloads;
  JournalReader::Status status;  // with which it ended
  std::string problem;
};
// Everything of a lane from `first` to `until`.
[[nodiscard]] ReadBack read_lane(JournalReader& reader, LaneId lane, std::uint64_t until);

}  // namespace wellhead
