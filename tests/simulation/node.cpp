#include "tests/simulation/node.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "codec/dead_letter.hpp"
#include "sink/postgres_committer.hpp"
#include "tests/simulation/late_ledger_writer.hpp"

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
constexpr std::size_t ledger_entries_max = 4'000;  // more than a run has; a table for many takes long to make
constexpr std::string_view node_id = "simulated";

JournalOptions journal_options(const NodeShape& shape) {
  JournalOptions options;
  options.node_id = node_id;
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

// Its letters' ids must differ from those of every other writer of any run.
std::uint64_t letter_seed(const Journal& journal, std::uint32_t kind, std::size_t index) {
  return std::uint64_t{journal.epoch()} << 32 | kind << 16 | index;
}

DeadLetterTable dead_letter_table(const SchemaPointer& schema, std::uint64_t seed, const Clock& clock) {
  const auto letters = std::make_shared<DeadLetterWriter>(schema, std::string(node_id), seed);
  return {.encode =
              [letters, &clock](const RefusedRow& row, const RowHeader& header, const Schema& stream,
                                std::vector<std::byte>& tuples) {
                const auto* const tuple = reinterpret_cast<const std::byte*>(&header + 1);
                letters->append({stream, header, {tuple, header.tuple_bytes}, row.sqlstate, row.message},
                                clock.wall_us(), tuples);
              },
          .copy_statement = schema->copy_statement()};
}

}  // namespace

Node::Node() : ledger_(LedgerOptions{.entries_max = ledger_entries_max}) {}

std::expected<std::unique_ptr<Node>, JournalError> Node::start(FileSystem& disk, const Clock& clock,
                                                               const Connect& connect,
                                                               const std::vector<SchemaPointer>& streams,
                                                               const NodeShape& shape) {
  std::unique_ptr<Node> node(new Node);
  if (auto opened = node->open_journal(disk, clock, shape); !opened)
    return std::unexpected(std::move(opened.error()));
  node->board_ = std::make_unique<LaneBoard>(node->journal_->epoch(), shape.reactors, shape.shards,
                                             node->journal_->survey().lanes);
  for (std::uint32_t reactor = 0; reactor < shape.reactors; ++reactor)
    node->return_pointers_.push_back(node->returns_.emplace_back(std::make_unique<Mailbox>()).get());
  for (std::uint32_t shard = 0; shard < shape.shards; ++shard) node->add_shard(clock, connect, streams);
  for (std::uint32_t reactor = 0; reactor < shape.reactors; ++reactor)
    node->add_intake(clock, streams, shape.late_ledger);
  return node;
}

std::expected<void, JournalError> Node::open_journal(FileSystem& disk, const Clock& clock,
                                                     const NodeShape& shape) {
  auto journal = Journal::open(disk, clock, journal_options(shape));
  if (!journal) return std::unexpected(std::move(journal.error()));
  journal_ = std::move(*journal);
  ledger_store_.emplace(disk, clock, journal_->id(), ledger_);
  const auto loaded = open_ledger(*ledger_store_, *journal_, false);
  if (!loaded) return std::unexpected(loaded.error());
  return {};
}

void Node::add_shard(const Clock& clock, const Connect& connect, const std::vector<SchemaPointer>& streams) {
  const auto index = static_cast<std::uint32_t>(shards_.size());
  CommitterSetup setup;
  setup.shard = index;
  setup.streams = streams;
  setup.synchronous_commit = "off";
  // Some flushes are to go compressed and some not.
  setup.direct_compress.rows_per_device_min = 3;
  setup.owner.journal_id = journal_->id_text();
  setup.owner.node_id = node_id;
  setup.dead_letter = dead_letter_table(streams[1], letter_seed(*journal_, 1, index), clock);
  FlushOptions flush;
  flush.rows_max = flush_rows_max;
  flush.batch_bytes = batch_bytes;
  shards_.push_back(std::make_unique<Shard>(index, flush,
                                            std::make_unique<PostgresCommitter>(connect(), std::move(setup)),
                                            return_pointers_, clock, -1, *board_, journal_.get()));
}

void Node::add_intake(const Clock& clock, const std::vector<SchemaPointer>& streams, bool late_ledger) {
  const auto reactor = static_cast<std::uint32_t>(intakes_.size());
  std::vector<ShardPort> ports;
  for (const auto& shard : shards_)
    ports.push_back({&shard->mailbox(), [shard = shard.get()] { return shard->state() == ShardState::ready; },
                     [shard = shard.get()] { return shard->problem(); }});
  BatchingOptions batching;
  batching.reactor_index = reactor;
  batching.batch_bytes = batch_bytes;
  batching.batches_max = batches_max;
  batching.block_bytes_max = block_bytes_max;
  batching.dead_letter = {
      .schema = streams[1], .node_id = std::string(node_id), .seed = letter_seed(*journal_, 0, reactor)};
  JournalWriter* writer = &journal_->writer(reactor);
  if (late_ledger) writer = late_writers_.emplace_back(std::make_unique<LateLedgerWriter>(*writer)).get();
  intakes_.push_back({std::make_unique<BatchingIntake>(batching, std::move(ports), *returns_[reactor], clock,
                                                       *board_, writer, &ledger_),
                      std::nullopt});
}

void Node::take_operation(Front& front) {
  if (front.operation) return;
  front.operation = front.intake->journal_operation();
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
  front.intake->on_journal_completion(result);
  take_operation(front);
}

void Node::lie_about_synchronization(std::size_t reactor) {
  Front& front = intakes_[reactor];
  if (!front.operation || front.operation->kind != JournalOperation::Kind::synchronize) return;
  front.operation.reset();
  front.intake->on_journal_completion(0);
  take_operation(front);
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

bool Node::conserves_records() const {
  return std::ranges::all_of(intakes_, [](const Front& front) {
    const IntakeStats& stats = front.intake->stats();
    std::uint64_t told = stats.records_accepted.value() + stats.records_duplicate.value() +
                         stats.records_quarantined.value() + stats.records_abandoned.value() +
                         static_cast<std::uint64_t>(stats.records_pending.value());
    for (const Counter& rejected : stats.records_rejected) told += rejected.value();
    return told == stats.records_received.value();
  });
}

}  // namespace wellhead::simulation
