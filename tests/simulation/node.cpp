#include "tests/simulation/node.hpp"

#include <utility>

#include "base/assert.hpp"
#include "sink/postgres_committer.hpp"

namespace wellhead::simulation {
namespace {

// Small, so that every bound is met in a short run.
constexpr std::size_t batch_bytes = 8U << 10;
constexpr std::uint32_t batches_max = 12;
constexpr std::size_t segment_bytes = 64U << 10;
constexpr std::size_t block_bytes_max = 48U << 10;
constexpr std::uint64_t journal_bytes_max = 1U << 20;
constexpr std::uint64_t journal_bytes_tight =
    8 * segment_bytes;  // where nothing is kept: is full now and then
constexpr std::uint32_t flush_rows_max = 60;

JournalOptions journal_options(const NodeShape& shape) {
  JournalOptions options;
  options.node_id = "simulated";
  options.reactors = shape.reactors;
  options.shards = shape.shards;
  options.batch_bytes = batch_bytes;
  options.segment_bytes = segment_bytes;
  options.block_bytes_max = block_bytes_max;
  options.bytes_max = journal_bytes_max;
  options.free_bytes_min = 0;
  if (!shape.keeps_flushed) {
    options.keep_bytes = 0;
    options.keep_time = {};
    options.bytes_max = journal_bytes_tight;
  }
  options.direct = shape.direct ? DirectIo::required : DirectIo::off;
  return options;
}

}  // namespace

std::vector<SchemaPointer> simulated_streams() {
  StreamConfig stream;
  stream.name = "readings";
  stream.table = "readings";
  stream.device_column = "device_id";
  stream.time_column = "timestamp";
  stream.columns = {{.name = "timestamp", .type = ColumnType::timestamptz, .required = true},
                    {.name = "device_id", .type = ColumnType::text, .required = true},
                    {.name = "id", .type = ColumnType::bigint, .required = true}};
  auto compiled = Schema::compile(std::move(stream), 0);
  WELLHEAD_ASSERT(compiled.has_value());
  return {*compiled};
}

std::expected<std::unique_ptr<Node>, JournalError> Node::start(FileSystem& disk, const Clock& clock,
                                                               Server& server,
                                                               const std::vector<SchemaPointer>& streams,
                                                               const NodeShape& shape) {
  auto journal = Journal::open(disk, clock, journal_options(shape));
  if (!journal) return std::unexpected(journal.error());
  std::unique_ptr<Node> node(new Node);
  node->journal_ = std::move(*journal);
  node->board_ = std::make_unique<LaneBoard>(node->journal_->epoch(), shape.reactors, shape.shards,
                                             node->journal_->survey().lanes);
  std::vector<Mailbox*> returns;
  for (std::uint32_t reactor = 0; reactor < shape.reactors; ++reactor)
    returns.push_back(node->returns_.emplace_back(std::make_unique<Mailbox>()).get());
  FlushOptions flush;
  flush.rows_max = flush_rows_max;
  flush.batch_bytes = batch_bytes;
  for (std::uint32_t index = 0; index < shape.shards; ++index) {
    CommitterSetup setup;
    setup.shard = index;
    setup.streams = streams;
    setup.synchronous_commit = "off";
    setup.owner.journal_id = node->journal_->id_text();
    setup.owner.node_id = "simulated";
    auto committer =
        std::make_unique<PostgresCommitter>(connect_to(server, streams, id_field), std::move(setup));
    node->shards_.push_back(std::make_unique<Shard>(index, flush, std::move(committer), returns, clock, -1,
                                                    *node->board_, node->journal_.get()));
  }
  for (std::uint32_t reactor = 0; reactor < shape.reactors; ++reactor) {
    std::vector<ShardPort> ports;
    for (const auto& shard : node->shards_)
      ports.push_back({&shard->mailbox(),
                       [shard = shard.get()] { return shard->state() == ShardState::ready; },
                       [shard = shard.get()] { return shard->problem(); }});
    BatchingOptions batching;
    batching.reactor_index = reactor;
    batching.batch_bytes = batch_bytes;
    batching.batches_max = batches_max;
    batching.block_bytes_max = block_bytes_max;
    node->intakes_.push_back(
        {std::make_unique<BatchingIntake>(batching, std::move(ports), *node->returns_[reactor], clock,
                                          *node->board_, &node->journal_->writer(reactor)),
         std::nullopt, false});
  }
  return node;
}

void Node::take_operation(Front& front) {
  if (front.operation) return;
  front.operation = front.intake->journal_operation();
  front.told = false;
}

void Node::turn(std::size_t reactor, RequestListener& listener) {
  Front& front = intakes_[reactor];
  (void)front.intake->turn(listener);
  take_operation(front);
}

void Node::perform(std::size_t reactor) {
  Front& front = intakes_[reactor];
  if (!front.operation) return;
  const std::int64_t result = wellhead::perform(*std::exchange(front.operation, std::nullopt));
  if (!front.told) front.intake->on_journal_completion(result);
  take_operation(front);
}

void Node::lie_about(std::size_t reactor) {
  Front& front = intakes_[reactor];
  if (!front.operation || front.told) return;
  std::int64_t bytes = 0;
  if (front.operation->kind == JournalOperation::Kind::write)
    for (const iovec& piece : front.operation->pieces) bytes += static_cast<std::int64_t>(piece.iov_len);
  front.told = true;
  front.intake->on_journal_completion(bytes);
}

std::size_t Node::trim() {
  std::vector<std::pair<LaneId, std::uint64_t>> flushed;
  const auto add = [&](LaneId lane) { flushed.emplace_back(lane, board_->find(lane)->flushed.load()); };
  for (std::uint32_t reactor = 0; reactor < board_->reactors(); ++reactor)
    for (std::uint32_t shard = 0; shard < board_->shards(); ++shard) add({board_->epoch(), reactor, shard});
  for (const OldLane& old : board_->old()) add(old.lane);
  // A failure of the disk: the next one frees what this one did not.
  return journal_->trim(flushed).value_or(0);
}

bool Node::latched() const {
  for (std::uint32_t reactor = 0; reactor < intakes_.size(); ++reactor)
    if (journal_->writer(reactor).latched()) return true;
  return false;
}

std::uint64_t Node::rows_replayed() const {
  std::uint64_t rows = 0;
  for (const auto& shard : shards_) rows += shard->stats().rows_replayed.value();
  return rows;
}

bool Node::drained() {
  for (const Front& front : intakes_)
    if (front.operation || front.intake->pending() > 0) return false;
  const auto flushed = [this](LaneId lane) {
    const LaneState* state = board_->find(lane);
    return state->flushed.load() == state->durable.load();
  };
  for (std::uint32_t reactor = 0; reactor < board_->reactors(); ++reactor)
    for (std::uint32_t shard = 0; shard < board_->shards(); ++shard)
      if (!flushed({board_->epoch(), reactor, shard})) return false;
  for (const OldLane& old : board_->old())
    if (!flushed(old.lane)) return false;
  return true;
}

}  // namespace wellhead::simulation
